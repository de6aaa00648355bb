"""A tracked pose made more exact: what the renderer shows of it is compared with the picture.

FaceMesh's points quiver by a pixel or two, and differ from the first mesh in ways of their own.
Where the rendered skin really lies in the picture is seen by optical flow, and pose and weights are
solved for anew, held by where they were; then gaze, by what shows between the lids. Analysis by
synthesis, as Thies et al. 2016 (Face2Face) do it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vasari.generate.perform import LIPS, OPENINGS_LOWER, OPENINGS_UPPER, bounded_fit
from vasari.generate.render import Pose, Renderer
from vasari.generate.template import template
from vasari.generate.topology import (
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    MESH_POINTS,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    triangles,
)

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
ImageArray = npt.NDArray[np.uint8]
Area = tuple[slice, slice]

# Chosen on eighteen people who are not in the measurement, and on known motions. All are
# flat: twice or half as much changes little.
ROUNDS, GAZE_ROUNDS = 2, 2
# The unknowns: rotation, degrees; translation, cm; the 52 weights.
HEAD = 6
SIZES = np.repeat([3.0, 0.6, 2.0, 0.3], [3, 2, 1, 52])  # how far each may well be wrong
STEPS = np.repeat([0.5, 0.2, 0.1], [3, 3, 52])  # for derivatives
TRUST = 10.0  # in the first estimate: its points err alike, and so do those of the flow
OPENING_TRUST = 8.0  # and in how far apart lips and lids are, which flow does not see well
LIP_WEIGHT = 2.0  # lips are small and matter most

# Optical flow.
MARGIN = 24  # pixels around the face in which it is looked for
SMOOTHING = 1.0  # pixels, of the picture whose edges hold the flow
WINDOW = 3.0  # pixels over which it is averaged
AGREEMENT = 2.0  # pixels by which the way there and back may differ
SURE = 0.3  # pixels: no point is known better
NOISE = 1.9  # levels of grey
LEAST_AREA = 0.05  # of the median point's: the skin around points seen from aside is not seen

# Gaze.
GAZE_STEP = 3.0  # degrees, for derivatives
GAZE_SIZE = 6.0  # degrees by which the first estimate may well be wrong
MAX_GAZE_STEP = 8.0  # degrees a round
EYE_NOISE = 20.0  # levels: glints and lashes are not rendered as they are
EYE_MARGIN = 8  # pixels
LEAST_EYE = 10  # pixels

_EYES = (RIGHT_UPPER_LID + RIGHT_LOWER_LID, LEFT_UPPER_LID + LEFT_LOWER_LID)
_UPPER, _LOWER = list(OPENINGS_UPPER), list(OPENINGS_LOWER)


def refine(renderer: Renderer, pose: Pose, picture: ImageArray) -> Pose:
    """The pose in which a portrait is most like a picture, near a first estimate.

    Args:
        renderer: the portrait's; without a touch-up, which would only cost time.
        pose: the estimate, as a `Tracker` gives it.
        picture: (S, S, 3) sRGB, of the portrait's size.
    """
    start = _unknowns(pose)
    refined = pose
    for _ in range(ROUNDS):
        refined = _moved(refined, _solved(renderer, refined, picture, start))
    for _ in range(GAZE_ROUNDS):
        refined = _looking(renderer, refined, picture, pose.gaze)
    return refined


def _unknowns(pose: Pose) -> Float64Array:
    return np.concatenate([pose.rotation, pose.translation, pose.expression]).astype(np.float64)


def _moved(pose: Pose, unknowns: Float64Array) -> Pose:
    """The pose with other unknowns, (58,)."""
    rotation, translation, expression = np.split(unknowns.astype(np.float32), [3, HEAD])
    return Pose(expression, rotation, translation, pose.gaze)


def _solved(
    renderer: Renderer, pose: Pose, picture: ImageArray, start: Float64Array
) -> Float64Array:
    """The unknowns, (58,), that carry the face to where the flow finds it.

    Args:
        renderer: the portrait's.
        pose: what is rendered and compared.
        picture: (S, S, 3) sRGB.
        start: (58,), the first estimate.
    """
    now = _unknowns(pose)
    points = skin_points(renderer, pose)
    slopes = _slopes(renderer, pose, points)
    flow, known = displacements(renderer.frame(pose), picture, points)
    known *= _shares(points)[:, None, None]
    weighed = np.einsum("pij,kpj->kpi", known, slopes)
    opening = slopes[:, _LOWER] - slopes[:, _UPPER]
    trust = np.diag(TRUST / SIZES**2) + OPENING_TRUST * np.tensordot(
        opening, opening, ([1, 2], [1, 2])
    )
    gram = np.tensordot(weighed, slopes, ([1, 2], [1, 2])) + trust
    target = np.tensordot(weighed, flow, 2) + trust @ (start - now) + gram @ now
    return _bounded_solution(gram, target, now)


def _bounded_solution(
    gram: Float64Array, target: Float64Array, start: Float64Array
) -> Float64Array:
    """The unknowns, (58,), with gram · unknowns = target but the weights in 0..1.

    The head's are free: they are eliminated first.
    """
    head, coupling = gram[:HEAD, :HEAD], gram[:HEAD, HEAD:]
    carried = np.linalg.solve(head, np.column_stack([coupling, target[:HEAD]]))
    weights = bounded_fit(
        gram[HEAD:, HEAD:] - coupling.T @ carried[:, :-1],
        target[HEAD:] - coupling.T @ carried[:, -1],
        start[HEAD:],
    )
    return np.concatenate([carried[:, -1] - carried[:, :-1] @ weights, weights])


def skin_points(renderer: Renderer, pose: Pose) -> Float64Array:
    """Where the points of the skin stand in the frame, (468, 2) pixels."""
    return renderer.face(pose)[:MESH_POINTS, :2].astype(np.float64)


def _slopes(renderer: Renderer, pose: Pose, points: Float64Array) -> Float64Array:
    """How far each unknown moves each point, (58, 468, 2) pixels per unit."""
    now, steps = _unknowns(pose), np.diag(STEPS)
    moved = [skin_points(renderer, _moved(pose, now + step)) for step in steps]
    return np.asarray((np.stack(moved) - points) / STEPS[:, None, None], np.float64)


def _shares(points: Float64Array) -> Float64Array:
    """How much each point counts, (468,): by the skin around it that is seen; lips count more."""
    corners = _facing()
    areas = _areas(points, corners)
    around = np.bincount(corners.T.ravel(), np.tile(areas, 3), MESH_POINTS)
    shares = around / np.median(around)
    shares[shares < LEAST_AREA] = 0
    shares[list(LIPS)] *= LIP_WEIGHT
    return np.asarray(shares, np.float64)


@lru_cache(maxsize=1)
def _facing() -> npt.NDArray[np.int32]:
    """The triangles of the skin, (K, 3), whose area is positive where they face the viewer."""
    corners = triangles().copy()
    away = _areas(template()[:, :2].astype(np.float64), corners) < 0
    corners[away] = corners[away][:, ::-1]
    return corners


def _areas(points: Float64Array, corners: npt.NDArray[np.int32]) -> Float64Array:
    """Twice the areas of triangles, (K,), of points, (N, 2)."""
    first, second, third = (points[corners[:, k]] for k in range(3))
    side, other = second - first, third - first
    return np.asarray(side[:, 0] * other[:, 1] - side[:, 1] * other[:, 0], np.float64)


def displacements(
    shown: ImageArray, picture: ImageArray, points: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Where the points of a rendered face lie in the picture, and how well that is known.

    Flow along an edge is a guess: what is known of each point is as much as the edges around it
    tell (Lucas & Kanade 1981), less where the way there and the way back differ.

    Args:
        shown: (S, S, 3) sRGB, as rendered.
        picture: (S, S, 3) sRGB.
        points: (468, 2) pixels, in what is shown.

    Returns:
        (468, 2) pixels from the points, and (468, 2, 2) per squared pixel, the inverse covariance.
    """
    import cv2

    area = _window(points, len(shown), MARGIN)
    first, second = (cv2.cvtColor(image[area], cv2.COLOR_RGB2GRAY) for image in (shown, picture))
    inside = points - [area[1].start, area[0].start]
    there, agreed = _flow(first, second)
    smooth = cv2.GaussianBlur(first, (0, 0), SMOOTHING)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    planes = [there[..., 0], there[..., 1], np.ones_like(agreed)]
    planes += [across * across, across * down, down * down]
    averaged = cv2.GaussianBlur(agreed[..., None] * np.dstack(planes), (0, 0), WINDOW)
    right, below, weight, xx, xy, yy = _sampled(averaged, inside).T
    flow = np.stack([right, below], axis=1) / np.maximum(weight, 1e-6)[:, None]
    edges = np.stack([xx, xy, xy, yy], axis=1).reshape(-1, 2, 2) / NOISE**2
    known = edges @ np.linalg.inv(np.eye(2) + SURE**2 * edges)
    known[((inside < 0) | (inside > np.array(first.shape[::-1]) - 1)).any(axis=1)] = 0
    return flow, known


