"""Turning, moving and projecting the head: from a pose to points in the frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.generate.motion import PORTRAIT_DISTANCE_CM
from vasari.generate.template import Placement
from vasari.generate.topology import CHIN

Float32Array = npt.NDArray[np.float32]

# The joint between skull and spine, in the face's own frame: cm right, down and back of the eyes.
NECK_JOINT = (0.0, 4.0, 9.0)
THROAT = 2.0  # cm below the chin: what stays in place when the head comes nearer
MAX_YAW = 75.0  # degrees: a turn approaches this and never passes it
MIN_YAW_BACK = 8.0  # the same for an oblique head that turns its hidden side to the viewer
MIN_YAW_ON = 9.0  # and for one that turns on toward its profile, where a flat nose would show
OBLIQUE = 20.0  # degrees of own yaw at which that holds in full
BODY_FOLLOWS = 0.15  # of the head's shift


@dataclass(frozen=True)
class Camera:
    """A pinhole camera before the portrait that shows it as it is (weak perspective undone)."""

    scale: float  # pixels per cm at the depth of the eyes
    joint: Float32Array  # (3,) pixels: the point about which the head turns
    axis: Float32Array  # (2,) pixels: where the optical axis meets the frame
    depth: float  # pixels: the depth of the eyes
    own_yaw: float  # degrees: how far the head is turned in the portrait itself

    @classmethod
    def before(cls, mesh: Float32Array, placement: Placement) -> Camera:
        """The camera that took a face, (478, 3) pixels, at the distance of a portrait."""
        joint = placement.place(np.array(NECK_JOINT, np.float32))
        throat = mesh[CHIN, :2] + placement.rotation[:2, 1] * THROAT * placement.scale
        own_yaw = np.degrees(np.arctan2(-placement.rotation[0, 2], placement.rotation[2, 2]))
        return cls(
            placement.scale,
            joint,
            throat.astype(np.float32),
            float(placement.offset[2]),
            float(own_yaw),
        )

    @property
    def reach(self) -> float:
        """Pixels from the pinhole to the depth of the eyes."""
        return PORTRAIT_DISTANCE_CM * self.scale

    @property
    def solid_joint(self) -> Float32Array:
        """The joint before the pinhole flattens it, (3,) pixels from the axis at eyes' depth."""
        depth = self.joint[2] - self.depth
        flat = self.joint[:2] - self.axis
        return np.append(flat * (self.reach + depth) / self.reach, depth).astype(np.float32)

    def project(
        self,
        points: Float32Array,
        share: Float32Array,
        rotation: Float32Array,
        translation: Float32Array,
    ) -> Float32Array:
        """Where points stand in the frame after the head has moved.

        Args:
            points: (N, 3) pixels, the portrait's own place of each.
            share: (N,) 0..1, how far each goes with the head.
            rotation: (3,) degrees, yaw, pitch, roll as in ``Motion``.
            translation: (3,) cm, right, up, nearer.

        Returns:
            (N, 3) float32 pixels, z for the order in depth.
        """
        from vasari.generate.raster import project

        shift = np.asarray(translation, np.float32) * self.scale * np.array([1, -1, -1], np.float32)
        return np.asarray(
            project(
                np.asarray(points, np.float32),
                np.asarray(share, np.float32),
                self.turned(rotation),
                shift.astype(np.float32),
                np.asarray(self.axis, np.float32),
                self.solid_joint,
                np.float32(self.depth),
                np.float32(self.reach),
                np.float32(BODY_FOLLOWS),
                # The whole body comes nearer; only the head withdraws, or the frame's edge would
                # show.
                np.float32(translation[2] >= 0),
            )
        )

    def turned(self, rotation: Float32Array) -> Float32Array:
        """The matrix, (3, 3), by which the head turns for a rotation, (3,) degrees."""
        return turn(self._limit(rotation))

    def _limit(self, rotation: Float32Array) -> Float32Array:
        """Ease a rotation off before it shows what the portrait hides."""
        yaw, pitch, roll = (float(angle) for angle in rotation)
        least = MIN_YAW_BACK if yaw * self.own_yaw < 0 else MIN_YAW_ON
        limit = MAX_YAW - (MAX_YAW - least) * min(abs(self.own_yaw) / OBLIQUE, 1)
        return np.array([limit * np.tanh(yaw / limit), pitch, roll], np.float32)


def turn(rotation: Float32Array) -> Float32Array:
    """The matrix, (3, 3), of yaw, pitch and roll in degrees; yaw is applied first.

    Axes are the image's (x right, y down, z away); signs are those of ``Motion``.
    """
    yaw, pitch, roll = (math.radians(angle) for angle in rotation)
    (sy, cy), (sp, cp), (sr, cr) = ((math.sin(a), math.cos(a)) for a in (yaw, pitch, roll))
    about_y = [[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]]
    about_x = [[1, 0, 0], [0, cp, sp], [0, -sp, cp]]
    about_z = [[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]
    return np.asarray(np.array(about_z) @ np.array(about_x) @ np.array(about_y), np.float32)


def turn_angles(matrix: Float32Array) -> Float32Array:
    """Yaw, pitch and roll, (3,) degrees, of a rotation matrix: the inverse of ``turn``."""
    yaw = np.arctan2(matrix[2, 0], matrix[2, 2])
    pitch = np.arcsin(np.clip(-matrix[2, 1], -1, 1))
    roll = np.arctan2(-matrix[0, 1], matrix[1, 1])
    return np.degrees([yaw, pitch, roll]).astype(np.float32)
