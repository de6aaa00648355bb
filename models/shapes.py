"""What was learned of the blendshapes from real faces, which is added to those made by hand.

`vasari.models.train_shapes` makes the weights; the model card says from what.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vasari.models.zoo import read_weights

Float32Array = npt.NDArray[np.float32]

WEIGHTS = "shapes.npz"


@lru_cache(maxsize=1)
def learned_shapes() -> Float32Array:
    """What is added to each shape at each point of the skin, (52, 468, 2) cm right and down.

    Raises:
        VasariError: the weights are missing or damaged.
    """
    with np.load(io.BytesIO(read_weights(WEIGHTS)), allow_pickle=False) as file:
        return np.asarray(file["offsets"], np.float32)
