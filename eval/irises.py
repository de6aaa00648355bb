"""Where eyes look, read from the irises themselves.

FaceMesh's iris points hang back where an eye looks aside: of irises painted 15° aside they show
eight to twelve. So the disc of the iris as it is at rest is sought in the picture (masked template
matching), between corners of the eye that FaceMesh finds; its way there, over the radius of an
eyeball, is the sine of the angle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.generate.eyes import BALL_RADIUS
from vasari.generate.topology import LEFT_IRIS, RIGHT_IRIS

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
ImageArray = npt.NDArray[np.uint8]

# FaceMesh points of each eye: outer and inner corner, iris (centre first).
EYES: tuple[tuple[int, int, Sequence[int]], ...] = (
    (33, 133, RIGHT_IRIS),
    (263, 362, LEFT_IRIS),
)
MAGNIFIED = 4  # times, to match finer than a pixel
DISC = 1.1  # of the iris' radius: what is matched
REACH = 0.9  # cm from its place at rest within which the iris is sought: 48°


@dataclass(frozen=True)
class _Eye:
    """One eye at rest."""

    outer: int  # mesh points at its corners
    inner: int
    corners: Float32Array  # (2, 2) pixels
    disc: Float32Array  # (D, D) grey, magnified
    mask: Float32Array  # (D, D) 1 inside the disc
    centre: Float32Array  # (2,) pixels


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

    def read(self, picture: ImageArray, mesh: Float32Array) -> Float64Array:
        """Where the eyes look in the head, mean of both, (2,) degrees: yaw and pitch."""
        shifts = np.mean([self._shift(eye, picture, mesh) for eye in self._eyes], axis=0)
        sines = np.clip(shifts / self._scale / BALL_RADIUS, -1, 1)
        return np.asarray(np.degrees(np.arcsin(sines)) * (1, -1))

    def _shift(self, eye: _Eye, picture: ImageArray, mesh: Float32Array) -> Float64Array:
        """How far an iris is from its place at rest, (2,) pixels."""
        import cv2

        home = _between(mesh[[eye.outer, eye.inner], :2], eye.corners)
        reach = round(REACH * self._scale * MAGNIFIED)
        around = _magnified(picture, home, eye.centre, reach + len(eye.disc) // 2)
        errors = cv2.matchTemplate(around, eye.disc, cv2.TM_SQDIFF, mask=eye.mask)
        down, right = np.unravel_index(errors.argmin(), errors.shape)
        return np.array([right - reach, down - reach]) / MAGNIFIED


def _rest(
    picture: ImageArray, mesh: Float32Array, outer: int, inner: int, iris: Sequence[int]
) -> _Eye:
    """An eye at rest."""
    points = mesh[list(iris), :2]
    radius = DISC * np.linalg.norm(points[1:] - points[0], axis=1).mean() * MAGNIFIED
    still = np.eye(2, 3, dtype=np.float32)
    disc = _magnified(picture, still, points[0], round(radius))
    offsets = np.arange(len(disc)) - len(disc) // 2
    mask = (np.hypot(*np.meshgrid(offsets, offsets)) <= radius).astype(np.float32)
    return _Eye(outer, inner, mesh[[outer, inner], :2], disc, mask, points[0])


def _between(now: Float32Array, rest: Float32Array) -> Float32Array:
    """The turn, scaling and shift, (2, 3), that brings a pair of points onto another."""
    way, goal = (complex(*(pair[1] - pair[0])) for pair in (now, rest))
    turn = goal / way
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    shift = rest.mean(axis=0) - matrix @ now.mean(axis=0)
    return np.hstack([matrix, shift[:, None]]).astype(np.float32)


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
