"""The 52 ARKit blendshapes on the FaceMesh topology: where each moves the points of a face.

The shapes are made by hand from a few handles each, spread over the skin by its geodesic distance,
so that upper and lower lips and lids, which touch but are not connected, part. The jaw turns about
its joint. Lids and lips close on the portrait's own contours. What they lack beside real faces was
learned, and is added (`vasari.models.shapes`).
https://developer.apple.com/documentation/arkit/arfaceanchor/blendshapelocation
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vasari.generate.motion import ARKIT_INDEX, ARKIT_NAMES
from vasari.generate.template import mirror, template
from vasari.generate.topology import (
    ALL_POINTS,
    LEFT_LID_CREASE,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    LOWER_LIP_INNER,
    LOWER_LIP_OUTER,
    MESH_POINTS,
    RIGHT_LID_CREASE,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
    edges,
)
from vasari.models.shapes import learned_shapes

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Handle:
    """Points that a shape pulls, and the skin around that comes along."""

    points: tuple[int, ...]
    pull: tuple[float, float, float]  # cm: + to the viewer's right, down, away
    radius: float  # cm along the skin at which 60 % of the pull is left


# Handles of the person's left side; the right side's are their mirror images.
_CORNER, _UPPER, _LOWER = (291, 308), (269, 311), (405, 402)
LEFT_SHAPES: dict[str, tuple[Handle, ...]] = {
    "eyeLookUpLeft": (
        Handle((386, 387, 385), (0, -0.14, 0), 0.5),
        Handle((257, 258), (0, -0.1, 0), 0.6),
    ),
    "eyeLookInLeft": (Handle((386, 374), (-0.07, 0, 0), 0.5),),
    "eyeLookOutLeft": (Handle((386, 374), (0.07, 0, 0), 0.5),),
    "eyeSquintLeft": (
        Handle((374, 373, 380), (0, -0.17, 0), 0.6),
        Handle((347, 348), (0, -0.12, 0), 0.9),
    ),
    "eyeWideLeft": (Handle((386, 387, 385), (0, -0.2, 0), 0.5), Handle((374,), (0, 0.05, 0), 0.5)),
    "mouthSmileLeft": (
        Handle(_CORNER, (0.7, -0.62, 0.35), 1.1),
        Handle((425, 426), (0.3, -0.4, -0.1), 1.5),
        Handle((280,), (0.1, -0.2, -0.1), 1.3),
    ),
    "mouthFrownLeft": (Handle(_CORNER, (0.1, 0.6, 0.1), 1.0), Handle((424,), (0, 0.25, 0), 1.0)),
    "mouthDimpleLeft": (Handle(_CORNER, (0.45, -0.06, 0.4), 0.9),),
    "mouthStretchLeft": (Handle(_CORNER, (0.7, 0.22, 0.3), 1.1),),
    "mouthPressLeft": (
        Handle((269, 270), (0, 0.12, 0.08), 0.6),
        Handle((405, 321), (0, -0.16, 0.08), 0.6),
    ),
    "mouthLowerDownLeft": (Handle(_LOWER, (0.08, 0.55, 0.1), 0.85),),
    "mouthUpperUpLeft": (
        Handle(_UPPER, (0.08, -0.5, 0.1), 0.85),
        Handle((391, 426), (0.05, -0.25, 0), 1.0),
    ),
    "browDownLeft": (Handle((296, 334, 336), (-0.12, 0.5, 0), 1.2),),
    "browOuterUpLeft": (Handle((293, 334, 300), (0, -0.65, 0), 1.3),),
    "cheekSquintLeft": (
        Handle((280, 347, 346), (0, -0.38, -0.1), 1.2),
        Handle((374,), (0, -0.08, 0), 0.6),
    ),
    "noseSneerLeft": (
        Handle((327, 358, 331), (0.05, -0.3, 0), 0.7),
        Handle((267, 269), (0, -0.15, 0), 0.7),
        Handle((413, 285), (-0.08, 0.12, 0), 0.7),
    ),
}  # fmt: skip
# Handles of shapes that move both sides; those at x > 0 get a mirror image.
MIDDLE_SHAPES: dict[str, tuple[Handle, ...]] = {
    "mouthFunnel": (
        Handle(_CORNER, (-0.62, 0, -0.35), 0.9),
        Handle((0, 13), (0, -0.2, -0.5), 1.0),
        Handle((17, 14), (0, 0.24, -0.5), 1.0),
    ),
    "mouthPucker": (
        Handle(_CORNER, (-0.95, 0, -0.5), 1.0),
        Handle((0, 13), (0, -0.02, -0.7), 0.9),
        Handle((17, 14), (0, 0.04, -0.7), 0.9),
    ),
    "mouthRollLower": (
        Handle((17, 314, 405), (0, -0.26, 0.15), 0.6),
        Handle((14,), (0, 0, 0.3), 0.6),
    ),
    "mouthRollUpper": (Handle((0, 267, 269), (0, 0.2, 0.15), 0.6), Handle((13,), (0, 0, 0.3), 0.6)),
    "mouthShrugLower": (
        Handle((17, 14), (0, -0.4, -0.1), 1.2),
        Handle((199, 200), (0, -0.4, 0), 1.2),
    ),
    "mouthShrugUpper": (Handle((0, 13), (0, -0.25, -0.15), 1.1),),
    "browInnerUp": (Handle((336, 285, 296), (0.05, -0.62, 0), 1.1),),
    "cheekPuff": (Handle((425, 411), (0.4, 0.05, -0.6), 1.5),),
    "mouthLeft": (Handle((0, 13, 17, 14, 291, 61), (0.65, 0, 0), 1.2),),
    "mouthRight": (Handle((0, 13, 17, 14, 291, 61), (-0.65, 0, 0), 1.2),),
}  # fmt: skip

# The lower jaw at jawOpen = 1: its hinge turns while the joint glides (Posselt 1952).
JAW_JOINT = (0.0, 3.2, 5.0)  # cm in the face's frame, midway between the two joints
JAW_TURN = 10.0  # degrees
JAW_GLIDE = (0.0, 2.0, -0.6)  # cm
JAW_SIDEWAYS, JAW_FORWARD = 0.8, 0.6  # cm at jawLeft, jawRight, jawForward = 1
JAW_BONE = (
    152, 148, 176, 149, 150, 377, 400, 378, 379, 175, 199, 200, 171, 396, 208, 428, 201, 421,
    18, 83, 313,
)  # fmt: skip
SKULL = (
    2, 164, 167, 393, 97, 326, 98, 327, 1, 4, 5, 6,
    168, 50, 280, 117, 346, 118, 347, 234, 454, 93, 323, 127, 356, 10, 151, 9, 8, 33, 133, 263,
    362, 205, 425, 36, 266, 123, 352, 116, 345, 111, 340,
)  # fmt: skip

CORNER_SHARE = 0.42  # of the jaw's way that the corners of the lips go
ROUNDNESS = 0.8  # of the opening: 0.5 is an ellipse, above it is pointed at the corners
CORNER_NARROWS = 0.35  # cm by which each corner moves inward at jawOpen = 1

LID_MEETING = 0.15  # share of the opening by which the lower lid rises to meet the upper
CREASE_FOLLOWS = 0.25  # of the lid's way
LOOK_DOWN_CLOSES = 0.4  # of the way of a blink: the lid follows the eye
LIP_MEETING = 0.65  # share of a parted mouth that the lower lip closes
LIPS_REACH = 3.0  # cm along the skin: how far closing lips pull
MOUTH_RATIO_RANGE = (0.55, 1.3)  # how far lips' ways are fitted to a mouth's own width

RELAXED = 0.35  # weight of a smile that is taken back at most ...
RELAXED_PER_WIDTH = 2.0  # ... and for each of its weight by which a mouth is wider than most
TEETH_BARED = (0.3, 0.8)  # cm between the lips of a smile: below no weight, above all of it

_EYES = (
    ("Right", RIGHT_UPPER_LID, RIGHT_LOWER_LID, RIGHT_LID_CREASE),
    ("Left", LEFT_UPPER_LID, LEFT_LOWER_LID, LEFT_LID_CREASE),
)

# Points of upper and lower lip, or lid, that lie above each other and meet.
PARTNERS = tuple(
    (upper, lower)
    for above, below in (
        (UPPER_LIP_INNER, LOWER_LIP_INNER),
        (LEFT_UPPER_LID, LEFT_LOWER_LID),
        (RIGHT_UPPER_LID, RIGHT_LOWER_LID),
    )
    for upper, lower in zip(above, below, strict=True)
)


def face_shapes(face: Float32Array) -> Float32Array:
    """The blendshapes of one face.

    Args:
        face: (478, 3) its points in the face's own frame, cm.

    Returns:
        (52, 478, 3) float32, cm: what each shape at 1 adds to the face.
    """
    shapes = _template_shapes().copy()
    ratio = _mouth_width(face) / _mouth_width(template())
    lips = [n for n, name in enumerate(ARKIT_NAMES) if name.startswith(("mouth", "jawOpen"))]
    shapes[lips] *= np.clip(ratio, *MOUTH_RATIO_RANGE)
    for side, upper, lower, crease in _EYES:
        blink = _blink(face, upper, lower, crease)
        shapes[ARKIT_INDEX[f"eyeBlink{side}"]] += blink
        shapes[ARKIT_INDEX[f"eyeLookDown{side}"]] += blink * LOOK_DOWN_CLOSES
    shapes[ARKIT_INDEX["mouthClose"]] = lip_closure(shapes[ARKIT_INDEX["jawOpen"]])
    return shapes


def lip_closure(parted: Float32Array) -> Float32Array:
    """What closes lips that are parted: (478, 3) added to them.

    Args:
        parted: (478, 3) points of a face, or offsets, whose inner lips stand apart.
    """
    gap = parted[list(LOWER_LIP_INNER)] - parted[list(UPPER_LIP_INNER)]
    pulls = np.concatenate([(1 - LIP_MEETING) * gap, -LIP_MEETING * gap[1:-1]])
    return np.asarray(_inner_lips_pull() @ pulls, np.float32)


def relaxation(face: Float32Array) -> Float32Array:
    """What takes back part of a broad smile: (478, 3) added to a face, nothing to most.

    Lips that close over a smile that bares the teeth are drawn out wide and thin, as no speaker's
    are, and can be rounded only so far.

    Args:
        face: (478, 3) its points in the face's own frame, cm, as the picture shows them.
    """
    shapes = _template_shapes()
    smile = shapes[ARKIT_INDEX["mouthSmileLeft"]] + shapes[ARKIT_INDEX["mouthSmileRight"]]
    width = _mouth_width(template())
    wider = (_mouth_width(face) - width) / (_mouth_width(template() + smile) - width)
    middle = len(UPPER_LIP_INNER) // 2
    gap = face[LOWER_LIP_INNER[middle], 1] - face[UPPER_LIP_INNER[middle], 1]
    bared = np.clip((gap - TEETH_BARED[0]) / (TEETH_BARED[1] - TEETH_BARED[0]), 0, 1)
    weight = min(RELAXED, RELAXED_PER_WIDTH * max(wider, 0.0)) * bared
    return np.asarray(-weight * smile, np.float32)


def _mouth_width(face: Float32Array) -> float:
    return float(np.linalg.norm(face[291] - face[61]))


def _blink(
    face: Float32Array, upper: tuple[int, ...], lower: tuple[int, ...], crease: tuple[int, ...]
) -> Float32Array:
    """What closes one eye: the upper lid slides down to meet the lower one."""
    shape = np.zeros((ALL_POINTS, 3), np.float32)
    opening = face[list(lower)] - face[list(upper)]
    opening[0] = opening[-1] = 0  # the corners stay
    shape[list(upper)] = (1 - LID_MEETING) * opening
    shape[list(crease)] = CREASE_FOLLOWS * (1 - LID_MEETING) * opening
    shape[list(lower[1:-1])] = -LID_MEETING * opening[1:-1]
    return shape


@lru_cache(maxsize=1)
def _template_shapes() -> Float32Array:
    """The shapes, (52, 478, 3) cm, without what depends on a portrait's contours."""
    shapes = np.zeros((52, ALL_POINTS, 3), np.float32)
    for name, handles in LEFT_SHAPES.items():
        shape = _pull(handles)
        shapes[ARKIT_INDEX[name]] = shape
        shapes[ARKIT_INDEX[name.replace("Left", "Right")]] = _mirrored(shape)
    for name, handles in MIDDLE_SHAPES.items():
        shapes[ARKIT_INDEX[name]] = _pull(_both_sides(name, handles))
    jaw = _jaw_share()[:, None]
    narrows = _pull(_both_sides("", (Handle(_CORNER, (-CORNER_NARROWS, 0, 0), 1.2),)))
    shapes[ARKIT_INDEX["jawOpen"]] = jaw * _jaw_drop(template()) + narrows
    shapes[ARKIT_INDEX["jawForward"]] = jaw * np.array([0, 0, -JAW_FORWARD], np.float32)
    shapes[ARKIT_INDEX["jawLeft"]] = jaw * np.array([JAW_SIDEWAYS, 0, 0], np.float32)
    shapes[ARKIT_INDEX["jawRight"]] = jaw * np.array([-JAW_SIDEWAYS, 0, 0], np.float32)
    shapes[:, :MESH_POINTS, :2] += learned_shapes()
    return shapes


