"""The keyed pattern: which chip of the tile carries which bit, and the pattern that finds it.

The picture is covered with square chips, 96 across its short side, in tiles of 48 x 48 that
repeat. Each chip carries one coded bit times a sign that only the key tells; a second pattern,
which depends on the key alone, is laid over it so that a reader can find position and polarity.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vasari.watermark.correction import CODE_BITS

FloatArray = npt.NDArray[np.float64]

CHIPS_ACROSS = 96  # over the short side of the picture: two tiles
TILE = 48  # chips along each side of a tile
SYNC_STRENGTH = 0.58  # amplitude of the synchronisation pattern beside that of the bits
# Cycles per tile. Below these a picture has so much energy of its own that a mark there costs
# visibility and gains nothing; above them an encoder leaves nothing of it. Between them low
# frequencies survive strong compression and cost few bits, high ones are read from small parts of
# a picture: the amplitude falls with this power of the frequency.
LOWEST_FREQUENCY, HIGHEST_FREQUENCY = 3.0, 30.0
SLOPE = 0.45


@dataclass(frozen=True, eq=False)  # compared and hashed as itself: one per key
class Pattern:
    """What a key makes of the tile."""

    bits: npt.NDArray[np.intp]  # (48, 48) which of the 127 coded bits each chip carries
    signs: FloatArray  # (48, 48) the sign by which it is multiplied, +1 or -1
    sync: FloatArray  # (48, 48) the synchronisation pattern, +1 or -1
    polarity: npt.NDArray[np.int8]  # (128,) the sign of the whole tile in each period, +1 or -1

    @staticmethod
    @lru_cache(maxsize=8)
    def from_key(key: bytes) -> Pattern:
        """The pattern of a key, the same on every machine: drawn from SHAKE-256 of the key."""
        chips = TILE * TILE
        order = np.argsort(_words(key, b"order", chips), kind="stable")
        bits = (order % CODE_BITS).reshape(TILE, TILE)
        signs = _signs(key, b"signs", chips).reshape(TILE, TILE)
        sync = _signs(key, b"sync", chips).reshape(TILE, TILE)
        first = _signs(key, b"polarity", 64).astype(np.int8)
        polarity = np.stack([first, -first], axis=1).ravel()
        return Pattern(bits, signs, sync, polarity)

    def tile(self, coded: FloatArray, sync: float = 1.0) -> FloatArray:
        """The tile (48, 48) that carries coded bits (127,): zero mean, unit power.

        Args:
            coded: +1 for 0 and -1 for 1, times how strong each bit shall be.
            sync: How strong the synchronisation pattern shall be.
        """
        tile = filtered(self.signs * coded[self.bits] + sync * SYNC_STRENGTH * self.sync)
        normal: FloatArray = tile / np.sqrt(np.mean(tile**2))
        return normal


def filtered(tile: FloatArray) -> FloatArray:
    """A tile, sampled on any square grid, with the amplitude of the mark at each frequency."""
    return np.real(np.fft.ifft2(np.fft.fft2(tile) * shape(len(tile))))


@lru_cache(maxsize=4)
def shape(size: int) -> FloatArray:
    """The amplitude of the mark over the spectrum (size, size) of a tile, at most 1."""
    frequency = np.fft.fftfreq(size, 1 / size)
    radius = np.hypot(frequency[:, None], frequency[None, :])
    inside = (radius >= LOWEST_FREQUENCY) & (radius <= HIGHEST_FREQUENCY)
    amplitude = (np.maximum(radius, LOWEST_FREQUENCY) / LOWEST_FREQUENCY) ** -SLOPE
    return np.where(inside, amplitude, 0.0)


def spread(tile: FloatArray, height: int, width: int, chip: float) -> npt.NDArray[np.float32]:
    """The tile repeated over a picture (height, width) whose chips are ``chip`` pixels wide."""
    rows, columns = interpolation(height, chip), interpolation(width, chip)
    return np.asarray((rows @ tile).astype(np.float32) @ columns.T.astype(np.float32))


@lru_cache(maxsize=8)
def interpolation(pixels: int, chip: float) -> FloatArray:
    """Weights (pixels, 48) by which each pixel takes from the chips around its centre.

    Cubic convolution (Keys 1981), so that no chip has an edge.
    """
    position = (np.arange(pixels) + 0.5) / chip - 0.5
    first = np.floor(position).astype(np.intp)
    weights = np.zeros((pixels, TILE))
    for step in (-1, 0, 1, 2):
        weights[np.arange(pixels), (first + step) % TILE] += _cubic(position - first - step)
    return weights


def _cubic(distance: FloatArray) -> FloatArray:
    """The kernel of cubic convolution with a = -1/2."""
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _words(key: bytes, purpose: bytes, count: int) -> npt.NDArray[np.uint64]:
    """``count`` pseudo-random words of 64 bits that depend on the key and the purpose."""
    stream = hashlib.shake_256(purpose + b"\0" + key).digest(8 * count)
    return np.frombuffer(stream, "<u8")


def _signs(key: bytes, purpose: bytes, count: int) -> FloatArray:
    """``count`` pseudo-random signs, +1 or -1."""
    return 1.0 - 2.0 * (_words(key, purpose, count) & np.uint64(1)).astype(np.float64)
