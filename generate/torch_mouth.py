"""Mouths painted into many frames at once, in PyTorch: what `vasari.generate.mouth` does in one."""

from __future__ import annotations

import torch

from vasari.generate.mouth import (
    BLOOD,
    DEEP,
    EDGE_SOFTNESS,
    FREE,
    INNER_LIPS,
    LIP_SHADE,
    LIP_SHADE_REACH,
    MARGIN,
    PARTED,
    SEALED,
    SEAM_WIDTH,
    SHADOW_GLOW,
    SLIT_LIGHT,
    WIDE_ASPECT,
    Mouth,
)
from vasari.generate.topology import UPPER_LIP_INNER
from vasari.generate.torch_geometry import Stand
from vasari.generate.torch_patch import (
    Windows,
    blur,
    bordered,
    carry,
    invert,
    outline,
    soften,
    stroke,
    upload,
)
from vasari.generate.torch_raster import look_up

_ACROSS = len(UPPER_LIP_INNER)  # points of the lips' outline that belong to the upper one
_OTHER = _ACROSS - 1  # the number of its other corner


class Mouths:
    """The mouth of one portrait."""

    def __init__(self, mouth: Mouth, side: int, device: torch.device) -> None:
        self._mouth, self._side = mouth, side
        self._lips = torch.tensor(INNER_LIPS, device=device)
        self._dark, self._tongue = (
            upload(mouth.colours.dark, device),
            upload(mouth.colours.tongue, device),
        )
        self._blood = upload(BLOOD, device)
        self._drawings = [
            (bordered(each.pixels, device), upload(each.origin, device), each.density / mouth.size)
            for each in (mouth.lower, mouth.upper)
        ]

    def paint(self, frames: torch.Tensor, stand: Stand) -> None:
        """Paint the inside of the mouth between the lips into frames, (B, S, S, 3) uint8."""
        mouth, lips = self._mouth, stand.mesh[:, self._lips, :2]
        windows = Windows.around(lips, MARGIN, self._side)
        if windows is None:
            return
        gap = _gap(lips)
        parted = ((gap / mouth.scale - SEALED) / (PARTED - SEALED)).clamp(0, 1)[:, None, None]
        if mouth.seam:
            self._paint_seam(frames, lips, windows, parted)
        edge = soften(outline(lips, windows), EDGE_SOFTNESS * mouth.scale)
        mask = edge * windows.own * parted
        pixels = self._dark.expand(*mask.shape, 3)
        anchors = (stand.lower, stand.upper)
        for (drawing, origin, unit), placed in zip(self._drawings, anchors, strict=True):
            back = _to_drawing(origin, unit, placed[..., :2].double())
            places = carry(back, windows.places.double()).float() + 1
            layer = look_up(drawing, places[..., 0], places[..., 1])
            pixels = pixels + layer[..., 3:] / 255 * (layer[..., :3] - pixels)
        width = (lips[:, 0] - lips[:, _OTHER]).norm(dim=-1)
        entering = stand.light * _entering_light(gap, width)
        lit = (entering[:, None, None] * _shade(mask, width))[..., None]
        lit = lit * (1 - self._blood * (1 - lit))
        shadow = SHADOW_GLOW * self._tongue
        windows.blend(frames, (shadow + lit * (pixels - shadow)).floor(), mask)

    def _paint_seam(
        self, frames: torch.Tensor, lips: torch.Tensor, windows: Windows, parted: torch.Tensor
    ) -> None:
        """Draw the line on which lips meet that stand apart in the picture."""
        upper, lower = lips[:, :_ACROSS], lips.flip(1).roll(1, 1)
        line = stroke((upper + lower[:, :_ACROSS]) / 2, windows, SEAM_WIDTH * self._mouth.scale)
        mask = line * windows.own * self._mouth.seam * (parted < 1)
        windows.blend(frames, self._dark.floor(), mask)


def _gap(lips: torch.Tensor) -> torch.Tensor:
    """The widest distance between lips, (B,) pixels."""
    upper, lower = lips[:, 1:_OTHER], lips[:, _ACROSS:].flip(1)
    return (lower - upper).norm(dim=-1).amax(1)


def _entering_light(gap: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """The light that gets between lips, (B,) 0..1: little through a slit."""
    aspect = gap / width.clamp(min=1)
    return SLIT_LIGHT + (1 - SLIT_LIGHT) * (aspect / WIDE_ASPECT).clamp(max=1)


def _to_drawing(place: torch.Tensor, unit: float, anchors: torch.Tensor) -> torch.Tensor:
    """The affine maps, (B, 2, 3), from frames to a drawing.

    Args:
        place: (2,) pixels of the drawing, where its origin lies.
        unit: pixels of the drawing for 1 cm of the face.
        anchors: (B, 3, 2) pixels of the frames: origin, 1 cm right, 1 cm down.
    """
    origin, right, down = anchors.unbind(1)
    axes = torch.stack([right - origin, down - origin], -1) / unit
    start = origin - axes @ place.double()
    return invert(torch.cat([axes, start[..., None]], -1))


def _shade(mask: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """How light it is inside mouths, (B, h, w) 0..1: dark toward the lips."""
    inner = blur(mask, (LIP_SHADE_REACH * width).clamp(min=1) / 2)
    return 1 - LIP_SHADE * ((FREE - inner) / (FREE - DEEP)).clamp(0, 1)
