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
    LABIODENTAL,
    SILENCE,
    SOUNDS,
    Heard,
    load_speech_encoder,
)

Float32Array = npt.NDArray[np.float32]

REST = 0.12  # of the network's opening: what it gives to lips that are at rest
WIDEST = 1.15  # of the usual range: laughter and shouts
EXPANSION = 1.2  # the network errs toward the mean: its openings vary less than real ones
# Small openings are shown a little larger than they are, so that a voice whose vowels are narrow,
# as French ones are heard to be, does not mumble.
EVENING = 0.75  # the power of an opening that is shown
# Probability of silence at which lips start to, and do, rest: over a word's length (seconds), and
# over a syllable's. Speech is sure of itself for a syllable at least, also in a word that stands
# alone; noise is not, and a short silence, as before a stop, leaves the lips where they are.
SURE_SILENT = {0.2: (0.33, 0.63), 0.05: (0.1, 0.3)}
LATEST = 5  # spectra whose mean stands for what is not heard yet
# People part their lips before they are heard. The network has seen it and says how far; so long
# before speech (seconds), and to this share, lips do as it says although all is silent.
ANTICIPATION, ANTICIPATED = 0.3, 0.7
# Probability of a sound at which its gesture is made at all; then it is made in full, where the
# sound is about as likely as at its likeliest nearby.
SURE_MADE, SURE_WHERE = (0.18, 0.33), (0.85, 0.99)
NEARBY = 0.06  # seconds on each side
MEETING, MAKING = 0.02, 0.07  # seconds in which lips come together, in which a gesture is made
OPENING_SIGMA, CLOSING_SIGMA = 0.03, 0.018  # seconds; lips part slower than they meet
SHAPE_SIGMA = 0.04  # seconds; rounding spreads over its neighbours (coarticulation)
LINGERING = round(3 * max(SURE_SILENT) * FRAME_RATE)  # spectra over which silence is smoothed
# Spectra on each side on which lips depend.
SETTLING = LINGERING + round(ANTICIPATION * FRAME_RATE)
# Seconds of sound on each side that a frame depends on.
CONTEXT = (max(FILES.before, FILES.ahead) + SETTLING) / FRAME_RATE

# How each group of SOUNDS looks, 0..1: rounded, spread, teeth together.
_LOOKS = {
    "fvʋɸβ": (0.0, 0.1, 0.0), "θð": (0.0, 0.1, 0.4),  # noqa: RUF001
    "tdnlɾɫɖʈɳɲʎɭ": (0.0, 0.1, 0.35), "szʦʣ": (0.0, 0.35, 1.0),
    "ʃʒɕʑʂʐɬ": (0.55, 0.0, 0.9), "kɡgŋqɴcɟxχɣʁ": (0.0, 0.05, 0.1),  # noqa: RUF001
    "rɹɻʀɽ": (0.35, 0.0, 0.0), "wʍɥ": (1.0, 0.0, 0.0), "j": (0.0, 0.6, 0.2),
    "iɪɨ": (0.0, 0.8, 0.1), "eɛ": (0.0, 0.5, 0.0), "aæ": (0.0, 0.2, 0.0),  # noqa: RUF001
    "ɔɒ": (0.45, 0.0, 0.0), "oɤ": (0.75, 0.0, 0.0), "uʊʉɯ": (0.9, 0.0, 0.0),  # noqa: RUF001
    "yøœʏ": (1.0, 0.0, 0.0),  # noqa: RUF001
}  # fmt: skip
LOOKS = np.array([_LOOKS.get(letters, (0.0,) * 3) for letters in SOUNDS], np.float32)


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
    spoken = _spoken(chances[:, SILENCE])
    looks = (chances @ LOOKS).T * spoken
    rounding, spreading, hissing = (smooth(look, SHAPE_SIGMA) for look in looks)
    wide = np.maximum(EXPANSION * (heard.opening - REST) / (1 - REST), 0)
    wide = np.minimum(wide**EVENING, WIDEST)
    met = _made(chances[:, BILABIAL], MEETING)
    opening = _move_lips(np.asarray(wide * _prepared(spoken), np.float32)) * (1 - met)
    biting, pressing = (_made(chances[:, group], MAKING) for group in (LABIODENTAL, BILABIAL))
    return Articulation(opening, rounding, spreading, hissing, biting, pressing)


def _spoken(silence: Float32Array) -> Float32Array:
    """Whether someone speaks, 0..1, given how likely silence is."""
    coming = np.full(LINGERING, silence[-LATEST:].mean(), np.float32)
    track = np.concatenate([silence, coming])
    rests = [_ramp(smooth(track, sigma), sure) for sigma, sure in SURE_SILENT.items()]
    return np.asarray(1 - np.min(rests, axis=0)[: len(silence)], np.float32)


