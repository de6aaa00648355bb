"""The inner loop of the touch-up, compiled."""

from __future__ import annotations

import numba
import numpy as np

from vasari.compiled import kernel
from vasari.generate.layer import BYTE, TO_BLUE, TO_GREEN, TO_RED

LEAST_ADDED = np.float32(0.49)  # levels, to a colour: less leaves it as it is
STILL = np.float32(0.03)  # pixels: pixels that move less stay, which keeps them sharp
# Whole numbers, in 32 bits: beside a plain one Numba goes on in 64, which is slower.
ONE, TWO, THREE, FOUR, FIVE = np.arange(1, 6, dtype=np.float32)
STEP, TWICE, THRICE, FOURFOLD = np.arange(1, 5, dtype=np.uint32)
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
def _field(fields, at, wide, across, down):  # type: ignore[no-untyped-def]
    """A field between four of its pixels, the first of which is at a place, in rows of a width."""
    top, right, low = fields[at], fields[at + STEP], fields[at + wide]
    top += across * (right - top)
    low += across * (fields[at + wide + STEP] - low)
    return top + down * (low - top)


@numba.njit(cache=True, inline="always")
def _sum(values, shares):  # type: ignore[no-untyped-def]
    """Four values by their shares."""
    first, second, third, fourth = values
    return shares[0] * first + shares[1] * second + shares[2] * third + shares[3] * fourth


@numba.njit(cache=True, inline="always")
def _level_of(word, shift):  # type: ignore[no-untyped-def]
    """One channel of a colour."""
    return np.float32(np.int32((word >> shift) & BYTE))


@numba.njit(cache=True, inline="always")
def _channel(words, shift, shares):  # type: ignore[no-untyped-def]
    """One channel of four colours, by their shares."""
    a, b, c, d = words
    levels = _level_of(a, shift), _level_of(b, shift), _level_of(c, shift), _level_of(d, shift)
    return _sum(levels, shares)


@numba.njit(cache=True, inline="always")
def _four(words, line, columns, shares):  # type: ignore[no-untyped-def]
    """Red, green and blue of four pixels of a line, by their shares."""
    a, b, c, d = columns
    four = words[line + a], words[line + b], words[line + c], words[line + d]
    return (
        _channel(four, TO_RED, shares),
        _channel(four, TO_GREEN, shares),
        _channel(four, TO_BLUE, shares),
    )


@numba.njit(cache=True, inline="always")
def _around(place, last):  # type: ignore[no-untyped-def]
    """The four whole numbers around a place, none outside 0..last, and the weights of each."""
    before = np.int32(np.floor(place))
    none = np.int32(0)
    near = (
        np.uint32(min(max(before - np.int32(1), none), last)),
        np.uint32(min(max(before, none), last)),
        np.uint32(min(max(before + np.int32(1), none), last)),
        np.uint32(min(max(before + np.int32(2), none), last)),
    )
    return near, cubic(place - np.float32(before))


@numba.njit(cache=True, inline="always")
def _level(value):  # type: ignore[no-untyped-def]
    """A colour as it is kept."""
    return np.uint8(np.int32(min(max(value, NONE), FULL) + HALF))


