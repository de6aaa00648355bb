"""Eyes painted into many frames at once, in PyTorch: what `vasari.generate.eyes` does in one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from vasari.generate.blendshapes import LID_MEETING
from vasari.generate.eyes import (
    IRIS_RIM,
    LASH_OPACITY,
    LASH_WIDTH,
    LID_SHADE,
    LID_SHOWS,
    LID_SOFTNESS,
    LOWER,
    SHADE_FADE,
    UPPER,
    UPPER_RIM,
    WHITE_STRETCH,
    Eye,
    gaze_shift,
)
from vasari.generate.render import Pose
from vasari.generate.torch_patch import (
    Windows,
    bordered,
    carry,
    invert,
    outline,
    soften,
    stroke,
    upload,
)
from vasari.generate.torch_raster import between, look_up


class Eyes:
    """The eyes of one portrait."""

    def __init__(self, eyes: Sequence[Eye], side: int, device: torch.device) -> None:
        self._eyes = [_Eye(eye, side, device) for eye in eyes]

    def paint(
        self,
        frames: torch.Tensor,
        mesh: torch.Tensor,
        balls: Sequence[torch.Tensor],
        poses: Sequence[Pose],
    ) -> None:
        """Paint all eyes between their lids.

        Args:
            frames: (B, S, S, 3) uint8, changed.
            mesh: (B, 478, 2) pixels, the face as it is shown.
            balls: (B, 16, 2) pixels for each eye, its rim had no lid moved.
            poses: B of them.
        """
        for eye, ball in zip(self._eyes, balls, strict=True):
            eye.paint(frames, mesh, ball, poses)


class _Eye:
    def __init__(self, eye: Eye, side: int, device: torch.device) -> None:
        self._eye, self._side, self._device = eye, side, device
        self._rim = torch.tensor(eye.rim, device=device)
        self._fit = torch.from_numpy(eye.fit).to(device)  # 64 bits: the points lie close together
        self._home, self._corner, self._iris = (
            upload(eye.home, device),
            upload(eye.corner, device),
            upload(eye.iris, device),
        )
        self._ball, self._lash = upload(eye.ball, device), upload(eye.lash, device)
        self._lid = bordered(eye.lid, device)
        partners = np.arange(len(eye.rim))
        self._upper, self._lower = (
            torch.from_numpy(partners[part].copy()).to(device) for part in (UPPER, LOWER)
        )

    def paint(
        self,
        frames: torch.Tensor,
        mesh: torch.Tensor,
        ball: torch.Tensor,
        poses: Sequence[Pose],
    ) -> None:
        scale = self._eye.scale
        forth = (self._fit @ ball.double()).transpose(1, 2)
        opening = carry(forth, self._home.double().expand(len(ball), -1, -1)).float()
        windows = Windows.around(opening, self._eye.margin, self._side)
        if windows is None:
            return
        back = invert(forth)
        closing = self._closing(mesh[:, self._rim], ball)
        lids = self._close(opening, closing)
        shut = closing.amax(1)
        low, high = LID_SHOWS
        made = ((shut - low) / (high - low)).clamp(0, 1)[:, None, None]
        self._paint_lid(frames, windows, back, made)
        mask = outline(lids, windows) * windows.own * (shut < 1)[:, None, None]
        light = self._shade(lids, opening, windows)
        windows.blend(frames, light * self._looking(windows, back, poses), mask)
        line = stroke(lids[:, UPPER_RIM], windows, LASH_WIDTH * scale) * windows.own
        lashes = soften(line, LID_SOFTNESS * scale) * windows.own * (LASH_OPACITY * made)
        windows.blend(frames, self._lash, lashes)

    def _closing(self, rim: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
        """How far the lids have come together, (B, 7): `eyes.closing`."""
        now, before = (
            (points[:, self._lower] - points[:, self._upper]).norm(dim=-1) for points in (rim, rest)
        )
        return 1 - now / before.clamp(min=1e-3)

    def _close(self, opening: torch.Tensor, closing: torch.Tensor) -> torch.Tensor:
        """The rim, (B, 16, 2), of openings whose lids have come together."""
        lids = opening.clone()
        way = closing.clamp(max=1)[..., None] * (opening[:, self._lower] - opening[:, self._upper])
        lids[:, self._upper] += (1 - LID_MEETING) * way
        lids[:, self._lower] -= LID_MEETING * way
        return lids

    def _paint_lid(
        self, frames: torch.Tensor, windows: Windows, back: torch.Tensor, share: torch.Tensor
    ) -> None:
        """Paint skin over all of the eye."""
        places = carry(back, windows.places.double()).float() - self._corner + 1
        layer = look_up(self._lid, places[..., 0], places[..., 1])
        windows.blend(frames, layer[..., :3], share * layer[..., 3] / 255 * windows.own)

    def _looking(self, windows: Windows, back: torch.Tensor, poses: Sequence[Pose]) -> torch.Tensor:
        """The balls' colours, (B, h, w, 3), the irises moved by the gaze."""
        eye = self._eye
        shifts = np.stack([gaze_shift(eye, pose.gaze) for pose in poses])
        shift = torch.from_numpy(shifts).to(self._device)[:, None, None]
        places = carry(back, windows.places.double()).float()
        apart = (places - self._iris - shift).norm(dim=-1)
        fades = ((apart - IRIS_RIM * eye.radius) / (WHITE_STRETCH * eye.radius)).clamp(0, 1)
        places = places - shift * (1 - fades)[..., None]
        return between(self._ball, *_inside(places, self._side))

    def _shade(self, lids: torch.Tensor, opening: torch.Tensor, windows: Windows) -> torch.Tensor:
        """The light on each row, (B, h, 1, 1), below lids lower than the portrait's."""
        top, before = lids[:, self._upper, 1].mean(1), opening[:, self._upper, 1].mean(1)
        height = (opening[:, self._lower, 1].mean(1) - before).clamp(min=1)
        depth = ((top - before) / height).clamp(0, 1)[:, None]
        below = ((windows.rows - top[:, None]) / height[:, None]).clamp(min=0)
        return (1 - LID_SHADE * depth * torch.exp(-below / SHADE_FADE))[:, :, None, None]


def _inside(places: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns and rows of places, (..., 2), those outside a picture brought to its edge."""
    x, y = places.clamp(0, side - 1).unbind(-1)
    return x, y
