"""The sheet: one mesh over the whole picture, the face in its middle, that carries the pixels.

The face's own triangles are surrounded by a grid which reaches beyond the frame. Hair, ears and
hat turn with the skull, at the depth that they have on a head; the neck bends; the shoulders rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.generate.portrait import Portrait
from vasari.generate.topology import (
    ALL_POINTS,
    CHIN,
    FACE_OVAL,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    LOWER_LIP_INNER,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    UPPER_LIP_INNER,
    strip,
    triangles,
)

Float32Array = npt.NDArray[np.float32]
Int32Array = npt.NDArray[np.int32]

GRID_CELLS = 30  # across the frame
GRID_BEYOND = 14  # cells on each side, so that a moved sheet still covers the frame
OVAL_CLEARANCE = 0.5  # of a cell: grid points nearer to the face would make slivers
MAX_SLOPE = 1.6  # of depth to width along an edge
EASING_ROUNDS = 30  # enough to cross the face

# Lengths in cm of the head.
SKULL_DEPTH = 9.0  # from the eyes back to the axis about which the silhouette turns
SKULL_CURVE = 3.0  # how thick the hair over the skull may be before its depth is reached
NECK_START, NECK_END = -1.0, 9.0  # below the chin: where the head's motion begins to fade, and ends
SKIN_STRETCH = 4.0  # how far outside the oval an expression still pulls
HEAD_REACH = (4.0, 10.0)  # outside the oval: where an uncut picture begins to rest, and rests
SOLID = 0.9  # of the matte: what is more is the person's for certain
MOST_BESIDE = 1.0  # outside the person, where points of the face are still brought onto it
EDGE_REST = 0.12  # of the frame: near an edge that cuts the person, the sheet holds still


@dataclass(frozen=True)
class Sheet:
    """A mesh over the picture. Its first 478 points are the face's."""

    points: Float32Array  # (N, 3) pixels, where the picture is at rest
    faces: Int32Array  # (K, 3) triangles
    head_share: Float32Array  # (N,) 0..1: 1 goes with the head, 0 rests
    pulled: Int32Array  # (M,) indices of the points that the oval's expression pulls
    stretch: Float32Array  # (M, 36): how far each point of the oval pulls them


def lay_sheet(portrait: Portrait) -> Sheet:
    """Lay the sheet over a portrait."""
    grid = _grid_around(portrait)
    faces, used = _grid_triangles(portrait, grid)
    grid = grid[used]
    outside = _distance_to_oval(portrait, grid)
    depth = _grid_depth(portrait, grid, outside)
    points = np.concatenate([_face_on_person(portrait), np.column_stack([grid, depth])])
    faces = np.concatenate([_face_triangles(), faces])
    points[:, 2] = _ease_slopes(points, faces)
    share = np.ones(len(points), np.float32)
    share[ALL_POINTS:] = _head_share(portrait, grid, outside)
    pulled = np.flatnonzero(outside.min(axis=1) < SKIN_STRETCH)
    return Sheet(
        points.astype(np.float32),
        faces,
        share,
        (ALL_POINTS + pulled).astype(np.int32),
        _stretch(outside[pulled]),
    )


def _face_triangles() -> Int32Array:
    """The face with its eyes and mouth filled, which patches are painted over."""
    return np.concatenate(
        [
            triangles(),
            strip(RIGHT_UPPER_LID, RIGHT_LOWER_LID),
            strip(LEFT_UPPER_LID, LEFT_LOWER_LID),
            strip(UPPER_LIP_INNER, LOWER_LIP_INNER),
        ]
    )