def jaw_drop(points: Float32Array, opening: float) -> Float32Array:
    """How the bone of the lower jaw moves points fixed to it, (N, 3) cm, at a jawOpen of 0..1."""
    return np.asarray(_jaw_drop(points) * np.float32(opening), np.float32)


def _jaw_drop(points: Float32Array) -> Float32Array:
    angle = np.radians(JAW_TURN)
    y, z = points[:, 1] - JAW_JOINT[1], points[:, 2] - JAW_JOINT[2]
    down = y * np.cos(angle) - z * np.sin(angle) - y + JAW_GLIDE[1]
    back = y * np.sin(angle) + z * np.cos(angle) - z + JAW_GLIDE[2]
    return np.asarray(np.stack([np.zeros_like(down), down, back], axis=1), np.float32)


@lru_cache(maxsize=1)
def _jaw_share() -> Float32Array:
    """How far each point goes with the lower jaw, (478,) 0..1: 1 on its bone, 0 on the skull."""
    across = template()[list(LOWER_LIP_INNER), 0]
    arch = (1 - (across / np.abs(across).max()) ** 2) ** ROUNDNESS
    upper, lower = CORNER_SHARE * (1 - arch), CORNER_SHARE + (1 - CORNER_SHARE) * arch
    lips = UPPER_LIP_INNER + UPPER_LIP_OUTER + LOWER_LIP_INNER[1:-1] + LOWER_LIP_OUTER[1:-1]
    bone, skull = np.ones(len(JAW_BONE)), np.zeros(len(SKULL))
    values = np.concatenate([bone, skull, upper, upper, lower[1:-1], lower[1:-1]])[:, None]
    return _interpolate(_laplacian(), JAW_BONE + SKULL + lips, values)[:, 0]


