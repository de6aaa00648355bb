"""What the mouth does, read from the sound's spectrum by a rule.

It knows loudness and the balance of bands, no phones: it opens the jaw in vowels, closes the lips
in silence and in the hum of m, and tells rounded from spread vowels and hissing from voice. That
is all it claims.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from vasari.generate.motion import ARKIT_INDEX, ARKIT_NAMES
from vasari.generate.spectrum import FRAME_RATE, smooth

Float32Array = npt.NDArray[np.float32]

# Hz. Nasals hum below the first; vowels fill the middle, front ones the upper half of it.
HUM, LOW_VOWEL, HIGH_VOWEL, HISS = (
    (150.0, 400.0), (400.0, 1200.0), (1200.0, 2800.0), (3500.0, 7500.0)
)  # fmt: skip
BANDS = (HUM, LOW_VOWEL, HIGH_VOWEL, HISS)

# dB re the loud level of the recording.
VOWEL_SHUT, VOWEL_OPEN = -24.0, -3.0  # the vowel band at which the jaw starts, and ends, to open
NOISE_MARGIN = 8.0  # dB above the noise that still counts as silence
HUM_EXCESS = (8.0, 16.0)  # dB of the hum over the vowel band: starts, and ends, to close the lips
HISS_EXCESS = (0.0, 12.0)  # dB of the hiss over the vowel band: starts, and ends, to be friction
HISS_SILENCE = -30.0  # dB; weaker hiss is breath
ROUND_TILT, SPREAD_TILT = 24.0, 6.0  # dB of low over high vowel band: o and u, e and i

CLOSURE = 0.04  # seconds that a closure is widened, so that smoothing keeps it
OPENING_SIGMA, CLOSING_SIGMA = 0.035, 0.02  # seconds; lips part slower than they meet
SHAPE_SIGMA = 0.06  # seconds; rounding spreads over its neighbours (coarticulation)
# The jaw's target is reached a little before the sound is heard.
CONTEXT = 0.3  # seconds of sound on each side that a frame depends on, more than the sum of these


@dataclass(frozen=True)
class Articulation:
    """The state of the mouth over n spectra, each (n,) float32 in 0..1."""

    opening: Float32Array  # distance between the lips, 1 a shouted a
    rounding: Float32Array  # lips drawn together and forward
    spreading: Float32Array  # corners drawn apart
    friction: Float32Array  # teeth together, lips apart
    pressing: Float32Array  # lips closed while there is voice: m, b, p

    def __getitem__(self, spectra: slice) -> Articulation:
        """The state over a range of spectra."""
        return Articulation(*(getattr(self, field.name)[spectra] for field in fields(self)))


def articulate(bands: Float32Array, loud: float, noise: float) -> Articulation:
    """Read the mouth's state from band levels.

    Args:
        bands: (n, 4) dB in BANDS, CONTEXT longer on each side than the frames that count.
        loud: dB, the loud level of the recording.
        noise: dB, the noise level of the recording.
    """
    hum, low, high, hiss = (bands - loud).T
    vowel = np.logaddexp(low * _NEPER, high * _NEPER) / _NEPER
    shut = max(VOWEL_SHUT, min(noise - loud + NOISE_MARGIN, VOWEL_OPEN - 12))
    voiced = _ramp(vowel, shut, VOWEL_OPEN)
    hummed = _ramp(hum - vowel, *HUM_EXCESS)
    friction = _ramp(hiss - vowel, *HISS_EXCESS) * _ramp(hiss, HISS_SILENCE, HISS_SILENCE + 10)
    opening = _move_lips(voiced * (1 - hummed))
    sounding = smooth(_ramp(np.maximum(vowel, hum), shut, shut + 8), SHAPE_SIGMA)
    tilt = smooth(low - high, SHAPE_SIGMA)
    audible = smooth(voiced, SHAPE_SIGMA)
    return Articulation(
        opening,
        audible * _ramp(tilt, (ROUND_TILT + SPREAD_TILT) / 2, ROUND_TILT),
        audible * _ramp(-tilt, -(ROUND_TILT + SPREAD_TILT) / 2, -SPREAD_TILT),
        smooth(friction, CLOSING_SIGMA),
        np.asarray(sounding * np.clip(1 - opening / 0.08, 0, 1), np.float32),
    )


_NEPER = np.log(10) / 10  # natural logarithm of power per dB


def _ramp(values: Float32Array, low: float, high: float) -> Float32Array:
    """0 up to ``low``, 1 from ``high``, straight between."""
    return np.asarray(np.clip((values - low) / (high - low), 0, 1), np.float32)


def _move_lips(target: Float32Array) -> Float32Array:
    """Lips that follow a target: quick to close, slower to open, without mean delay.

    A wider average of what was before holds back only where the target rises: there it is the
    smaller one.
    """
    half = round(CLOSURE * FRAME_RATE / 2)
    padded = np.pad(target, half, mode="edge")
    shut = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).min(axis=1)
    return np.minimum(smooth(shut, CLOSING_SIGMA), smooth(shut, OPENING_SIGMA))


# Weights at full strength. A loud vowel opens to about a half: 1 is a shout.
_OPENING = {
    "jawOpen": 0.5, "mouthLowerDownLeft": 0.35, "mouthLowerDownRight": 0.35,
    "mouthUpperUpLeft": 0.2, "mouthUpperUpRight": 0.2,
}  # fmt: skip
_ROUNDING = {"mouthFunnel": 0.4, "mouthPucker": 0.45}
_SPREADING = {
    "mouthStretchLeft": 0.35, "mouthStretchRight": 0.35, "mouthSmileLeft": 0.1,
    "mouthSmileRight": 0.1, "mouthDimpleLeft": 0.08, "mouthDimpleRight": 0.08,
}  # fmt: skip
_FRICTION = {
    "jawOpen": 0.03, "mouthLowerDownLeft": 0.25, "mouthLowerDownRight": 0.25,
    "mouthUpperUpLeft": 0.15, "mouthUpperUpRight": 0.15, "mouthStretchLeft": 0.12,
    "mouthStretchRight": 0.12, "mouthShrugUpper": 0.08,
}  # fmt: skip
_PRESSING = {
    "mouthPressLeft": 0.25, "mouthPressRight": 0.25, "mouthRollLower": 0.15, "mouthRollUpper": 0.1,
}  # fmt: skip
SHAPES = tuple(
    np.array([weights.get(name, 0) for name in ARKIT_NAMES], np.float32)
    for weights in (_OPENING, _ROUNDING, _SPREADING, _FRICTION, _PRESSING)
)
LIP_COLUMNS = [ARKIT_INDEX[name] for name in ARKIT_NAMES if name.startswith(("jaw", "mouth"))]


def lip_weights(mouth: Articulation) -> Float32Array:
    """The blendshape weights of a mouth's states.

    Returns:
        (n, 52) float32, not yet clipped to 0..1.
    """
    apart = 1 - mouth.pressing
    states = (
        mouth.opening * (1 - 0.4 * mouth.rounding) * (1 - 0.7 * mouth.friction),
        mouth.rounding * (0.5 + 0.5 * np.clip(mouth.opening / 0.2, 0, 1)),
        mouth.spreading * apart,
        mouth.friction * apart,
        mouth.pressing,
    )
    return np.asarray(np.stack(states, axis=1) @ np.stack(SHAPES), np.float32)
