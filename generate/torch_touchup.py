"""The touch-up of many frames at once, in PyTorch: what `vasari.generate.touchup` does to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vasari.generate.portrait import Portrait
from vasari.generate.render import Pose
from vasari.generate.retouch import STILL, cubic
from vasari.generate.torch_patch import (
    BYTE_REACH,
    FINENESS,
    Windows,
    blur,
    carry,
    edge_crossings,
    invert,
    odd_after,
    upload,
)
from vasari.generate.torch_raster import between, look_up
from vasari.generate.touchup import (
    BLUR,
    BLURRED_FROM,
    PATCH_HEIGHT,
    PATCH_WIDTH,
    REGIONS,
    place_regions,
    spared_ball,
    spared_teeth,
)
from vasari.models.touchup_network import Network

# OpenCV's smooth lines are a bell across, drawn twice.
LINE_SPREAD = 0.53  # pixels, its standard deviation
LINE_REACH = 1.5  # pixels to both sides


class TouchUps:
    """Touches up the frames of one portrait."""

    def __init__(self, portrait: Portrait, device: torch.device) -> None:
        self.anchors = place_regions(portrait)
        self._network = Network.shipped(PATCH_HEIGHT, PATCH_WIDTH).to(device)
        self._rims = [torch.tensor(region.opening, device=device) for region in REGIONS]
        self._grid = _grid(device)
        image, anchors, mesh = (
            torch.from_numpy(array)[None].to(device)
            for array in (portrait.image, self.anchors, portrait.mesh)
        )
        patches = self._patches(anchors[..., :2], portrait.size)
        self._own = self._looks(image, patches, mesh[..., :2])
        self._at_rest = self._fields(self._own)

    def apply(
        self,
        frames: torch.Tensor,
        anchors: torch.Tensor,
        mesh: torch.Tensor,
        poses: Sequence[Pose],
    ) -> None:
        """Change frames.

        Args:
            frames: (B, S, S, 3) uint8, changed.
            anchors: (B, 9, 2) pixels, where the anchors now stand.
            mesh: (B, 478, 2) pixels, the face as it is shown.
            poses: B of them.
        """
        patches = self._patches(anchors, frames.shape[1])
        if not patches:
            return
        looks = self._looks(frames, patches, mesh)
        changes = (1 - self._spared(looks, poses)) * (self._fields(looks) - self._at_rest)
        # Where the face has left the frame, nothing is changed.
        kept = torch.stack([patch.windows.some for patch in patches]).all(0)
        for patch, fields in zip(patches, changes, strict=True):
            patch.change(frames, fields, kept)

    def _patches(self, anchors: torch.Tensor, side: int) -> list[_Patch]:
        """The patches of all regions at their anchors, (B, 9, 2); none if no frame shows one."""
        patches = []
        grid = self._grid
        corners = grid[:: len(grid) - 1, :: grid.shape[1] - 1].flatten(0, 1)
        for region, own in zip(REGIONS, anchors.double().split(3, 1), strict=True):
            forth = _warp(own, region.density, grid[-1, -1] / 2)
            windows = Windows.around(carry(forth, corners[None]).float(), 1, side)
            if windows is None:
                return []
            patches.append(_Patch(grid, forth, invert(forth), windows))
        return patches

    def _looks(
        self, frames: torch.Tensor, patches: list[_Patch], mesh: torch.Tensor
    ) -> torch.Tensor:
        """Colours and openings, (REGIONS, B, 4, h, w) 0..1, of all regions."""
        looks = []
        for patch, rim in zip(patches, self._rims, strict=True):
            colours = patch.cut(frames).permute(0, 3, 1, 2)
            looks.append(torch.cat([colours, patch.opening(mesh[:, rim])[:, None]], 1))
        return torch.stack(looks) / 255

    def _spared(self, looks: torch.Tensor, poses: Sequence[Pose]) -> torch.Tensor:
        """How far each pixel of all regions is left alone, (REGIONS, B, 1, h, w) 0..1."""
        opening = looks[:, :, 3:]
        balls = upload(np.array([spared_ball(pose.gaze) for pose in poses]), looks.device)
        teeth = spared_teeth(opening.mean((2, 3, 4)))
        shares = [balls if region.ball else teeth[n] for n, region in enumerate(REGIONS)]
        return torch.stack(shares)[:, :, None, None, None] * opening

    def _fields(self, looks: torch.Tensor) -> torch.Tensor:
        """The network's answers, (REGIONS, B, 5, h, w), to looks."""
        shown, opening = looks[:, :, :3], looks[:, :, 3:]
        own = self._own[:, :, :3].expand_as(shown)
        inputs = torch.cat([shown, own, opening], 2)
        # Shorter numbers or whichever kernel is faster today would change frames.
        with torch.backends.cudnn.flags(benchmark=False, deterministic=True, allow_tf32=False):
            answers = self._network.fields(inputs.flatten(0, 1))
        return answers.unflatten(0, looks.shape[:2])


def _grid(device: torch.device) -> torch.Tensor:
    """The pixels of a patch, (h, w, 2) float64, x before y."""
    y, x = np.mgrid[:PATCH_HEIGHT, :PATCH_WIDTH]
    return torch.from_numpy(np.dstack([x, y]).astype(np.float64)).to(device)


