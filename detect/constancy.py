"""Is a moving face explained by one picture? What its skin shows while it moves.

Most generators of talking faces bend one picture. The skin of a real face changes as it speaks
and turns: folds come and go, light and shade wander. The face of each frame is unrolled by its
mesh onto the same grid, brought into register with the mean face of the stretch by a smooth flow,
and made alike in brightness. What then still changes is measured in a band of detail, and broadly
in two parts of the face. Of the band, what grows with the slope of the picture is error of the
register, and is left out (`_own_change`). Other errors grow with how far the face turned and spoke,
and how restless its finest detail is before the register: these say little by themselves, but how
much change is to be expected of a bent picture. How far the brows move says a little more, as made
faces frown less.

How far lips, brows, jaw and lids move also tells a living face from a still picture under a moving
camera, whose skin does not change either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from vasari.detect.crops import FaceFinder

ImageArray = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

RATE = 12.5  # frames a second that are looked at
SECONDS = 2.0  # of a stretch
MIN_FRAMES = 15  # of a stretch that show a face
SURROUNDINGS = 2.2  # side of what is tracked, in sides of the detected face
FACE_SIDE = 150  # pixels of the detected face when it is tracked
GRID = 80  # pixels of the unrolled face
BAND = (2.0, 6.0)  # of a difference of Gaussians, standard deviations in pixels of the grid
# Of the rows of the grid: cheeks and lower face, which crease apart from each other.
PARTS = ((0.4, 0.62), (0.62, 1.0))
FINE_DETAIL = 1.0  # standard deviation in pixels of the grid: what is broader is not fine
PART_DETAIL = 2.0  # standard deviation in pixels of the grid: what is finer is not counted there
FLOW_SMOOTHNESS = 4.0  # pixels of the grid: an expression changes the skin in smaller places
ROUNDS = 2  # of finding the mean face and the flow to it
# Points of the mesh: around the tip of the chin, and from the tip of the nose to between the brows.
LOWER_CHIN, NOSE_LINE = (148, 152, 175, 176, 199, 200, 377, 400), (1, 4, 5, 6, 168, 195, 197)
# The upper edges of the brows and the corners of the eyes, right and left.
BROWS = ((70, 63, 105, 66, 107), (300, 293, 334, 296, 336))
CORNERS = ((33, 133), (263, 362))
MOUTH_MARGIN, EYE_MARGIN, RIM = 3, 4, 5  # pixels of the grid that are left out of the skin

# Logs of
FEATURES = (
    "change",  # the variance in the band
    "cheeks", "lower face",  # the mean spread in each part
    "unrest",  # the median change of fine detail from frame to frame
    "turning",  # the amplitude in degrees
    "mouth", "brows", "jaw", "lids",  # the amplitude in cm
)  # fmt: skip
CHANGE = 7  # of them tell a bent picture from real skin; all of them a still from a moving face
MOUTH, JAW = FEATURES.index("mouth"), FEATURES.index("jaw")
# cm, amplitudes of speech. Of a face that moves less, too little is shown.
SPOKEN_MOUTH, SPOKEN_JAW = 0.155, 0.09
STILL = 0.005  # cm, an amplitude that is added so that a face at rest has a logarithm too


@dataclass(frozen=True)
class Unrolled:
    """A tracked stretch."""

    meshes: Float32Array  # (n, 478, 3) pixels
    faces: ImageArray  # (n, GRID, GRID) luma


def constancy(frames: Sequence[ImageArray]) -> Float64Array | None:
    """How a face changes and moves over a stretch of frames, (H, W, 3) uint8 sRGB, at RATE.

    Returns:
        FEATURES, or None where no face is followed.
    """
    unrolled = unroll(frames)
    return None if unrolled is None else features(unrolled)


def shown(features: Float64Array) -> float:
    """How much a face shows by its movement, of what a face that speaks shows, 0..1."""
    mouth, jaw = np.exp(features[[MOUTH, JAW]])
    return float(min(mouth / SPOKEN_MOUTH, jaw / SPOKEN_JAW, 1.0))


def unroll(frames: Sequence[ImageArray]) -> Unrolled | None:
    """Track the largest face of frames and unroll it; None where too few frames show one."""
    import cv2

    from vasari.generate.perform import track_meshes

    if len(frames) < MIN_FRAMES:  # none at all where the sound goes on after the picture
        return None
    cuts = _around_face(frames)
    meshes, faces = [], []
    for cut, mesh in zip(cuts, track_meshes(cuts), strict=True):
        if mesh is None:
            continue
        places = np.asarray(_weights() @ mesh[:, :2], np.float32).reshape(GRID, GRID, 2)
        luma = cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY)
        faces.append(cv2.remap(luma, places[..., 0], places[..., 1], cv2.INTER_LINEAR))
        meshes.append(mesh)
    if len(meshes) < MIN_FRAMES:
        return None
    return Unrolled(np.stack(meshes), np.asarray(np.stack(faces), np.uint8))


def features(unrolled: Unrolled) -> Float64Array:
    """FEATURES of a stretch."""
    turning, life = _movement(unrolled.meshes)
    alike = _alike(unrolled.faces.astype(np.float32))
    registered = _registered(alike)
    change = _own_change(_band(registered, *BAND))
    found = [change, *_spreads(registered), _unrest(alike), turning, *life]
    return np.log(np.array(found, np.float64))


def _around_face(frames: Sequence[ImageArray]) -> list[ImageArray]:
    """The same square of all frames, around the largest face, scaled to FACE_SIDE."""
    import cv2

    with FaceFinder() as finder:
        found = [finder.find(0.0, frames[k]) for k in (0, len(frames) // 2, -1)]
    boxes = [(each.box, each.face) for each in found if each.box is not None]
    if not boxes:
        return []
    height, width = frames[0].shape[:2]
    face = float(np.median([side for _, side in boxes]))
    side = int(min(SURROUNDINGS * face, width, height))
    middle = np.mean([(b.left + b.side / 2, b.top + b.side / 2) for b, _ in boxes], axis=0)
    left, top = np.clip(middle - side / 2, 0, (width - side, height - side)).astype(int)
    out = max(round(FACE_SIDE * side / face), 2)
    method = cv2.INTER_AREA if out < side else cv2.INTER_CUBIC
    cuts = (frame[top : top + side, left : left + side] for frame in frames)
    return [np.asarray(cv2.resize(cut, (out, out), interpolation=method), np.uint8) for cut in cuts]


@lru_cache(maxsize=1)
def _weights() -> Any:
    """(GRID², 478) sparse: places of the grid as mixtures of three mesh points; nothing outside."""
    from scipy.sparse import csr_matrix
    from scipy.spatial import Delaunay

    from vasari.generate.template import template
    from vasari.generate.topology import MESH_POINTS

    points = template()[:MESH_POINTS, :2].astype(np.float64)
    across, down = (np.linspace(low, high, GRID) for low, high in zip(*_bounds(), strict=True))
    places = np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2)
    triangles = Delaunay(points)
    chosen = triangles.find_simplex(places)
    transform = triangles.transform[chosen]
    first = np.einsum("nij,nj->ni", transform[:, :2], places - transform[:, 2])
    mixture = np.column_stack([first, 1 - first.sum(axis=1)])
    weights = np.zeros((GRID * GRID, len(template())), np.float32)
    np.put_along_axis(weights, triangles.simplices[chosen], mixture.astype(np.float32), axis=1)
    weights[chosen < 0] = 0
    return csr_matrix(weights)


def _bounds() -> Float64Array:
    """The corners of the grid in the template, (2, 2) cm."""
    from vasari.generate.template import template
    from vasari.generate.topology import MESH_POINTS

    points = template()[:MESH_POINTS, :2].astype(np.float64)
    return np.stack([points.min(axis=0), points.max(axis=0)])


@lru_cache(maxsize=1)
def _skin() -> BoolArray:
    """(GRID, GRID): skin, without rim, eyes and mouth."""
    import cv2

    from vasari.generate import topology as t

    def area(points: tuple[int, ...], margin: int) -> BoolArray:
        from vasari.generate.template import template

        low, high = _bounds()
        places = (template()[list(points), :2] - low) / (high - low) * (GRID - 1)
        hull = cv2.convexHull(np.rint(places).astype(np.int32))
        mask = cv2.fillConvexPoly(np.zeros((GRID, GRID), np.uint8), hull, 1)
        brush = np.ones((2 * abs(margin) + 1,) * 2, np.uint8)
        if margin > 0:
            return np.asarray(cv2.dilate(mask, brush), bool)
        mask = cv2.erode(mask, brush, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        return np.asarray(mask, bool)

    mouth = area(t.UPPER_LIP_OUTER + t.LOWER_LIP_OUTER, MOUTH_MARGIN)
    right = area(t.RIGHT_UPPER_LID + t.RIGHT_LOWER_LID, EYE_MARGIN)
    left = area(t.LEFT_UPPER_LID + t.LEFT_LOWER_LID, EYE_MARGIN)
    return area(t.FACE_OVAL, -RIM) & ~mouth & ~right & ~left


def _movement(meshes: Float32Array) -> tuple[float, Float64Array]:
    """Amplitudes of turning in degrees, and of mouth, brows, jaw and lids in cm."""
    from vasari.generate.pose import turn_angles
    from vasari.generate.template import align, template

    places = [align(mesh, template()) for mesh in meshes]
    faces = np.stack([p.unplace(mesh) for p, mesh in zip(places, meshes, strict=True)])
    angles = np.stack([turn_angles(place.rotation) for place in places])
    turned = ((angles - angles.mean(axis=0)) ** 2).sum(axis=1).mean()
    life = np.asarray(_ways(faces).std(axis=1) + STILL, np.float64)
    return float(np.sqrt(turned)) + 0.05, life


def _ways(faces: Float32Array) -> Float64Array:
    """How far apart lips are, brows and eyes, nose and chin, and lids, (4, n) cm.

    Args:
        faces: meshes in the template's place, (n, 478, 3) cm.
    """
    from vasari.generate import topology as t

    def way(some: Sequence[int], others: Sequence[int]) -> Any:
        apart = faces[:, list(some)].mean(axis=1) - faces[:, list(others)].mean(axis=1)
        return np.linalg.norm(apart, axis=1)

    middle = len(t.UPPER_LIP_INNER) // 2
    mouth = way(t.UPPER_LIP_INNER[middle : middle + 1], t.LOWER_LIP_INNER[middle : middle + 1])
    right = way(t.RIGHT_UPPER_LID, t.RIGHT_LOWER_LID)
    left = way(t.LEFT_UPPER_LID, t.LEFT_LOWER_LID)
    brows = [way(brow, corners) for brow, corners in zip(BROWS, CORNERS, strict=True)]
    jaw = way(LOWER_CHIN, NOSE_LINE)
    return np.array([mouth, np.mean(brows, axis=0), jaw, (right + left) / 2], np.float64)


def _alike(faces: Float32Array) -> Float32Array:
    """Faces, (n, GRID, GRID), with the same mean and spread of skin."""
    skin = faces[:, _skin()]
    middle, spread = skin.mean(axis=1), np.maximum(skin.std(axis=1), 1e-3)
    return np.asarray((faces - middle[:, None, None]) / spread[:, None, None], np.float32)


def _registered(faces: Float32Array) -> Float32Array:
    """Faces moved onto their median by a smooth flow (Kroeger et al., ECCV 2016)."""
    import cv2

    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    rows, columns = np.indices((GRID, GRID), dtype=np.float32)
    eight_bit = [_eight_bit(face) for face in faces]
    moved = faces
    for _ in range(ROUNDS):
        middle = _eight_bit(np.median(moved, axis=0))
        flows = [
            cv2.GaussianBlur(search.calc(middle, face, None), (0, 0), FLOW_SMOOTHNESS)
            for face in eight_bit
        ]
        moved = np.stack(
            [
                cv2.remap(
                    face,
                    columns + flow[..., 0],
                    rows + flow[..., 1],
                    cv2.INTER_LINEAR,
                    borderMode=cv2.BORDER_REPLICATE,
                )
                for face, flow in zip(faces, flows, strict=True)
            ]
        )
    return moved


def _eight_bit(face: Float32Array) -> ImageArray:
    import cv2

    soft = cv2.GaussianBlur(face, (0, 0), 1.0)
    return np.asarray(np.clip(128 + 40 * soft, 0, 255), np.uint8)


def _band(faces: Float32Array, fine: float, coarse: float) -> Float32Array:
    import cv2

    return np.stack(
        [cv2.GaussianBlur(f, (0, 0), fine) - cv2.GaussianBlur(f, (0, 0), coarse) for f in faces]
    )


def _own_change(band: Float32Array) -> float:
    """The variance over time that skin without any slope would have.

    A line through the variances of all places of the skin over the squares of their slopes.
    """
    down, across = np.gradient(band.mean(axis=0))
    slope = (down**2 + across**2)[_skin()]
    variance = band.var(axis=0)[_skin()]
    design = np.column_stack([slope, np.ones_like(slope)])
    solution = np.linalg.lstsq(design, variance, rcond=None)[0]
    return max(float(solution[1]), 1e-4)


def _unrest(faces: Float32Array) -> float:
    """How much the finest detail of skin changes from one frame to the next."""
    import cv2

    fine = np.stack([face - cv2.GaussianBlur(face, (0, 0), FINE_DETAIL) for face in faces])
    return float(np.median(np.abs(np.diff(fine[:, _skin()], axis=0)))) + 1e-4


def _spreads(faces: Float32Array) -> Float64Array:
    """How much the skin of each of PARTS changes over time, on the mean of its places."""
    import cv2

    soft = np.stack([cv2.GaussianBlur(face, (0, 0), PART_DETAIL) for face in faces])
    spread = (soft - soft[:, _skin()].mean(axis=1)[:, None, None]).std(axis=0)
    rows = np.arange(GRID)[:, None] / GRID
    parts = [_skin() & (rows >= top) & (rows < bottom) for top, bottom in PARTS]
    # A little is added so that a picture without any change has a logarithm too.
    return np.array([float(spread[part].mean()) + 1e-3 for part in parts], np.float64)
