"""A head held still: what brings a moved face home to where it was at rest.

All of FaceMesh's points follow the irises a little, most of all up and down. So the head is held by
its skin, followed in the picture (pyramidal Lucas-Kanade, Bouguet 2001) from where the points say
that it is, and seen by an affine camera, as a nose goes farther than an eye where a head turns.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vasari.generate.topology import RIGID_POINTS

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
ImageArray = npt.NDArray[np.uint8]

SKIN_POINTS, SKIN_SPACE = 200, 0.2  # at most so many that are followed, so many cm apart
SKIN_REACH = 5.5  # cm from between the eyes; farther out, FaceMesh's depth is less sure
SKIN_QUALITY = 0.01  # of the best corner's, at which a point of skin can be followed (Shi & Tomasi)
LIDS_REACH = 0.8  # cm around an eye in which skin goes with the lids
FLOW_WINDOW, FLOW_LEVELS = 1.5, 2  # cm that are compared; halvings
FOLLOWED = 0.05  # cm: by so much a point may miss its place when it is followed back
ENOUGH_SKIN = 12  # points: with fewer the mesh's own place is kept
CAMERA_ROUNDS = 5  # of weighting
LEAST_MISS = 0.1  # pixels: nearer points weigh no more


class HeadStabiliser:
    """Holds one head still.

    Args:
        picture: (S, S, 3), the head at rest.
        mesh: (478, 3) pixels, the face in it.
        scale: pixels per cm.
        rims: mesh points around each eye, whose lids move by themselves.
    """

    def __init__(
        self,
        picture: ImageArray,
        mesh: Float32Array,
        scale: float,
        rims: Sequence[Sequence[int]],
    ) -> None:
        self._scale = scale
        self._head = mesh[list(RIGID_POINTS), :2]
        self._picture = _grey(picture)
        self._skin = _skin(self._picture, mesh, scale, rims)

    def homes(
        self, picture: ImageArray, mesh: Float32Array, depths: Sequence[float]
    ) -> list[Float32Array]:
        """What brings places of each depth home, (2, 3), from a picture to the one at rest.

        Args:
            picture: (S, S, 3).
            mesh: (478, 3) pixels, the face in it.
            depths: of the places at rest, pixels as in the mesh.
        """
        import cv2

        home = _between(mesh[list(RIGID_POINTS), :2], self._head)
        now = cv2.warpAffine(_grey(picture), home, self._picture.shape[::-1])
        kept, to = _followed(self._picture, now, self._skin[:, :2].copy(), self._scale)
        if kept.sum() < ENOUGH_SKIN:
            return [home] * len(depths)
        camera = _camera(self._skin[kept], to[kept])
        return [_after(_back(camera, depth), home) for depth in depths]


def _skin(
    grey: ImageArray, mesh: Float32Array, scale: float, rims: Sequence[Sequence[int]]
) -> Float32Array:
    """Points of skin that move with the skull and can be followed, (N, 3) pixels and depth."""
    import cv2

    area = np.zeros(grey.shape, np.uint8)
    hull = cv2.convexHull(mesh[list(RIGID_POINTS), :2])
    cv2.fillConvexPoly(area, np.rint(hull).astype(np.int32), 255)
    eyes = [np.ascontiguousarray(mesh[list(rim), :2]) for rim in rims]
    between = np.mean([eye.mean(axis=0) for eye in eyes], axis=0)
    near = np.zeros_like(area)
    cv2.circle(near, np.rint(between).astype(int).tolist(), round(SKIN_REACH * scale), 255, -1)
    area &= near
    for eye in eyes:
        rim = np.rint(cv2.convexHull(eye)).astype(np.int32)
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
        weights = 1 / np.sqrt(np.maximum(np.linalg.norm(rows @ way - seen, axis=1), LEAST_MISS))
    return np.asarray(way.T)


def _back(camera: Float64Array, depth: float) -> Float64Array:
    """The way back, (2, 3), of what a camera sees of the points in one depth."""
    inverse = np.linalg.inv(camera[:, :2])
    return np.column_stack([inverse, -inverse @ (camera[:, 2] * depth + camera[:, 3])])


def _between(now: Float32Array, rest: Float32Array) -> Float32Array:
    """The turn, scaling and shift, (2, 3), that brings points, (N, 2), nearest to others."""
    way, goal = ((points - points.mean(axis=0)) @ [1, 1j] for points in (now, rest))
    turn = np.vdot(way, goal) / np.vdot(way, way)
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    shift = rest.mean(axis=0) - matrix @ now.mean(axis=0)
    return np.hstack([matrix, shift[:, None]]).astype(np.float32)


def _after(second: Float64Array, first: Float32Array) -> Float32Array:
    """One affine map, (2, 3), after another."""
    linear, shift = second[:, :2], second[:, 2]
    return np.column_stack([linear @ first[:, :2], linear @ first[:, 2] + shift]).astype(np.float32)


def _grey(picture: ImageArray) -> ImageArray:
    import cv2

    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
