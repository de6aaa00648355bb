"""The networks that touch up mouth and eyes, run by OpenCV from the weights that come with Vasari.

`vasari.models.train_touchup` makes the weights; the model card says from what.
"""

from __future__ import annotations

import hashlib
from importlib import resources

import numpy as np
import numpy.typing as npt

from vasari.errors import VasariError

Float32Array = npt.NDArray[np.float32]

# Network -> file, SHA-256.
WEIGHTS = {
    "mouth": (
        "touchup_mouth.onnx",
        "ba74e56f94a128764a7319166808d3d653a22fa8839adf6d0bdb854f779ff21b",
    ),
    "eye": ("touchup_eye.onnx", "cc82f40a1b888174c869cd79cafcf20ab4e49365f6960c80d2daf0f92aced0f9"),
}


class TouchUpNetwork:
    """One network.

    Args:
        model: an ONNX file's bytes; its input and output are those of a call.
    """

    def __init__(self, model: bytes) -> None:
        import cv2

        self._network = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))

    def __call__(self, looks: Float32Array) -> Float32Array:
        """Say how patches of frames are to be changed.

        Args:
            looks: (n, 7, h, w) 0..1: red, green, blue of the frame's patch, the same of the
                portrait's, and how much of a pixel lies between lips or lids.

        Returns:
            (n, 5, h, w): from how many pixels to the right and below each pixel comes, and what
            is added to its red, green, blue, 0..1.
        """
        self._network.setInput(looks)
        return np.array(self._network.forward(), np.float32)


def load_touch_up(name: str) -> TouchUpNetwork:
    """One of the networks that come with Vasari, for use in one thread at a time.

    Args:
        name: a key of WEIGHTS.

    Raises:
        VasariError: the weights are damaged.
    """
    file, expected = WEIGHTS[name]
    data = (resources.files("vasari.models") / "weights" / file).read_bytes()
    if hashlib.sha256(data).hexdigest() != expected:
        raise VasariError(f"the weights {file} are damaged; install Vasari again")
    return TouchUpNetwork(data)
