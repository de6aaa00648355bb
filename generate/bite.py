"""Where the upper teeth end in a portrait that shows more between its lips than them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
ImageArray = npt.NDArray[np.uint8]

LEAST_CROWN = 0.3  # cm of an upper tooth that shows, where there is a gap below it
LEAST_SHOWN = 0.45  # cm between the lips, where a gap is looked for
SMOOTHING = 0.06  # cm: the blur in which the gap is followed
STEEPEST = 1  # rows by which the gap goes up or down from column to column
GAP_DARKNESS = 0.72  # of the teeth above it: the brightness of a gap
SPAN = 0.4  # of the columns that are looked at, in which there must be a gap
EVENING = 0.35  # cm across, over which the edges of teeth are made even
TOOTH_SHARE = 0.8  # of the pixels above the gap: the brightest of so many is as bright as teeth
SURE = 0.9  # of a pixel that lies between the lips: less is mixed with them
BLOCKED = 1e4  # levels: what a way through anything else would cost


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
    inside = shown > SURE
    columns = np.flatnonzero(inside.sum(axis=0) > LEAST_SHOWN * density)
    if not len(columns):
        return None
    columns = np.arange(columns[0], columns[-1] + 1)
    tops = inside[:, columns].argmax(axis=0)
    free = inside[:, columns] & (np.arange(len(inside))[:, None] > tops + LEAST_CROWN * density)
    way = _darkest_way(np.where(free, luma[:, columns], BLOCKED))
    ends = np.array(
        [
            top + _crown(luma[top : row + 1, column]) if reached else np.nan
            for column, top, row, reached in zip(
                columns, tops, way, free[way, np.arange(len(way))], strict=True
            )
        ]
    )
    if np.isfinite(ends).mean() < SPAN:
        return None
    edges = np.full(picture.shape[1], len(picture), np.float32)
    edges[columns] = _even(ends, EVENING * density)
    return edges


def _crown(luma: Float32Array) -> float:
    """How many rows of a column, (n,) from the lip to the gap, are tooth; not a number if none."""
    above, dark = luma[:-1], float(luma[-1])
    bright = float(np.sort(above)[round(TOOTH_SHARE * (len(above) - 1))])
    if dark >= GAP_DARKNESS * bright:
        return np.nan
    return float(np.flatnonzero(above > (bright + dark) / 2)[-1] + 1)


def _darkest_way(cost: Float32Array) -> npt.NDArray[np.int64]:
    """The rows of the cheapest way from the first column to the last, (w,)."""
    height, width = cost.shape
    padded = np.full(height + 2 * STEEPEST, np.inf)
    total = padded[STEEPEST:-STEEPEST]
    choices = np.lib.stride_tricks.sliding_window_view(padded, 2 * STEEPEST + 1)
    total[:] = cost[:, 0]
    came = np.zeros((height, width), np.int64)
    for column in range(1, width):
        came[:, column] = choices.argmin(axis=1) - STEEPEST
        total[:] = choices.min(axis=1) + cost[:, column]
    way = np.empty(width, np.int64)
    way[-1] = total.argmin()
    for column in range(width - 1, 0, -1):
        way[column - 1] = way[column] + came[way[column], column]
    return way


def _even(ends: Float64Array, reach: float) -> Float64Array:
    """Ends, (n,), without gaps and outliers over so many columns."""
    known = np.flatnonzero(np.isfinite(ends))
    line = np.interp(np.arange(len(ends)), known, ends[known])
    half = max(round(reach / 2), 1)
    padded = np.pad(line, half, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    return np.asarray(np.median(windows, axis=1))