def _warp(anchors: torch.Tensor, density: float, middle: torch.Tensor) -> torch.Tensor:
    """The affine maps, (B, 2, 3), from a patch's pixels to the frames': `touchup.Patch.between`.

    Args:
        anchors: (B, 3, 2) pixels of the frames.
        density: pixels of the patch per cm.
        middle: (2,) of the patch's pixels.
    """
    centre, across, down = anchors.unbind(1)
    axes = torch.stack([across - centre, down - centre], -1) / density
    return torch.cat([axes, (centre - axes @ middle)[..., None]], -1)


@dataclass(frozen=True)
class _Patch:
    """One region in each of B frames."""

    grid: torch.Tensor  # (h, w, 2), its own pixels
    forth: torch.Tensor  # (B, 2, 3), affine, from the patch's pixels to the frame's
    back: torch.Tensor  # (B, 2, 3), the inverse
    windows: Windows  # in which it lies

    def cut(self, frames: torch.Tensor) -> torch.Tensor:
        """Its colours, (B, h, w, 3) of whole numbers, in frames, (B, S, S, 3)."""
        pixels = self.windows.cut(frames)
        density = self.forth[:, :, 1].norm(dim=-1).float()
        coarse = density > BLURRED_FROM
        if coarse.any():
            own = self.windows.own.to(torch.float32)[..., None]
            soft, share = (blur(each, BLUR * density, BYTE_REACH) for each in (pixels * own, own))
            smooth = (soft / share.clamp(min=1e-6) + 0.5).floor()
            pixels = torch.where(coarse[:, None, None, None], smooth, pixels)
        places = self.windows.kept(carry(self.forth, self.grid[None]).float())
        return look_up(pixels, places[..., 0], places[..., 1])

    def opening(self, rim: torch.Tensor) -> torch.Tensor:
        """How much of each pixel of the patch lies between lids or lips, (B, h, w) 0..255.

        Args:
            rim: (B, N, 2) pixels of the frames, around the opening.
        """
        ends = (carry(self.back, rim.double()).float() * FINENESS).round()
        x = ends[..., 0] / FINENESS
        y = ((ends[..., 1] + FINENESS / 2) / FINENESS).floor()
        size = (len(self.grid), self.grid.shape[1])
        inside = odd_after(edge_crossings(x, y, size))
        return torch.where(inside, 255.0, (255 * _lines(x, y, size)).round())

    def change(self, frames: torch.Tensor, fields: torch.Tensor, kept: torch.Tensor) -> None:
        """Change frames as a network says: `retouch.retouch`.

        Args:
            frames: (B, S, S, 3) uint8, changed.
            fields: (B, 5, h, w), shifts and added colours.
            kept: (B,), the frames that are to be changed.
        """
        source, places = self.windows.cut(frames), self.windows.places
        within = carry(self.back, places.double()).float()
        u, v = within.unbind(-1)
        last = self.grid[-1, -1]
        inside = ((within >= 0) & (within < last)).all(-1) & self.windows.own
        found = between(fields.permute(0, 2, 3, 1), u, v)
        axes = self.forth[:, :, :2].float()
        shift = (found[..., None, :2] @ axes.transpose(1, 2)[:, None, None]).squeeze(-2)
        still = (shift.abs() < STILL).all(-1)[..., None]
        moved = _between_smoothly(source, self.windows, places + shift)
        pixels = torch.where(still, source, moved) + 255 * found[..., 2:]
        changed = (inside & kept[:, None, None])[..., None]
        self.windows.put(frames, torch.where(changed, pixels.clamp(0, 255), source))


def _lines(x: torch.Tensor, y: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """How much OpenCV's smooth lines between points, (B, N), cover: (B, h, w) 0..1."""
    height, width = size
    rows = torch.arange(height, device=x.device, dtype=torch.float32)[:, None, None]
    columns = torch.arange(width, device=x.device, dtype=torch.float32)[:, None]
    x0, y0 = (end.roll(1, 1)[:, None, None] for end in (x, y))
    across, down = x[:, None, None] - x0, y[:, None, None] - y0
    flat = across.abs() >= down.abs()
    long, short = torch.where(flat, across, down), torch.where(flat, down, across)
    slope = short / torch.where(long == 0, 1, long)
    along = torch.where(flat, columns - x0, rows - y0)
    aside = torch.where(flat, rows - y0, columns - x0) - slope * along
    beyond = torch.maximum(-along * long.sign(), (along - long) * long.sign())
    bell = torch.exp(-0.5 * (aside / LINE_SPREAD) ** 2) * (aside.abs() <= LINE_REACH)
    covered = bell * ((1 + slope**2) / 2).sqrt() * (0.5 - beyond).clamp(0, 1)
    return 1 - ((1 - covered) ** 2).prod(-1)


def _between_smoothly(pixels: torch.Tensor, windows: Windows, places: torch.Tensor) -> torch.Tensor:
    """Pixels of windows, (B, h, w, 3), at places in the frames, cubic (Keys 1981)."""
    start = places.floor()
    across, down = (torch.stack(cubic.py_func(part), -1) for part in (places - start).unbind(-1))
    steps = torch.arange(-1, 3, device=pixels.device)[:, None]
    column, row = windows.kept(start[..., None, :] + steps).long().unbind(-1)
    frame = torch.arange(len(pixels), device=pixels.device).view(-1, 1, 1, 1, 1)
    near = pixels[frame, row[..., :, None], column[..., None, :]]
    rows = _sum_of_four(near * across[..., None, :, None])
    return _sum_of_four(rows * down[..., None])


def _sum_of_four(values: torch.Tensor) -> torch.Tensor:
    """The sum over the last side but one, always in the same order."""
    first, second, third, fourth = values.unbind(-2)
    return first + second + third + fourth
