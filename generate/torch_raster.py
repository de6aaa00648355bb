"""Triangles to pixels and look-ups in pictures, in PyTorch: many frames at once, on any device.

The rules are those of `vasari.generate.raster` and of OpenCV: the same pixels are covered, the same
one of several triangles shows, and pictures are read at the same 32nds of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vasari.generate.raster import EDGE_TOLERANCE, FLAT, SLIVER

SUBPIXELS = 32  # places between two pixels at which OpenCV reads a picture
ROW_BITS = 32  # of a key of 64: what remains of it orders by depth
NOTHING = torch.iinfo(torch.int64).max


@dataclass(frozen=True)
class Drawn:
    """What triangles cover."""

    pixels: torch.Tensor  # (M,) int64, rising: number of the pixel in all frames laid end to end
    values: torch.Tensor  # (M, C) float32, what lies there


def rasterise(
    faces: torch.Tensor, targets: torch.Tensor, sources: torch.Tensor, side: int
) -> Drawn:
    """Find what values each pixel takes from the nearest triangle that covers it.

    Args:
        faces: (K, 3) int64 triangles.
        targets: (B, N, 3) float32, points in each frame, pixels; the smaller z hides the larger.
        sources: (B or 1, N, C) float32, the values of the points.
        side: of the frames, pixels.
    """
    count = len(targets)
    table, top, rows = _triangles(faces, targets, sources.expand(count, -1, -1), side)
    owner, step = _expand(rows)
    frame = torch.div(owner, len(faces), rounding_mode="floor")
    spans = _spans(table[owner], top[owner] + step, frame, side)
    nearest = torch.full((count * side * side,), NOTHING, device=targets.device)
    row, along = _expand(spans.lengths)
    depth = spans.depth[row] + spans.depth_slope[row] * along
    nearest.scatter_reduce_(0, spans.starts[row] + along, _ordered(depth) | row, "amin")
    pixels = torch.nonzero(nearest != NOTHING).squeeze(1)
    shown = nearest[pixels] & (2**ROW_BITS - 1)
    step = (pixels - spans.starts[shown]).to(torch.float32)
    return Drawn(pixels, spans.values[shown] + spans.slopes[shown] * step[:, None])


def _triangles(
    faces: torch.Tensor, targets: torch.Tensor, sources: torch.Tensor, side: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What drawing each triangle needs: its table, its first row and the number of its rows.

    Returns:
        (B * K, 12 + 4 C) float32, as `_spans` reads it; (B * K,) and (B * K,) int64.
    """
    a, b, c = targets[:, faces].unbind(2)
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = (corner.unbind(-1) for corner in (a, b, c))
    left, right = _least(ax, bx, cx), -_least(-ax, -bx, -cx)
    top, bottom = _least(ay, by, cy), -_least(-ay, -by, -cy)
    area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    drawn = (bottom >= 0) & (top <= side - 1) & (right >= 0) & (left <= side - 1)
    drawn &= area.abs() >= SLIVER
    gbx, gby = (cy - ay) / area, -(cx - ax) / area
    gcx, gcy = -(by - ay) / area, (bx - ax) / area
    bz, cz = bz - az, cz - az
    plain = [ax, ay, left - ax, right - ax, gbx, gby, gcx, gcy, az, bz, cz, gbx * bz + gcx * cz]
    own, second, third = sources[:, faces].unbind(2)
    second, third = second - own, third - own
    slopes = gbx[..., None] * second + gcx[..., None] * third
    table = torch.cat([torch.stack(plain, -1), own, second, third, slopes], -1)
    first = top.ceil().clamp(0, side).long()
    last = bottom.floor().clamp(-1, side - 1).long()
    rows = torch.where(drawn, (last - first + 1).clamp(min=0), 0)
    return table.flatten(0, 1), first.flatten(), rows.flatten()


@dataclass(frozen=True)
class _Spans:
    """The part of one row that one triangle covers, R of them."""

    starts: torch.Tensor  # (R,) int64, number of its first pixel
    lengths: torch.Tensor  # (R,) int64 pixels
    depth: torch.Tensor  # (R,) at its first pixel
    depth_slope: torch.Tensor  # (R,) for each pixel to the right
    values: torch.Tensor  # (R, C) at its first pixel
    slopes: torch.Tensor  # (R, C) for each pixel to the right


