"""The figure: what the renderers work out once for a portrait, before anything moves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.generate.blendshapes import face_shapes, lip_closure, relaxation
from vasari.generate.eyes import Eye, find_eyes
from vasari.generate.glasses import give
from vasari.generate.mouth import Mouth, make_mouth, without_teeth
from vasari.generate.portrait import Portrait
from vasari.generate.pose import Camera
from vasari.generate.shading import Shading
from vasari.generate.sheet import Sheet, lay_sheet

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

# The picture is kept at twice the frame's density, so that moving it by parts of a pixel does not
# blur it.
DETAIL = 2
CROWN = 0.06  # of the frame: how far the person goes on above it, fading


@dataclass(frozen=True)
class Figure:
    """A portrait made ready to move."""

    camera: Camera
    sheet: Sheet
    shading: Shading
    rest: Float32Array  # (478, 3) cm, the face in its own frame, lips closed, a broad smile less so
    shapes: Float32Array  # (52, 478, 3) cm, what each shape at 1 adds
    give: Float32Array  # (478, 1) 0..1, how far each point follows an expression
    eyes: list[Eye]
    mouth: Mouth
    texture: ImageArray  # (H, W, 4) RGBA, the person at DETAIL times the frame's density
    sources: Float32Array  # (N, 2) pixels, where in the texture the sheet's points lie

    @classmethod
    def of(cls, portrait: Portrait) -> Figure:
        """Make a portrait ready."""
        with ThreadPoolExecutor(1, "sheet") as other:  # it takes as long as all the rest
            laying = other.submit(_sheet_in_light, portrait)
            own = portrait.placement.unplace(portrait.mesh)
            rest = own + lip_closure(own) + relaxation(own)
            eyes, mouth = find_eyes(portrait), make_mouth(portrait, rest)
            texture = _texture(portrait)
            sheet, shading = laying.result()
        return cls(
            camera=Camera.before(portrait.mesh, portrait.placement),
            sheet=sheet,
            shading=shading,
            rest=rest,
            shapes=face_shapes(rest),
            give=give(portrait, rest),
            eyes=eyes,
            mouth=mouth,
            texture=texture,
            sources=_places_in_texture(sheet.points[:, :2], portrait.size),
        )


def _sheet_in_light(portrait: Portrait) -> tuple[Sheet, Shading]:
    """The sheet over a portrait, and the light on it."""
    sheet = lay_sheet(portrait)
    return sheet, Shading(portrait, sheet)


def _texture(portrait: Portrait) -> ImageArray:
    """The person with alpha, uint8 RGBA, at DETAIL times the frame's density.

    Above the frame it goes on a little and fades: a crown that the frame cuts must not end in an
    edge, nor in streaks, when the head comes down.
    """
    import cv2

    alpha = np.rint(portrait.layers.alpha * 255).astype(np.uint8)
    layer = np.dstack([without_teeth(portrait), alpha])
    size = portrait.size * DETAIL
    large = cv2.resize(layer, (size, size), interpolation=cv2.INTER_CUBIC)
    crown = _crown_rows(portrait.size)
    large = cv2.copyMakeBorder(large, crown, 0, 0, 0, cv2.BORDER_REFLECT)
    fade = np.linspace(0, 1, crown, dtype=np.float32)[:, None]
    large[:crown, :, 3] = np.rint(large[:crown, :, 3] * fade)
    return np.asarray(large, np.uint8)


def _crown_rows(size: int) -> int:
    """How many rows of the texture lie above the frame."""
    return round(CROWN * size * DETAIL)


def _places_in_texture(points: Float32Array, size: int) -> Float32Array:
    """Where in the texture points of the picture lie, (N, 2); pixel centres are whole numbers."""
    places = (points + 0.5) * DETAIL - 0.5
    places[:, 1] += _crown_rows(size)
    return np.ascontiguousarray(places, np.float32)
