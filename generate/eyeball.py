"""An eyeball from what a portrait shows of it: white and iris go on behind the lids."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.generate.inpaint import fill

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

RIM = (1.0, 1.3)  # of the iris' radius: from where to where its rim fades into the white


def complete_ball(
    cut: ImageArray, shown: npt.NDArray[np.bool_], centre: Float32Array, radius: float
) -> ImageArray:
    """An eye's picture that goes on behind the lids as it ends at them.

    Behind the lower lid an iris ends in a rim, beyond which white goes on from white: else it would
    trail its colour where it looks up. The upper lid's lashes belong to what lies between the lids.

    Args:
        cut: (h, w, 3) around the eye.
        shown: (h, w), where the ball shows between the lids.
        centre: (2,) pixels of the cut, the iris'.
        radius: the iris', pixels.

    Returns:
        (h, w, 3), the cut itself where the ball shows.
    """
    whole = fill(cut, ~shown)
    apart = np.hypot(*(np.indices(shown.shape)[::-1] - centre[:, None, None])) / radius
    white = shown & (apart > RIM[1])
    below = ~np.logical_or.accumulate(shown[::-1])[::-1]
    if white.any():
        beyond = (np.interp(apart, RIM, (0, 1)) * below)[..., None]
        whole = np.rint(whole + beyond * (fill(cut, ~white).astype(np.float32) - whole))
    return np.where(shown[..., None], cut, whole).astype(np.uint8)
