"""The mean face: the neutral mesh on which expressions are defined.

Coordinates are centimetres in the face's own frame: x to the viewer's right, y down, z away from
the viewer, the origin midway between the pupils, scaled to the mean adult's pupil distance.

The file beside this module is made by ``python -m vasari.generate.template PORTRAITS_FOLDER``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.generate.motion import PUPIL_DISTANCE_CM
from vasari.generate.topology import ALL_POINTS, LEFT_IRIS, RIGHT_IRIS, RIGID_POINTS

Float32Array = npt.NDArray[np.float32]

TEMPLATE_FILE = Path(__file__).with_name("template.npz")
ALIGNMENT_ROUNDS = 5


@dataclass(frozen=True)
class Placement:
    """Where a face stands in an image: point = scale · rotation · template point + offset."""

    scale: float  # pixels per centimetre
    rotation: Float32Array  # (3, 3)
    offset: Float32Array  # (3,) pixels

    def place(self, points: Float32Array) -> Float32Array:
        """Image points, (..., 3) pixels, of points in the face's own frame, centimetres."""
        return np.asarray(self.scale * points @ self.rotation.T + self.offset, np.float32)

    def unplace(self, points: Float32Array) -> Float32Array:
        """Points in the face's own frame, (..., 3) centimetres, of image points, pixels."""
        return np.asarray((points - self.offset) @ self.rotation / self.scale, np.float32)

    def turn(self, offsets: Float32Array) -> Float32Array:
        """Image offsets, (..., 3) pixels, of offsets in the face's own frame, centimetres."""
        return np.asarray(self.scale * offsets @ self.rotation.T, np.float32)


@lru_cache(maxsize=1)
def template() -> Float32Array:
    """The mean face, (478, 3) float32 centimetres, symmetric about x = 0."""
    with np.load(TEMPLATE_FILE) as stored:
        points: Float32Array = stored["points"]
    return points


@lru_cache(maxsize=1)
def mirror() -> npt.NDArray[np.int32]:
    """For each of the 478 points, the index of its mirror image."""
    with np.load(TEMPLATE_FILE) as stored:
        partners: npt.NDArray[np.int32] = stored["mirror"]
    return partners


def align(mesh: Float32Array, model: Float32Array) -> Placement:
    """The placement that best carries a model onto a mesh, by its rigid points (Umeyama 1991).

    Args:
        mesh: (478, 3) image pixels.
        model: (478, 3) centimetres.
    """
    target, source = mesh[list(RIGID_POINTS)], model[list(RIGID_POINTS)]
    target_mean, source_mean = target.mean(axis=0), source.mean(axis=0)
    covariance = (target - target_mean).T @ (source - source_mean) / len(source)
    left, singular, right = np.linalg.svd(covariance)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * sign) @ right
    scale = float((singular * sign).sum() / ((source - source_mean) ** 2).sum(axis=1).mean())
    offset = target_mean - scale * rotation @ source_mean
    return Placement(scale, rotation.astype(np.float32), offset.astype(np.float32))


def mean_face(meshes: list[Float32Array]) -> tuple[Float32Array, npt.NDArray[np.int32]]:
    """The symmetric mean of meshes, and the mirror partner of each of its points."""
    from scipy.optimize import linear_sum_assignment

    model = _centred(meshes[0])
    for _ in range(ALIGNMENT_ROUNDS):
        model = _centred(np.mean([align(mesh, model).unplace(mesh) for mesh in meshes], axis=0))
    flipped = model * np.array([-1, 1, 1], np.float32)
    distance = np.linalg.norm(model[:, None] - flipped[None], axis=2)
    # A point and its iris twin may coincide: match the surface and the irises apart.
    distance[:468, 468:] = distance[468:, :468] = np.inf
    partners = linear_sum_assignment(np.minimum(distance, 1e6))[1].astype(np.int32)
    return np.asarray((model + flipped[partners]) / 2, np.float32), partners


def _centred(points: Float32Array) -> Float32Array:
    """Points moved to their eyes' middle, turned upright and scaled to centimetres."""
    right, left = points[RIGHT_IRIS[0]], points[LEFT_IRIS[0]]
    across = (left - right) / np.linalg.norm(left - right)
    down = points[152] - points[10]
    down = down - across * (down @ across)
    down /= np.linalg.norm(down)
    axes = np.stack([across, down, np.cross(across, down)])
    scale = PUPIL_DISTANCE_CM / np.linalg.norm(left - right)
    return np.asarray((points - (left + right) / 2) @ axes.T * scale, np.float32)


def _main(folder: Path) -> None:
    """Make the template from every portrait of a folder that shows one face."""
    from PIL import Image

    from vasari.generate.faces import find_faces

    meshes = []
    for path in sorted(folder.iterdir()):
        found = find_faces(np.asarray(Image.open(path).convert("RGB")))
        meshes += found[:1]
    points, partners = mean_face(meshes)
    assert (partners[partners] == np.arange(ALL_POINTS)).all(), "the mirror must be its own inverse"
    np.savez_compressed(TEMPLATE_FILE, points=points, mirror=partners)
    print(f"{len(meshes)} faces; pupil distance {np.ptp(points[[468, 473], 0]):.2f} cm")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