def _both_sides(name: str, handles: tuple[Handle, ...]) -> tuple[Handle, ...]:
    """Add the mirror image of the handles that stand on the left side."""
    if name in ("mouthLeft", "mouthRight"):
        return handles
    partner = mirror()
    return handles + tuple(
        Handle(
            tuple(int(partner[p]) for p in h.points), (-h.pull[0], h.pull[1], h.pull[2]), h.radius
        )
        for h in handles
        if any(partner[p] != p for p in h.points)
    )


def _mirrored(shape: Float32Array) -> Float32Array:
    return np.asarray(shape[mirror()] * np.array([-1, 1, 1], np.float32))


def skin_distance(points: tuple[int, ...]) -> Float32Array:
    """Distance along the template's skin to the nearest of some points, (468,) cm."""
    return np.asarray(_geodesics()[list(points)].min(axis=0), np.float32)


def _pull(handles: tuple[Handle, ...]) -> Float32Array:
    """Spread the pulls of handles over the skin, (478, 3) cm."""
    shape = np.zeros((ALL_POINTS, 3), np.float32)
    for handle in handles:
        distance = skin_distance(handle.points)
        share = np.exp(-0.5 * (distance / handle.radius) ** 2)
        shape[:MESH_POINTS] += share[:, None] * np.array(handle.pull, np.float32)
    return shape


