"""Layers of RGBA, in words of 32 bits: looked up in a picture, laid over a background.

A word has red in its lowest byte and alpha in its highest. Two channels are reckoned with at once,
each in 16 bits of its own.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from vasari.compiled import kernel

ImageArray = npt.NDArray[np.uint8]
WordArray = npt.NDArray[np.uint32]

# NumPy's type keeps Numba from going on in 64 bits.
PAIR, BYTE = np.uint32(0x00FF00FF), np.uint32(0xFF)
HALVES = np.uint32(0x00800080)
TO_RED, TO_GREEN, TO_BLUE, TO_ALPHA = np.arange(0, 32, 8, dtype=np.uint32)
FINE_BITS = np.uint32(8)  # of a place between two pixels
FINE = np.uint32(256)


def in_words(picture: ImageArray) -> WordArray:
    """A picture, (H, W, 3 or 4), in words, (H, W); without alpha it is opaque."""
    import cv2

    colours = picture if picture.shape[2] == 4 else cv2.cvtColor(picture, cv2.COLOR_RGB2RGBA)
    return np.asarray(np.ascontiguousarray(colours).view("<u4")[..., 0])


@numba.njit(cache=True, inline="always")
def _between(first, second, share):  # type: ignore[no-untyped-def]
    """Two channels between two colours, by a share of 0..256."""
    return ((first * (FINE - share) + second * share + HALVES) >> FINE_BITS) & PAIR


@numba.njit(cache=True, inline="always")
def _over(below, above, alpha):  # type: ignore[no-untyped-def]
    """Two channels laid over others by an alpha of 0..255, rounded (Blinn 1995)."""
    total = below * (BYTE - alpha) + above * alpha + HALVES
    return ((total + ((total >> TO_GREEN) & PAIR)) >> TO_GREEN) & PAIR


@numba.njit(cache=True, inline="always")
def _within(place, last):  # type: ignore[no-untyped-def]
    """A place as a whole number from 0 to the last; 0 where it is no number."""
    least = np.float32(0)
    inside = place if place > least else least  # not max(), which keeps what is no number
    return np.uint32(np.int32(inside if inside < last else last))


# Without fastmath: what is no number must not lead outside the picture.
@kernel()
def look_up(picture, map_x, map_y, spans, layer):  # type: ignore[no-untyped-def]
    """Look places up in a picture, bilinear; its edges go on outside.

    Args:
        picture: (h, w) uint32.
        map_x: (H, W) float32 pixels of the picture.
        map_y: (H, W) float32, the same.
        spans: (H, 2) int32, in each row the columns that are looked up, the second excluded.
        layer: (H, W) uint32, written between the spans.
    """
    flat = picture.reshape(picture.size)
    width = np.uint32(picture.shape[1])
    # One step short of the last pixel: the next one to the right is always there.
    right = np.float32(FINE * np.uint32(picture.shape[1] - 1) - np.uint32(1))
    bottom = np.float32(FINE * np.uint32(picture.shape[0] - 1) - np.uint32(1))
    for y in range(len(map_x)):
        start, stop = spans[y]
        if start >= stop:
            continue
        from_x, from_y, found = map_x[y, start:stop], map_y[y, start:stop], layer[y, start:stop]
        for i in range(len(found)):
            fine_x = from_x[i] * np.float32(FINE) + np.float32(0.5)
            fine_y = from_y[i] * np.float32(FINE) + np.float32(0.5)
            u, v = _within(fine_x, right), _within(fine_y, bottom)
            at = (v >> FINE_BITS) * width + (u >> FINE_BITS)
            across, down = u & BYTE, v & BYTE
            a, b = flat[at], flat[at + np.uint32(1)]
            c, d = flat[at + width], flat[at + width + np.uint32(1)]
            red_blue = _between(
                _between(a & PAIR, b & PAIR, across), _between(c & PAIR, d & PAIR, across), down
            )
            a, b, c, d = a >> TO_GREEN, b >> TO_GREEN, c >> TO_GREEN, d >> TO_GREEN
            green_alpha = _between(
                _between(a & PAIR, b & PAIR, across), _between(c & PAIR, d & PAIR, across), down
            )
            found[i] = red_blue | (green_alpha << TO_GREEN)


@numba.njit(cache=True, inline="always")
def _unpack(colours, row, first, last):  # type: ignore[no-untyped-def]
    """Write the colours of a row's columns, the last excluded, as bytes, (3 W,) uint8."""
    for i in range(last - first):
        x = np.uint64(first + i)
        colour = colours[x]
        row[np.uint64(3) * x] = np.uint8(colour & BYTE)
        row[np.uint64(3) * x + np.uint64(1)] = np.uint8((colour >> TO_GREEN) & BYTE)
        row[np.uint64(3) * x + np.uint64(2)] = np.uint8((colour >> TO_BLUE) & BYTE)


@kernel(fastmath=True)
def composite(layer, spans, background, frame):  # type: ignore[no-untyped-def]
    """Lay a layer over a background into a frame.

    Args:
        layer: (H, W) uint32, straight alpha.
        spans: (H, 2) int32, in each row the columns that the layer covers, the second excluded.
        background: (H, W) uint32.
        frame: (H, W, 3) uint8, written.
    """
    height, width = layer.shape
    rows = frame.reshape(height, 3 * width)
    for y in range(height):
        start = min(max(np.int64(spans[y, 0]), 0), width)
        stop = min(max(np.int64(spans[y, 1]), start), width)
        above, below, row = layer[y], background[y], rows[y]
        _unpack(below, row, 0, start)
        _unpack(below, row, stop, width)
        for i in range(stop - start):
            x = np.uint64(start + i)  # never negative: the loop can be vectorised
            colour, under = above[x], below[x]
            alpha = colour >> TO_ALPHA
            red_blue = _over(under & PAIR, colour & PAIR, alpha)
            green = _over((under >> TO_GREEN) & PAIR, (colour >> TO_GREEN) & PAIR, alpha)
            row[np.uint64(3) * x] = np.uint8(red_blue & BYTE)
            row[np.uint64(3) * x + np.uint64(1)] = np.uint8(green & BYTE)
            row[np.uint64(3) * x + np.uint64(2)] = np.uint8(red_blue >> TO_BLUE)
