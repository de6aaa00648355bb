"""Small pictures with soft outlines that are painted over a frame: eyes and mouth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vasari.compiled import kernel
from vasari.generate.raster import blend

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
ImageArray = npt.NDArray[np.uint8]

SUPERSAMPLING = 4  # samples across a pixel, for outlines without stairs
FINER_BITS = 4  # of the places between two samples at which OpenCV takes the corners of outlines
LEAST_BLUR = 0.3  # pixels: a smaller standard deviation leaves a mask as it is


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels inside a frame."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def around(cls, points: Float32Array, margin: int, size: int) -> Window:
        """The window around points, (N, 2) pixels, cut at the frame's edges; it may be empty."""
        import cv2

        left, top, width, height = cv2.boundingRect(np.ascontiguousarray(points, np.float32))
        right, bottom = (min(end + margin + 1, size) for end in (left + width, top + height))
        left, top = max(left - margin, 0), max(top - margin, 0)
        return cls(left, top, right - left, bottom - top)

    @property
    def empty(self) -> bool:
        """Whether it holds no pixel."""
        return self.width <= 0 or self.height <= 0

    @property
    def corner(self) -> Float32Array:
        """Its first pixel, (2,)."""
        return np.array([self.left, self.top], np.float32)


def outline(polygon: Float32Array, window: Window) -> Float32Array:
    """How much of each pixel of a window a polygon, (N, 2) frame pixels, covers: (h, w) 0..1."""
    import cv2

    large = np.zeros((window.height * SUPERSAMPLING, window.width * SUPERSAMPLING), np.uint8)
    # Pixel centres are at whole numbers: the window begins half a pixel before its first centre.
    fine = (polygon - window.corner + 0.5) * SUPERSAMPLING - 0.5
    cv2.fillPoly(large, [finer(fine)], 1, shift=FINER_BITS)
    return _mean(large, window)


def stroke(line: Float32Array, window: Window, width: float) -> Float32Array:
    """How much of each pixel of a window an open line, (N, 2), of a width in pixels covers."""
    import cv2

    large = np.zeros((window.height * SUPERSAMPLING, window.width * SUPERSAMPLING), np.uint8)
    fine = (line - window.corner + 0.5) * SUPERSAMPLING - 0.5
    thick = max(round(width * SUPERSAMPLING), 1)
    cv2.polylines(large, [finer(fine)], False, 1, thick, shift=FINER_BITS)
    return _mean(large, window)


def soften(mask: Float32Array, width: float) -> Float32Array:
    """Blur a mask by a standard deviation in pixels; a very small one leaves it as it is."""
    import cv2

    if width < LEAST_BLUR:
        return mask
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), width, borderType=cv2.BORDER_CONSTANT))


def finer(places: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Places in pixels as the whole numbers that OpenCV draws with ``shift=FINER_BITS``."""
    return np.asarray(np.rint(places * 2**FINER_BITS), np.int32)


def _mean(large: ImageArray, window: Window) -> Float32Array:
    """The mean of a supersampled mask, 0 or 1, in each pixel of a window."""
    small = np.empty((window.height, window.width), np.float32)
    _reduce(large, small)
    return small


@kernel()
def _reduce(large, small):  # type: ignore[no-untyped-def]
    """Fill a mask, (h, w) float32, with the means of a supersampled one."""
    height, width = small.shape
    total = np.empty(width * SUPERSAMPLING, np.uint8)
    for y in range(height):
        total[:] = 0
        for row in range(y * SUPERSAMPLING, (y + 1) * SUPERSAMPLING):
            total += large[row]
        for x in range(width):
            covered = np.int32(0)
            for sample in range(SUPERSAMPLING):
                covered += np.int32(total[x * SUPERSAMPLING + sample])
            small[y, x] = np.float32(covered) / np.float32(SUPERSAMPLING**2)


def paint(frame: ImageArray, window: Window, pixels: npt.NDArray[Any], mask: Float32Array) -> None:
    """Blend pixels, (h, w, 3), through a mask, (h, w) 0..1, into a window of a frame."""
    blend(frame, window.left, window.top, pixels, mask)


def fit_affine(sources: Float32Array, targets: Float32Array) -> Float32Array:
    """The affine map, (2, 3), that best carries source points to targets, both (N, 2)."""
    return np.asarray((affine_fit(sources) @ targets).T, np.float32)


def affine_fit(sources: Float32Array) -> Float64Array:
    """The matrix, (3, N), that finds the affine map of source points, (N, 2), from its targets."""
    lifted = np.column_stack([sources, np.ones(len(sources))]).astype(np.float64)
    return np.asarray(np.linalg.pinv(lifted))
