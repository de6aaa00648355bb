"""Where everything stands in many frames at once, in PyTorch: from poses to points in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vasari.generate.blendshapes import jaw_drop
from vasari.generate.figure import Figure
from vasari.generate.motion import ARKIT_INDEX
from vasari.generate.mouth import jaw_anchors
from vasari.generate.portrait import Portrait
from vasari.generate.pose import BODY_FOLLOWS
from vasari.generate.render import NARROW_SHADE, NARROWEST, Pose
from vasari.generate.topology import ALL_POINTS, FACE_OVAL, LOWER_LIP_INNER, UPPER_LIP_INNER
from vasari.generate.torch_patch import upload

Float32Array = npt.NDArray[np.float32]

_JAW_OPEN, _TONGUE_OUT = ARKIT_INDEX["jawOpen"], ARKIT_INDEX["tongueOut"]
_CORNERS = [UPPER_LIP_INNER[0], UPPER_LIP_INNER[-1]]


@dataclass(frozen=True)
class Stand:
    """Where everything stands in B frames; pixels, the third coordinate for the order in depth."""

    sheet: torch.Tensor  # (B, N, 3)
    mesh: torch.Tensor  # (B, 478, 3)
    skull: torch.Tensor  # (B, A, 3), the anchors that were asked for
    upper: torch.Tensor  # (B, 3, 3), the anchors of the mouth's upper drawing
    lower: torch.Tensor  # (B, 3, 3), and of its lower one
    balls: list[torch.Tensor]  # (B, 16, 3) for each eye, its rim had no lid moved
    turned: torch.Tensor  # (B, 3, 3), the head's rotation
    light: torch.Tensor  # (B,) 0..1, what gets into the mouth


class Geometry:
    """The points of one portrait.

    Args:
        portrait: whose.
        figure: that portrait's.
        skull: (A, 3) pixels of the portrait, further points that move with the head.
        device: where it is worked out.
    """

    def __init__(
        self, portrait: Portrait, figure: Figure, skull: Float32Array, device: torch.device
    ) -> None:
        def there(array: npt.NDArray[Any]) -> torch.Tensor:
            return upload(array, device)

        placement, sheet = portrait.placement, figure.sheet
        self._device = device
        camera = self._camera = figure.camera
        self._axis = there(np.append(camera.axis, camera.depth))
        self._joint = there(camera.solid_joint)
        self._per_cm = there(np.array([1, -1, -1]) * camera.scale)  # right, up, nearer
        self._rest, self._shapes = there(figure.rest), there(figure.shapes.reshape(52, -1))
        self._own, self._give = there(portrait.mesh), there(figure.give)
        self._place = there(placement.rotation.T * placement.scale), there(placement.offset)
        self._sheet, self._stretch = there(sheet.points), there(sheet.stretch)
        self._pulled = there(sheet.pulled).long()
        self._oval = torch.tensor(FACE_OVAL, device=device)
        self._lips = tuple(
            torch.tensor(lip, device=device) for lip in (UPPER_LIP_INNER, LOWER_LIP_INNER)
        )
        self._corners = torch.tensor(_CORNERS, device=device)
        self._width = float(np.ptp(figure.rest[_CORNERS, 0]))
        still = [skull, *(portrait.mesh[list(eye.rim)] for eye in figure.eyes)]
        self._still, self._sizes = there(np.concatenate(still)), [len(part) for part in still]
        # The jaw's drawing goes straight: what an open jaw and a tongue that is out add to it.
        mouth = figure.mouth
        upper, lower = jaw_anchors(mouth, 0.0, 0.0)
        tongue = jaw_anchors(mouth, 0.0, 1.0)[1] - lower
        self._drawings, self._tongue = there(np.stack([upper, lower])), there(tongue)
        self._drop = there(jaw_drop(mouth.anchors[:1], mouth.size))
        rest = ALL_POINTS + len(upper) + len(lower) + sum(self._sizes)
        self._share = there(np.concatenate([sheet.head_share, np.ones(rest, np.float32)]))

    def stand(self, poses: Sequence[Pose]) -> Stand:
        """Where everything stands at some poses."""
        expression, translation, turned = self._uploaded(poses)
        face = self._express(expression)
        scale, offset = self._place
        mesh = face @ scale + offset
        drawings = self._mouth(expression) @ scale + offset
        still = self._still.expand(len(poses), -1, -1)
        points = [self._moved_sheet(mesh), mesh, drawings[:, 0], drawings[:, 1], still]
        shown = self._project(torch.cat(points, 1), turned, translation)
        sizes = [points[0].shape[1], ALL_POINTS, 3, 3, *self._sizes]
        sheet, mesh, upper, lower, skull, *balls = shown.split(sizes, 1)
        return Stand(sheet, mesh, skull, upper, lower, balls, turned, self._mouth_light(face))

    def _uploaded(self, poses: Sequence[Pose]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Expressions, (B, 52), shifts, (B, 3) cm, and the head's rotations, (B, 3, 3)."""
        columns = (
            [pose.expression for pose in poses],
            [pose.translation for pose in poses],
            [self._camera.turned(pose.rotation) for pose in poses],
        )
        expression, translation, turned = (
            upload(np.stack(column), self._device) for column in columns
        )
        return expression, translation, turned

    def _express(self, expression: torch.Tensor) -> torch.Tensor:
        """The face in its own frame, (B, 478, 3) cm, lips never passing through each other."""
        moved = expression @ self._shapes
        face = self._rest + moved.reshape(len(expression), ALL_POINTS, 3)
        upper, lower = self._lips
        above, below = face[:, upper], face[:, lower]
        crossed = (below[..., 1] < above[..., 1])[..., None]
        met = (above + below) / 2
        face[:, upper] = torch.where(crossed, met, above)
        face[:, lower] = torch.where(crossed, met, below)
        return face

    def _mouth(self, expression: torch.Tensor) -> torch.Tensor:
        """The anchors of the mouth's drawings, upper and lower, (B, 2, 3, 3) cm."""
        drawings = self._drawings.repeat(len(expression), 1, 1, 1)
        opening, tongue = expression[:, _JAW_OPEN], expression[:, _TONGUE_OUT]
        drawings[:, 1] += opening[:, None, None] * self._drop
        drawings[:, 1] += tongue[:, None, None] * self._tongue
        return drawings

    def _mouth_light(self, face: torch.Tensor) -> torch.Tensor:
        across = face[:, self._corners, 0]
        narrowed = (1 - (across[:, 0] - across[:, 1]).abs() / self._width) / NARROWEST
        return 1 - NARROW_SHADE * narrowed.clamp(0, 1)

    def _moved_sheet(self, mesh: torch.Tensor) -> torch.Tensor:
        """The sheet's points, (B, N, 3) pixels, with an expression, before the head moves."""
        moved = self._give * (mesh - self._own)
        points = self._sheet.repeat(len(mesh), 1, 1)
        points[:, :ALL_POINTS] += moved
        points[:, self._pulled] += self._stretch @ moved[:, self._oval]
        return points

    def _project(
        self, points: torch.Tensor, turned: torch.Tensor, translation: torch.Tensor
    ) -> torch.Tensor:
        """Move points, (B, P, 3), and see them through a pinhole: `Camera.project`."""
        reach, joint = self._camera.reach, self._joint
        solid = points - self._axis
        solid[..., :2] *= (reach + solid[..., 2:]) / reach
        shift = translation * self._per_cm
        follows = torch.full_like(shift, BODY_FOLLOWS)
        # The whole body comes nearer; only the head withdraws.
        follows[:, 2] = (translation[:, 2] >= 0).to(torch.float32)
        share = self._share[:, None]
        head = (solid - joint) @ turned.transpose(1, 2) + joint + shift[:, None]
        body = solid + (follows * shift)[:, None]
        moved = body + share * (head - body)
        near = reach / (reach + moved[..., 2:])
        return torch.cat([moved[..., :2] * near, moved[..., 2:]], -1) + self._axis