def _spans(table: torch.Tensor, y: torch.Tensor, frame: torch.Tensor, side: int) -> _Spans:
    """The spans of triangles in rows y, (R,), of a frame each, (R,)."""
    plain, rest = table[:, :12], table[:, 12:]
    ax, ay, left, right, gbx, gby, gcx, gcy, az, bz, cz, gz = plain.unbind(1)
    own, second, third, slopes = rest.chunk(4, 1)
    down = y.to(torch.float32) - ay
    wb, wc = gby * down, gcy * down
    first, last = _narrow(gbx, wb, left, right)
    first, last = _narrow(gcx, wc, first, last)
    first, last = _narrow(-gbx - gcx, 1 - wb - wc, first, last)
    start = (first + ax).ceil().clamp(0, side)
    stop = (last + ax).floor().clamp(-1, side - 1) + 1
    along = start - ax
    return _Spans(
        (frame * side + y) * side + start.long(),
        (stop - start).clamp(min=0).long(),
        az + wb * bz + wc * cz + gz * along,
        gz,
        own + wb[:, None] * second + wc[:, None] * third + slopes * along[:, None],
        slopes,
    )


def _narrow(
    slope: torch.Tensor, start: torch.Tensor, first: torch.Tensor, last: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The part of a span in which start + slope * x is not negative."""
    flat, tolerance = float(FLAT), float(EDGE_TOLERANCE)
    rising, falling = slope > flat, slope < -flat
    edge = (-tolerance - start) / slope
    outside = ~rising & ~falling & (start < -tolerance)
    first = torch.where(rising, torch.maximum(first, edge), first)
    last = torch.where(falling, torch.minimum(last, edge), last)
    return first, torch.where(outside, first - 2, last)


def _expand(counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Number each of so many things: whose it is, and the how-manieth of its owner's."""
    ends = counts.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    owners = torch.arange(len(counts), device=counts.device)
    owner = torch.repeat_interleave(owners, counts, output_size=total)
    return owner, torch.arange(total, device=counts.device) - (ends - counts)[owner]


def _ordered(depth: torch.Tensor) -> torch.Tensor:
    """Depths as whole numbers of the same order in the upper half of 64 bits, the lower half 0."""
    bits = depth.view(torch.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long() << ROW_BITS


def _least(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    return torch.minimum(torch.minimum(a, b), c)


def find_folds(maps: torch.Tensor, shown: torch.Tensor, jump: float) -> torch.Tensor:
    """The pixels, (B, S, S), on either side of a fold, where neighbours come from far apart.

    Args:
        maps: (B, S, S, 2) float32, where in the picture each pixel comes from; 0 where none does.
        shown: (B, S, S), where anything was found there.
        jump: how far apart, pixels of the picture.
    """
    folds = torch.zeros_like(shown)
    for side in (1, 2):
        rest = maps.shape[side] - 1
        first, second = (
            [each.narrow(side, at, rest) for each in (maps, shown, folds)] for at in (0, 1)
        )
        far = (second[0] - first[0]).abs().sum(-1) > jump
        far &= first[1] | second[1]
        first[2].logical_or_(far)
        second[2].logical_or_(far)
    return folds


def soften(frames: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
    """Frames, (B, S, S, 3) uint8, whose marked pixels, (B, S, S), are blurred a little."""
    total = frames.to(torch.int16)
    for side in (1, 2):  # the binomial 3 x 3
        last = total.shape[side] - 1
        before = torch.cat([total.narrow(side, 0, 1), total.narrow(side, 0, last)], side)
        after = torch.cat([total.narrow(side, 1, last), total.narrow(side, last, 1)], side)
        total = before + 2 * total + after
    return torch.where(marks[..., None], ((total + 8) >> 4).to(torch.uint8), frames)


def look_up(picture: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Read a picture between its pixels as OpenCV does: bilinearly, at 32nds of a pixel, rounded.

    Args:
        picture: (H, W, C) float32 of whole numbers, or one for each of B frames, (B, H, W, C);
            its edges go on outside.
        x: (...) float32, columns; (B, ...) with a picture for each frame.
        y: (...) float32, rows.

    Returns:
        (..., C) float32 of whole numbers.
    """
    x, y = ((place * SUBPIXELS + 0.5).floor() / SUBPIXELS for place in (x, y))
    return (between(picture, x, y) + 0.5).floor()


def between(picture: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Read a picture between its pixels bilinearly; arguments as for `look_up`."""
    height, width, channels = picture.shape[-3:]
    left, top = x.floor(), y.floor()
    steps = torch.arange(2, device=x.device)
    columns = (left[..., None] + steps).clamp(0, width - 1).long()
    rows = (top[..., None] + steps).clamp(0, height - 1).long() * width
    places = rows[..., :, None] + columns[..., None, :]
    if picture.dim() > 3:
        numbers = torch.arange(len(picture), device=x.device) * (height * width)
        places = places + numbers.view(-1, *[1] * (places.dim() - 1))
    found = picture.reshape(-1, channels)[places]
    start, end = found.unbind(-2)
    upper, lower = (start + (x - left)[..., None, None] * (end - start)).unbind(-2)
    return upper + (y - top)[..., None] * (lower - upper)
