"""Motion as the sound comes: the animator's own parts, fed hop by hop with little look-ahead.

Gestures are those of a rule: the model that draws them for files needs to hear two seconds ahead.

The whole of a talk is not known, so loudness is measured against what was heard of late, and what
lies beyond the look-ahead is taken to go on as the last moments did.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from vasari.generate import prosody, spectrum
from vasari.generate.animator import Actor, band_levels
from vasari.generate.articulation import LINGERING, Articulation, move_mouth
from vasari.generate.controls import Controls
from vasari.generate.headmotion import gesture_by_rule
from vasari.generate.live_sound import HOP_SECONDS, Int16Array
from vasari.generate.prosody import Prosody, read_prosody
from vasari.generate.render import Pose
from vasari.generate.spectrum import FLOOR_DB, FRAME_RATE, power_spectra
from vasari.generate.speech import HISTOGRAM_EDGES, Level, level_of
from vasari.models.speech_encoder import LIVE, MELS, Heard, load_speech_encoder

Float32Array = npt.NDArray[np.float32]

# Seconds of sound that are heard before the frame that they belong to: what the encoder looks
# ahead, a spectrum's half window, and a hop to come.
LOOK_AHEAD = 0.07
# The melody needs more. What is not heard yet goes over from the last moments to what the last
# second was like. Against a motion that knows the future, this came nearest among holding,
# mirroring and silence.
LAST, WHILE = 3, 100  # spectra
PASSING = 10.0  # spectra in which two thirds of the way are gone
STEERING = 0.12  # seconds in which a control comes two thirds of the way
# Seconds over which talk and stress are smoothed, twice: they lack their future, and a head must
# not shake with every hop of it.
MELODY = np.array([0.2, 0.05])

# Before anything is heard, and against a microphone's noise in a pause: dB re full scale.
EXPECTED_LOUD, EXPECTED_COUNT = -22.0, 12
MIN_LOUD = -45.0
MIN_CONTRAST = 15.0  # dB of the loud level over the noise
MAX_NOISE = -35.0  # what stays louder than this is a held note, not noise
PAUSE = 50  # spectra of silence after a sound that count as its noise; longer ones say nothing
HALVING = 500  # heard spectra after which what was heard before counts half
MEASURING = 10  # heard spectra between two measurements of the level

_BEFORE = math.ceil(prosody.CONTEXT * FRAME_RATE)
_AFTER = _BEFORE - math.ceil(LOOK_AHEAD * FRAME_RATE)
_KEPT = _BEFORE + math.ceil(0.2 * FRAME_RATE)
_LASTING = np.exp(-np.arange(1, _AFTER + 1, dtype=np.float32) / PASSING)
# Windowed sinc at a third of the band: 48 kHz becomes 16 kHz.
_DECIMATION = 3
_TAPS = np.sinc(np.arange(-24, 25) / _DECIMATION) * np.hamming(49)
_TAPS /= _TAPS.sum()


class Listener:
    """Hears a stream hop by hop, and knows what the mouth does in its last moments."""

    def __init__(self) -> None:
        self._tail = np.zeros(len(_TAPS) - 1)
        self._inbox: deque[Float32Array] = deque([np.zeros(spectrum.HOP, np.float32)])
        # With one hop ahead, each further hop completes one spectrum.
        self._spectra = power_spectra(self._blocks())
        # The level of the band of speech, and what the encoder made of it a little before.
        self._loudness: deque[float] = deque([FLOOR_DB] * _KEPT, maxlen=_KEPT)
        self._encoder = load_speech_encoder(LIVE).stream()
        silence = self._encoder.hear(np.full((2 * LINGERING, MELS), FLOOR_DB, np.float32))
        self._mouth: deque[Heard] = deque([silence], maxlen=2 * LINGERING)
        self._count = 0
        self._quiet = 0  # hops since anything was heard
        self._still: tuple[Articulation, Prosody] | None = None  # of a long silence
        self._histogram = np.histogram([EXPECTED_LOUD] * EXPECTED_COUNT, HISTOGRAM_EDGES)[0]
        self._heard = 0
        self._level = level_of(self._histogram)

    def hear(self, samples: Int16Array) -> None:
        """Take in the next hop of the stream, (HOP,) at 48 kHz."""
        self._inbox.append(self._decimated(samples))
        *levels, loudness = band_levels(next(self._spectra))[0]
        self._loudness.append(loudness)
        self._mouth.append(self._encoder.hear(np.array([levels]) - self._level.reference))
        self._count += 1
        self._quiet += 1
        if samples.any():
            self._quiet = 0
        if self._quiet <= PAUSE:
            self._measure(loudness)

    def read(self, time: float) -> tuple[Articulation, Prosody]:
        """Mouth and melody, one value each, at a time in seconds, LOOK_AHEAD or so before now."""
        if self._quiet <= _KEPT:
            return self._read(time)
        self._still = self._still or self._read(time)  # silence always reads the same
        return self._still

    def _read(self, time: float) -> tuple[Articulation, Prosody]:
        """See `read`."""
        place = time / HOP_SECONDS - (self._count - 2)  # the spectrum of a hop is its start's
        return self._read_mouth(place + LIVE.ahead), self._read_melody(place)

    def _read_mouth(self, place: float) -> Articulation:
        """The mouth at a place in spectra from the last that the encoder has answered."""
        parts = zip(*(vars(heard).values() for heard in self._mouth), strict=True)
        mouth = move_mouth(Heard(*(np.concatenate(part) for part in parts)))
        return Articulation(*(_at(place, track) for track in vars(mouth).values()))

    def _read_melody(self, place: float) -> Prosody:
        """The melody at a place in spectra from the last that was heard."""
        past = np.array(self._loudness, np.float32)
        future = past[-WHILE:].mean() * (1 - _LASTING) + past[-LAST:].mean() * _LASTING
        loudness = np.concatenate([past, future])
        melody = read_prosody(loudness, self._level.reference, self._level.noise)
        return Prosody(*(_at(place, track[: len(past)]) for track in vars(melody).values()))

    def _blocks(self) -> Iterator[Float32Array]:
        while True:
            yield self._inbox.popleft()

    def _decimated(self, samples: Int16Array) -> Float32Array:
        """The hop at 16 kHz, half a millisecond late."""
        joined = np.concatenate([self._tail, samples / 32768])
        self._tail = joined[-len(self._tail) :]
        return np.convolve(joined, _TAPS, "valid")[::_DECIMATION].astype(np.float32)

    def _measure(self, loudness: float) -> None:
        """Let a spectrum count for how loud the voice is."""
        self._histogram += np.histogram([loudness], HISTOGRAM_EDGES)[0]
        self._heard += 1
        if self._heard % HALVING == 0:
            self._histogram //= 2
        if self._heard % MEASURING == 0:
            level = level_of(self._histogram)
            loud = max(level.loud, min(level.noise, MAX_NOISE) + MIN_CONTRAST, MIN_LOUD)
            self._level = Level(level.noise, loud)


def _at(place: float, track: Float32Array) -> Float32Array:
    """The value of a track at a place from its last, the ends held; (1,)."""
    index = np.arange(1 - len(track), 1)
    return np.interp([place], index, track).astype(np.float32)


class LiveActor:
    """Moves a portrait to what a listener hears, and follows the user's wishes as they change."""

    def __init__(self, controls: Controls, listener: Listener) -> None:
        self._actor = Actor(controls)
        self._wanted = controls
        self._listener = listener
        self._time = 0.0
        self._melody = np.zeros((2, 2))  # stages by talk and stress

    def steer(self, controls: Controls) -> None:
        """Follow other wishes from now on; seed and blink rate stay."""
        self._wanted = controls

    def pose(self, time: float) -> Pose:
        """The pose at a time in seconds, later than the one before."""
        step, self._time = time - self._time, time
        share = 1 - math.exp(-step / STEERING)
        self._actor.controls = _between(self._actor.controls, self._wanted, share)
        mouth, melody = self._listener.read(time)
        calm = self._calmed(melody, step)
        now = np.array([time])
        gesture = gesture_by_rule(now, calm, self._actor.controls.seed)
        expression, rotation, translation, gaze = self._actor.act(now, mouth, calm, gesture)
        return Pose(expression[0], rotation[0], translation[0], gaze[0])

    def _calmed(self, melody: Prosody, step: float) -> Prosody:
        """The melody without its jitter, a little late."""
        first, second = self._melody
        share = 1 - np.exp(-step / MELODY)
        first += share * (np.array([melody.talk[0], melody.stress[0]]) - first)
        second += share * (first - second)
        return Prosody(*second.astype(np.float32)[:, None])


def _between(now: Controls, wanted: Controls, share: float) -> Controls:
    """Controls part of the way to others."""

    def mix(first: float, second: float) -> float:
        return first + share * (second - first)

    names = {*now.emotion, *wanted.emotion}
    emotion = {
        name: mix(now.emotion.get(name, 0.0), wanted.emotion.get(name, 0.0)) for name in names
    }
    return replace(
        now,
        gaze=(mix(now.gaze[0], wanted.gaze[0]), mix(now.gaze[1], wanted.gaze[1])),
        distance=mix(now.distance, wanted.distance),
        emotion={name: weight for name, weight in emotion.items() if weight > 1e-3},
        head_motion=mix(now.head_motion, wanted.head_motion),
        expression=mix(now.expression, wanted.expression),
    )
