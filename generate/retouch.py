"""The inner loop of the touch-up, compiled."""

from __future__ import annotations

import numba
import numpy as np

LEAST_ADDED = np.float32(0.49 / 255)  # to a colour: less leaves its level as it is
STILL = np.float32(0.03)  # pixels: pixels that move less stay, which keeps them sharp
# Whole numbers, in 32 bits: beside a plain one Numba goes on in 64, which is slower.
ONE, TWO, THREE, FOUR, FIVE = np.arange(1, 6, dtype=np.float32)
HALF, NONE, FULL = np.float32(0.5), np.float32(0), np.float32(255)


@numba.njit(cache=True, inline="always")
def cubic(t):  # type: ignore[no-untyped-def]
    """The weights of four neighbours at a place between the middle two (Keys 1981)."""
    return (
        HALF * t * (t * (TWO - t) - ONE),
        HALF * (t * t * (THREE * t - FIVE) + TWO),
        HALF * t * (t * (FOUR - THREE * t) + ONE),
        HALF * t * t * (t - ONE),
    )


@numba.njit(cache=True, inline="always")
def _level(value):  # type: ignore[no-untyped-def]
    """A colour as it is kept."""
    return np.uint8(min(max(value, NONE), FULL) + HALF)


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
            u = back[0, 0] * np.float32(x) + back[0, 1] * np.float32(y) + back[0, 2]
            v = back[1, 0] * np.float32(x) + back[1, 1] * np.float32(y) + back[1, 2]
            if not (0 <= u < right and 0 <= v < bottom):
                continue
            i, j = int(v), int(u)
            down, across = v - np.float32(i), u - np.float32(j)
            for k in range(5):
                top = fields[k, i, j] + across * (fields[k, i, j + 1] - fields[k, i, j])
                low = fields[k, i + 1, j] + across * (fields[k, i + 1, j + 1] - fields[k, i + 1, j])
                found[k] = top + down * (low - top)
            dx = forth[0, 0] * found[0] + forth[0, 1] * found[1]
            dy = forth[1, 0] * found[0] + forth[1, 1] * found[1]
            red, green, blue = FULL * found[2], FULL * found[3], FULL * found[4]
            if abs(dx) < STILL and abs(dy) < STILL:
                if max(abs(found[2]), abs(found[3]), abs(found[4])) < LEAST_ADDED:
                    continue
                red += np.float32(source[y, x, 0])
                green += np.float32(source[y, x, 1])
                blue += np.float32(source[y, x, 2])
            else:
                to_x, to_y = np.float32(x) + dx, np.float32(y) + dy
                left, above = int(np.floor(to_x)), int(np.floor(to_y))
                columns, rows = cubic(to_x - np.float32(left)), cubic(to_y - np.float32(above))
                for m in range(4):
                    line = min(max(above + m - 1, 0), high - 1)
                    for n in range(4):
                        place = min(max(left + n - 1, 0), wide - 1)
                        share = rows[m] * columns[n]
                        red += share * np.float32(source[line, place, 0])
                        green += share * np.float32(source[line, place, 1])
                        blue += share * np.float32(source[line, place, 2])
            frame[y, x, 0] = _level(red)
            frame[y, x, 1] = _level(green)
            frame[y, x, 2] = _level(blue)