def _flow(first: ImageArray, second: ImageArray) -> tuple[Float32Array, Float32Array]:
    """Flow from one grey picture to another (Kroeger et al. 2016), and how far both ways agree.

    Returns:
        (h, w, 2) pixels, and (h, w) 0..1.
    """
    import cv2

    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    there, back = dis.calc(first, second, None), dis.calc(second, first, None)
    y, x = np.mgrid[: first.shape[0], : first.shape[1]].astype(np.float32)
    returned = cv2.remap(
        back,
        x + there[..., 0],
        y + there[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    apart = np.square(there + returned).sum(axis=2) / AGREEMENT**2
    return there, np.exp(-apart).astype(np.float32)


def _sampled(planes: Float32Array, points: Float64Array) -> Float64Array:
    """Planes, (h, w, C), at points, (N, 2) pixels: (N, C)."""
    import cv2

    x, y = points.astype(np.float32).T[:, None]
    # OpenCV samples no more than four planes at once.
    halves = [
        cv2.remap(half, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]
        for half in (planes[..., :3].copy(), planes[..., 3:].copy())
    ]
    return np.asarray(np.concatenate(halves, axis=1), np.float64)


def _window(points: Float64Array, size: int, margin: int) -> Area:
    """The box around points, (N, 2) pixels, with a margin, in a picture of a size."""
    low = np.clip(np.floor(points.min(axis=0)) - margin, 0, size - 2 * margin).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + margin, 2 * margin, size).astype(int)
    return np.s_[low[1] : high[1], low[0] : high[0]]


def _looking(renderer: Renderer, pose: Pose, picture: ImageArray, start: Float32Array) -> Pose:
    """The pose with its gaze turned to what the picture shows between the lids.

    Args:
        renderer: the portrait's.
        pose: what is rendered and compared.
        picture: (S, S, 3) sRGB.
        start: (2,) degrees, the first estimate of the gaze.
    """
    points = skin_points(renderer, pose)
    area = _window(points[list(_EYES[0] + _EYES[1])], len(picture), EYE_MARGIN)
    turned = [replace(pose, gaze=pose.gaze + step) for step in GAZE_STEP * np.eye(2, dtype="f4")]
    shown, *others = (_grey(renderer.frame(each), area) for each in (pose, *turned))
    slopes = np.stack([other - shown for other in others]) / GAZE_STEP
    missed = _grey(picture, area) - shown
    gram, target = np.eye(2) / GAZE_SIZE**2, (start - pose.gaze) / GAZE_SIZE**2
    for eye in _EYES:
        opening = _hull(points[list(eye)] - [area[1].start, area[0].start], shown.shape)
        if opening.sum() < LEAST_EYE:
            continue
        # Whatever the light of the eye is: only what differs within it counts.
        difference = missed[opening] - missed[opening].mean()
        slope = slopes[:, opening] - slopes[:, opening].mean(axis=1, keepdims=True)
        weighed = slope / (EYE_NOISE**2 + np.square(difference / 3))
        gram = gram + weighed @ slope.T
        target = target + weighed @ difference
    step = np.clip(np.linalg.solve(gram, target), -MAX_GAZE_STEP, MAX_GAZE_STEP)
    return replace(pose, gaze=(pose.gaze + step).astype(np.float32))


def _grey(image: ImageArray, area: Area) -> Float32Array:
    """A part of a picture without colour, smoothed, (h, w) levels."""
    import cv2

    grey = cv2.cvtColor(image[area].astype(np.float32), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), SMOOTHING), np.float32)


def _hull(points: Float64Array, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Which pixels of a picture lie within the convex hull of points, (N, 2)."""
    import cv2

    mask = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
    return np.asarray(mask > 0)
