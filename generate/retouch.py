"""The inner loop of the touch-up, compiled."""

from __future__ import annotations

import numba
import numpy as np

LEAST_ADDED = np.float32(0.49 / 255)  # to a colour: less leaves its level as it is
STILL = 0.01  # pixels: pixels that move less stay, which keeps them sharp


@numba.njit(cache=True, inline="always")
def cubic(t):  # type: ignore[no-untyped-def]
    """The weights of four neighbours at a place between the middle two (Keys 1981)."""
    return (
        np.float32(0.5) * t * (t * (2 - t) - 1),
        np.float32(0.5) * (t * t * (3 * t - 5) + 2),
        np.float32(0.5) * t * (t * (4 - 3 * t) + 1),
        np.float32(0.5) * t * t * (t - 1),
    )


@numba.njit(cache=True, nogil=True, fastmath=True)
def retouch(frame, source, fields, forth, back):  # type: ignore[no-untyped-def]
    """Change the part of a frame that lies in a patch.

    Args:
        frame: (H, W, 3) uint8, changed.
        source: (H, W, 3) uint8, what it was.
        fields: (5, h, w) float32, on the patch: from how many of its pixels to the right and below
            each pixel comes, and what is added to its colours, 0..1.
        forth: (2, 3) float32, affine, from the patch's pixels to the frame's.
        back: (2, 3) float32, the inverse.
    """
    high, wide = source.shape[:2]
    bottom, right = fields.shape[1] - 1, fields.shape[2] - 1
    found = np.empty(5, np.float32)
    for y in range(high):
        for x in range(wide):
            u = back[0, 0] * x + back[0, 1] * y + back[0, 2]
            v = back[1, 0] * x + back[1, 1] * y + back[1, 2]
            if not (0 <= u < right and 0 <= v < bottom):
                continue
            i, j = int(v), int(u)
            down, across = np.float32(v - i), np.float32(u - j)
            for k in range(5):
                top = fields[k, i, j] + across * (fields[k, i, j + 1] - fields[k, i, j])
                low = fields[k, i + 1, j] + across * (fields[k, i + 1, j + 1] - fields[k, i + 1, j])
                found[k] = top + down * (low - top)
            dx = forth[0, 0] * found[0] + forth[0, 1] * found[1]
            dy = forth[1, 0] * found[0] + forth[1, 1] * found[1]
            if abs(dx) < STILL and abs(dy) < STILL:
                if max(abs(found[2]), abs(found[3]), abs(found[4])) < LEAST_ADDED:
                    continue
                for c in range(3):
                    value = np.float32(source[y, x, c]) + 255 * found[2 + c]
                    frame[y, x, c] = np.uint8(min(max(value, 0), 255) + np.float32(0.5))
                continue
            left, above = int(np.floor(x + dx)), int(np.floor(y + dy))
            columns, rows = cubic(np.float32(x + dx - left)), cubic(np.float32(y + dy - above))
            for c in range(3):
                value = 255 * found[2 + c]
                for m in range(4):
                    line = min(max(above + m - 1, 0), high - 1)
                    total = np.float32(0)
                    for n in range(4):
                        place = min(max(left + n - 1, 0), wide - 1)
                        total += columns[n] * np.float32(source[line, place, c])
                    value += rows[m] * total
                frame[y, x, c] = np.uint8(min(max(value, 0), 255) + np.float32(0.5))
