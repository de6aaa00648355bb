"""How the head moves while its owner talks, listens to themselves, and breathes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.generate.noise import smooth_noise
from vasari.generate.prosody import Prosody

Float64Array = npt.NDArray[np.float64]

# Standard deviations while talking, of yaw, pitch and roll in degrees and of the place in cm.
# Slow posture and livelier gestures; within ten seconds of talk they come to the 3.0, 2.8 and 1.4
# degrees of real clips, and to their mean change of about 9 degrees a second.
POSTURE_RATE, GESTURE_RATE = 0.5, 1.6  # knots per second
POSTURE_ROTATION = np.array([3.9, 3.0, 1.9])
GESTURE_ROTATION = np.array([2.5, 2.0, 1.3])
POSTURE_PLACE = np.array([0.5, 0.3, 0.8])
SILENT_SHARE = 0.45  # of the movement while nothing is said
NOD = 3.5  # degrees down at the strongest stress
NOD_RATE = 0.4  # knots per second of the willingness to nod
BREATH_RATE = 0.25  # per second
BREATH_WANDER = 0.6  # radians by which a breath comes early or late
BREATH_RISE, BREATH_PITCH = 0.12, 0.25  # cm, degrees
_POSTURE, _GESTURE, _PLACE, _NOD, _BREATH = range(100, 105)  # streams of noise


def move_head(
    times: Float64Array, prosody: Prosody, seed: int
) -> tuple[Float64Array, Float64Array]:
    """The head's movement about its place.

    Args:
        times: (T,) seconds.
        prosody: talk and stress at these times, (T,) each.
        seed: the user's seed.

    Returns:
        Rotation (T, 3) in degrees and translation (T, 3) in cm, as in `Motion`.
    """
    lively = (SILENT_SHARE + (1 - SILENT_SHARE) * prosody.talk)[:, None]
    posture = smooth_noise(times, rate=POSTURE_RATE, seed=seed, stream=_POSTURE, channels=3)
    gesture = smooth_noise(times, rate=GESTURE_RATE, seed=seed, stream=_GESTURE, channels=3)
    place = smooth_noise(times, rate=POSTURE_RATE, seed=seed, stream=_PLACE, channels=3)
    rotation = (POSTURE_ROTATION * posture + GESTURE_ROTATION * gesture * lively) * lively
    translation = POSTURE_PLACE * place * lively
    willing = smooth_noise(times, rate=NOD_RATE, seed=seed, stream=_NOD)[:, 0]
    breath = _breath(times, seed)
    rotation[:, 1] += BREATH_PITCH * breath - NOD * prosody.stress * np.clip(0.6 + willing, 0, 1.5)
    translation[:, 1] += BREATH_RISE * breath
    return rotation, translation


def _breath(times: Float64Array, seed: int) -> Float64Array:
    """Rise and fall of the shoulders in -1..1, never twice the same."""
    wander = smooth_noise(times, rate=BREATH_RATE, seed=seed, stream=_BREATH)[:, 0]
    return np.asarray(np.sin(2 * np.pi * BREATH_RATE * times + BREATH_WANDER * wander))
