"""Small pictures with soft outlines that are painted over many frames at once, in PyTorch.

What `vasari.generate.patch` and OpenCV do in one frame is done here in each frame of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vasari.generate.patch import FINER_BITS, LEAST_BLUR, SUPERSAMPLING

ImageArray = npt.NDArray[np.uint8]

FINENESS = 2**FINER_BITS
HALF = 0.4999  # of a sample: its right half is rounded up, its very middle too
FLOAT_REACH = 4.0  # standard deviations that OpenCV's kernels reach, for real numbers
BYTE_REACH = 3.0  # and for bytes


@dataclass(frozen=True)
class Windows:
    """One rectangle of whole pixels in each of B frames, all of one size, inside the frames."""

    left: torch.Tensor  # (B,) int64
    top: torch.Tensor  # (B,) int64
    width: int
    height: int
    first: torch.Tensor  # (B, 2) int64, column and row at which each frame's own part begins
    last: torch.Tensor  # (B, 2) int64, and before which it ends

    @classmethod
    def around(cls, points: torch.Tensor, margin: int, side: int) -> Windows | None:
        """The windows around points, (B, N, 2) pixels, of frames of a side; none if all are empty.

        All are as large as the largest; what each would be by itself is its own part.
        """
        low = points.amin(1).floor().clamp(-side, 2 * side).long() - margin
        high = points.amax(1).ceil().clamp(-side, 2 * side).long() + margin + 1
        first, last = low.clamp(min=0), high.clamp(max=side)
        width, height = (last - first).amax(0).tolist()
        if width <= 0 or height <= 0:
            return None
        left, top = first[:, 0].clamp(0, side - width), first[:, 1].clamp(0, side - height)
        return cls(left, top, width, height, first, last)

    @property
    def some(self) -> torch.Tensor:
        """Which frames have a part of their own, (B,)."""
        return (self.last > self.first).all(1)

    @cached_property
    def columns(self) -> torch.Tensor:
        """Their columns in the frame, (B, w) int64."""
        return self.left[:, None] + torch.arange(self.width, device=self.left.device)

    @cached_property
    def rows(self) -> torch.Tensor:
        """Their rows in the frame, (B, h) int64."""
        return self.top[:, None] + torch.arange(self.height, device=self.top.device)

    @cached_property
    def own(self) -> torch.Tensor:
        """Which pixels belong to each frame's own part, (B, h, w)."""
        columns, rows = self.columns, self.rows
        across = (columns >= self.first[:, :1]) & (columns < self.last[:, :1])
        down = (rows >= self.first[:, 1:]) & (rows < self.last[:, 1:])
        return down[:, :, None] & across[:, None, :]

    @cached_property
    def places(self) -> torch.Tensor:
        """Where in the frame their pixels lie, (B, h, w, 2) float32."""
        shape = (len(self.left), self.height, self.width)
        x, y = self.columns[:, None, :].expand(shape), self.rows[:, :, None].expand(shape)
        return torch.stack([x, y], -1).to(torch.float32)

    def kept(self, places: torch.Tensor) -> torch.Tensor:
        """Places in the frames, (B, ..., 2), as columns and rows of the own part."""
        corner = torch.stack([self.left, self.top], -1)
        shape = (-1, *[1] * (places.dim() - 2), 2)
        low, high = (
            (edge - corner).view(shape).to(places.dtype) for edge in (self.first, self.last - 1)
        )
        return torch.minimum(torch.maximum(places - corner.view(shape), low), high)

    @cached_property
    def _index(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        numbers = torch.arange(len(self.left), device=self.left.device)
        return numbers[:, None, None], self.rows[:, :, None], self.columns[:, None, :]

    def cut(self, frames: torch.Tensor) -> torch.Tensor:
        """Their pixels, (B, h, w, C) float32, of frames, (B, S, S, C)."""
        return frames[self._index].to(torch.float32)

    def put(self, frames: torch.Tensor, pixels: torch.Tensor) -> None:
        """Write pixels, (B, h, w, C) 0..255, rounded, into frames, (B, S, S, C) uint8."""
        frames[self._index] = (pixels + 0.5).to(torch.uint8)

    def blend(self, frames: torch.Tensor, pixels: torch.Tensor, mask: torch.Tensor) -> None:
        """Blend pixels, (B, h, w, 3) or less, through a mask, (B, h, w) 0..1, into frames."""
        below = self.cut(frames)
        self.put(frames, below + mask[..., None] * (pixels - below))


def outline(polygons: torch.Tensor, windows: Windows) -> torch.Tensor:
    """How much of each pixel of windows polygons, (B, N, 2) frame pixels, cover: (B, h, w) 0..1.

    OpenCV's `fillPoly` on a finer grid: what lies between the crossings of each row of samples
    with the edges, and all samples on the edges.
    """
    fine = ((polygons + 0.5) * SUPERSAMPLING - 0.5) * FINENESS
    ends = fine.round()
    x = ends[..., 0] / FINENESS
    y = ((ends[..., 1] + FINENESS / 2) / FINENESS).floor()
    corner = torch.stack([windows.left, windows.top], -1).to(torch.float32) * SUPERSAMPLING
    x, y = x - corner[:, :1], y - corner[:, 1:]
    size = (windows.height * SUPERSAMPLING, windows.width * SUPERSAMPLING)
    crossings = edge_crossings(x - HALF, y, size)
    filled = (
        odd_after(crossings) | (crossings[:, :, 1:] > 0) | _on_edges((x + 0.5).floor(), y, size)
    )
    shape = (-1, windows.height, SUPERSAMPLING, windows.width, SUPERSAMPLING)
    share = filled.reshape(shape).sum((2, 4), dtype=torch.float32) / SUPERSAMPLING**2
    return (share * 255 + 0.5).floor() / 255


def edge_crossings(x: torch.Tensor, y: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """How many edges between points, (B, N), each row crosses right before a sample.

    Returns:
        (B, h, 1 + w) int32; the first column counts those left of all samples.
    """
    height, width = size
    x0, y0 = x.roll(1, 1), y.roll(1, 1)
    rows = torch.arange(height, device=x.device, dtype=torch.float32)[None, :, None]
    low, high = torch.minimum(y0, y)[:, None], torch.maximum(y0, y)[:, None]
    crossed = (rows >= low) & (rows < high)
    slope = (x - x0) / torch.where(y == y0, 1, y - y0)
    at = x0[:, None] + (rows - y0[:, None]) * slope[:, None]
    column = (at.ceil() + 1).clamp(0, width + 1).long()
    crossings = torch.zeros((len(x), height, width + 2), dtype=torch.int32, device=x.device)
    crossings.scatter_add_(2, column, crossed.to(torch.int32))
    return crossings[:, :, :-1]


def odd_after(crossings: torch.Tensor) -> torch.Tensor:
    """Which samples, (B, h, w), lie inside, given `edge_crossings`."""
    return crossings.cumsum(2, dtype=torch.int32)[:, :, 1:] % 2 == 1


def _on_edges(x: torch.Tensor, y: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Which samples, (B, h, w), lie on edges between whole numbers x and y, (B, N)."""
    height, width = size
    shape = (len(x), height + 2, width + 2)
    marks = torch.zeros(shape, dtype=torch.bool, device=x.device)
    marks |= _steep(x, y, (height, width))
    marks |= _steep(y, x, (width, height)).transpose(1, 2)
    return marks[:, 1:-1, 1:-1]


def _steep(x: torch.Tensor, y: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The samples on those edges that are at least as high as wide, (B, h + 2, w + 2)."""
    height, width = size
    x0, y0 = x.roll(1, 1), y.roll(1, 1)
    rows = torch.arange(-1, height + 1, device=x.device, dtype=torch.float32)[None, :, None]
    low, high = torch.minimum(y0, y)[:, None], torch.maximum(y0, y)[:, None]
    steep = ((y - y0).abs() >= (x - x0).abs())[:, None]
    slope = (x - x0) / torch.where(y == y0, 1, y - y0)
    at = (x0[:, None] + (rows - y0[:, None]) * slope[:, None] + 0.5).floor()
    here = (rows >= low) & (rows <= high) & steep
    column = torch.where(here, at + 1, 0).clamp(0, width + 1).long()
    marks = torch.zeros((len(x), height + 2, width + 2), dtype=torch.bool, device=x.device)
    return marks.scatter_(2, column, torch.ones_like(column, dtype=torch.bool))


def stroke(lines: torch.Tensor, windows: Windows, width: float) -> torch.Tensor:
    """How much of each pixel open lines, (B, N, 2), of a width in pixels cover: (B, h, w) 0..1."""
    start, way = lines[:, None, None, :-1], lines.diff(dim=1)[:, None, None]
    offset = windows.places[..., None, :] - start
    length = (way * way).sum(-1).clamp(min=1e-12)
    along = ((offset * way).sum(-1) / length).clamp(0, 1)
    apart = (offset - along[..., None] * way).norm(dim=-1).amin(-1)
    # OpenCV draws whole samples: an odd number of them, and half a one beyond each edge.
    thick = max(round(width * SUPERSAMPLING), 1)
    half = (thick + thick % 2 + 1) / 2 / SUPERSAMPLING
    return (half + 0.5 - apart).clamp(0, 1)


def soften(masks: torch.Tensor, width: float) -> torch.Tensor:
    """Blur masks, (B, h, w), by a standard deviation in pixels; there is nothing around them."""
    if width < LEAST_BLUR:
        return masks
    taps = round(2 * FLOAT_REACH * width + 1) // 2
    bell = [math.exp(-0.5 * (step / width) ** 2) for step in range(taps + 1)]
    kernel = [weight / (2 * sum(bell) - bell[0]) for weight in bell]
    return _along(_along(masks, kernel, 1), kernel, 2)


def blur(pictures: torch.Tensor, width: torch.Tensor, reach: float = FLOAT_REACH) -> torch.Tensor:
    """Blur pictures, (B, h, w) or (B, h, w, C), each by its own standard deviation.

    Args:
        pictures: what is blurred; there is nothing around it.
        width: (B,) pixels, the standard deviations.
        reach: how many of them the kernels reach.
    """
    taps = torch.div((2 * reach * width + 1).round(), 2, rounding_mode="floor")
    steps = torch.arange(int(taps.max()) + 1, device=pictures.device)
    bell = torch.exp(-0.5 * (steps / width[:, None]) ** 2) * (steps <= taps[:, None])
    weights = bell / (2 * bell.sum(1) - bell[:, 0])[:, None]
    shape = (-1, *[1] * (pictures.dim() - 1))
    kernel = [weight.view(shape) for weight in weights.unbind(1)]
    return _along(_along(pictures, kernel, 1), kernel, 2)


def _along(
    pictures: torch.Tensor, kernel: Sequence[torch.Tensor | float], side: int
) -> torch.Tensor:
    """Pictures blurred along one side by the half of a kernel, its middle first."""
    total, length = pictures * kernel[0], pictures.shape[side]
    for step, weight in enumerate(kernel[1:], 1):
        if step >= length:
            break
        rest = length - step
        total.narrow(side, step, rest).add_(weight * pictures.narrow(side, 0, rest))
        total.narrow(side, 0, rest).add_(weight * pictures.narrow(side, step, rest))
    return total


def upload(array: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    """An array on a device, as float32."""
    return torch.from_numpy(np.asarray(array, np.float32)).to(device)


def bordered(picture: ImageArray, device: torch.device) -> torch.Tensor:
    """A picture, (h, w, 4) RGBA, that ends in nothing: (1 + h + 1, 1 + w + 1, 4) float32."""
    return upload(np.pad(picture, ((1, 1), (1, 1), (0, 0))), device)


def invert(affine: torch.Tensor) -> torch.Tensor:
    """The inverses, (B, 2, 3), of affine maps, (B, 2, 3)."""
    (a, b, x), (c, d, y) = (row.unbind(-1) for row in affine.unbind(-2))
    scale = a * d - b * c
    upper = torch.stack([d, -b, b * y - d * x], -1)
    lower = torch.stack([-c, a, c * x - a * y], -1)
    return torch.stack([upper, lower], -2) / scale[..., None, None]


def carry(affine: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Where affine maps, (B, 2, 3), carry points, (B, ..., 2)."""
    shape = (len(affine), *[1] * (points.dim() - 2), 2)
    first, second, rest = (affine[..., column].reshape(shape) for column in range(3))
    return points[..., :1] * first + points[..., 1:] * second + rest
