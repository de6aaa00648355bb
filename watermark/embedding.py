"""Marking frames: the pattern of one identifier is added to the luma plane, where it hides best.

>>> import numpy as np
>>> from vasari.watermark.embedding import Embedder
>>> luma = np.full((256, 256), 128, np.uint8)
>>> Embedder(0xC0FFEE, 256, 256).mark(luma)
>>> bool((luma != 128).any())
True
"""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt

from vasari.errors import WatermarkError
from vasari.watermark.pattern import CHIPS_ACROSS, Pattern, spread
from vasari.watermark.payload import PUBLIC_KEY, encode_identifier

LumaArray = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

MIN_SIDE = 96  # pixels; a chip is at least one pixel
PERIOD = 50  # frames between two possible changes of the pattern's polarity
PEAK = 255.0  # of luma, for the PSNR
PSNR = 44.0  # dB
ROUNDING = 1 / 12  # mean square error of rounding to whole levels (Bennett 1948)

# Texture hides the mark: its amplitude grows with a power of the picture's own. Vision alone would
# allow 0.6-0.7 (Legge & Foley 1980), but at a given PSNR a more even mark is read more easily.
MASKING_EXPONENT = 0.4
FLAT_ACTIVITY = 2.0  # levels of standard deviation below which a block counts as flat
MAX_AMPLITUDE = 5.0  # levels, root mean square in a block
BLOCKS_ACROSS = 64  # blocks of the mask over the short side


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
            psnr: Peak signal-to-noise ratio of each marked frame against the unmarked one, in dB.

        Raises:
            WatermarkError: The frame is too small, or the identifier has more than 48 bits.
        """
        if min(height, width) < MIN_SIDE:
            raise WatermarkError(
                f"frames of {width}x{height} pixels: a watermark needs {MIN_SIDE} on each side"
            )
        pattern = Pattern.from_key(key)
        side = min(height, width)
        tile = pattern.tile(encode_identifier(identifier))
        self._pattern = spread(tile, height, width, side / CHIPS_ACROSS)
        self._pattern /= np.sqrt(np.mean(self._pattern**2))
        self._polarity = pattern.polarity
        self._block = max(side // BLOCKS_ACROSS, 1)
        self._power = max(PEAK**2 / 10 ** (psnr / 10) - ROUNDING, 0.0)
        self._frames = 0

    def mark(self, luma: LumaArray) -> None:
        """Mark the next frame in place: (H, W) uint8, rows may be apart, pixels may not.

        Raises:
            WatermarkError: The plane has another size or type than announced.
        """
        if luma.shape != self._pattern.shape or luma.dtype != np.uint8:
            height, width = self._pattern.shape
            raise WatermarkError(
                f"luma plane {luma.shape} {luma.dtype}: ({height}, {width}) uint8 is expected"
            )
        period = self._frames // PERIOD % len(self._polarity)
        amplitude = _masked_amplitude(luma, self._block, self._power)
        _add(luma, self._pattern, amplitude * np.float32(self._polarity[period]), self._block)
        self._frames += 1


def _masked_amplitude(luma: LumaArray, block: int, power: float) -> Float32Array:
    """The amplitude of the mark in each block (rows, columns), of mean square ``power``."""
    activity = _activity(luma, block)
    visible = np.maximum(activity, FLAT_ACTIVITY) ** np.float32(MASKING_EXPONENT)
    smooth = _smoothed(visible)
    amplitude = smooth * np.float32(np.sqrt(power / np.mean(smooth**2)))
    limited: Float32Array = np.minimum(amplitude, np.float32(MAX_AMPLITUDE))
    return limited


def _smoothed(blocks: Float32Array) -> Float32Array:
    """The mean of each block and its eight neighbours."""
    padded = np.pad(blocks, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    smooth: Float32Array = (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9)
    return smooth


@numba.njit(cache=True, nogil=True)
def _activity(luma: LumaArray, block: int) -> Float32Array:
    """The standard deviation of luma in each block, in levels."""
    height, width = luma.shape
    rows, columns = (height + block - 1) // block, (width + block - 1) // block
    activity = np.empty((rows, columns), np.float32)
    for row in range(rows):
        top, bottom = row * block, min((row + 1) * block, height)
        for column in range(columns):
            left, right = column * block, min((column + 1) * block, width)
            total, squares = np.int32(0), np.int32(0)
            for y in range(top, bottom):
                for x in range(left, right):
                    value = np.int32(luma[y, x])
                    total += value
                    squares += value * value
            count = np.float32((bottom - top) * (right - left))
            mean = total / count
            variance = squares / count - mean * mean
            activity[row, column] = math.sqrt(variance) if variance > 0 else 0
    return activity


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
