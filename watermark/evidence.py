"""How well tiles fit the pattern of a key: the payload, and the chance that there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vasari.watermark.pattern import Pattern, shape
from vasari.watermark.payload import decode_identifier
from vasari.watermark.tiles import (
    PERIOD,
    SPECTRUM_REACH,
    Float32Array,
    FloatArray,
    chips_of,
    power,
    spectrum_of,
    whitened,
)

POLARITY_REACH = 5  # frames over which the polarity is averaged
# Where the pattern is sure to be there, the payload may still be too noisy to be read. It has to
# fit this well on its own account, so that no marked clip is taken for another.
WRONG_IDENTIFIER = 1e-5


@dataclass(frozen=True)
class Evidence:
    """The best payload of some tiles.

    The signs of the synchronisation pattern and those of the payload are independent, so that the
    two chances are, whatever the first was used to choose.
    """

    identifier: int  # 48 bits
    sync_chance: float  # bound on the chance that a given place fits the pattern as well
    payload_chance: float  # bound on the chance that some payload fits as well
    signs: npt.NDArray[np.float64]  # (127,) the coded bits as +1 and -1
    bit_errors: int  # how many of them were received wrong
    sync_score: float  # z-score of the synchronisation pattern, of either sign
    correlation: float  # cosine between the received bits and the payload's
    weights: FloatArray  # (T,) the polarity of each tile as it was counted
    pattern: Pattern  # of the key

    def tile(self) -> FloatArray:
        """The chips (48, 48) of the payload."""
        return self.pattern.tile(self.signs)

    def p_value(self, places: float = 1.0, decodings: float = 1.0) -> float:
        """Bound on the chance of such a fit without a watermark.

        Args:
            places: How many were compared by the synchronisation pattern.
            decodings: How many tiles were decoded.
        """
        if self.payload_chance > WRONG_IDENTIFIER:
            return 1.0
        sync, payload = places * self.sync_chance, decodings * self.payload_chance
        return _product(min(1.0, sync), min(1.0, payload))


def weigh(folded: Float32Array, pattern: Pattern) -> Evidence:
    """The payload that folded frames (T, 96, 96) carry, if they carry any.

    The frames are summed with the polarity that the synchronisation pattern shows in each.
    """
    strength = smoothed(sync_strength(folded, pattern))
    ways = [fit(folded, weights, pattern) for weights in _polarities(strength)]
    # Where only some frames carry the mark, they should count most. The pattern itself chose such
    # weights, so that its fit proves nothing; that of the payload does.
    found = min([*ways, fit(folded, strength, pattern)], key=lambda each: each.payload_chance)
    return replace(
        found,
        sync_chance=min(1.0, len(ways) * min(way.sync_chance for way in ways)),
        payload_chance=min(1.0, (len(ways) + 1) * found.payload_chance),
    )


def shown_polarity(folded: Float32Array, pattern: Pattern) -> FloatArray:
    """Weights (T,) with which the sum of folded frames fits the synchronisation pattern best."""
    ways = _polarities(smoothed(sync_strength(folded, pattern)))

    def chance(weights: FloatArray) -> float:
        chips = _chips(folded, weights)
        return _sync_fit(chips, received_bits(chips, pattern)[0], weights)[1]

    return min(ways, key=chance)


def _polarities(strength: FloatArray) -> list[FloatArray]:
    """Weights (T,) for each way to tell the polarity of frames from their correlations (T,).

    Where the host picture stays the same, the polarity shows as a change of the correlation rather
    than as its sign, and weights of zero mean make the host cancel.
    """
    signs = np.where(strength < 0, -1.0, 1.0)
    middle = (strength.max() + strength.min()) / 2
    changes = np.where(strength < middle, -1.0, 1.0)
    return [np.ones(len(strength)), signs, changes - changes.mean()]


def smoothed(values: FloatArray) -> FloatArray:
    """The mean over the POLARITY_REACH values around each."""
    kernel = np.ones(min(POLARITY_REACH, len(values)))
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def sync_strength(folded: Float32Array, pattern: Pattern) -> FloatArray:
    """The correlation (T,) of each folded frame with the synchronisation pattern."""
    spectra = np.fft.fft2(folded)
    reach = (SPECTRUM_REACH, SPECTRUM_REACH)
    noise = power(np.sqrt(np.mean(np.abs(spectra) ** 2, axis=0)).astype(np.complex128), reach)
    template = np.real(np.fft.ifft2(spectrum_of(pattern.sync) * shape(PERIOD) / noise))
    return np.tensordot(folded.astype(np.float64), template, 2)


def fit(folded: Float32Array, weights: FloatArray, pattern: Pattern) -> Evidence:
    """The payload of folded frames (T, 96, 96) summed with weights (T,)."""
    chips = _chips(folded, weights)
    sync, received = received_bits(chips, pattern)
    score, chance = _sync_fit(chips, sync, weights)
    sign = -1.0 if sync < 0 else 1.0
    decoding = decode_identifier(sign * received)
    return Evidence(
        decoding.identifier,
        chance,
        decoding.p_value,
        decoding.signs,
        int(np.count_nonzero(sign * received * decoding.signs < 0)),
        score,
        decoding.correlation,
        sign * weights,
        pattern,
    )


def _chips(folded: Float32Array, weights: FloatArray) -> FloatArray:
    """The chips (48, 48) of the sum of folded frames (T, 96, 96) with weights (T,)."""
    return chips_of(whitened(np.tensordot(weights, folded, 1)))


def _sync_fit(chips: FloatArray, sync: float, weights: FloatArray) -> tuple[float, float]:
    """The z-score of the synchronisation pattern, and a bound on the chance of a higher one.

    Hoeffding's bound for a sum of the chips with random signs, for both polarities.
    """
    score = sync * chips.size / (float(np.linalg.norm(chips)) or 1.0)
    return score, _polarity_choices(weights) * min(1.0, 2.0 * math.exp(-0.5 * score**2))


def received_bits(chips: FloatArray, pattern: Pattern) -> tuple[float, FloatArray]:
    """What chips (48, 48) hold of the synchronisation pattern, and of each coded bit (127,)."""
    sync = float(np.mean(chips * pattern.sync))
    rest = (chips - sync * pattern.sync) * pattern.signs
    return sync, np.bincount(pattern.bits.ravel(), rest.ravel()).astype(np.float64)


def _polarity_choices(weights: FloatArray) -> float:
    """The number of ways to choose polarities with as many changes as these, for Bonferroni.

    With k changes among T frames there are 2 C(T - 1, k) sequences; the factor (k + 1)(k + 2)
    shares the chance of an error among all k, as 1/(1·2) + 1/(2·3) + … = 1.
    """
    changes = int(np.count_nonzero(np.diff(np.sign(weights))))
    sequences = 2 * math.comb(len(weights) - 1, changes)
    return float(sequences * (changes + 1) * (changes + 2))


def _product(first: float, second: float) -> float:
    """The chance that the product of two independent p-values is as small as this one's."""
    product = first * second
    return product * (1 - math.log(product)) if product > 0 else 0.0