# Without fastmath: what is no number must not lead outside the fields.
@kernel()
def _find(fields, forth, back, corner, found):  # type: ignore[no-untyped-def]
    """Find where the pixels of a window come from, and what is added to their colours.

    Args:
        fields: (5, h, w) float32, `retouch`'s.
        forth: (2, 3) float32, `retouch`'s.
        back: (2, 3) float32, `retouch`'s.
        corner: (2,) float32, the column and row at which the window begins.
        found: (5, H, W) float32, written: column and row in the window, levels of the channels.
    """
    flat = fields.reshape(fields.size)
    bottom, right = np.float32(fields.shape[1] - 1), np.float32(fields.shape[2] - 1)
    wide, plane = np.uint32(fields.shape[2]), np.uint32(fields.shape[1] * fields.shape[2])
    _, height, width = found.shape
    for row in range(height):
        y = corner[1] + np.float32(row)
        for column in range(width):
            x = corner[0] + np.float32(np.int32(column))
            u = back[0, 0] * x + back[0, 1] * y + back[0, 2]
            v = back[1, 0] * x + back[1, 1] * y + back[1, 2]
            inside = (u >= NONE) & (u < right) & (v >= NONE) & (v < bottom)
            u, v = u if inside else NONE, v if inside else NONE
            j, k = np.int32(u), np.int32(v)
            across, down = u - np.float32(j), v - np.float32(k)
            at = np.uint32(k) * wide + np.uint32(j)
            right_by = _field(flat, at, wide, across, down)
            down_by = _field(flat, at + plane, wide, across, down)
            red = FULL * _field(flat, at + TWICE * plane, wide, across, down)
            green = FULL * _field(flat, at + THRICE * plane, wide, across, down)
            blue = FULL * _field(flat, at + FOURFOLD * plane, wide, across, down)
            dx = forth[0, 0] * right_by + forth[0, 1] * down_by
            dy = forth[1, 0] * right_by + forth[1, 1] * down_by
            moves = inside & ((abs(dx) >= STILL) | (abs(dy) >= STILL))
            most = max(abs(red), abs(green), abs(blue))
            changes = inside & (moves | (most >= LEAST_ADDED))
            found[0, row, column] = np.float32(np.int32(column)) + (dx if moves else NONE)
            found[1, row, column] = np.float32(np.int32(row)) + (dy if moves else NONE)
            found[2, row, column] = red if changes else NONE
            found[3, row, column] = green if changes else NONE
            found[4, row, column] = blue if changes else NONE


@kernel(fastmath=True)
def _draw(words, found, frame, left, top):  # type: ignore[no-untyped-def]
    """Draw what was found into a window of a frame.

    Args:
        words: (H W,) uint32, the window as it was.
        found: (5, H, W) float32, `_find`'s.
        frame: (S, S, 3) uint8, changed.
        left: the window's first column.
        top: the window's first row.
    """
    _, height, width = found.shape
    rows = frame.reshape(len(frame), 3 * frame.shape[1])
    last_column, last_row, stride = np.int32(width - 1), np.int32(height - 1), np.uint32(width)
    for row in range(height):
        levels = rows[top + row, 3 * left : 3 * (left + width)]
        for i in range(width):
            columns, shares = _around(found[0, row, i], last_column)
            lines, weights = _around(found[1, row, i], last_row)
            first = _four(words, lines[0] * stride, columns, shares)
            second = _four(words, lines[1] * stride, columns, shares)
            third = _four(words, lines[2] * stride, columns, shares)
            fourth = _four(words, lines[3] * stride, columns, shares)
            red = found[2, row, i] + _sum((first[0], second[0], third[0], fourth[0]), weights)
            green = found[3, row, i] + _sum((first[1], second[1], third[1], fourth[1]), weights)
            blue = found[4, row, i] + _sum((first[2], second[2], third[2], fourth[2]), weights)
            levels[3 * i] = _level(red)
            levels[3 * i + 1] = _level(green)
            levels[3 * i + 2] = _level(blue)


@kernel()
def retouch(  # type: ignore[no-untyped-def]  # noqa: PLR0917 - compiled, has no keywords
    frame, left, top, width, height, fields, forth, back
):
    """Change the part of a frame that lies in a patch.

    Args:
        frame: (S, S, 3) uint8, changed.
        left: the first column of the window around the patch, beyond which nothing is looked at.
        top: the window's first row.
        width: of the window.
        height: of the window.
        fields: (5, h, w) float32, on the patch: from how many of its pixels to the right and below
            each pixel comes, and what is added to its colours, 0..1.
        forth: (2, 3) float32, affine, from the patch's pixels to the frame's.
        back: (2, 3) float32, the inverse.
    """
    words = np.empty((height, width), np.uint32)
    for y in range(height):
        for x in range(width):
            red, green, blue = frame[top + y, left + x]
            words[y, x] = np.uint32(red) | np.uint32(green) << TO_GREEN | np.uint32(blue) << TO_BLUE
    found = np.empty((5, height, width), np.float32)
    _find(fields, forth, back, np.array([left, top], np.float32), found)
    _draw(words.reshape(words.size), found, frame, left, top)
