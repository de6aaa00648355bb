"""From pictures to tiles: flattened, summed over their repetitions, whitened."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vasari.watermark.pattern import CHIPS_ACROSS, TILE, interpolation, shape

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
LumaArray = npt.NDArray[np.uint8]
ComplexArray = npt.NDArray[np.complex128]

CHIP = 2  # pixels per chip in the size at which pictures are compared
PERIOD = TILE * CHIP  # pixels per tile
SIDE = CHIPS_ACROSS * CHIP  # pixels of the short side

# Flattening, in pixels of the compared size: what is smoother than DETAIL belongs to the picture;
# texture is measured over REACH; LIMIT standard deviations of it are as good as more. Over a power
# of the texture above 1, since strong texture hides the mark.
DETAIL, REACH, LIMIT = 1.3, 1.5, 1.0
HIDING = 1.75
NOISE = 0.5  # levels, added to the standard deviation so that flat areas do not count too much
SPECTRUM_REACH = 13  # frequencies of the tile over which the power spectrum is averaged


def resized(luma: LumaArray, side: int) -> LumaArray:
    """The picture at the size where its short side has ``side`` pixels."""
    import cv2

    height, width = luma.shape
    scale = side / min(height, width)
    size = (max(round(width * scale), side), max(round(height * scale), side))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small: LumaArray = cv2.resize(luma, size, interpolation=method)
    return small


def flatten(luma: LumaArray) -> Float32Array:
    """The picture without its own shading, the noise of its texture nearly the same everywhere."""
    import cv2

    picture = luma.astype(np.float32)
    detail = picture - cv2.GaussianBlur(picture, (0, 0), DETAIL)
    texture = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), REACH)) + np.float32(NOISE)
    limited = np.clip(detail / texture, -LIMIT, LIMIT)
    flat: Float32Array = limited * texture ** np.float32(1 - HIDING)
    return flat


def fold(flat: Float32Array) -> Float32Array:
    """The sum (96, 96) of all tiles of a picture whose first tile begins at its corner."""
    height, width = flat.shape
    rows, columns = -(-height // PERIOD), -(-width // PERIOD)
    padded = np.zeros((rows * PERIOD, columns * PERIOD), np.float32)
    padded[:height, :width] = flat
    folded: Float32Array = padded.reshape(rows, PERIOD, columns, PERIOD).sum((0, 2))
    return folded


def power(
    spectrum: npt.NDArray[np.complexfloating[Any, Any]], reach: tuple[int, int]
) -> npt.NDArray[np.floating[Any]]:
    """The power spectrum averaged over (rows, columns) of neighbouring frequencies, above 0."""
    import cv2

    squared = spectrum.real**2 + spectrum.imag**2
    rows, columns = reach
    wrapped = np.pad(squared, ((rows, rows), (columns, columns)), mode="wrap")
    smooth = cv2.blur(wrapped, (columns, rows))[rows:-rows, columns:-columns]
    positive: npt.NDArray[np.floating[Any]] = smooth + 1e-9
    return positive


def whitened(tile: npt.NDArray[np.floating[Any]]) -> ComplexArray:
    """The spectrum of a tile (96, 96) over its power: what a matched filter correlates with."""
    spectrum = np.fft.fft2(tile)
    return spectrum * shape(PERIOD) / power(spectrum, (SPECTRUM_REACH, SPECTRUM_REACH))


def chips_of(spectrum: ComplexArray) -> FloatArray:
    """The values of the chips (48, 48) in a whitened tile."""
    rows = interpolation(PERIOD, float(CHIP))
    chips: FloatArray = rows.T @ np.real(np.fft.ifft2(spectrum)) @ rows
    return chips


def spectrum_of(chips: FloatArray) -> ComplexArray:
    """The spectrum (96, 96) of a tile made of these chips (48, 48)."""
    rows = interpolation(PERIOD, float(CHIP))
    return np.fft.fft2(rows @ chips @ rows.T)
