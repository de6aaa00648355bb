"""The inner loops of the renderer, compiled: triangles to a map of pixels, layers to a frame."""

from __future__ import annotations

import numba
import numpy as np

from vasari.compiled import kernel
from vasari.generate.layer import TO_ALPHA

EDGE_TOLERANCE = np.float32(1e-4)  # barycentric: neighbours overlap, so that no crack shows
FLAT = np.float32(1e-9)  # slope of a barycentric weight along a row that counts as none
WORD = 8  # marks of a byte that are looked at together
LANES = 16  # pixels of a span that are filled at once, as many as a vector holds
SLIVER = 1e-6  # twice the area of a triangle below which it is not drawn, square pixels


@numba.njit(cache=True, inline="always")
def _narrow(slope, per_slope, start, first, last):  # type: ignore[no-untyped-def]
    """The part of a span in which start + slope * x is not negative, given 1 / slope."""
    if slope > FLAT:
        return max(first, (-EDGE_TOLERANCE - start) * per_slope), last
    if slope < -FLAT:
        return first, min(last, (-EDGE_TOLERANCE - start) * per_slope)
    if start < -EDGE_TOLERANCE:
        return np.float32(1), np.float32(0)
    return first, last


@numba.njit(cache=True, inline="always")
def _per(slope):  # type: ignore[no-untyped-def]
    """1 / slope, or 0 where it is flat."""
    return np.float32(1) / slope if abs(slope) > FLAT else np.float32(0)


# Without fastmath: depth holds infinities, and the tests above need exact comparisons.
@kernel()
def rasterise(  # type: ignore[no-untyped-def]  # noqa: PLR0915, PLR0917 - compiled in one
    faces, targets, sources, map_x, map_y, depth, top_row=0
):
    """Fill a map that says where in the picture each pixel of a band of the frame comes from.

    Args:
        faces: (K, 3) int32 triangles.
        targets: (N, 3) float32, points in the frame, pixels; the smaller z hides the larger.
        sources: (N, 2) float32, the same points in the picture.
        map_x: (H, W) float32, 0 where no triangle lies.
        map_y: (H, W) float32, the same.
        depth: (H, W) float32, scratch.
        top_row: the frame's row at which the band begins.

    Returns:
        (H, 2) int32, the columns of each row between which all triangles lie, the second excluded.
    """
    height, width = map_x.shape
    depth[:] = np.inf
    map_x[:] = 0
    map_y[:] = 0
    spans = np.empty((height, 2), np.int32)
    spans[:, 0] = width
    spans[:, 1] = 0
    above = np.float32(top_row)
    for k in range(len(faces)):
        a, b, c = faces[k]
        ay, by, cy = targets[a, 1] - above, targets[b, 1] - above, targets[c, 1] - above
        top, bottom = min(ay, by, cy), max(ay, by, cy)
        if bottom < 0 or top > height - 1:
            continue
        ax, bx, cx = targets[a, 0], targets[b, 0], targets[c, 0]
        left, right = min(ax, bx, cx), max(ax, bx, cx)
        if right < 0 or left > width - 1:
            continue
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(area) < SLIVER:
            continue
        # From a on, the barycentric weights of b and c are linear in x and y; a's is the rest.
        # So are depth and place in the picture. All of it in 32 bits, which is twice as fast.
        part = np.float32(1) / area
        gbx, gby = (cy - ay) * part, (ax - cx) * part
        gcx, gcy = (ay - by) * part, (bx - ax) * part
        bz, cz = targets[b, 2] - targets[a, 2], targets[c, 2] - targets[a, 2]
        bu, cu = sources[b, 0] - sources[a, 0], sources[c, 0] - sources[a, 0]
        bv, cv = sources[b, 1] - sources[a, 1], sources[c, 1] - sources[a, 1]
        gz, gu, gv = gbx * bz + gcx * cz, gbx * bu + gcx * cu, gbx * bv + gcx * cv
        gax = -gbx - gcx
        per_a, per_b, per_c = _per(gax), _per(gbx), _per(gcx)
        for y in range(max(int(np.ceil(top)), 0), min(int(np.floor(bottom)), height - 1) + 1):
            down = np.float32(y) - ay
            wb, wc = gby * down, gcy * down
            first, last = _narrow(gbx, per_b, wb, left - ax, right - ax)
            first, last = _narrow(gcx, per_c, wc, first, last)
            first, last = _narrow(gax, per_a, np.float32(1) - wb - wc, first, last)
            start = max(int(np.ceil(first + ax)), 0)
            stop = min(int(np.floor(last + ax)), width - 1) + 1
            if start >= stop:
                continue
            spans[y, 0] = min(spans[y, 0], start)
            spans[y, 1] = max(spans[y, 1], stop)
            along = np.float32(start) - ax
            z = targets[a, 2] + wb * bz + wc * cz + gz * along
            u = sources[a, 0] + wb * bu + wc * cu + gu * along
            v = sources[a, 1] + wb * bv + wc * cv + gv * along
            # In pieces of one length: spans are too short for loops of their own to be vectorised.
            for piece in range(start, stop, LANES):
                gone = np.float32(piece - start)
                near, from_x, from_y = z + gz * gone, u + gu * gone, v + gv * gone
                left_over = stop - piece
                for lane in range(LANES):
                    x = np.uint64(piece + lane)
                    if lane < left_over:
                        here = near + gz * np.float32(lane)
                        if here < depth[y, x]:
                            depth[y, x] = here
                            map_x[y, x] = from_x + gu * np.float32(lane)
                            map_y[y, x] = from_y + gv * np.float32(lane)
    return spans


