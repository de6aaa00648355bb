"""The inner loops of the renderer, compiled: triangles to a map of pixels, layers to a frame."""

from __future__ import annotations

import numba
import numpy as np

EDGE_TOLERANCE = 1e-4  # barycentric: neighbours overlap by a hair, so that no crack shows


@numba.njit(cache=True, inline="always")
def _narrow(slope, start, first, last):  # type: ignore[no-untyped-def]
    """The part of a span in which start + slope * x is not negative."""
    if slope > 1e-9:
        return max(first, (-EDGE_TOLERANCE - start) / slope), last
    if slope < -1e-9:
        return first, min(last, (-EDGE_TOLERANCE - start) / slope)
    if start < -EDGE_TOLERANCE:
        return 1.0, 0.0
    return first, last


# Without fastmath: depth holds infinities, and the tests above need exact comparisons.
@numba.njit(cache=True, nogil=True)
def rasterise(  # type: ignore[no-untyped-def]  # noqa: PLR0917 - compiled, has no keywords
    faces, targets, sources, map_x, map_y, depth
):
    """Fill a map that says for each pixel of the frame where in the picture it comes from.

    Args:
        faces: (K, 3) int32 triangles.
        targets: (N, 3) float32, points in the frame, pixels; the smaller z hides the larger.
        sources: (N, 2) float32, the same points in the picture.
        map_x: (H, W) float32, 0 where no triangle lies.
        map_y: (H, W) float32, the same.
        depth: (H, W) float32, scratch.
    """
    height, width = map_x.shape
    depth[:] = np.inf
    map_x[:] = 0
    map_y[:] = 0
    for k in range(len(faces)):
        a, b, c = faces[k]
        ax, ay, bx, by = targets[a, 0], targets[a, 1], targets[b, 0], targets[b, 1]
        cx, cy = targets[c, 0], targets[c, 1]
        left, right = min(ax, bx, cx), max(ax, bx, cx)
        top, bottom = min(ay, by, cy), max(ay, by, cy)
        if right < 0 or bottom < 0 or left > width - 1 or top > height - 1:
            continue
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(area) < 1e-6:
            continue
        # The barycentric weights of b and c are affine in x and y; a's is the rest.
        gbx, gby = (cy - ay) / area, -(cx - ax) / area
        gcx, gcy = -(by - ay) / area, (bx - ax) / area
        gz = gbx * (targets[b, 2] - targets[a, 2]) + gcx * (targets[c, 2] - targets[a, 2])
        gu = gbx * (sources[b, 0] - sources[a, 0]) + gcx * (sources[c, 0] - sources[a, 0])
        gv = gbx * (sources[b, 1] - sources[a, 1]) + gcx * (sources[c, 1] - sources[a, 1])
        for y in range(max(int(np.ceil(top)), 0), min(int(np.floor(bottom)), height - 1) + 1):
            wb = gby * (y - ay) - gbx * ax
            wc = gcy * (y - ay) - gcx * ax
            first, last = _narrow(gbx, wb, left, right)
            first, last = _narrow(gcx, wc, first, last)
            first, last = _narrow(-gbx - gcx, 1.0 - wb - wc, first, last)
            start, stop = max(int(np.ceil(first)), 0), min(int(np.floor(last)), width - 1)
            wa = 1.0 - wb - wc
            z = wa * targets[a, 2] + wb * targets[b, 2] + wc * targets[c, 2]
            u = wa * sources[a, 0] + wb * sources[b, 0] + wc * sources[c, 0]
            v = wa * sources[a, 1] + wb * sources[b, 1] + wc * sources[c, 1]
            for x in range(start, stop + 1):
                here = z + gz * x
                if here < depth[y, x]:
                    depth[y, x] = here
                    map_x[y, x] = u + gu * x
                    map_y[y, x] = v + gv * x


@numba.njit(cache=True, nogil=True, fastmath=True)
def composite(layer, background, frame):  # type: ignore[no-untyped-def]
    """Lay an RGBA layer, (H, W, 4) uint8, over a background into a frame, (H, W, 3) uint8."""
    height, width = frame.shape[:2]
    for y in range(height):
        for x in range(width):
            alpha = np.int32(layer[y, x, 3])
            if alpha == 255:
                for c in range(3):
                    frame[y, x, c] = layer[y, x, c]
            else:
                for c in range(3):
                    over = np.int32(layer[y, x, c]) * alpha
                    under = np.int32(background[y, x, c]) * (255 - alpha)
                    frame[y, x, c] = (over + under + 127) // 255


@numba.njit(cache=True, nogil=True, fastmath=True)
def blend(frame, left, top, patch, mask):  # type: ignore[no-untyped-def]
    """Blend a patch, (h, w, 3) float32 or uint8, into a frame at (left, top).

    Args:
        frame: (H, W, 3) uint8, changed; the patch lies inside it.
        left: the patch's first column.
        top: the patch's first row.
        patch: (h, w, 3) colours, 0..255.
        mask: (h, w) float32, 0..1.
    """
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            share = mask[y, x]
            if share > 0:
                for c in range(3):
                    below = np.float32(frame[top + y, left + x, c])
                    above = np.float32(patch[y, x, c])
                    frame[top + y, left + x, c] = np.uint8(below + share * (above - below) + 0.5)