@lru_cache(maxsize=1)
def _geodesics() -> Float32Array:
    """Distances along the edges of the template's skin, (468, 468) cm."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    ends = edges()
    lengths = np.linalg.norm(template()[ends[:, 0]] - template()[ends[:, 1]], axis=1)
    graph = coo_matrix((lengths, (ends[:, 0], ends[:, 1])), shape=(MESH_POINTS, MESH_POINTS))
    return np.asarray(dijkstra(graph, directed=False), np.float32)


@lru_cache(maxsize=1)
def _laplacian() -> Float32Array:
    """The graph Laplacian of the skin, edges weighted by their inverse length, (468, 468)."""
    ends = edges()
    weight = 1 / np.linalg.norm(template()[ends[:, 0]] - template()[ends[:, 1]], axis=1)
    matrix = np.zeros((MESH_POINTS, MESH_POINTS), np.float64)
    matrix[ends[:, 0], ends[:, 1]] = matrix[ends[:, 1], ends[:, 0]] = -weight
    matrix[np.diag_indices(MESH_POINTS)] = -matrix.sum(axis=1)
    return np.asarray(matrix, np.float32)


@lru_cache(maxsize=1)
def _inner_lips_pull() -> Float32Array:
    """How far pulls on the points of the inner lips move each point of a face, (478, 20).

    The field is smooth and rests away from the mouth.
    """
    points = UPPER_LIP_INNER + LOWER_LIP_INNER[1:-1]
    still = np.flatnonzero(skin_distance(points) > LIPS_REACH)
    values = np.eye(len(points) + len(still), len(points), dtype=np.float32)
    bending = _laplacian() @ _laplacian()  # biharmonic: no cusp at the points that pull
    return _interpolate(bending, points + tuple(still.tolist()), values)


def _interpolate(
    energy: Float32Array, points: tuple[int, ...], values: Float32Array
) -> Float32Array:
    """Values, (478, D), that meet those given at points and elsewhere minimise an energy."""
    free = np.setdiff1d(np.arange(MESH_POINTS), points)
    known = np.asarray(points)
    matrix = energy.astype(np.float64)
    solved = np.linalg.solve(matrix[np.ix_(free, free)], -matrix[np.ix_(free, known)] @ values)
    field = np.zeros((ALL_POINTS, values.shape[1]), np.float32)
    field[known], field[free] = values, solved
    return field
