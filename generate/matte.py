"""Cutting the person out of the picture: a soft alpha and the background behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.generate.inpaint import fill

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

# Sizes relative to the side of the picture.
GUIDE_RADIUS = 0.012  # how far the matte may move to meet an edge of the picture
HOLE_MARGIN = 0.008  # the background is invented a little beyond the person's outline
GUIDE_EPSILON = 1e-4  # contrast, squared, below which the guided filter smooths
MIN_FACE_COVERAGE = 0.8  # a mask that loses a fifth of the face is no mask of the person


@dataclass(frozen=True)
class Layers:
    """A picture taken apart: picture = alpha · foreground + (1 - alpha) · background."""

    foreground: ImageArray  # (H, W, 3) uint8 sRGB, the person's own colours
    alpha: Float32Array  # (H, W) 0..1
    background: ImageArray  # (H, W, 3) uint8 sRGB, filled in where the person stands


def split(picture: ImageArray, face: npt.NDArray[np.bool_]) -> Layers:
    """Take a picture apart into the person and the background.

    Where no person is recognised around the face (some statues and cartoons), all of the picture
    is foreground: it then moves as one sheet that comes to rest away from the head.

    Args:
        picture: (H, W, 3) uint8 sRGB.
        face: (H, W), True inside the face.
    """
    alpha = _only_around(_person_alpha(picture), face)
    if alpha[face].mean() < MIN_FACE_COVERAGE:
        alpha = np.ones(picture.shape[:2], np.float32)
        return Layers(picture, alpha, picture)
    background = fill(picture, _grow(alpha > 0.02, HOLE_MARGIN))
    return Layers(_unmix(picture, alpha, background), alpha, background)


def _person_alpha(picture: ImageArray) -> Float32Array:
    """How much of each pixel is person, (H, W) 0..1: segmentation led to the picture's edges."""
    import cv2

    from vasari.generate.mediapipe import solutions

    with solutions().selfie_segmentation.SelfieSegmentation(model_selection=0) as network:
        mask = network.process(picture).segmentation_mask
    radius = max(round(GUIDE_RADIUS * picture.shape[0]), 2)
    guide = picture.astype(np.float32) / 255
    refined = cv2.ximgproc.guidedFilter(guide, np.asarray(mask, np.float32), radius, GUIDE_EPSILON)
    # The filter leaves a veil of a few per cent on either side: stretch it away.
    return np.asarray(np.clip((refined - 0.1) / 0.8, 0, 1), np.float32)


def _only_around(alpha: Float32Array, face: npt.NDArray[np.bool_]) -> Float32Array:
    """An alpha without the islands that do not hang together with the face."""
    import cv2

    _, islands = cv2.connectedComponents((alpha > 0.5).astype(np.uint8))
    own = np.bincount(islands[face & (alpha > 0.5)].ravel(), minlength=1).argmax()
    near = _grow(islands == own, 2 * GUIDE_RADIUS)
    return np.asarray(np.where(near, alpha, 0), np.float32)


def _grow(mask: npt.NDArray[np.bool_], margin: float) -> npt.NDArray[np.bool_]:
    """Dilate a mask by a margin relative to its side."""
    import cv2

    size = 2 * round(margin * mask.shape[0]) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def _unmix(picture: ImageArray, alpha: Float32Array, background: ImageArray) -> ImageArray:
    """The person's own colours at a soft edge: the picture with the background taken out."""
    share = alpha[..., None]
    own = (picture - (1 - share) * background) / np.maximum(share, 0.05)
    return np.asarray(np.clip(np.rint(own), 0, 255), np.uint8)
