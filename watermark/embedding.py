"""Marking frames: the pattern of one identifier is added to the luma plane, where it hides best.

>>> import numpy as np
>>> from vasari.watermark.embedding import Embedder
>>> luma = np.full((256, 256), 128, np.uint8)
>>> Embedder(0xC0FFEE, 256, 256).mark(luma)
>>> bool((luma != 128).any())
True
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numba
import numpy as np
import numpy.typing as npt

from vasari.errors import WatermarkError
from vasari.watermark.correction import CODE_BITS
from vasari.watermark.evidence import received_bits
from vasari.watermark.masking import Mask
from vasari.watermark.pattern import CHIPS_ACROSS, SYNC_STRENGTH, Pattern, spread
from vasari.watermark.payload import PUBLIC_KEY, encode_identifier
from vasari.watermark.tiles import SIDE, FloatArray, chips_of, flatten, fold, resized, whitened

LumaArray = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

MIN_SIDE = 96  # pixels; a chip has one and a half
# Frames between two possible changes of the pattern's polarity, so that it is gone from the mean
# of 200. A change costs bits wherever the picture stays the same.
PERIOD = 100
RENEWAL = 3  # frames after which the mask is renewed: a head moves by less than a block
PEAK = 255.0  # of luma, for the PSNR
PSNR = 42.0  # dB

# The picture itself looks like some bits and unlike others. A frame just before each period (of the
# first one its own first) is read back, and bits that the picture hides are made stronger at the
# expense of the others: improved spread spectrum (Malvar & Florencio 2003), with bounds so that
# motion cannot turn it round. The middle is read by itself too, since most crops keep it.
ROUNDS = 3
AHEAD = 1 + ROUNDS  # frames over which that work is spread: a live picture must not wait for it
MARGIN = 0.19  # of the short side around the middle
GAIN = 0.5  # of strength, per share of the mean by which a bit is received too weak
WEAKEST, STRONGEST = 0.4, 2.5
# How clearly a picture's middle shows the bits, their mean over their standard deviation; a middle
# that shows them less has a stronger mark, by this power of the lack, within these bounds.
CLEAR = 1.95
STEEPNESS = 3.0
LEAST_STRESS, MOST_STRESS = 1.0, 2.0


class Embedder:
    """Marks the frames of one video, in their order.

    The same identifier, size, key and frames give the same marked frames on any machine.
    """

    def __init__(
        self,
        identifier: int,
        height: int,
        width: int,
        *,
        key: bytes = PUBLIC_KEY,
        psnr: float = PSNR,
    ) -> None:
        """Prepare the pattern.

        Args:
            identifier: 48 bits, what a reader will find.
            height: Of the luma plane, in pixels, 96 or more.
            width: Of the luma plane, in pixels, 96 or more.
            key: Who has it can read, forge and remove the watermark.
            psnr: Peak signal-to-noise ratio of marked frames against the unmarked ones, in dB, or
                more where much moves. Where skin is seen the first three frames may have some
                decibels less, for they are marked as if it moved already.

        Raises:
            WatermarkError: The frame is too small, or the identifier has more than 48 bits.
        """
        if min(height, width) < MIN_SIDE:
            raise WatermarkError(
                f"frames of {width}x{height} pixels: a watermark needs {MIN_SIDE} on each side"
            )
        self._shape = (height, width)
        self._pattern = Pattern.from_key(key)
        self._coded = encode_identifier(identifier)
        self._mask = Mask(height, width, PEAK**2 / 10 ** (psnr / 10))
        self._frames = 0

    def mark(self, luma: LumaArray, chroma: LumaArray | None = None) -> None:
        """Mark the next frame in place.

        Args:
            luma: (H, W) uint8; rows may be apart, pixels may not.
            chroma: Cb and Cr, (2, H / 2, W / 2) uint8, by which skin is spared.

        Raises:
            WatermarkError: The plane has another size or type than announced.
        """
        if luma.shape != self._shape or luma.dtype != np.uint8:
            height, width = self._shape
            raise WatermarkError(
                f"luma plane {luma.shape} {luma.dtype}: ({height}, {width}) uint8 is expected"
            )
        if self._frames % RENEWAL == 0:
            self._mask.renew(luma, chroma)
        period, index = divmod(self._frames, PERIOD)
        if self._frames == 0:
            self._tuning = self._tune(luma, period)
        if index == 0:
            *_, tuned = self._tuning
            assert tuned is not None
            self._mask.stress_middle(tuned.stress)
            self._spread = tuned.pattern
        elif index == PERIOD - AHEAD:
            self._tuning = self._tune(luma.copy(), period + 1)
        if index >= PERIOD - AHEAD:
            next(self._tuning)
        _add(luma, self._spread, self._mask.amplitude, self._mask.block)
        self._frames += 1

    def _tune(self, luma: LumaArray, period: int) -> Iterator[_Tuned | None]:
        """What a period is marked with, to be read from a frame: nothing in each step but the last.

        The frame must stay as it is.
        """
        polarity = float(self._pattern.polarity[period % len(self._pattern.polarity)])
        stress = self._stress(luma)
        yield None
        amplitude = self._mask.amplitude_at(stress)
        inside = _middle(resized(luma, SIDE).shape)
        outer, inner = _Strength(), _Strength()
        for _ in range(ROUNDS):
            flat = self._seen(luma, self._spread_over(outer, inner, polarity), amplitude)
            outer = outer.raised(*self._received(flat, polarity))
            inner = inner.raised(*self._received(flat * inside, polarity))
            yield None
        yield _Tuned(stress, self._spread_over(outer, inner, polarity))

    def _stress(self, luma: LumaArray) -> float:
        """How much stronger than usual the middle has to be marked to be read from a frame."""
        plain = self._spread_over(_Strength(), _Strength(), 1.0)
        flat = self._seen(luma, plain, self._mask.amplitude_at(1.0))
        _, bits = self._received(flat * _middle(flat.shape), 1.0)
        clear = float(bits.mean()) / (float(bits.std()) or 1.0)
        wanted = (CLEAR / max(clear, 0.1)) ** STEEPNESS
        return float(np.clip(wanted, LEAST_STRESS, MOST_STRESS))

    def _seen(
        self, luma: LumaArray, pattern: Float32Array, amplitude: Float32Array
    ) -> Float32Array:
        """A frame as a reader looks at it when it is marked with a pattern."""
        marked = luma.copy()
        _add(marked, pattern, amplitude, self._mask.block)
        return flatten(resized(marked, SIDE))

    def _received(self, flat: Float32Array, polarity: float) -> tuple[float, FloatArray]:
        """What a reader sees of the synchronisation pattern and of each bit (127,)."""
        chips = chips_of(whitened(fold(flat))) * polarity
        sync, bits = received_bits(chips, self._pattern)
        return sync * chips.size / len(bits), bits * self._coded

    def _spread_over(self, outer: _Strength, inner: _Strength, polarity: float) -> Float32Array:
        """The pattern over the picture, its bits of given strengths, of unit power."""
        around, middle = (
            spread(
                self._pattern.tile(strength.bits * self._coded, strength.sync),
                *self._shape,
                min(self._shape) / CHIPS_ACROSS,
            )
            for strength in (outer, inner)
        )
        picture = around + _middle(self._shape) * (middle - around)
        unit: Float32Array = picture * np.float32(polarity / np.sqrt(np.mean(picture**2)))
        return unit


@dataclass(frozen=True)
class _Tuned:
    """What a period is marked with."""

    stress: float  # of the middle
    pattern: Float32Array  # (H, W) of unit power


@dataclass(frozen=True)
class _Strength:
    """How strong the parts of the pattern are made, 1 for what they would be without a picture."""

    bits: FloatArray = field(default_factory=lambda: np.ones(CODE_BITS))  # (127,)
    sync: float = 1.0

    def raised(self, sync: float, bits: FloatArray) -> _Strength:
        """Stronger where less was received of the pattern and of bits (127,) than in the mean."""
        mean = max(float(bits.mean()), float(np.abs(bits).mean()) / 8) or 1.0
        change = GAIN * (1 - bits / mean)
        found = GAIN * (1 - sync / (SYNC_STRENGTH * mean))
        return _Strength(
            np.clip(self.bits + change, WEAKEST, STRONGEST),
            float(np.clip(self.sync + found, 1.0, STRONGEST)),
        )


@lru_cache(maxsize=4)
def _middle(shape: tuple[int, ...]) -> Float32Array:
    """1 in the middle of a picture (H, W), which most crops keep, else 0."""
    height, width = shape
    margin = round(min(shape) * MARGIN)
    inside = np.zeros(shape, np.float32)
    inside[margin : height - margin, margin : width - margin] = 1
    return inside


@numba.njit(cache=True, nogil=True, fastmath=True)
def _add(luma: LumaArray, pattern: Float32Array, amplitude: Float32Array, block: int) -> None:
    """Add the pattern, its amplitude interpolated bilinearly between the centres of the blocks."""
    height, width = luma.shape
    rows, columns = amplitude.shape
    half = np.float32(0.5)
    wide = np.empty((rows, width), np.float32)
    for x in range(width):
        position = min(max((x + half) / block - half, np.float32(0)), np.float32(columns - 1))
        left = min(int(position), max(columns - 2, 0))
        share = position - left
        for row in range(rows):
            right_value = amplitude[row, min(left + 1, columns - 1)]
            wide[row, x] = amplitude[row, left] * (1 - share) + right_value * share
    for y in range(height):
        position = min(max((y + half) / block - half, np.float32(0)), np.float32(rows - 1))
        top = min(int(position), max(rows - 2, 0))
        share = np.float32(position - top)
        above, below = wide[top], wide[min(top + 1, rows - 1)]
        for x in range(width):
            strength = above[x] + (below[x] - above[x]) * share
            value = luma[y, x] + strength * pattern[y, x] + half
            luma[y, x] = np.uint8(min(max(value, np.float32(0)), np.float32(255)))
