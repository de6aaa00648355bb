"""The payload of the watermark: a 48-bit identifier, a version and a checksum.

>>> from vasari.watermark.payload import format_identifier, parse_identifier
>>> format_identifier(parse_identifier("00c0ffee1234"))
'00c0ffee1234'
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vasari.errors import WatermarkError
from vasari.watermark.correction import (
    CODE_BITS,
    AffineCode,
    BitArray,
    FloatArray,
    decode,
    encode,
    word_of,
)

# The name of this watermark in a C2PA soft-binding assertion. It is not on the C2PA list of
# algorithms, so it has the reverse-domain form that the specification gives for others.
ALGORITHM = "org.vasari.watermark.1"
# Anyone can read, and so also forge, a watermark made with the public key.
PUBLIC_KEY = b"vasari public watermark key 1"

IDENTIFIER_BITS = 48
VERSION = 1
VERSION_BITS = 4
CHECKSUM_BITS = 12
CHECKSUM_POLYNOMIAL = 0x180F  # CRC-12, x^12 + x^11 + x^3 + x^2 + x + 1 (3GPP TS 25.212)


@dataclass(frozen=True)
class Decoding:
    """The payload that fits received values best."""

    identifier: int  # 48 bits
    signs: npt.NDArray[np.float64]  # (127,) its coded bits as +1 (0) and -1 (1)
    correlation: float  # cosine between the received values and the signs, -1..1
    p_value: float  # bound on the chance that values without a watermark fit any payload as well


def new_identifier() -> int:
    """A random 48-bit identifier."""
    return secrets.randbits(IDENTIFIER_BITS)


def format_identifier(identifier: int) -> str:
    """The identifier as 12 hexadecimal digits."""
    return f"{_checked(identifier):012x}"


def parse_identifier(text: str) -> int:
    """The identifier written as 12 hexadecimal digits; raises WatermarkError for anything else."""
    digits = text.strip().lower()
    if len(digits) != IDENTIFIER_BITS // 4 or set(digits) - set("0123456789abcdef"):
        raise WatermarkError(f"identifier {text!r}: 12 hexadecimal digits are expected")
    return int(digits, 16)


def encode_identifier(identifier: int) -> FloatArray:
    """The coded bits of an identifier, (127,), as +1 for 0 and -1 for 1."""
    return 1.0 - 2.0 * encode(_message(_checked(identifier)))


def decode_identifier(received: FloatArray) -> Decoding:
    """The payload nearest to received values (127,), positive where the bit is more likely 0.

    There is always a nearest one: whether it means anything is for ``p_value`` to say. Noise whose
    direction is uniform on the sphere makes a cosine above r with one given word with a chance of
    at most (1 - r²)^63 / 2, and there are 2^48 words.
    """
    decoded = decode(_payload_code(), received)
    identifier = word_of(decoded.word[:IDENTIFIER_BITS])
    cosine = min(max(decoded.correlation, 0.0), 1.0)
    chance = 0.5 * (1.0 - cosine**2) ** ((CODE_BITS - 1) / 2)
    p_value = min(1.0, chance * 2.0**IDENTIFIER_BITS)
    return Decoding(identifier, 1.0 - 2.0 * decoded.word, decoded.correlation, p_value)


def _checked(identifier: int) -> int:
    if not 0 <= identifier < 1 << IDENTIFIER_BITS:
        raise WatermarkError(f"identifier {identifier}: a number of 48 bits is expected")
    return identifier


def _message(identifier: int) -> int:
    """The 64 bits that are coded: identifier, version, checksum."""
    versioned = identifier << VERSION_BITS | VERSION
    return versioned << CHECKSUM_BITS | _checksum(versioned)


def _checksum(word: int) -> int:
    """The remainder of the word, shifted by 12, in division by the checksum's polynomial."""
    remainder = word << CHECKSUM_BITS
    while remainder.bit_length() > CHECKSUM_BITS:
        remainder ^= CHECKSUM_POLYNOMIAL << remainder.bit_length() - CHECKSUM_BITS - 1
    return remainder


@lru_cache(maxsize=1)
def _payload_code() -> AffineCode:
    """The code words that carry a right version and checksum: 2^48 of the 2^64."""
    offset: BitArray = encode(_message(0))
    rows = [encode(_message(1 << bit)) ^ offset for bit in reversed(range(IDENTIFIER_BITS))]
    return AffineCode(offset, np.stack(rows))
