"""How like two pictures of a face are: in all of it, at mouth and eyes, in expression, in skin."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vasari.errors import VasariError
from vasari.generate.template import align, template
from vasari.generate.topology import (
    CHIN,
    FOREHEAD,
    LEFT_LID_CREASE,
    LEFT_LOWER_LID,
    LOWER_LIP_OUTER,
    MESH_POINTS,
    RIGHT_LID_CREASE,
    RIGHT_LOWER_LID,
    RIGID_POINTS,
    UPPER_LIP_OUTER,
    triangles,
)

Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
ImageArray = npt.NDArray[np.uint8]
Area = tuple[slice, slice]

MARGIN = 0.04  # of the face's height: how far around lips and lids their regions go
SSIM_WINDOW = 7  # pixels
MIN_BOX = SSIM_WINDOW + 1

LIPS = UPPER_LIP_OUTER + LOWER_LIP_OUTER
EYES = (RIGHT_LID_CREASE + RIGHT_LOWER_LID, LEFT_LID_CREASE + LEFT_LOWER_LID)
BROWS = (
    (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
    (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
)

SKIN_DENSITY = 12.0  # pixels per cm of the mean face on which skin is compared


class Likeness(NamedTuple):
    """How like a picture is to the true one in one region."""

    psnr: float  # dB
    ssim: float  # Wang et al. 2004
    sharpness: (
        float  # how strong its edges are, 1 as in the truth: blur raises PSNR, and shows here
    )


def face_box(mesh: Float32Array, size: int) -> Area:
    """The box around a face, (478, 3) pixels, in a picture of a size."""
    low = np.clip(np.floor(mesh[:MESH_POINTS, :2].min(axis=0)), 0, size - MIN_BOX).astype(int)
    high = np.clip(np.ceil(mesh[:MESH_POINTS, :2].max(axis=0)), MIN_BOX, size).astype(int)
    return np.s_[low[1] : high[1], low[0] : high[0]]


def compare(shown: ImageArray, truth: ImageArray, mesh: Float32Array) -> dict[str, Likeness]:
    """Likeness inside the face's box, around the lips, and around the eyes.

    Args:
        shown: (S, S, 3) sRGB.
        truth: (S, S, 3) sRGB.
        mesh: (478, 3) pixels, the face in the truth.
    """
    box = face_box(mesh, len(truth))
    a, b = truth[box], shown[box]
    error = np.square(a.astype(np.float32) - b).mean(axis=2)
    structure = _ssim(a, b)
    true_edges, edges = _edges(a), _edges(b)
    return {
        name: Likeness(
            _psnr(error[mask]),
            float(structure[mask].mean()),
            float(edges[mask].mean() / max(true_edges[mask].mean(), 1e-3)),
        )
        if mask.any()
        else Likeness(np.nan, np.nan, np.nan)  # outside the frame
        for name, mask in regions(mesh, len(truth), box).items()
    }


def _ssim(a: ImageArray, b: ImageArray) -> Float32Array:
    """SSIM at each pixel, (h, w), the mean of the channels."""
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise VasariError('scikit-image is missing: pip install "vasari[eval]"') from error
    axis = 2 if a.ndim == 3 else None
    full = structural_similarity(a, b, win_size=SSIM_WINDOW, channel_axis=axis, full=True)[1]
    return np.asarray(full.mean(axis=2) if axis else full, np.float32)


def _edges(picture: ImageArray) -> Float32Array:
    """How strong the edges of a picture's luma are at each pixel, (h, w)."""
    import cv2

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    return np.asarray(np.hypot(across, down), np.float32)


def _psnr(squared_error: Float32Array) -> float:
    return float(10 * np.log10(255**2 / max(float(squared_error.mean()), 1e-3)))


def regions(mesh: Float32Array, size: int, box: Area) -> dict[str, BoolArray]:
    """The regions of a face that are measured, as masks of its box."""
    margin = MARGIN * _height(mesh)
    whole = np.ones((size, size), bool)
    masks = {"face": whole, "mouth": _hulls(mesh, [LIPS], size, margin)}
    masks["eyes"] = _hulls(mesh, EYES, size, margin)
    return {name: mask[box] for name, mask in masks.items()}


def _height(mesh: Float32Array) -> float:
    return float(np.linalg.norm(mesh[FOREHEAD, :2] - mesh[CHIN, :2]))


def _hulls(
    mesh: Float32Array, groups: Sequence[tuple[int, ...]], size: int, margin: float
) -> BoolArray:
    """Which pixels lie in the convex hull of a group of points, or within a margin of it."""
    import cv2

    mask = np.zeros((size, size), np.uint8)
    for group in groups:
        hull = cv2.convexHull(np.rint(mesh[list(group), :2]).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 1)
    width = 2 * round(margin) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return np.asarray(cv2.dilate(mask, kernel) > 0)


def expression_error(shown: Float32Array, truth: Float32Array) -> float:
    """How far the points of two faces are apart, % of the face's height, head pose taken out.

    Args:
        shown: (478, 3) pixels.
        truth: (478, 3) pixels.
    """
    model = template()
    faces = [align(mesh, model).unplace(mesh)[:MESH_POINTS, :2] for mesh in (shown, truth)]
    apart = np.linalg.norm(faces[0] - faces[1], axis=1).mean()
    return float(100 * apart / _height(model))


def skin_likeness(
    shown: ImageArray, shown_mesh: Float32Array, portrait: ImageArray, mesh: Float32Array
) -> float:
    """SSIM of the skin that expression hardly moves, both pictures laid on the mean face."""
    first, second = unwarp(shown, shown_mesh), unwarp(portrait, mesh)
    return float(_ssim(first, second)[_skin()].mean())


def unwarp(picture: ImageArray, mesh: Float32Array) -> ImageArray:
    """The grey picture, (H, W), of a face with a mesh, (478, 3) pixels, laid on the mean face."""
    import cv2

    map_x, map_y, _ = _laid(np.ascontiguousarray(mesh[:, :2]))
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.remap(grey, map_x, map_y, cv2.INTER_LINEAR), np.uint8)


def _laid(sources: Float32Array) -> Float32Array:
    """Where in a picture, x and y, each pixel of the mean face lies, and its depth: (3, H, W)."""
    from vasari.generate.raster import rasterise

    planes = np.zeros((3, *_flat_size()), np.float32)
    rasterise(triangles(), _flat_template(), sources, *planes)
    return planes


@lru_cache(maxsize=1)
def _flat_template() -> Float32Array:
    """The mean face, (478, 3), pixels at SKIN_DENSITY, its box beginning at zero."""
    points = template() * SKIN_DENSITY
    points[:, :2] -= points[:MESH_POINTS, :2].min(axis=0)
    return np.ascontiguousarray(points, np.float32)


def _flat_size() -> tuple[int, int]:
    width, height = np.ceil(_flat_template()[:MESH_POINTS, :2].max(axis=0)).astype(int)
    return int(height), int(width)


@lru_cache(maxsize=1)
def _skin() -> BoolArray:
    """Forehead, nose and upper cheeks of the mean face, without eyes and brows."""
    import cv2

    flat, side = _flat_template(), max(_flat_size())
    height, width = _flat_size()
    skin = _hulls(flat, [RIGID_POINTS], side, 0)
    skin &= ~_hulls(flat, EYES + BROWS, side, MARGIN * _height(flat))
    covered = np.isfinite(_laid(flat[:, :2].copy())[2]).astype(np.uint8)
    kernel = np.ones((SSIM_WINDOW, SSIM_WINDOW), np.uint8)
    return np.asarray(skin[:height, :width] & (cv2.erode(covered, kernel) > 0))
