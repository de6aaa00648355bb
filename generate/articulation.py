"""What the mouth does, heard by a small network and turned into blendshape weights.

The network (`vasari.models.speech_encoder`) says how far real speakers open their lips at such a
sound and which group of speech sounds it is. The group decides what an opening alone cannot:
that lips meet in m, b and p, round in o and u, spread in i, and bare the teeth in s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.generate.motion import ARKIT_NAMES
from vasari.generate.spectrum import FRAME_RATE, smooth
from vasari.models.speech_encoder import (
    BILABIAL,
    FILES,
    SILENCE,
    SOUNDS,
    Heard,
    load_speech_encoder,
)

Float32Array = npt.NDArray[np.float32]

REST = 0.12  # of the network's opening: what it gives to lips that are at rest
EXPANSION = 1.2  # the network errs toward the mean: its openings vary less than real ones
# Probability of m, b, p, and of silence around a moment, at which lips start to, and do, close.
SURE_PRESSED, SURE_SILENT = (0.3, 0.6), (0.7, 0.95)
CLOSURE = 0.02  # seconds that a closure is widened, so that smoothing keeps it
OPENING_SIGMA, CLOSING_SIGMA = 0.03, 0.018  # seconds; lips part slower than they meet
PAUSE_SIGMA = 0.06  # seconds; in a short silence, as before a stop, lips stay where they are
SHAPE_SIGMA = 0.04  # seconds; rounding spreads over its neighbours (coarticulation)
SETTLING = round(0.2 * FRAME_RATE)  # spectra on each side over which lips are smoothed
# Seconds of sound on each side that a frame depends on.
CONTEXT = (max(FILES.before, FILES.ahead) + SETTLING) / FRAME_RATE

# How each group of SOUNDS looks, 0..1: rounded, spread, teeth together, lower lip at the teeth.
_LOOKS = {
    "fvʋɸβ": (0.0, 0.1, 0.0, 1.0), "θð": (0.0, 0.1, 0.4, 0.0),  # noqa: RUF001
    "tdnlɾɫɖʈɳɲʎɭ": (0.0, 0.1, 0.35, 0.0), "szʦʣ": (0.0, 0.35, 1.0, 0.0),
    "ʃʒɕʑʂʐɬ": (0.55, 0.0, 0.9, 0.0), "kɡgŋqɴcɟxχɣʁ": (0.0, 0.05, 0.1, 0.0),  # noqa: RUF001
    "rɹɻʀɽ": (0.35, 0.0, 0.0, 0.0), "wʍɥ": (1.0, 0.0, 0.0, 0.0), "j": (0.0, 0.6, 0.2, 0.0),
    "iɪɨ": (0.0, 0.8, 0.1, 0.0), "eɛ": (0.0, 0.5, 0.0, 0.0), "aæ": (0.0, 0.2, 0.0, 0.0),  # noqa: RUF001
    "ɔɒ": (0.45, 0.0, 0.0, 0.0), "oɤ": (0.75, 0.0, 0.0, 0.0), "uʊʉɯ": (0.9, 0.0, 0.0, 0.0),  # noqa: RUF001
    "yøœʏ": (1.0, 0.0, 0.0, 0.0),  # noqa: RUF001
}  # fmt: skip
LOOKS = np.array([_LOOKS.get(letters, (0.0,) * 4) for letters in SOUNDS], np.float32)


@dataclass(frozen=True)
class Articulation:
    """The state of the mouth over n spectra, each (n,) float32 in 0..1."""

    opening: Float32Array  # between the lips: 0 closed, 1 as wide as speakers open at most
    rounding: Float32Array  # lips drawn together and forward
    spreading: Float32Array  # corners drawn apart
    hissing: Float32Array  # teeth together, lips apart
    biting: Float32Array  # lower lip at the upper teeth: f, v
    pressing: Float32Array  # lips pressed together: m, b, p


def articulate(levels: Float32Array) -> Articulation:
    """Hear what the mouth does in a stretch of sound.

    Args:
        levels: (n, MELS) dB re the loud level of the recording, CONTEXT longer on each side than
            the spectra that count.
    """
    return move_mouth(load_speech_encoder()(levels))


def move_mouth(heard: Heard) -> Articulation:
    """What the mouth does at n spectra that were heard; each depends on SETTLING around it."""
    chances = heard.chances
    spoken = 1 - _ramp(smooth(chances[:, SILENCE], PAUSE_SIGMA), SURE_SILENT)
    looks = (chances @ LOOKS).T * spoken
    rounding, spreading, hissing, biting = (smooth(look, SHAPE_SIGMA) for look in looks)
    wide = np.clip(EXPANSION * (heard.opening - REST) / (1 - REST), 0, 1)
    pressing = _ramp(chances[:, BILABIAL], SURE_PRESSED)
    opening = _move_lips(np.asarray(wide * spoken * (1 - pressing), np.float32))
    return Articulation(
        opening, rounding, spreading, hissing, biting, smooth(pressing, CLOSING_SIGMA)
    )


def _ramp(chance: Float32Array, sure: tuple[float, float]) -> Float32Array:
    """From 0 to 1 while a probability becomes sure."""
    low, high = sure
    return np.asarray(np.clip((chance - low) / (high - low), 0, 1), np.float32)


def _move_lips(target: Float32Array) -> Float32Array:
    """Lips that follow a target: quick to close, slower to open, without mean delay.

    A wider average holds back where the target rises: there it is the smaller of the two.
    """
    half = round(CLOSURE * FRAME_RATE / 2)
    padded = np.pad(target, half, mode="edge")
    shut = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).min(axis=1)
    return np.minimum(smooth(shut, CLOSING_SIGMA), smooth(shut, OPENING_SIGMA))


def _both(**weights: float) -> dict[str, float]:
    """The same weights for the left and the right of a shape."""
    return {f"{name}{side}": value for name, value in weights.items() for side in ("Left", "Right")}


# Weights at full strength. A loud vowel opens the jaw to about 0.4: 1 is a shout.
_JAW = {"jawOpen": 0.55}
_PARTING = _both(mouthLowerDown=0.5, mouthUpperUp=0.4)
_ROUNDING = {"mouthFunnel": 0.9, "mouthPucker": 0.9}
_SPREADING = _both(mouthStretch=0.8, mouthSmile=0.35, mouthDimple=0.2)
_HISSING = _both(mouthLowerDown=0.45, mouthUpperUp=0.3, mouthStretch=0.25) | {"jawOpen": 0.03}
_BITING = _both(mouthUpperUp=0.2) | {"mouthRollLower": 0.45, "jawOpen": 0.03}
_PRESSING = _both(mouthPress=0.25) | {"mouthRollLower": 0.15, "mouthRollUpper": 0.1}
SHAPES = np.array(
    [
        [weights.get(name, 0.0) for name in ARKIT_NAMES]
        for weights in (_JAW, _PARTING, _ROUNDING, _SPREADING, _HISSING, _BITING, _PRESSING)
    ],
    np.float32,
)


def lip_weights(mouth: Articulation) -> Float32Array:
    """The blendshape weights of a mouth's states.

    Returns:
        (n, 52) float32, not yet clipped to 0..1.
    """
    free = 1 - mouth.pressing
    open_ = mouth.opening * (1 - 0.3 * mouth.rounding)
    open_ = open_ * (1 - 0.5 * mouth.hissing - 0.5 * mouth.biting)
    states = (
        # Lips that are drawn apart show as much of the teeth with a higher jaw.
        open_ * (1 - 0.4 * mouth.spreading),
        open_,
        mouth.rounding * free,
        mouth.spreading * free,
        mouth.hissing * free,
        mouth.biting * free,
        mouth.pressing,
    )
    return np.asarray(np.stack(states, axis=1) @ SHAPES, np.float32)
