"""The few numbers in which a face and head move together: what the motion model works in.

The 52 weights of a tracked face vie with each other: funnel, shrug and open jaw together look
like little. So the mouth is described by where its lips stand, and shapes that come in pairs by
their mean or difference. All numbers are relative to the person's own usual face.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from vasari.generate.blendshapes import face_shapes
from vasari.generate.motion import ARKIT_INDEX, ARKIT_NAMES, Motion
from vasari.generate.template import template

Float32Array = npt.NDArray[np.float32]

CHANNELS = (
    "yaw", "pitch", "roll",  # degrees, as in Motion
    "right", "up", "nearer",  # cm
    "look_yaw", "look_pitch",  # degrees: where the eyes look in the world, head and eyes together
    "blink",  # 0..1, both lids
    "brow_inner", "brow_outer", "brow_down",  # weights
    "lid",  # weight of wide minus that of squint
    "cheek", "sneer",  # weights
    "opening", "width", "corner",  # cm: lips apart, mouth wider, corners above the lips' middle
)  # fmt: skip
INDEX = {name: index for index, name in enumerate(CHANNELS)}
HEAD = slice(0, 6)
GAZE = [INDEX["look_yaw"], INDEX["look_pitch"]]
FACE = [
    INDEX[name]
    for name in ("brow_inner", "brow_outer", "brow_down", "lid", "cheek", "sneer", "corner")
]
# One unit of a wish: degrees of gaze, cm nearer, units of the channels of the face.
GAZE_UNIT, NEARER_UNIT, FACE_UNIT = 10.0, 5.0, 0.2
CORNER_WEIGHT = 0.6  # cm by which a smile of 1 raises the corners
# Mirrored, a face turns these the other way.
ODD = [INDEX[name] for name in ("yaw", "roll", "right", "look_yaw")]

# FaceMesh points: middles of the inner lips, corners of the mouth.
_UPPER_LIP, _LOWER_LIP = 13, 14
_RIGHT_CORNER, _LEFT_CORNER = 61, 291
# Channels that are sums of weights: what each is made of.
_MIXTURES: dict[str, dict[str, float]] = {
    "blink": {"eyeBlinkLeft": 0.5, "eyeBlinkRight": 0.5},
    "brow_inner": {"browInnerUp": 1.0},
    "brow_outer": {"browOuterUpLeft": 0.5, "browOuterUpRight": 0.5},
    "brow_down": {"browDownLeft": 0.5, "browDownRight": 0.5},
    "lid": {
        "eyeWideLeft": 0.5, "eyeWideRight": 0.5, "eyeSquintLeft": -0.5, "eyeSquintRight": -0.5,
    },
    "cheek": {"cheekSquintLeft": 0.5, "cheekSquintRight": 0.5},
    "sneer": {"noseSneerLeft": 0.5, "noseSneerRight": 0.5},
}  # fmt: skip


def channels_of(motion: Motion) -> Float32Array:
    """A motion in channels.

    Returns:
        (T, len(CHANNELS)) float32, relative to the motion's own zero.
    """
    look = motion.gaze + motion.rotation[:, :2]
    face = motion.expression @ face_matrix()
    return np.hstack([motion.rotation, motion.translation, look, face]).astype(np.float32)


@functools.cache
def face_matrix() -> Float32Array:
    """What a unit of each weight adds to the channels of the face, (52, len(CHANNELS) - 8)."""
    matrix = np.zeros((len(ARKIT_NAMES), len(CHANNELS)), np.float32)
    for channel, weights in _MIXTURES.items():
        for name, share in weights.items():
            matrix[ARKIT_INDEX[name], INDEX[channel]] = share
    shapes = face_shapes(template())
    upper, lower = shapes[:, _UPPER_LIP], shapes[:, _LOWER_LIP]
    right, left = shapes[:, _RIGHT_CORNER], shapes[:, _LEFT_CORNER]
    matrix[:, INDEX["opening"]] = lower[:, 1] - upper[:, 1]
    matrix[:, INDEX["width"]] = left[:, 0] - right[:, 0]
    matrix[:, INDEX["corner"]] = (upper + lower - left - right)[:, 1] / 2
    return matrix[:, INDEX["blink"] :]


def face_weights(motion: Float32Array) -> Float32Array:
    """The blendshape weights that show the face of channels, the lips' opening and width excepted.

    Args:
        motion: (T, len(CHANNELS)).

    Returns:
        (T, 52) float32, 0 or more.
    """
    weights = np.zeros((len(motion), len(ARKIT_NAMES)), np.float32)

    def show(channel: str, sign: int, shape: str, unit: float = 1.0) -> None:
        amount = np.maximum(sign * motion[:, INDEX[channel]] / unit, 0)
        for name, index in ARKIT_INDEX.items():
            if name.startswith(shape):
                weights[:, index] += amount

    show("brow_inner", 1, "browInnerUp")
    show("brow_inner", -1, "browDown", 2.0)
    show("brow_outer", 1, "browOuterUp")
    show("brow_down", 1, "browDown")
    show("lid", 1, "eyeWide")
    show("lid", -1, "eyeSquint")
    show("cheek", 1, "cheekSquint")
    show("sneer", 1, "noseSneer")
    show("corner", 1, "mouthSmile", CORNER_WEIGHT)
    show("corner", -1, "mouthFrown", CORNER_WEIGHT)
    return weights


def wish_numbers(
    gaze: npt.ArrayLike, nearer: float, face: npt.ArrayLike, liveliness: npt.ArrayLike
) -> Float32Array:
    """The wishes for a window as the network takes them, (12,).

    Args:
        gaze: (2,) degrees, the mean of where the eyes look.
        nearer: cm, the mean of the head's distance.
        face: (7,) the mean of the channels FACE.
        liveliness: (2,) logarithms of the deviation and of the speed of the head's turns.
    """
    parts = (
        np.asarray(gaze) / GAZE_UNIT,
        [nearer / NEARER_UNIT],
        np.asarray(face) / FACE_UNIT,
        np.asarray(liveliness),
    )
    return np.concatenate(parts).astype(np.float32)
