"""The light on many frames at once, in PyTorch: what `vasari.generate.shading` does to one."""

from __future__ import annotations

import torch

from vasari.generate.shading import CELLS, GAIN_RANGE, LEAST_GAIN, LEAST_LIGHT, Shading
from vasari.generate.torch_patch import upload
from vasari.generate.torch_raster import rasterise


class Shadings:
    """The light on one portrait."""

    def __init__(self, shading: Shading, side: int, device: torch.device) -> None:
        self._normals = upload(shading.normals, device)
        self._light = upload(shading.light, device)
        self._share = upload(shading.share, device)
        self._faces = torch.from_numpy(shading.faces).to(device).long()
        self._cell = side // CELLS

    def apply(self, frames: torch.Tensor, points: torch.Tensor, turned: torch.Tensor) -> None:
        """Change the light on frames.

        Args:
            frames: (B, S, S, 3) uint8, changed.
            points: (B, N, 3) pixels, the sheet's as they are shown.
            turned: (B, 3, 3), the head's rotations.
        """
        gains = self._gains(turned)
        targets = (points - (self._cell - 1) / 2) / self._cell
        drawn = rasterise(self._faces, targets, gains[..., None], CELLS)
        cells = torch.zeros(len(frames) * CELLS * CELLS, device=frames.device)
        cells[drawn.pixels] = drawn.values[:, 0]
        wide = torch.nn.functional.interpolate(
            cells.view(-1, 1, CELLS, CELLS), scale_factor=self._cell, mode="bilinear"
        )
        lit = (1 + wide[:, 0, ..., None]) * frames + 0.5
        frames.copy_(lit.clamp(max=255))

    def _gains(self, turned: torch.Tensor) -> torch.Tensor:
        """By what part each point becomes lighter, (B, N)."""
        before = 1 + self._normals @ self._light
        after = 1 + (turned.transpose(1, 2) @ self._light) @ self._normals.T
        gains = self._share * ((after / before.clamp(min=LEAST_LIGHT)).clamp(*GAIN_RANGE) - 1)
        return gains * (gains.abs().amax(1, keepdim=True) >= LEAST_GAIN)
