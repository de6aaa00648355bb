"""The FaceMesh topology: which of its 478 points are lips, lids, brows, and how they connect.

"Right" and "left" are the person's own: the right eye is on the viewer's left.
https://github.com/google-ai-edge/mediapipe/blob/master/docs/solutions/face_mesh.md
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import combinations

import numpy as np
import numpy.typing as npt

Int32Array = npt.NDArray[np.int32]

MESH_POINTS = 468  # the surface of the face; the ten points after these are the irises
ALL_POINTS = 478

FOREHEAD, CHIN = 10, 152
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

# From the person's right corner to the left one, corners included.
UPPER_LIP_INNER = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_LIP_INNER = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
UPPER_LIP_OUTER = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LOWER_LIP_OUTER = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)

# From the outer corner to the inner one, corners included.
RIGHT_UPPER_LID = (33, 246, 161, 160, 159, 158, 157, 173, 133)
RIGHT_LOWER_LID = (33, 7, 163, 144, 145, 153, 154, 155, 133)
LEFT_UPPER_LID = (263, 466, 388, 387, 386, 385, 384, 398, 362)
LEFT_LOWER_LID = (263, 249, 390, 373, 374, 380, 381, 382, 362)
# The row of points above the upper lid's margin, along its crease.
RIGHT_LID_CREASE = (130, 247, 30, 29, 27, 28, 56, 190, 243)
LEFT_LID_CREASE = (359, 467, 260, 259, 257, 258, 286, 414, 463)
RIGHT_IRIS = (468, 469, 470, 471, 472)  # centre, then four points of the rim
LEFT_IRIS = (473, 474, 475, 476, 477)

# Points that expression hardly moves: brow ridge, nose bridge, temples, eye corners.
RIGID_POINTS = (
    10, 109, 338, 67, 297, 103, 332, 54, 284, 21, 251, 162, 389, 127, 356,
    33, 133, 263, 362, 168, 6, 197, 195, 5, 4, 1, 98, 327, 234, 454,
)  # fmt: skip


@lru_cache(maxsize=1)
def triangles() -> Int32Array:
    """The triangles of the face surface, (K, 3); the eyes and the mouth are holes."""
    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION

    neighbours: dict[int, set[int]] = {}
    for a, b in FACEMESH_TESSELATION:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    found = {
        tuple(sorted((a, b, c)))
        for a in neighbours
        for b in neighbours[a]
        for c in neighbours[a] & neighbours[b]
    }
    # Around each nostril three edges close a ring that is no face: all of them have two already.
    shared = Counter(pair for face in found for pair in combinations(face, 2))
    faces = [face for face in found if min(shared[pair] for pair in combinations(face, 2)) <= 2]
    return np.array(sorted(faces), np.int32)


def strip(upper: tuple[int, ...], lower: tuple[int, ...]) -> Int32Array:
    """Triangles, (K, 3), that fill the hole between two rows which share both their ends."""
    quads = zip(upper, upper[1:], lower, lower[1:], strict=False)
    faces = [t for a, b, c, d in quads for t in ((a, b, c), (b, d, c)) if len(set(t)) == 3]
    return np.array(faces, np.int32)


@lru_cache(maxsize=1)
def edges() -> Int32Array:
    """The edges of the face surface, (E, 2), each once."""
    faces = triangles()
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.asarray(np.unique(np.sort(pairs, axis=1), axis=0), np.int32)
