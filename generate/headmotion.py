"""Gestures by rule, for the live path, which has no future to draw from: head, brows, breath."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.generate.gestures import Gesture
from vasari.generate.motion import ARKIT_INDEX
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
BROW_RATE = 0.5  # knots per second of the willingness to raise the brows
_BROW, _UNREST = 200, 201  # streams of noise
_POSTURE, _GESTURE, _PLACE, _NOD, _BREATH = range(100, 105)  # streams of noise


def gesture_by_rule(times: Float64Array, prosody: Prosody, seed: int) -> Gesture:
    """The gestures at some times.

    Args:
        times: (T,) seconds.
        prosody: talk and stress at these times, (T,) each.
        seed: the user's seed.
    """
    return Gesture(*_move_head(times, prosody, seed), _brows(times, prosody, seed))


def _move_head(
    times: Float64Array, prosody: Prosody, seed: int
) -> tuple[Float64Array, Float64Array]:
    """The head's rotation, (T, 3) degrees, and translation, (T, 3) cm, about its place."""
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


def _brows(times: Float64Array, melody: Prosody, seed: int) -> Float64Array:
    """Brows that go with some of the stresses, and never rest quite still, (T, 52) weights."""
    willing = smooth_noise(times, rate=BROW_RATE, seed=seed, stream=_BROW)[:, 0]
    unrest = smooth_noise(times, rate=BROW_RATE, seed=seed, stream=_UNREST, channels=3)
    raised = 0.5 * melody.stress * np.clip(willing, 0, 2) + 0.03 * np.clip(unrest[:, 0], 0, 2)
    lowered = 0.2 * melody.stress * np.clip(-willing - 0.5, 0, 2)
    weights = np.zeros((len(times), len(ARKIT_INDEX)))
    for name, track in {
        "browInnerUp": raised, "browOuterUpLeft": 0.7 * raised, "browOuterUpRight": 0.6 * raised,
        "browDownLeft": lowered, "browDownRight": lowered,
        "eyeWideLeft": 0.2 * raised, "eyeWideRight": 0.2 * raised,
        "mouthSmileLeft": 0.02 * np.clip(unrest[:, 1], 0, 2),
        "mouthSmileRight": 0.02 * np.clip(unrest[:, 1], 0, 2),
        "mouthPressLeft": 0.03 * np.clip(unrest[:, 2], 0, 2),
        "mouthPressRight": 0.03 * np.clip(unrest[:, 2], 0, 2),
    }.items():  # fmt: skip
        weights[:, ARKIT_INDEX[name]] = track
    return weights
