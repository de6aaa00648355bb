"""Where the upper teeth end in a portrait that shows more between its lips than them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

LEAST_CROWN = 0.3  # cm of an upper tooth that shows, where there is a gap below it
LEAST_SHOWN = 0.45  # cm between the lips, where a gap is looked for
SMOOTHING = 0.06  # cm: the blur in which the gap is followed
STEEPEST = 1  # rows by which the gap goes up or down from column to column
GAP_DARKNESS = 0.72  # of the teeth above it: the brightness of a gap
SPAN = 0.4  # of the columns that are looked at, in which there must be a gap
EVENING = 0.35  # cm across, over which the edges of teeth are made even


def upper_edges(picture: ImageArray, shown: Float32Array, density: float) -> Float32Array | None:
    """The row in which the upper teeth end in each column.

    The dark between the rows of teeth, or below the only one, is the darkest way from one side of
    the mouth to the other (a seam, Avidan & Shamir 2007); teeth end where it begins.

    Args:
        picture: (h, w, 3), teeth and what lies around them, upright.
        shown: (h, w) 0..1, what lies between the lips.
        density: pixels per cm.

    Returns:
        (w,) rows, the last one of all where no mouth is; or none if no gap shows.
    """
    import cv2

    blur = SMOOTHING * density
    luma = cv2.GaussianBlur(picture.mean(axis=2).astype(np.float32), (0, 0), blur)
    inside = shown > 0.9
    columns = np.flatnonzero(inside.sum(axis=0) > LEAST_SHOWN * density)
    if len(columns) < 3:
        return None
    columns = np.arange(columns[0], columns[-1] + 1)
    tops = inside[:, columns].argmax(axis=0)
    free = inside[:, columns] & (np.arange(len(inside))[:, None] > tops + LEAST_CROWN * density)
    way = _darkest_way(np.where(free, luma[:, columns], 1e4))
    ends = np.full(picture.shape[1], np.nan, np.float32)
    for column, top, row in zip(columns, tops, way, strict=True):
        if not free[row, column - columns[0]]:
            continue
        above = luma[top:row, column]
        bright = float(np.percentile(above, 80))
        dark = float(luma[row, column])
        if dark < GAP_DARKNESS * bright:
            ends[column] = top + np.flatnonzero(above > (bright + dark) / 2)[-1] + 1
    if np.isfinite(ends[columns]).mean() < SPAN:
        return None
    return _even(ends, columns, EVENING * density, len(picture))


def _darkest_way(cost: Float32Array) -> npt.NDArray[np.int64]:
    """The rows of the cheapest way from the first column to the last, (w,)."""
    height, width = cost.shape
    total = cost[:, 0].astype(np.float64)
    came = np.zeros((height, width), np.int64)
    for column in range(1, width):
        padded = np.pad(total, STEEPEST, constant_values=np.inf)
        choices = np.stack([padded[k : k + height] for k in range(2 * STEEPEST + 1)])
        came[:, column] = choices.argmin(axis=0) - STEEPEST
        total = choices.min(axis=0) + cost[:, column]
    way = np.empty(width, np.int64)
    way[-1] = total.argmin()
    for column in range(width - 1, 0, -1):
        way[column - 1] = way[column] + came[way[column], column]
    return way


def _even(
    ends: Float32Array, columns: npt.NDArray[np.int64], reach: float, bottom: int
) -> Float32Array:
    """Ends without outliers in all of the columns, and the bottom in the others."""
    known = columns[np.isfinite(ends[columns])]
    line = np.interp(columns, known, ends[known])
    half = max(round(reach / 2), 1)
    padded = np.pad(line, half, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    even = np.full_like(ends, bottom)
    even[columns] = np.median(windows, axis=1)
    return even
