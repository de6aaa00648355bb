"""Finding faces in an image and laying the FaceMesh of 478 points over them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.generate.topology import CHIN, FOREHEAD

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

# The detector sees the image at 192 pixels: below a sixteenth of its side a face is lost.
TILE_GRIDS = (1, 2, 3)
DETECTION_CONFIDENCE = 0.5
MESH_CONFIDENCE = 0.3  # the mesh may doubt a painting that the detector has accepted
CROP_MARGIN = 0.6  # of the detected box, on each side: the mesh network wants the whole head
MESH_CROP_SIDE = 512  # pixels; a larger crop gains nothing, its network reads 192
SAME_FACE_OVERLAP = 0.3  # intersection over union


@dataclass(frozen=True)
class Box:
    """A rectangle in image pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Its area, in square pixels."""
        return max(self.right - self.left, 0.0) * max(self.bottom - self.top, 0.0)

    def overlap(self, other: Box) -> float:
        """Intersection over union with another box, 0..1."""
        common = Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )
        return common.area / max(self.area + other.area - common.area, 1e-9)


def find_faces(image: ImageArray) -> list[Float32Array]:
    """Find every face of an image, the largest first.

    Args:
        image: (H, W, 3) uint8, sRGB.

    Returns:
        One mesh a face, (478, 3) float32 in image pixels; z has the scale of x and is negative
        toward the viewer.
    """
    for grid in TILE_GRIDS:
        meshes = _meshes(image, _detect(image, grid))
        if meshes:
            return sorted(meshes, key=face_height, reverse=True)
    return []


def face_height(mesh: Float32Array) -> float:
    """The distance from the top of the forehead to the chin, in pixels."""
    return float(np.linalg.norm(mesh[FOREHEAD, :2] - mesh[CHIN, :2]))


def mesh_face(image: ImageArray) -> Float32Array | None:
    """The mesh, (478, 3) float32 in pixels, of the one face that fills much of an image."""
    from vasari.generate.mediapipe import solutions

    height, width = image.shape[:2]
    with solutions().face_mesh.FaceMesh(
        static_image_mode=True,
        max_num_faces=1,
        refine_landmarks=True,
        min_detection_confidence=MESH_CONFIDENCE,
    ) as network:
        found = network.process(image).multi_face_landmarks
    if not found:
        return None
    points = [(point.x, point.y, point.z) for point in found[0].landmark]
    return np.array(points, np.float32) * np.array([width, height, width], np.float32)


def _detect(image: ImageArray, grid: int) -> list[Box]:
    """Boxes of the faces seen in each of grid x grid overlapping tiles."""
    from vasari.generate.mediapipe import solutions

    boxes: list[Box] = []
    with solutions().face_detection.FaceDetection(
        model_selection=1, min_detection_confidence=DETECTION_CONFIDENCE
    ) as network:
        for left, top, tile in _tiles(image, grid):
            height, width = tile.shape[:2]
            for found in network.process(tile).detections or ():
                box = found.location_data.relative_bounding_box
                x, y = left + box.xmin * width, top + box.ymin * height
                boxes.append(Box(x, y, x + box.width * width, y + box.height * height))
    return boxes


def _tiles(image: ImageArray, grid: int) -> Iterator[tuple[int, int, ImageArray]]:
    """Tiles of an image that overlap by half: (left, top, pixels)."""
    height, width = image.shape[:2]
    steps = 2 * grid - 1
    tile_height, tile_width = 2 * height // (steps + 1), 2 * width // (steps + 1)
    for row in range(steps):
        for column in range(steps):
            top, left = row * tile_height // 2, column * tile_width // 2
            tile = image[top : top + tile_height, left : left + tile_width]
            yield left, top, np.ascontiguousarray(tile)


def _meshes(image: ImageArray, boxes: list[Box]) -> list[Float32Array]:
    """The mesh of each box that holds a face, a face seen twice given once."""
    meshes: list[Float32Array] = []
    kept: list[Box] = []
    for box in boxes:
        mesh = _mesh_in_box(image, box)
        if mesh is None:
            continue
        bounds = Box(*mesh[:, :2].min(axis=0), *mesh[:, :2].max(axis=0))
        if all(bounds.overlap(other) < SAME_FACE_OVERLAP for other in kept):
            kept.append(bounds)
            meshes.append(mesh)
    return meshes


def _mesh_in_box(image: ImageArray, box: Box) -> Float32Array | None:
    """Lay the mesh over the surroundings of a detected box."""
    import cv2

    height, width = image.shape[:2]
    margin = CROP_MARGIN * max(box.right - box.left, box.bottom - box.top)
    left, top = max(int(box.left - margin), 0), max(int(box.top - margin), 0)
    right, bottom = min(int(box.right + margin), width), min(int(box.bottom + margin), height)
    if right - left < 2 or bottom - top < 2:
        return None
    scale = MESH_CROP_SIDE / max(right - left, bottom - top)
    shape = (max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    mesh = mesh_face(cv2.resize(image[top:bottom, left:right], shape, interpolation=method))
    if mesh is None:
        return None
    return mesh / np.float32(scale) + np.array([left, top, 0], np.float32)
