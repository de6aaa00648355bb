import numpy as np
import pytest

from vasari.errors import WatermarkError
from vasari.watermark import correction, payload


def powers_of_alpha():
    """alpha^0 … alpha^126 in GF(2^7) modulo x^7 + x^3 + 1."""
    powers = [1]
    for _ in range(126):
        double = powers[-1] << 1
        powers.append(double ^ 0b10001001 if double & 0x80 else double)
    return powers


def syndromes(word):
    """The word's polynomial, highest power first, at alpha^1 … alpha^20."""
    powers = powers_of_alpha()
    exponents = 126 - np.flatnonzero(word)
    sums = []
    for root in range(1, 21):
        total = 0
        for exponent in exponents:
            total ^= powers[root * int(exponent) % 127]
        sums.append(total)
    return sums


def test_code_words_have_the_roots_of_a_code_that_corrects_ten_errors():
    assert len(set(powers_of_alpha())) == 127  # alpha is primitive
    rng = np.random.default_rng(1)
    for _ in range(20):
        message = int.from_bytes(rng.bytes(8), "big")
        word = correction.encode(message)
        assert syndromes(word) == [0] * 20
        assert correction.word_of(word[:64]) == message


def test_one_wrong_bit_is_no_code_word():
    word = correction.encode(0x0123456789ABCDEF)
    word[77] ^= 1
    assert any(syndromes(word))


@pytest.mark.parametrize("identifier", [0, 1, 0xC0FFEE123456, (1 << 48) - 1])
def test_payload_comes_back_without_noise(identifier):
    decoding = payload.decode_identifier(payload.encode_identifier(identifier))
    assert decoding.identifier == identifier
    assert decoding.correlation == pytest.approx(1)
    assert decoding.p_value < 1e-30


def test_payload_comes_back_through_twenty_wrong_bits():
    rng = np.random.default_rng(2)
    identifier = payload.new_identifier()
    sent = payload.encode_identifier(identifier)
    received = sent * rng.uniform(1.0, 2.0, 127)
    wrong = rng.choice(127, 20, replace=False)
    received[wrong] = -0.6 * sent[wrong]
    assert payload.decode_identifier(received).identifier == identifier


def test_nearest_word_is_found_at_the_noise_of_a_weak_mark():
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(40):
        identifier = payload.new_identifier()
        received = 1.3 * payload.encode_identifier(identifier) + rng.normal(size=127)
        found += payload.decode_identifier(received).identifier == identifier
    assert found >= 36


def test_noise_fits_no_payload():
    rng = np.random.default_rng(4)
    p_values = [payload.decode_identifier(rng.normal(size=127)).p_value for _ in range(200)]
    assert min(p_values) > 1e-3


def test_nothing_received_means_nothing():
    assert payload.decode_identifier(np.zeros(127)).p_value == 1


def test_identifiers_are_random_and_of_48_bits():
    identifiers = {payload.new_identifier() for _ in range(50)}
    assert len(identifiers) == 50
    assert max(identifiers) < 1 << 48


def test_identifier_is_written_as_12_digits():
    assert payload.format_identifier(0xBEEF) == "00000000beef"
    assert payload.parse_identifier(" 00000000BEEF\n") == 0xBEEF


@pytest.mark.parametrize("text", ["", "beef", "00000000bee", "00000000beefa", "0x000000beef"])
def test_other_identifiers_are_refused(text):
    with pytest.raises(WatermarkError, match="12 hexadecimal digits"):
        payload.parse_identifier(text)


@pytest.mark.parametrize("identifier", [-1, 1 << 48])
def test_identifiers_of_other_lengths_are_refused(identifier):
    with pytest.raises(WatermarkError, match="48 bits"):
        payload.encode_identifier(identifier)


def test_checksum_has_the_published_check_value():
    """CRC-12/DECT in the catalogue of parametrised CRC algorithms."""
    assert payload._checksum(int.from_bytes(b"123456789", "big")) == 0xF5B
