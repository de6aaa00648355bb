"""Reading the watermark back from frames that may have been encoded, scaled and recoloured.

>>> from vasari.watermark.reading import read_video
>>> reading = read_video("talking.mp4")  # doctest: +SKIP
>>> f"{reading.identifier:012x}"  # doctest: +SKIP
'00c0ffee1234'

Each frame is brought to a size at which a chip is two pixels wide, flattened (its own texture
and lighting removed), and its tiles are summed. The frames are summed with the polarity that the
synchronisation pattern shows in each; the spectrum of the sum is whitened; then the chips of each
coded bit are added up and the nearest payload is decoded. docs/watermark.md derives the p-value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.errors import WatermarkError
from vasari.watermark.frames import LumaArray, sampled_luma
from vasari.watermark.pattern import CHIPS_ACROSS, TILE, Pattern, band, interpolation
from vasari.watermark.payload import PUBLIC_KEY, decode_identifier

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

# A clip counts as marked if chance alone gives such a fit in fewer than one of 10^9 unmarked clips.
SIGNIFICANCE = 1e-9

CHIP = 2  # pixels per chip in the size at which frames are compared
PERIOD = TILE * CHIP  # pixels per tile
SIDE = CHIPS_ACROSS * CHIP  # pixels of the short side
MAX_FRAMES = 128  # folded frames held in memory; of a longer sequence every second is dropped
MIN_SIDE = 32  # pixels; nothing is left of the chips in a smaller frame

# Flattening, in pixels of the compared size: what is smoother than DETAIL belongs to the picture;
# texture is measured over REACH; LIMIT standard deviations of it are as good as more.
DETAIL, REACH, LIMIT = 1.5, 2.0, 0.7
NOISE = 0.7  # levels, added to the standard deviation so that flat areas do not count too much
SPECTRUM_REACH = 13  # frequencies over which the power spectrum is averaged
POLARITY_REACH = 5  # frames over which the polarity is averaged


@dataclass(frozen=True)
class Reading:
    """A watermark that was found."""

    identifier: int  # 48 bits
    p_value: float  # bound on the chance of such a reading in a clip without the watermark
    frames: int  # frames from which it was read
    bit_errors: int  # of the 127 coded bits, how many were received wrong


def read_video(path: str | Path, *, key: bytes = PUBLIC_KEY) -> Reading | None:
    """Read the watermark of a video or image file, or None if there is none with this key.

    Raises:
        VideoError: The file is missing, is no video, or holds no frame that can be decoded.
    """
    return read_frames(sampled_luma(path), key=key)


def read_frames(frames: Iterable[LumaArray], *, key: bytes = PUBLIC_KEY) -> Reading | None:
    """Read the watermark of luma planes (H, W) uint8 in their order, or None if there is none.

    Raises:
        WatermarkError: The planes are smaller than 32 pixels.
    """
    folded = _folded(frames)
    if len(folded) == 0:
        return None
    readings = [
        reading
        for weights in _weightings(folded, key)
        for reading in [_decode(folded, weights, key)]
    ]
    best = min(readings, key=lambda reading: reading.p_value)
    return best if best.p_value <= SIGNIFICANCE else None


def _folded(frames: Iterable[LumaArray]) -> Float32Array:
    """The flattened, folded frames, (T, 96, 96): all of them, or every 2nd, 4th or 8th."""
    kept: list[Float32Array] = []
    step = 1
    for index, luma in enumerate(frames):
        if index % step:
            continue
        kept.append(fold(flatten(canonical(luma))))
        if len(kept) > MAX_FRAMES:
            kept, step = kept[::2], step * 2
    return np.stack(kept) if kept else np.zeros((0, PERIOD, PERIOD), np.float32)


def canonical(luma: LumaArray) -> Float32Array:
    """The frame at the size where its chips, 96 across the short side, are two pixels wide."""
    import cv2

    height, width = luma.shape
    if min(height, width) < MIN_SIDE:
        raise WatermarkError(f"frames of {width}x{height} pixels: {MIN_SIDE} are the least")
    scale = SIDE / min(height, width)
    size = (round(width * scale), round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(luma, size, interpolation=method).astype(np.float32)


def flatten(picture: Float32Array) -> Float32Array:
    """The picture without its own shading, its texture brought to the same strength everywhere."""
    import cv2

    detail = picture - cv2.GaussianBlur(picture, (0, 0), DETAIL)
    texture = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), REACH)) + NOISE
    flat: Float32Array = np.clip(detail / texture, -LIMIT, LIMIT)
    return flat


def fold(picture: Float32Array) -> Float32Array:
    """The sum (96, 96) of all tiles of a picture whose first tile begins at its corner."""
    height, width = picture.shape
    rows, columns = -(-height // PERIOD), -(-width // PERIOD)
    padded = np.zeros((rows * PERIOD, columns * PERIOD), np.float32)
    padded[:height, :width] = picture
    folded: Float32Array = padded.reshape(rows, PERIOD, columns, PERIOD).sum((0, 2))
    return folded


def _weightings(folded: Float32Array, key: bytes) -> list[FloatArray]:
    """Weights (T,) with which the frames may be summed, for each way to tell their polarity.

    Where the host picture stays the same, the polarity shows as a change of the correlation rather
    than as its sign, and weights of zero mean make the host cancel.
    """
    strength = _smoothed(_sync_correlations(folded, key))
    signs = np.where(strength < 0, -1.0, 1.0)
    middle = (strength.max() + strength.min()) / 2
    changes = np.where(strength < middle, -1.0, 1.0)
    return [np.ones(len(folded)), signs, changes - changes.mean()]


def _smoothed(values: FloatArray) -> FloatArray:
    """The mean over the POLARITY_REACH values around each."""
    reach = min(POLARITY_REACH, len(values))
    kernel = np.ones(reach)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def _sync_correlations(folded: Float32Array, key: bytes) -> FloatArray:
    """The correlation (T,) of each frame with the synchronisation pattern."""
    power = np.mean([_power(frame) for frame in folded], axis=0)
    chips = _chip_spectrum(Pattern.from_key(key).sync)
    template = np.real(np.fft.ifft2(chips * band(PERIOD) / power))
    return np.tensordot(folded.astype(np.float64), template, 2)


@dataclass(frozen=True)
class _Evidence:
    """What the chips say, (48, 48), and how well they fit the synchronisation pattern."""

    chips: FloatArray
    sync: float  # cosine
    sync_p_value: float


def _decode(folded: Float32Array, weights: FloatArray, key: bytes) -> Reading:
    """Sum the frames with these weights and decode the payload."""
    pattern = Pattern.from_key(key)
    chips = _chips(np.tensordot(weights, folded, 1))
    sync = float(np.mean(chips * pattern.sync))
    chips *= -1.0 if sync < 0 else 1.0
    energy = float(np.mean(chips**2)) or 1.0
    # Hoeffding's bound for a sum of the chips with random signs, for both polarities.
    sync_chance = min(1.0, 2.0 * math.exp(-0.5 * sync**2 / energy * chips.size))
    chips -= abs(sync) * pattern.sync
    received = np.bincount(pattern.bits.ravel(), (chips * pattern.signs).ravel())
    decoding = decode_identifier(received)
    p_value = min(1.0, _sign_choices(weights) * _product(sync_chance, decoding.p_value))
    errors = int(np.count_nonzero(received * decoding.signs < 0))
    return Reading(decoding.identifier, p_value, len(folded), errors)


def _chips(summed: FloatArray) -> FloatArray:
    """The values of the chips (48, 48) after the matched filter for a mark in coloured noise."""
    spectrum = np.fft.fft2(summed) * band(PERIOD) / _power(summed)
    rows = interpolation(PERIOD, float(CHIP))
    chips: FloatArray = rows.T @ np.real(np.fft.ifft2(spectrum)) @ rows
    return chips


def _chip_spectrum(chips: FloatArray) -> npt.NDArray[np.complex128]:
    """The spectrum (96, 96) of chips (48, 48) as they look in a tile."""
    rows = interpolation(PERIOD, float(CHIP))
    return np.fft.fft2(rows @ chips @ rows.T)


def _power(tile: npt.NDArray[np.floating]) -> FloatArray:
    """The power spectrum of a tile (96, 96), averaged over neighbouring frequencies."""
    import cv2

    power = np.abs(np.fft.fft2(tile)) ** 2
    wrapped = np.pad(power, SPECTRUM_REACH, mode="wrap")
    inner = slice(SPECTRUM_REACH, -SPECTRUM_REACH)
    smooth: FloatArray = cv2.blur(wrapped, (SPECTRUM_REACH, SPECTRUM_REACH))[inner, inner]
    return smooth + 1e-9


def _sign_choices(weights: FloatArray) -> float:
    """The number of ways to choose polarities with as many changes as these, for Bonferroni.

    With k changes among T frames there are 2 C(T - 1, k) sequences; the factor (k + 1)(k + 2)
    shares the chance of an error among all k, as 1/(1·2) + 1/(2·3) + … = 1. Three weightings are
    tried.
    """
    changes = int(np.count_nonzero(np.diff(np.sign(weights))))
    return 3 * 2 * math.comb(len(weights) - 1, changes) * (changes + 1) * (changes + 2)


def _product(first: float, second: float) -> float:
    """The chance that the product of two independent p-values is as small as this one's."""
    product = first * second
    return product * (1 - math.log(product)) if product > 0 else 0.0