def _prepared(spoken: Float32Array) -> Float32Array:
    """How far lips may part, 0..1, where someone speaks, 0..1, and a little before."""
    reach = round(ANTICIPATION * FRAME_RATE)
    coming = np.lib.stride_tricks.sliding_window_view(
        np.pad(spoken, (0, reach), mode="edge"), reach + 1
    ).max(axis=1)
    return np.asarray(np.maximum(spoken, ANTICIPATED * coming), np.float32)


def _made(chance: Float32Array, seconds: float) -> Float32Array:
    """How far a gesture is made that may not be missed, given how likely its sound is.

    A sound of which the network is half sure is not half made: lips that nearly meet are wrong
    for m and for n alike. So where it becomes likely, the gesture is made in full, and held.

    Args:
        chance: (n,) of the sound.
        seconds: in which the gesture is made, and undone.
    """
    reach = round(NEARBY * FRAME_RATE)
    likeliest = _widened(chance, reach)
    where = _ramp(chance / np.maximum(likeliest, SURE_MADE[0]), SURE_WHERE)
    made = where * _ramp(likeliest, SURE_MADE)
    approach = round(seconds * FRAME_RATE)
    held = _widened(made, approach)
    bell = np.hanning(2 * approach + 3)[1:-1]
    padded = np.pad(held, approach, mode="edge")
    return np.asarray(np.convolve(padded, bell / bell.sum(), "valid"), np.float32)


def _widened(track: Float32Array, reach: int) -> Float32Array:
    """The largest value within so many spectra on each side."""
    padded = np.pad(track, reach, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    return np.asarray(windows.max(axis=1), np.float32)


def _ramp(chance: Float32Array, sure: tuple[float, float]) -> Float32Array:
    """From 0 to 1 while a probability becomes sure."""
    low, high = sure
    return np.asarray(np.clip((chance - low) / (high - low), 0, 1), np.float32)


def _move_lips(target: Float32Array) -> Float32Array:
    """Lips that follow a target: quick to close, slower to open, without mean delay.

    A wider average holds back where the target rises: there it is the smaller of the two.
    """
    return np.minimum(smooth(target, CLOSING_SIGMA), smooth(target, OPENING_SIGMA))


def _both(**weights: float) -> dict[str, float]:
    """The same weights for the left and the right of a shape."""
    return {f"{name}{side}": value for name, value in weights.items() for side in ("Left", "Right")}


# Weights at full strength. A loud vowel opens the jaw to about 0.25: 1 is a shout. What goes with
# an opening, and how far it goes, is what eight people's did who were tracked as they spoke: the
# lips are pushed forward a little, which keeps their corners together.
_OPENING = {"jawOpen": 0.35, "mouthFunnel": 0.32}
_PARTING = _both(mouthLowerDown=0.44, mouthUpperUp=0.39) | {"mouthShrugUpper": 0.57}
_ROUNDING = {"mouthFunnel": 0.7, "mouthPucker": 0.9}
_SPREADING = _both(mouthStretch=0.8, mouthSmile=0.35, mouthDimple=0.2)
_HISSING = _both(mouthLowerDown=0.45, mouthUpperUp=0.3, mouthStretch=0.25) | {"jawOpen": 0.03}
_BITING = _both(mouthUpperUp=0.2) | {"mouthRollLower": 0.45, "jawOpen": 0.03}
_PRESSING = _both(mouthPress=0.25) | {"mouthRollLower": 0.15, "mouthRollUpper": 0.1}
SHAPES = np.array(
    [
        [weights.get(name, 0.0) for name in ARKIT_NAMES]
        for weights in (_OPENING, _PARTING, _ROUNDING, _SPREADING, _HISSING, _BITING, _PRESSING)
    ],
    np.float32,
)


def lip_weights(mouth: Articulation) -> Float32Array:
    """The blendshape weights of a mouth's states.

    Returns:
        (n, 52) float32, not yet clipped to 0..1.
    """
    free = 1 - mouth.pressing
    open_ = mouth.opening * (1 - 0.5 * mouth.biting)
    states = (
        # The teeth are nearly together in s; round lips hide them, and the jaw does a little more.
        open_ * (1 - 0.3 * mouth.hissing) * (1 + 0.25 * mouth.rounding),
        open_ * (1 - 0.6 * mouth.rounding),
        mouth.rounding * free,
        mouth.spreading * free,
        mouth.hissing * free,
        mouth.biting * free,
        mouth.pressing,
    )
    return np.asarray(np.stack(states, axis=1) @ SHAPES, np.float32)
