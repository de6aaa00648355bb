"""Where eyes look, read from the irises themselves.

FaceMesh's iris points hang back where an eye looks aside: of irises painted 15° aside they show
eight to twelve. So the disc of the iris as it is at rest is sought in the picture (masked template
matching; what lids cover, then or now, is left out). The head is held still by its skin
(`vasari.eval.stabilisation`). The way of the iris over the radius of an eyeball is the sine of the
angle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.eval.stabilisation import HeadStabiliser
from vasari.generate.eyes import BALL_RADIUS
from vasari.generate.topology import (
    LEFT_IRIS,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    RIGHT_IRIS,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
)

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
ImageArray = npt.NDArray[np.uint8]

# FaceMesh points of each eye: lids from the outer to the inner corner, iris (centre first).
EYES: tuple[tuple[Sequence[int], Sequence[int], Sequence[int]], ...] = (
    (RIGHT_UPPER_LID, RIGHT_LOWER_LID, RIGHT_IRIS),
    (LEFT_UPPER_LID, LEFT_LOWER_LID, LEFT_IRIS),
)
MAGNIFIED = 4  # times, to match finer than a pixel
DISC = 1.1  # of the iris' radius: what is matched
ENOUGH = 0.4  # of what shows of the disc at rest that must show where it is sought
LID = 0.12  # of the iris' radius: how far inside the lids' edges an iris is sure to show
REACH = 0.9  # cm from its place at rest within which the iris is sought: 48°


@dataclass(frozen=True)
class _Eye:
    """One eye at rest."""

    rim: tuple[int, ...]  # mesh points along its lids, from the outer corner and back to it
    disc: Float32Array  # (D, D) grey, magnified
    mask: Float32Array  # (D, D) 1 inside the disc, where no lid covers it
    lid: int  # magnified pixels inside the lids' edges from which an eye is sure to show
    centre: Float32Array  # (2,) pixels
    depth: float  # of its lids, pixels as in the mesh


class Irises:
    """Reads a portrait's eyes.

    Args:
        picture: (S, S, 3), eyes that look ahead.
        mesh: (478, 3) pixels, the face in it.
        scale: pixels per cm.
    """

    def __init__(self, picture: ImageArray, mesh: Float32Array, scale: float) -> None:
        self._scale = scale
        self._eyes = [_rest(picture, mesh, *eye) for eye in EYES]
        self._head = HeadStabiliser(picture, mesh, scale, [eye.rim for eye in self._eyes])

    def read(self, picture: ImageArray, mesh: Float32Array) -> Float64Array:
        """Where the eyes look in the head, mean of both, (2,) degrees: yaw and pitch.

        Not a number where both are shut.
        """
        homes = self._head.homes(picture, mesh, [eye.depth for eye in self._eyes])
        pairs = zip(self._eyes, homes, strict=True)
        shifts = np.array([self._shift(eye, picture, mesh, home) for eye, home in pairs])
        seen = shifts[np.isfinite(shifts).all(axis=1)]
        if not len(seen):
            return np.full(2, np.nan)
        sines = np.clip(seen.mean(axis=0) / self._scale / BALL_RADIUS, -1, 1)
        return np.asarray(np.degrees(np.arcsin(sines)) * (1, -1))

    def _shift(
        self, eye: _Eye, picture: ImageArray, mesh: Float32Array, home: Float32Array
    ) -> Float64Array:
        """How far an iris is from its place at rest, (2,) pixels; not a number if it is hidden."""
        reach = round(REACH * self._scale * MAGNIFIED)
        wide = reach + len(eye.disc) // 2
        around = _magnified(picture, home, eye.centre, wide)
        rim = mesh[list(eye.rim), :2] @ home[:, :2].T + home[:, 2]
        errors = _misfits(eye, around, _opening(rim, eye.centre, wide, eye.lid))
        if not np.isfinite(errors).any():
            return np.full(2, np.nan)
        down, right = np.unravel_index(errors.argmin(), errors.shape)
        return np.array([right - reach, down - reach]) / MAGNIFIED


def _rest(
    picture: ImageArray,
    mesh: Float32Array,
    upper: Sequence[int],
    lower: Sequence[int],
    iris: Sequence[int],
) -> _Eye:
    """An eye at rest."""
    points = mesh[list(iris), :2]
    radius = DISC * np.linalg.norm(points[1:] - points[0], axis=1).mean() * MAGNIFIED
    still = np.eye(2, 3, dtype=np.float32)
    disc = _magnified(picture, still, points[0], round(radius))
    offsets = np.arange(len(disc)) - len(disc) // 2
    mask = (np.hypot(*np.meshgrid(offsets, offsets)) <= radius).astype(np.float32)
    rim, lid = (*upper, *lower[-2:0:-1]), round(LID * radius / DISC)
    mask *= _opening(mesh[list(rim), :2], points[0], len(disc) // 2, lid)
    return _Eye(rim, disc, mask, lid, points[0], float(mesh[list(rim), 2].mean()))


def _opening(rim: Float32Array, centre: Float32Array, reach: int, lid: int) -> Float32Array:
    """1 where an eye is sure to show, (2 reach + 1,) square and magnified like `_magnified`.

    Args:
        rim: (N, 2) pixels of the portrait at rest, along the lids.
        centre: (2,) pixels, the middle of the square.
        reach: magnified pixels on each side.
        lid: see `_Eye`.
    """
    import cv2

    square = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    edge = np.rint(MAGNIFIED * (rim - centre) + reach).astype(np.int32)
    cv2.fillPoly(square, [edge], 1.0)
    return np.asarray(cv2.erode(square, np.ones((2 * lid + 1, 2 * lid + 1), np.uint8)))


def _misfits(eye: _Eye, around: Float32Array, shown: Float32Array) -> Float32Array:
    """The mean squared difference between the disc and each place, of what shows in both."""
    import cv2

    def count(template: Float32Array, picture: Float32Array) -> Float32Array:
        return np.asarray(cv2.matchTemplate(picture, template, cv2.TM_CCORR))

    disc, there = eye.disc / 255 - 0.5, around / 255 - 0.5
    common = count(eye.mask, shown)
    errors = (
        count(eye.mask * disc**2, shown)
        - 2 * count(eye.mask * disc, shown * there)
        + count(eye.mask, shown * there**2)
    )
    hidden = common < max(ENOUGH * eye.mask.sum(), 1)
    return np.asarray(np.where(hidden, np.inf, errors / np.maximum(common, 1)), np.float32)


def _magnified(
    picture: ImageArray, home: Float32Array, centre: Float32Array, reach: int
) -> Float32Array:
    """What lies around a point of the portrait at rest, grey and magnified, (2 reach + 1,) square.

    Args:
        picture: what is looked at.
        home: (2, 3), from its pixels to those of the portrait at rest.
        centre: (2,) pixels of the portrait at rest.
        reach: magnified pixels on each side.
    """
    import cv2

    size = 2 * reach + 1
    to_crop = MAGNIFIED * home
    to_crop[:, 2] += reach - MAGNIFIED * centre
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(cv2.warpAffine(grey, to_crop, (size, size), flags=cv2.INTER_CUBIC))
