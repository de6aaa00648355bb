"""The face of each emotion, in ARKit weights.

After the action units of Ekman and Friesen's EMFACS (1983): happy 6+12, sad 1+4+15, surprised
1+2+5+26, fearful 1+2+4+5+20, angry 4+5+7+23, disgusted 9+15+16, contempt 12+14 on one side.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from vasari.generate.controls import EMOTIONS
from vasari.generate.motion import ARKIT_INDEX, ARKIT_NAMES

Float32Array = npt.NDArray[np.float32]


def _both(**weights: float) -> dict[str, float]:
    """The same weights for the left and the right of a shape."""
    return {f"{name}{side}": value for name, value in weights.items() for side in ("Left", "Right")}


# Weights at 1.0: strong, and still a face that can talk.
FACES: Mapping[str, Mapping[str, float]] = {
    "neutral": {},
    "happy": _both(mouthSmile=0.6, cheekSquint=0.45, eyeSquint=0.25, mouthDimple=0.15)
    | {"browInnerUp": 0.08},
    "sad": _both(mouthFrown=0.5, browDown=0.1, eyeSquint=0.12)
    | {"browInnerUp": 0.65, "mouthShrugLower": 0.25},
    "angry": _both(browDown=0.75, noseSneer=0.3, mouthPress=0.25, eyeSquint=0.3, mouthFrown=0.15)
    | {"jawForward": 0.1},
    "surprised": _both(browOuterUp=0.7, eyeWide=0.6) | {"browInnerUp": 0.6, "jawOpen": 0.12},
    "fearful": _both(eyeWide=0.6, browOuterUp=0.25, browDown=0.1, mouthStretch=0.4)
    | {"browInnerUp": 0.75, "jawOpen": 0.05},
    "disgusted": _both(noseSneer=0.7, mouthUpperUp=0.25, browDown=0.4, eyeSquint=0.3)
    | {"mouthFrownLeft": 0.2, "mouthFrownRight": 0.2, "mouthShrugUpper": 0.1},
    "contempt": {
        "mouthSmileLeft": 0.45, "mouthDimpleLeft": 0.5, "cheekSquintLeft": 0.2,
        "mouthPressLeft": 0.15, "eyeSquintLeft": 0.12, "browDownRight": 0.1,
    },
}  # fmt: skip

# What parts the lips gives way to a closure, and what widens the mouth to a rounded vowel.
PARTING = [
    ARKIT_INDEX[name]
    for name in ARKIT_NAMES
    if name.startswith(("jawOpen", "mouthLowerDown", "mouthUpperUp"))
]
WIDENING = [
    ARKIT_INDEX[name]
    for name in ARKIT_NAMES
    if name.startswith(("mouthSmile", "mouthStretch", "mouthDimple"))
]


def face_of(emotion: Mapping[str, float]) -> Float32Array:
    """The blendshape weights of a blend of emotions.

    Args:
        emotion: name in `vasari.generate.controls.EMOTIONS` -> 0..1.

    Returns:
        (52,) float32, not yet clipped to 0..1.
    """
    face = np.zeros(len(ARKIT_NAMES), np.float32)
    for name, weight in emotion.items():
        for shape, value in FACES[name].items():
            face[ARKIT_INDEX[shape]] += weight * value
    return face


# Each of EMOTIONS at 1, (8, 52).
FACE_MATRIX = np.stack([face_of({name: 1.0}) for name in EMOTIONS])
