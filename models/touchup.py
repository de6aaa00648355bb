"""The network that touches up eyes and mouth, with the weights that come with Vasari.

`vasari.models.train_touchup` makes the weights; the model card says from what.
"""

from __future__ import annotations

import functools
import hashlib
from importlib import resources

import numpy as np
import numpy.typing as npt

from vasari.compiled import kernel
from vasari.errors import VasariError
from vasari.models.onnx_network import OnnxNetwork

Float32Array = npt.NDArray[np.float32]

WEIGHTS = "touchup.onnx"
SHA256 = "0bcd1a8bbe7dd7e6fd4661852423bceec123361bcb4b6fbfb7b9ea4dee6aeeac"


BORDER = 10  # pixels of a patch in which the change fades to nothing
MAX_SHIFT, MAX_ADDED = 6.0, 0.5  # pixels of a patch, and of the colours' range


class TouchUpNetwork:
    """The network with its weights.

    Args:
        model: an ONNX file's bytes. It answers looks with `decode`'s input.
    """

    def __init__(self, model: bytes) -> None:
        self._network = OnnxNetwork(model, "the touch-up's network")

    def __call__(self, looks: Float32Array) -> Float32Array:
        """Say how patches of frames are to be changed.

        Args:
            looks: (n, 7, h, w) 0..1, of `vasari.generate.touchup.REGIONS` in their order: red,
                green, blue of the frame's patch, the same of the portrait's, and how much of a
                pixel lies between lids or lips.

        Returns:
            (n, 5, h, w): from how many pixels to the right and below each pixel comes, and what
            is added to its red, green, blue, 0..1.
        """
        return decode(self._network(looks))


def decode(answers: Float32Array) -> Float32Array:
    """Shifts and colours, (n, 5, h, w), from a network's answers, (n, 20, h / 2, w / 2).

    Four channels after each other are the four pixels of a square (Shi et al. 2016).
    """
    count, channels, height, width = answers.shape
    fields = np.empty((count, channels // 4, 2 * height, 2 * width), np.float32)
    _unfold(np.tanh(answers), limits(2 * height, 2 * width), fields)
    return fields


@kernel()
def _unfold(squares, most, fields):  # type: ignore[no-untyped-def]
    """Lay out squares, (n, 4 c, h / 2, w / 2), as fields, (n, c, h, w), times what is the most."""
    count, channels, height, width = squares.shape
    for n in range(count):
        for channel in range(channels):
            c, corner = divmod(channel, 4)
            down, across = divmod(corner, 2)
            for y in range(height):
                row, bound = fields[n, c, 2 * y + down], most[c, 2 * y + down]
                for x in range(width):
                    at = 2 * x + across
                    row[at] = squares[n, channel, y, x] * bound[at]


@functools.cache
def limits(height: int, width: int) -> Float32Array:
    """How far each pixel of a patch can be changed, (5, h, w): not at all at its border."""
    rows, columns = (
        np.minimum(np.minimum(np.arange(n), n - 1 - np.arange(n)) / BORDER, 1)
        for n in (height, width)
    )
    ramp = np.outer(rows, columns)
    inside = ramp * ramp * (3 - 2 * ramp)
    most = np.array([MAX_SHIFT] * 2 + [MAX_ADDED] * 3)
    return np.asarray(most[:, None, None] * inside, np.float32)


def load_touch_up() -> TouchUpNetwork:
    """The network that comes with Vasari, for use in one thread at a time.

    Raises:
        VasariError: the weights are damaged.
    """
    return TouchUpNetwork(shipped_model())


def shipped_model() -> bytes:
    """The ONNX file that comes with Vasari.

    Raises:
        VasariError: the weights are damaged.
    """
    data = (resources.files("vasari.models") / "weights" / WEIGHTS).read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise VasariError(f"the weights {WEIGHTS} are damaged; install Vasari again")
    return data