@numba.njit(cache=True, inline="always")
def _shows(layer, spans, y, x):  # type: ignore[no-untyped-def]
    """Whether a layer has anything at a pixel."""
    return spans[y, 0] <= x < spans[y, 1] and layer[y, x] >> TO_ALPHA > 0


@kernel(fastmath=True)
def find_folds(  # type: ignore[no-untyped-def]  # noqa: PLR0917 - compiled, has no keywords
    map_x, map_y, layer, spans, jump, folds
):
    """Mark the pixels on either side of a fold, where neighbours come from far apart.

    Args:
        map_x: (H, W) float32, where in the picture each pixel comes from; 0 where none does.
        map_y: (H, W) float32, the same.
        layer: (H, W) uint32, what was found there; only what lies between the spans counts.
        spans: (H, 2) int32, in each row the columns that the layer covers, the second excluded.
        jump: how far apart, pixels of the picture.
        folds: (H, W) uint8, changed: 1 on either side.
    """
    height, width = map_x.shape
    # 1: far from the left neighbour, 2: from the one above. Most are 0, so eight are seen at once.
    hits = np.zeros(-(-width // WORD) * WORD, np.uint8)
    words = hits.view(np.uint64)
    for y in range(height):
        above = max(y - 1, 0)
        start = max(min(spans[y, 0], spans[above, 0]) - 1, 0)
        stop = min(max(spans[y, 1], spans[above, 1]) + 1, width)
        if start >= stop:
            continue
        u, v, over_u, over_v = map_x[y], map_y[y], map_x[above], map_y[above]
        words[start // WORD] = 0
        for x in range(stop, -(-stop // WORD) * WORD):
            hits[x] = 0
        found, before_u, before_v = hits[start + 1 : stop], u[start:stop], v[start:stop]
        own_u, own_v = u[start + 1 : stop], v[start + 1 : stop]
        up_u, up_v = over_u[start + 1 : stop], over_v[start + 1 : stop]
        for i in range(len(found)):
            left = abs(own_u[i] - before_u[i]) + abs(own_v[i] - before_v[i]) > jump
            over = abs(own_u[i] - up_u[i]) + abs(own_v[i] - up_v[i]) > jump
            found[i] = np.uint8(left) + np.uint8(2) * np.uint8(over)
        for word in range(start // WORD, -(-stop // WORD)):
            if not words[word]:
                continue
            for x in range(word * WORD, word * WORD + WORD):
                if not hits[x]:
                    continue
                here = _shows(layer, spans, y, x)
                if hits[x] & 1 and (here or _shows(layer, spans, y, x - 1)):
                    folds[y, x - 1] = folds[y, x] = 1
                if hits[x] & 2 and (here or _shows(layer, spans, above, x)):
                    folds[above, x] = folds[y, x] = 1


@numba.njit(cache=True, nogil=True, fastmath=True)
def soften(frame, marks):  # type: ignore[no-untyped-def]
    """Blur the marked pixels of a frame by the binomial 3 x 3, and take the marks away.

    Args:
        frame: (H, W, 3) uint8, changed.
        marks: (H, W) uint8, 0 where nothing is to be changed; all 0 afterwards.
    """
    height, width = marks.shape
    places = np.empty((height * width, 2), np.int32)
    colours = np.empty((height * width, 3), np.uint8)
    count = 0
    flat = marks.reshape(height * width)
    words = flat[: height * width // WORD * WORD].view(np.uint64)
    for word in range(len(words)):
        if not words[word]:
            continue
        for at in range(word * WORD, word * WORD + WORD):
            if flat[at]:
                places[count, 0], places[count, 1] = at // width, at % width
                count += 1
        words[word] = 0
    for i in range(count):
        y, x = places[i]
        left, right = max(x - 1, 0), min(x + 1, width - 1)
        for c in range(3):
            total = np.int32(8)
            for near in range(-1, 2):
                row = min(max(y + near, 0), height - 1)
                wide = np.int32(frame[row, left, c]) + np.int32(frame[row, right, c])
                total += (2 - abs(near)) * (wide + 2 * np.int32(frame[row, x, c]))
            colours[i, c] = total // 16
    for i in range(count):
        y, x = places[i]
        for c in range(3):
            frame[y, x, c] = colours[i, c]


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


@numba.njit(cache=True, inline="always")
def _sample(picture, x, y, c):  # type: ignore[no-untyped-def]
    """One channel of a picture between its pixels, bilinear; the edges go on outside."""
    height, width = picture.shape[:2]
    x = min(max(x, np.float32(0)), np.float32(width - 1))
    y = min(max(y, np.float32(0)), np.float32(height - 1))
    left, top = int(x), int(y)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    across, down = x - np.float32(left), y - np.float32(top)
    upper = picture[top, left, c] + across * (
        np.float32(picture[top, right, c]) - np.float32(picture[top, left, c])
    )
    lower = picture[bottom, left, c] + across * (
        np.float32(picture[bottom, right, c]) - np.float32(picture[bottom, left, c])
    )
    return upper + down * (lower - upper)


@numba.njit(cache=True, nogil=True, fastmath=True)
def blend_ball(  # type: ignore[no-untyped-def]  # noqa: PLR0917 - compiled, has no keywords
    frame, left, top, mask, picture, back, centre, shift, solid, soft, shade
):
    """Blend an eyeball into a frame at (left, top): a picture in which one disc has moved.

    Args:
        frame: (S, S, 3) uint8, changed.
        left: the mask's first column in the frame.
        top: the mask's first row.
        mask: (h, w) float32, 0..1.
        picture: (H, W, 3) uint8.
        back: (2, 3) float32, the affine map from the frame to the picture.
        centre: (2,) float32, the disc's in the picture, pixels.
        shift: (2,) float32, by how much it moves there.
        solid: the radius that moves as a whole, pixels.
        soft: the width of the ring beyond, over which the motion fades.
        shade: (h,) float32, the light on each row, 0..1.
    """
    for row in range(mask.shape[0]):
        for column in range(mask.shape[1]):
            share = mask[row, column]
            if share <= 0:
                continue
            x = back[0, 0] * (left + column) + back[0, 1] * (top + row) + back[0, 2]
            y = back[1, 0] * (left + column) + back[1, 1] * (top + row) + back[1, 2]
            apart = np.hypot(x - centre[0] - shift[0], y - centre[1] - shift[1])
            moves = 1 - min(max((apart - solid) / soft, 0), 1)
            x, y = np.float32(x - shift[0] * moves), np.float32(y - shift[1] * moves)
            for c in range(3):
                below = np.float32(frame[top + row, left + column, c])
                above = shade[row] * _sample(picture, x, y, c)
                frame[top + row, left + column, c] = np.uint8(below + share * (above - below) + 0.5)


@numba.njit(cache=True, nogil=True, fastmath=True)
def lay_over(pixels, layer):  # type: ignore[no-untyped-def]
    """Lay an RGBA layer, (h, w, 4) uint8, over pixels, (h, w, 3) float32, in place."""
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            share = np.float32(layer[y, x, 3]) / np.float32(255)
            if share > 0:
                for c in range(3):
                    pixels[y, x, c] += share * (np.float32(layer[y, x, c]) - pixels[y, x, c])


@numba.njit(cache=True, nogil=True, fastmath=True)
def blend_layer(frame, left, top, layer, share):  # type: ignore[no-untyped-def]
    """Blend a share, 0..1, of an RGBA layer, (h, w, 4) uint8, into a frame at (left, top)."""
    for y in range(layer.shape[0]):
        for x in range(layer.shape[1]):
            alpha = np.float32(share) * np.float32(layer[y, x, 3]) / np.float32(255)
            if alpha > 0:
                for c in range(3):
                    below = np.float32(frame[top + y, left + x, c])
                    above = np.float32(layer[y, x, c])
                    frame[top + y, left + x, c] = np.uint8(below + alpha * (above - below) + 0.5)


@numba.njit(cache=True, nogil=True)
def project(  # type: ignore[no-untyped-def]  # noqa: PLR0917 - compiled, has no keywords
    points, share, turn, shift, axis, joint, depth, reach, body_share, body_nearer
):
    """Move points with head and body, and see them through a pinhole: `Camera.project`.

    Args:
        points: (N, 3) float32 pixels.
        share: (N,) float32, how far each goes with the head.
        turn: (3, 3) float32, the head's rotation.
        shift: (3,) float32 pixels, the head's.
        axis: (2,) float32 pixels, where the optical axis meets the frame.
        joint: (3,) float32 pixels about the optical axis, about which the head turns.
        depth: pixels, of the plane in which the portrait's scale holds.
        reach: pixels from the pinhole to that plane.
        body_share: of the shift sideways and upward, how far the body follows.
        body_nearer: the same of the shift toward the viewer.

    Returns:
        (N, 3) float32 pixels, as given.
    """
    shown = np.empty_like(points)
    solid, moved = np.empty(3, np.float32), np.empty(3, np.float32)
    for i in range(len(points)):
        solid[2] = points[i, 2] - depth
        for c in range(2):
            solid[c] = (points[i, c] - axis[c]) * (reach + solid[2]) / reach
        body = 1 - share[i]
        for c in range(3):
            turned = joint[c]
            for k in range(3):
                turned += turn[c, k] * (solid[k] - joint[k])
            follows = body_nearer if c == 2 else body_share
            moved[c] = body * solid[c] + share[i] * turned + (share[i] + follows * body) * shift[c]
        near = reach / (reach + moved[2])
        for c in range(2):
            shown[i, c] = moved[c] * near + axis[c]
        shown[i, 2] = moved[2] + depth
    return shown


@numba.njit(cache=True, nogil=True, fastmath=True)
def express(rest, shapes, weights):  # type: ignore[no-untyped-def]
    """Points, (N, 3), moved by shapes, (S, N, 3), of given weights, (S,), all float32."""
    points = rest.copy()
    for s in range(len(weights)):
        if weights[s] != 0:
            for p in range(len(points)):
                for c in range(3):
                    points[p, c] += weights[s] * shapes[s, p, c]
    return points


@numba.njit(cache=True, nogil=True, fastmath=True)
def shade(frame, gains, cell):  # type: ignore[no-untyped-def]
    """Make a frame lighter by gains, interpolated bilinearly between the centres of cells.

    Args:
        frame: (H, W, 3) uint8, changed.
        gains: (H / cell, W / cell) float32, 0 for no change, 0.1 for a tenth more.
        cell: pixels across a cell.
    """
    rows, columns = gains.shape
    height, width = frame.shape[:2]
    # The cells between whose middles anything changes.
    top, bottom, left, right = rows, -1, columns, -1
    for row in range(rows):
        for column in range(columns):
            if gains[row, column] != 0:
                top, bottom = min(top, row), max(bottom, row)
                left, right = min(left, column), max(right, column)
    if bottom < 0:
        return
    first, last = max((left - 1) * cell, 0), min((right + 2) * cell, width)
    above, below = max((top - 1) * cell, 0), min((bottom + 2) * cell, height)
    # In one row, so that the loop can be vectorised.
    values = frame.reshape(height, 3 * width)[:, 3 * first : 3 * last]
    length = 3 * (last - first)
    wide = np.empty((rows, length), np.float32)  # the gains of each row of cells
    for x in range(first, last):
        at = (np.float32(x) + np.float32(0.5)) / np.float32(cell) - np.float32(0.5)
        column = min(max(int(np.floor(at)), 0), columns - 2)
        along = min(max(at - np.float32(column), np.float32(0)), np.float32(1))
        for row in range(max(top - 2, 0), min(bottom + 3, rows)):
            gain = gains[row, column] + along * (gains[row, column + 1] - gains[row, column])
            for c in range(3):
                wide[row, 3 * (x - first) + c] = gain + np.float32(1)
    for y in range(above, below):
        at = (np.float32(y) + np.float32(0.5)) / np.float32(cell) - np.float32(0.5)
        row = min(max(int(np.floor(at)), 0), rows - 2)
        down = min(max(at - np.float32(row), np.float32(0)), np.float32(1))
        upper, lower, lit = wide[row], wide[row + 1], values[y]
        for i in range(length):
            gain = upper[i] + down * (lower[i] - upper[i])
            lit[i] = np.uint8(min(gain * np.float32(lit[i]) + np.float32(0.5), np.float32(255)))


@numba.njit(cache=True, nogil=True, fastmath=True)
def _add_three(total, first, second, third):  # type: ignore[no-untyped-def]
    """Add three rows."""
    for i in range(len(total)):
        total[i] = first[i] + second[i] + third[i]


@numba.njit(cache=True, nogil=True, fastmath=True)
def relax(picture, own, known, sweeps):  # type: ignore[no-untyped-def]
    """Bring what is unknown of a picture nearer to the mean of its surroundings, again and again.

    Args:
        picture: (H, W, 3) float32, changed: own, and for the rest the mean of 3 x 3 pixels.
        own: (H, W, 3) float32, what is known of each pixel, times `known`.
        known: (H, W) float32, 0..1: how far it is.
        sweeps: how often.
    """
    height, width = known.shape
    length = 3 * width  # of a row: in one, so that the loops can be vectorised
    values, given = picture.reshape(height, length), own.reshape(height, length)
    share = np.empty((height, length), np.float32)
    spans = np.empty((height, 2), np.int64)  # of each row, where anything is unknown
    for y in range(height):
        spans[y, 0], spans[y, 1] = length, 0
        for x in range(width):
            if known[y, x] < 1:
                spans[y, 0] = min(spans[y, 0], 3 * x)
                spans[y, 1] = 3 * x + 3
            for c in range(3):
                share[y, 3 * x + c] = (1 - known[y, x]) / np.float32(9)
    above, here = np.empty((2, length), np.float32)
    total = np.empty(length + 6, np.float32)  # of three rows; at either end a pixel more
    for _ in range(sweeps):
        for y in range(height):
            here[:] = values[y]
            if y == 0:
                above[:] = values[min(1, height - 1)]
            below = values[y + 1] if y + 1 < height else above
            start, stop = spans[y]
            if start >= stop:
                above, here = here, above
                continue
            first, last = max(start - 3, 0), min(stop + 3, length)
            _add_three(
                total[first + 3 : last + 3], above[first:last], here[first:last], below[first:last]
            )
            if start == 0:
                total[:3] = total[6:9] if width > 1 else total[3:6]
            if stop == length:
                total[length + 3 :] = total[length - 3 : length] if width > 1 else total[3:6]
            row, fixed, part = values[y, start:stop], given[y, start:stop], share[y, start:stop]
            left, right = total[start:stop], total[start + 6 : stop + 6]
            _add_three(row, left, total[start + 3 : stop + 3], right)
            for i in range(len(row)):
                row[i] = fixed[i] + part[i] * row[i]
            above, here = here, above
