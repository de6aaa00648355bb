"""Filling holes in a picture smoothly from around them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ImageArray = npt.NDArray[np.uint8]

MEMBRANE_SWEEPS = 12  # on each level of the pyramid


def fill(picture: ImageArray, hole: npt.NDArray[np.bool_]) -> ImageArray:
    """Fill a hole from around it: a pyramid of averages (push-pull, Gortler et al. 1996).

    Args:
        picture: (H, W, 3) uint8.
        hole: (H, W), True where the picture is not to be used.
    """
    import cv2

    from vasari.generate.raster import relax

    weight = (~hole).astype(np.float32)
    levels = [(picture.astype(np.float32) * weight[..., None], weight)]
    while min(levels[-1][1].shape) > 2:
        levels.append(tuple(cv2.pyrDown(plane) for plane in levels[-1]))
    colour, weight = levels[-1]
    filled = colour / np.maximum(weight, 1e-6)[..., None]
    for colour, weight in reversed(levels[:-1]):
        above = cv2.resize(filled, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        known = np.minimum(weight, 1)[..., None]
        own = known * (colour / np.maximum(weight, 1e-6)[..., None])
        filled = own + (1 - known) * above
        # A few sweeps toward the membrane (Laplace), which meets the picture without a step.
        relax(filled, own, known[..., 0], MEMBRANE_SWEEPS)
    return np.asarray(np.clip(np.rint(filled), 0, 255), np.uint8)
