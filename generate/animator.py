"""From a voice and wishes to a portrait's movement.

The lips follow what a small network hears. Head and face go with the voice as a diffusion model
draws them (`vasari.generate.gestures`). Gaze and blinks, which no tracker sees sharply enough to
learn from, follow seeded chance shaped like people's.

Example:
    >>> speech = Speech.open("talk.mp3")  # doctest: +SKIP
    >>> motion = Motion.concatenate(animate(speech, Controls(seed=3), 25.0))  # doctest: +SKIP
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from vasari.errors import ControlsError
from vasari.generate import articulation, prosody
from vasari.generate.articulation import Articulation, articulate, lip_weights
from vasari.generate.blinking import Blinks
from vasari.generate.controls import Controls
from vasari.generate.emotion import FACE_MATRIX, PARTING, WIDENING
from vasari.generate.fixation import Fixations
from vasari.generate.gestures import STEPS, Gesture, Gestures
from vasari.generate.keyframes import wishes_at
from vasari.generate.motion import ARKIT_INDEX, PORTRAIT_DISTANCE_CM, Motion
from vasari.generate.prosody import Prosody, read_prosody
from vasari.generate.speaker import Speaker
from vasari.generate.spectrum import (
    FLOOR_DB,
    FRAME_RATE,
    band_matrix,
    decibels,
    mel_matrix,
    power_spectra,
)
from vasari.generate.speech import SPEECH_BAND, Level, Speech
from vasari.models.motion_transformer import RATE, WINDOW, MotionTransformer
from vasari.models.speech_encoder import MEL_RANGE, MELS

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

MIN_FPS, MAX_FPS = 10.0, 120.0  # below, lips stutter; above, no screen shows it
CHUNK = WINDOW / RATE  # seconds of motion made at a time: one window of gestures
CONTEXT = max(articulation.CONTEXT, prosody.CONTEXT)  # seconds of sound before and after a chunk
_States = TypeVar("_States", Articulation, Prosody)

EASE_IN = 0.5  # seconds in which the portrait comes to life
EMOTION_EASE_IN = 0.8  # seconds
EYE_YAW_RANGE, EYE_PITCH_RANGE = 35.0, 25.0  # degrees at which an eyeLook weight is 1


def animate(
    speech: Speech,
    controls: Controls,
    fps: float,
    *,
    steps: int = STEPS,
    network: MotionTransformer | None = None,
) -> Iterator[Motion]:
    """Move a portrait to a voice.

    Args:
        speech: the voice; silence gives a quiet, breathing, blinking portrait.
        controls: the user's wishes.
        fps: frames per second.
        steps: evaluations of the diffusion model for each of its windows.
        network: the model; by default that which comes with Vasari.

    Yields:
        Motions of at most CHUNK seconds, `frame_total` frames in all. Frame k belongs to the
        sound at k / fps seconds. The same seed gives the same motion.

    Raises:
        ControlsError: the frame rate is outside MIN_FPS to MAX_FPS.
        SpeechError: the file of the speech has changed or gone.
    """
    if not MIN_FPS <= fps <= MAX_FPS:
        raise ControlsError(f"frame rate is {fps:g}; give {MIN_FPS:g} to {MAX_FPS:g} per second")
    return _animate(speech, controls, fps, Gestures(controls.seed, network, steps=steps))


def frame_total(duration: float, fps: float) -> int:
    """How many frames a sound of so many seconds has."""
    return max(1, math.ceil(round(duration * fps, 6)))


def _animate(
    speech: Speech, controls: Controls, fps: float, gestures: Gestures
) -> Iterator[Motion]:
    """Make the motion chunk by chunk."""
    actor = Actor(controls)
    total = frame_total(speech.duration, fps)
    begin = 0
    for number, (levels, last) in enumerate(_windows(_band_levels(speech))):
        end = total if last else min(total, math.ceil(round((number + 1) * CHUNK * fps, 6)))
        times = np.arange(begin, end) / fps
        drawn = gestures.times()
        if begin < end:
            inside = np.concatenate([drawn, times]) - number * CHUNK + CONTEXT
            mouth, melody = read_levels(levels, inside, speech.level)
            gestures.draw(heard(mouth, melody)[: len(drawn)], wishes_at(controls, drawn))
            lips, voice = _from(mouth, len(drawn)), _from(melody, len(drawn))
            yield Motion(fps, *actor.act(times, lips, voice, gestures.at(times)))
        begin = end


def _band_levels(speech: Speech) -> Iterator[Float32Array]:
    """The levels of a whole speech."""
    for spectra in power_spectra(speech.blocks(seconds=CHUNK)):
        yield band_levels(spectra)


def band_levels(spectra: Float32Array) -> Float32Array:
    """What the motion is read from: a row for each of (n, bins) power spectra.

    Returns:
        (n, MELS + 1) dB: the speech encoder's bands and, last, the whole band of speech.
    """
    return decibels(spectra @ _level_matrix())


@functools.cache
def _level_matrix() -> Float32Array:
    return np.hstack([mel_matrix(MELS, *MEL_RANGE), band_matrix([SPEECH_BAND])])


def _windows(parts: Iterable[Float32Array]) -> Iterator[tuple[Float32Array, bool]]:
    """Cut a stream into chunks with context on both sides; true comes with the last.

    Before the start and after the end lies silence.
    """
    chunk, context = round(CHUNK * FRAME_RATE), round(CONTEXT * FRAME_RATE)
    width = chunk + 2 * context
    pending: Float32Array | None = None
    for part in parts:
        silence = np.full((context, part.shape[1]), FLOOR_DB, np.float32)
        pending = np.concatenate([silence if pending is None else pending, part])
        while len(pending) > width:
            yield pending[:width], False
            pending = pending[chunk:]
    assert pending is not None
    tail = np.full((width, pending.shape[1]), FLOOR_DB, np.float32)
    while len(pending) > chunk + context:
        yield np.concatenate([pending, tail])[:width], False
        pending = pending[chunk:]
    yield np.concatenate([pending, tail])[:width], True


def read_levels(
    levels: Float32Array, times: Float64Array, level: Level
) -> tuple[Articulation, Prosody]:
    """Mouth and melody of a window of `band_levels` at times in seconds from its start."""
    melody = read_prosody(levels[:, -1], level.reference, level.noise)
    # The mouth needs less of the past and the future than the melody does.
    margin = round((CONTEXT - articulation.CONTEXT) * FRAME_RATE)
    mouth = articulate(levels[margin:-margin, :-1] - np.float32(level.reference))
    positions = times * FRAME_RATE

    def at(track: Float32Array, first: int) -> Float32Array:
        return np.interp(positions, np.arange(first, first + len(track)), track).astype(np.float32)

    return (
        Articulation(*(at(track, margin) for track in vars(mouth).values())),
        Prosody(at(melody.talk, 0), at(melody.stress, 0)),
    )


def _from(states: _States, first: int) -> _States:
    """The states from a place on."""
    return type(states)(*(track[first:] for track in vars(states).values()))


def listen(speech: Speech, times: Float64Array) -> Float32Array:
    """What the motion model hears of a whole speech at rising times in seconds.

    Returns:
        (T, 8) float32: the fields of `Articulation`, then those of `Prosody`.
    """
    silence = np.full((round(CONTEXT * FRAME_RATE), MELS + 1), FLOOR_DB, np.float32)
    levels = np.concatenate([silence, *_band_levels(speech), silence])
    return heard(*read_levels(levels, times + CONTEXT, speech.level))


def heard(mouth: Articulation, melody: Prosody) -> Float32Array:
    """The states of mouth and melody as the motion model takes them, (T, 8)."""
    return np.stack([*vars(mouth).values(), *vars(melody).values()], axis=1)


class Actor:
    """Everything that moves. Eyes and speaker carry their state from one call to the next.

    Args:
        controls: the user's wishes. Set `controls` to change them; seed and blink rate stay.
    """

    def __init__(self, controls: Controls) -> None:
        self.controls = controls
        self._fixations = Fixations(controls.seed)
        self._blinks = Blinks(controls.blink_rate, controls.seed, self._fixations)
        self._speaker = Speaker()

    def act(
        self, times: Float64Array, mouth: Articulation, melody: Prosody, gesture: Gesture
    ) -> tuple[Float32Array, Float32Array, Float32Array, Float32Array]:
        """The tracks of a `Motion` at rising times, one per state of mouth and melody."""
        wishes = wishes_at(self.controls, times)
        alive = _ease(times / EASE_IN)[:, None]
        liveliness = wishes.head_motion[:, None] * alive
        rotation, translation = gesture.rotation * liveliness, gesture.translation * liveliness
        translation[:, 2] += (1 - wishes.distance) * PORTRAIT_DISTANCE_CM
        self._fixations.forget(times[0])
        # The eyes hold their aim while the head turns (vestibulo-ocular reflex).
        look = self._fixations.directions(times) * alive
        gaze = wishes.gaze + look - rotation[:, :2]
        face = _emotion(times, mouth, wishes.emotion) + gesture.face * alive
        lips = replace(mouth, opening=self._speaker.evened(mouth.opening, times))
        expression = lip_weights(lips) + _lids(gaze, self._blinks.closure(times))
        expression += wishes.expression[:, None] * face
        return (
            np.clip(expression, 0, 1).astype(np.float32),
            rotation.astype(np.float32),
            translation.astype(np.float32),
            gaze.astype(np.float32),
        )


def _emotion(times: Float64Array, mouth: Articulation, emotion: Float64Array) -> Float64Array:
    """The emotions' face, (T, 52), which leaves the lips to what they say."""
    face = _ease(times / EMOTION_EASE_IN)[:, None] * (emotion @ FACE_MATRIX)
    face[:, PARTING] *= (1 - mouth.pressing)[:, None]
    face[:, WIDENING] *= (1 - 0.5 * mouth.rounding)[:, None]
    return np.asarray(face)


def _lids(gaze: Float64Array, closure: Float64Array) -> Float64Array:
    """Lids that blink and follow the gaze. The person's left is the viewer's right."""
    yaw, pitch = gaze[:, 0] / EYE_YAW_RANGE, gaze[:, 1] / EYE_PITCH_RANGE
    weights = np.zeros((len(gaze), len(ARKIT_INDEX)))
    for side, outward in (("Left", yaw), ("Right", -yaw)):
        weights[:, ARKIT_INDEX[f"eyeLookOut{side}"]] = np.clip(outward, 0, 1)
        weights[:, ARKIT_INDEX[f"eyeLookIn{side}"]] = np.clip(-outward, 0, 1)
        weights[:, ARKIT_INDEX[f"eyeLookUp{side}"]] = np.clip(pitch, 0, 1)
        weights[:, ARKIT_INDEX[f"eyeLookDown{side}"]] = np.clip(-pitch, 0, 1)
    weights[:, [ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]] = closure
    return weights


def _ease(x: Float64Array) -> Float64Array:
    """From 0 to 1 over x from 0 to 1, with rest at both ends."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))
