"""Where eyes look, read from the irises themselves.

FaceMesh's iris points hang back where an eye looks aside: of irises painted 15° aside they show
eight to twelve. So the disc of the iris as it is at rest is sought in the picture (masked template
matching; what lids cover, then or now, is left out). All of FaceMesh's points follow the irises a
little, by two fifths of their way up and down. So the head is held still by the skin itself,
followed in the picture (pyramidal Lucas-Kanade, Bouguet 2001) from where the points say that it
is, and seen by an affine camera, as a nose goes farther than an eye where a head turns. The way of
the iris over the radius of an eyeball is the sine of the angle.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.generate.eyes import BALL_RADIUS
from vasari.generate.topology import (
    LEFT_IRIS,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    RIGHT_IRIS,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    RIGID_POINTS,
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
SKIN_POINTS, SKIN_SPACE = 200, 0.2  # at most so many that are followed, so many cm apart
SKIN_REACH = 5.5  # cm from between the eyes; farther out, FaceMesh's depth is less sure
SKIN_QUALITY = 0.01  # of the best corner's, at which a point of skin can be followed (Shi & Tomasi)
LIDS_REACH = 0.8  # cm around an eye in which skin goes with the lids
FLOW_WINDOW, FLOW_LEVELS = 1.5, 2  # cm that are compared; halvings
FOLLOWED = 0.05  # cm: by so much a point may miss its place when it is followed back
ENOUGH_SKIN = 12  # points: with fewer the mesh's own place is kept
CAMERA_ROUNDS = 5  # of weighting


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
        self._head = mesh[list(RIGID_POINTS), :2]
        self._eyes = [_rest(picture, mesh, *eye) for eye in EYES]
        self._picture = _grey(picture)
        self._skin = _skin(self._picture, mesh, scale)

    def read(self, picture: ImageArray, mesh: Float32Array) -> Float64Array:
        """Where the eyes look in the head, mean of both, (2,) degrees: yaw and pitch.

        Not a number where both are shut.
        """
        homes = zip(self._eyes, self._homes(picture, mesh), strict=True)
        shifts = np.array([self._shift(eye, picture, mesh, home) for eye, home in homes])
        seen = shifts[np.isfinite(shifts).all(axis=1)]
        if not len(seen):
            return np.full(2, np.nan)
        sines = np.clip(seen.mean(axis=0) / self._scale / BALL_RADIUS, -1, 1)
        return np.asarray(np.degrees(np.arcsin(sines)) * (1, -1))

    def _homes(self, picture: ImageArray, mesh: Float32Array) -> list[Float32Array]:
        """What brings each eye home, (2, 3), from the picture to the portrait at rest."""
        import cv2

        home = _between(mesh[list(RIGID_POINTS), :2], self._head)
        now = cv2.warpAffine(_grey(picture), home, self._picture.shape[::-1])
        kept, to = _followed(self._picture, now, self._skin[:, :2].copy(), self._scale)
        if kept.sum() < ENOUGH_SKIN:
            return [home] * len(self._eyes)
        camera = _camera(self._skin[kept], to[kept])
        return [_after(_back(camera, eye.depth), home) for eye in self._eyes]

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


def _skin(grey: ImageArray, mesh: Float32Array, scale: float) -> Float32Array:
    """Points of skin that move with the skull and can be followed, (N, 3) pixels and depth."""
    import cv2

    area = np.zeros(grey.shape, np.uint8)
    hull = cv2.convexHull(mesh[list(RIGID_POINTS), :2])
    cv2.fillConvexPoly(area, np.rint(hull).astype(np.int32), 255)
    between = np.mean([mesh[[*upper, *lower], :2].mean(axis=0) for upper, lower, _ in EYES], axis=0)
    near = np.zeros_like(area)
    cv2.circle(near, np.rint(between).astype(int).tolist(), round(SKIN_REACH * scale), 255, -1)
    area &= near
    for upper, lower, _ in EYES:
        rim = np.rint(cv2.convexHull(mesh[[*upper, *lower], :2])).astype(np.int32)
        cv2.polylines(area, [rim], True, 0, round(2 * LIDS_REACH * scale))
        cv2.fillConvexPoly(area, rim, 0)
    found = cv2.goodFeaturesToTrack(grey, SKIN_POINTS, SKIN_QUALITY, SKIN_SPACE * scale, mask=area)
    if found is None:
        return np.zeros((0, 3), np.float32)
    points = found[:, 0]
    nearest = np.linalg.norm(points[:, None] - mesh[:, :2], axis=2).argmin(axis=1)
    return np.column_stack([points, mesh[nearest, 2]]).astype(np.float32)


def _followed(
    before: ImageArray, now: ImageArray, points: Float32Array, scale: float
) -> tuple[npt.NDArray[np.bool_], Float32Array]:
    """Where points, (N, 2), have gone: which were found, and came back when followed back."""
    import cv2

    if not len(points):
        return np.zeros(0, np.bool_), points
    flow = functools.partial(
        cv2.calcOpticalFlowPyrLK, winSize=(round(FLOW_WINDOW * scale),) * 2, maxLevel=FLOW_LEVELS
    )
    to, found, _ = flow(before, now, points, np.empty_like(points))
    back, _, _ = flow(now, before, to, np.empty_like(points))
    missed = np.linalg.norm(back - points, axis=1)
    return (found[:, 0] > 0) & (missed < FOLLOWED * scale), to


def _camera(points: Float32Array, seen: Float32Array) -> Float64Array:
    """The affine camera, (2, 4), that sees points, (N, 3), where they went, (N, 2).

    What moves by itself, as brows do, weighs less with each round (least absolute deviations).
    """
    rows = np.column_stack([points, np.ones(len(points))]).astype(np.float64)
    weights = np.ones(len(rows))
    for _ in range(CAMERA_ROUNDS):
        way = np.linalg.lstsq(rows * weights[:, None], seen * weights[:, None], rcond=None)[0]
        weights = 1 / np.sqrt(np.maximum(np.linalg.norm(rows @ way - seen, axis=1), 0.1))
    return np.asarray(way.T)


def _back(camera: Float64Array, depth: float) -> Float64Array:
    """The way back, (2, 3), of what a camera sees of the points in one depth."""
    inverse = np.linalg.inv(camera[:, :2])
    return np.column_stack([inverse, -inverse @ (camera[:, 2] * depth + camera[:, 3])])


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


def _after(second: Float64Array, first: Float32Array) -> Float32Array:
    """One affine map, (2, 3), after another."""
    linear, shift = second[:, :2], second[:, 2]
    return np.column_stack([linear @ first[:, :2], linear @ first[:, 2] + shift]).astype(np.float32)


def _grey(picture: ImageArray) -> ImageArray:
    import cv2

    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))


def _between(now: Float32Array, rest: Float32Array) -> Float32Array:
    """The turn, scaling and shift, (2, 3), that brings points, (N, 2), nearest to others."""
    way, goal = ((points - points.mean(axis=0)) @ [1, 1j] for points in (now, rest))
    turn = np.vdot(way, goal) / np.vdot(way, way)
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
    grey = _grey(picture).astype(np.float32)
    return np.asarray(cv2.warpAffine(grey, to_crop, (size, size), flags=cv2.INTER_CUBIC))