def _face_on_person(portrait: Portrait) -> Float32Array:
    """The face's points, (478, 3) pixels, those that lie just beside the person brought onto it.

    At the far cheek of an oblique face the mesh reaches over the background, which a turn would
    stretch to a streak across the skin.
    """
    import cv2

    points = portrait.mesh.copy()
    person = portrait.layers.alpha > SOLID
    apart, names = cv2.distanceTransformWithLabels(
        (~person).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(person)
    nearest = np.zeros((names.max() + 1, 2), np.float32)
    nearest[names[rows, columns]] = np.column_stack([columns, rows])
    spots = np.clip(np.rint(points[:, :2]), 0, portrait.size - 1).astype(int)
    beside = apart[spots[:, 1], spots[:, 0]]
    moved = (beside > 0) & (beside < MOST_BESIDE * portrait.placement.scale)
    points[moved, :2] = nearest[names[spots[moved, 1], spots[moved, 0]]]
    return points


def _oval(portrait: Portrait) -> Float32Array:
    return np.ascontiguousarray(portrait.mesh[list(FACE_OVAL), :2])


def _grid_around(portrait: Portrait) -> Float32Array:
    """The grid's points outside the face, (G, 2) pixels."""
    import cv2

    cell = portrait.size / GRID_CELLS
    line = np.arange(-GRID_BEYOND, GRID_CELLS + GRID_BEYOND + 1, dtype=np.float32) * cell
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    oval = _oval(portrait)
    inside = [cv2.pointPolygonTest(oval, (float(x), float(y)), True) for x, y in grid]
    return np.asarray(grid[np.array(inside) < -OVAL_CLEARANCE * cell], np.float32)


def _distance_to_oval(portrait: Portrait, grid: Float32Array) -> Float32Array:
    """Distances of grid points to each point of the oval, (G, 36) cm."""
    apart = np.linalg.norm(grid[:, None] - _oval(portrait)[None], axis=2)
    return np.asarray(apart / portrait.placement.scale, np.float32)


def _grid_triangles(
    portrait: Portrait, grid: Float32Array
) -> tuple[Int32Array, npt.NDArray[np.bool_]]:
    """Triangles between the oval and the grid's points, none over the face.

    Returns:
        (K, 3) triangles that carry any of the person; the grid's points are numbered from 478 on,
        leaving out those of no triangle. And (G,), which points have one.
    """
    import cv2
    from scipy.spatial import Delaunay

    flat = np.concatenate([portrait.mesh[:, :2], grid])
    names = np.concatenate([np.array(FACE_OVAL), np.arange(ALL_POINTS, len(flat))])
    faces = names[Delaunay(flat[names]).simplices]
    oval = _oval(portrait)
    middles = flat[faces].mean(axis=1)
    outside = [cv2.pointPolygonTest(oval, (float(x), float(y)), False) < 0 for x, y in middles]
    faces = faces[np.array(outside) & _shows_person(portrait, flat[faces])]
    used = np.zeros(len(flat), np.bool_)
    used[:ALL_POINTS] = True
    used[faces] = True
    numbers = np.cumsum(used) - 1
    return numbers[faces].astype(np.int32), used[ALL_POINTS:]


def _shows_person(portrait: Portrait, corners: Float32Array) -> npt.NDArray[np.bool_]:
    """Which triangles, (K, 3, 2) pixels, carry any of the person: the others need no drawing."""
    import cv2

    last = portrait.size - 1
    low = np.clip(np.floor(corners.min(axis=1)), 0, last).astype(int)
    high = np.clip(np.ceil(corners.max(axis=1)), 0, last).astype(int)
    # Sums over rectangles from a table of running sums (Crow 1984).
    table = cv2.integral((portrait.layers.alpha > 0).astype(np.uint8))
    left, top, right, bottom = low[:, 0], low[:, 1], high[:, 0] + 1, high[:, 1] + 1
    total = table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
    return np.asarray(total > 0)


def _grid_depth(portrait: Portrait, grid: Float32Array, outside: Float32Array) -> Float32Array:
    """The depth of grid points, (G,) pixels: the skull curves back from the oval."""
    placement = portrait.placement
    oval_depth = placement.unplace(portrait.mesh[list(FACE_OVAL)])[:, 2]
    nearness = 1 / np.maximum(outside, 0.1) ** 2
    edge = nearness @ oval_depth / nearness.sum(axis=1)
    out = outside.min(axis=1)
    # An ellipse from the oval back to the silhouette, which lies at the depth of the axis.
    along = np.clip(out / (out + _distance_to_outline(portrait, grid) + 1e-3), 0, 1)
    depth = SKULL_DEPTH + (edge - SKULL_DEPTH) * np.sqrt(1 - along**2)
    # The depth is along the face's own axis; solve for the image's z at the given x and y.
    axis = placement.rotation[:, 2]
    offset = (grid - placement.offset[:2]) @ axis[:2]
    return np.asarray((placement.scale * depth - offset) / axis[2] + placement.offset[2])


def _distance_to_outline(portrait: Portrait, grid: Float32Array) -> Float32Array:
    """How far inside the person's outline grid points lie, (G,) cm, at most SKULL_CURVE."""
    import cv2

    size = portrait.size
    person = (portrait.layers.alpha > 0.5).astype(np.uint8)
    inside = cv2.distanceTransform(person, cv2.DIST_L2, cv2.DIST_MASK_5)
    spots = np.clip(np.rint(grid), 0, size - 1).astype(int)
    distance = inside[spots[:, 1], spots[:, 0]] / portrait.placement.scale
    return np.asarray(np.minimum(distance, SKULL_CURVE), np.float32)


def _ease_slopes(points: Float32Array, faces: Int32Array) -> Float32Array:
    """Depths, (N,) pixels, of points brought forward until no edge is steeper than MAX_SLOPE.

    A turn would stretch the few pixels of a steep edge over what the picture does not show.
    """
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    apart = MAX_SLOPE * np.linalg.norm(points[ends[:, 0], :2] - points[ends[:, 1], :2], axis=1)
    depth = points[:, 2].astype(np.float64)
    for _ in range(EASING_ROUNDS):
        before = depth.copy()
        np.minimum.at(depth, ends[:, 0], before[ends[:, 1]] + apart)
        np.minimum.at(depth, ends[:, 1], before[ends[:, 0]] + apart)
    return np.asarray(depth, np.float32)


def _head_share(portrait: Portrait, grid: Float32Array, outside: Float32Array) -> Float32Array:
    """How far grid points go with the head, (G,) 0..1."""
    placement = portrait.placement
    down = placement.rotation[:2, 1] / np.linalg.norm(placement.rotation[:2, 1])
    below = (grid - portrait.mesh[CHIN, :2]) @ down / placement.scale
    share = 1 - _ramp(below, NECK_START, NECK_END)
    share *= _rest_at_edges(portrait, grid)
    if portrait.layers.alpha.min() == 1:
        share *= 1 - _ramp(outside.min(axis=1), *HEAD_REACH)
    return np.asarray(share, np.float32)


def _rest_at_edges(portrait: Portrait, grid: Float32Array) -> Float32Array:
    """The share of the head's motion, (G,) 0..1, left near frame edges that cut the person.

    The upper edge is not held: what it cuts is the head itself, which must keep its shape.
    """
    last = portrait.size - 1
    alpha = portrait.layers.alpha
    spots = np.clip(np.rint(grid), 0, last).astype(int)
    rest = np.ones(len(grid), np.float32)
    for distance, person in (
        (grid[:, 0], alpha[spots[:, 1], 0]),
        (last - grid[:, 0], alpha[spots[:, 1], last]),
        (last - grid[:, 1], alpha[last, spots[:, 0]]),
    ):
        rest *= 1 - person * (1 - _ramp(distance, 0, EDGE_REST * portrait.size))
    return rest


def _stretch(outside: Float32Array) -> Float32Array:
    """How the expression at each point of the oval pulls points so far from it, (M, 36)."""
    nearness = 1 / np.maximum(outside, 0.1) ** 2
    weights = nearness / nearness.sum(axis=1, keepdims=True)
    fade = 1 - _ramp(outside.min(axis=1), 0, SKIN_STRETCH)
    return np.asarray(weights * fade[:, None], np.float32)


def _ramp(value: Float32Array, low: float, high: float) -> Float32Array:
    """A smooth step from 0 at low to 1 at high."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
