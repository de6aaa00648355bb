"""What the lips do to sound alone: in pauses, in noise, in each m, b and p, in other languages.

Where the phones of a recording are known, by synthesis or by alignment
(`vasari.eval.alignment`), closures and the speech encoder's own accuracy are measured on it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from vasari.generate.animator import band_levels, frame_total, listen
from vasari.generate.articulation import Articulation, lip_weights
from vasari.generate.blendshapes import face_shapes, lip_closure
from vasari.generate.live_motion import LOOK_AHEAD, Listener
from vasari.generate.live_sound import HOP_SECONDS, Voice, samples_of
from vasari.generate.speaker import Speaker
from vasari.generate.spectrum import FRAME_RATE, RATE, band_matrix, decibels, power_spectra
from vasari.generate.speech import SPEECH_BAND, Phone, Speech
from vasari.generate.template import template
from vasari.models.acoustics import make_noise
from vasari.models.speech_encoder import BILABIAL, SILENCE, load_speech_encoder
from vasari.models.utterances import label

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

UPPER_LIP, LOWER_LIP = 13, 14  # FaceMesh landmarks: middles of the inner lips
CLOSED = 0.12  # of a clip's 95th percentile opening, below which lips count as closed
SILENT_DB = -40.0  # dB re the loud level of the recording
LOUD_DB = -8.0  # dB re the loud level: surely the middle of a vowel
# Seconds of a pause in which lips may still move: after speech, and before it, where people part
# them to breathe in and begin.
AFTER_SPEECH, BEFORE_SPEECH = 0.1, 0.4
LEAST_FRAMES = 5  # of which a deviation is taken
PAUSE = 1.0  # seconds of silence put before and after each recording
MOVING_NOISES = range(1000, 1005)  # seeds that the training does not use: one of each kind
RATE_OF_CLOSURES = 100.0  # frames per second, to hit the short closures
CLOSURE_SLACK = 0.02  # seconds by which alignments err


def opening(speech: Speech, fps: float) -> FloatArray:
    """How far the mean face's lips part in the motion made from a speech, (T,) centimetres."""
    times = np.arange(frame_total(speech.duration, fps)) / fps
    mouth = Articulation(*listen(speech, times).T[:6])
    return _parted(mouth, Speaker(), times)


def live_opening(speech: Speech, fps: float) -> FloatArray:
    """The same as it is made while the sound comes."""
    voice, listener, speaker = Voice(), Listener(), Speaker()
    voice.say(samples_of(speech))
    hops, openings = 0, []
    for time in np.arange(frame_total(speech.duration, fps)) / fps:
        while hops * HOP_SECONDS < time + LOOK_AHEAD:
            listener.hear(voice.hop().samples)
            hops += 1
        mouth, _ = listener.read(float(time))
        openings.append(_parted(mouth, speaker, np.array([time])))
    return np.concatenate(openings)


def _parted(mouth: Articulation, speaker: Speaker, times: FloatArray) -> FloatArray:
    """How far the mean face's lips part as a speaker's mouth does at times in seconds, (T,) cm."""
    opening = speaker.evened(mouth.opening, times)
    return gap(lip_weights(replace(mouth, opening=opening)))


def gap(weights: Float32Array) -> FloatArray:
    """Between the middles of the mean face's inner lips, (T,) cm, at weights, (T, 52), clipped.

    Lips that would pass through each other are closed, as the renderer has it.
    """
    neutral = template()
    rest = neutral + lip_closure(neutral)
    shapes = face_shapes(rest)
    apart = rest[LOWER_LIP] - rest[UPPER_LIP]
    parted = apart + np.clip(weights, 0, 1) @ (shapes[:, LOWER_LIP] - shapes[:, UPPER_LIP])
    return np.where(parted[:, 1] > 0, np.linalg.norm(parted, axis=1), 0).astype(np.float64)


def loudness(speech: Speech) -> FloatArray:
    """Level of the band of speech at FRAME_RATE, dB re the loud level."""
    band = band_matrix([SPEECH_BAND])
    levels = [decibels(spectra @ band)[:, 0] for spectra in power_spectra(speech.blocks())]
    return np.asarray(np.concatenate(levels) - speech.level.loud, np.float64)


def pauses(speech: Speech, frames: int, fps: float) -> BoolArray:
    """Which of so many frames lie in a pause, AFTER_SPEECH and BEFORE_SPEECH from its ends."""
    quiet = loudness(speech) < SILENT_DB
    margins = [round(margin * FRAME_RATE) for margin in (AFTER_SPEECH, BEFORE_SPEECH)]
    padded = np.pad(quiet, margins, constant_values=True)
    inner = np.lib.stride_tricks.sliding_window_view(padded, sum(margins) + 1).all(axis=1)
    index = (np.arange(frames) / fps * FRAME_RATE).astype(int)
    return np.asarray(inner[np.minimum(index, len(inner) - 1)])


def closed_in_silence(speech: Speech, fps: float = 25.0) -> float:
    """The share of frames in pauses, before and after the speech too, with closed lips."""
    padded = with_pauses(speech)
    parted = opening(padded, fps)
    deep = pauses(padded, len(parted), fps)
    limit = CLOSED * np.percentile(parted[~deep], 95)
    return float(np.mean(parted[deep] <= limit))


def motion_in_silence(
    speech: Speech, noise: Float32Array | None = None, level: float = 0.0, fps: float = 25.0
) -> float:
    """Deviation of the opening in pauses, before and after the speech too, over that in speech.

    Args:
        speech: what is heard.
        noise: what is heard beside it, at RATE; it is repeated as long as the speech lasts.
        level: of the noise, dB re the speech's loud level.
        fps: frames per second.
    """
    padded = with_pauses(speech)
    parted = opening(padded if noise is None else with_noise(padded, noise, level), fps)
    return motion_in_pauses(parted, pauses(padded, len(parted), fps))


def motion_in_pauses(parted: FloatArray, deep: BoolArray) -> float:
    """Deviation of an opening, (T,), where deep, (T,), says pause, over that elsewhere.

    Frames without an opening are left out; NaN where either has less than LEAST_FRAMES.
    """
    known = np.isfinite(parted)
    inside, outside = parted[known & deep], parted[known & ~deep]
    if min(len(inside), len(outside)) < LEAST_FRAMES:
        return float("nan")
    return float(inside.std() / outside.std())


def with_pauses(speech: Speech) -> Speech:
    """The speech between two pauses."""
    pause = np.zeros(round(PAUSE * RATE), np.float32)
    return Speech.from_samples(np.concatenate([pause, *speech.blocks(), pause]), RATE)


def with_noise(speech: Speech, noise: Float32Array, level: float) -> Speech:
    """The speech beside a noise of a level, dB re its loud level."""
    samples = np.concatenate(list(speech.blocks()))
    beside = np.resize(noise, len(samples))
    loud = Speech.from_samples(noise, RATE).level.loud
    gain = 10 ** ((speech.level.loud + level - loud) / 20)
    return Speech.from_samples(samples + gain * beside, RATE)


def steady_noise(seconds: float = 8.0) -> Float32Array:
    """An air conditioner: noise that falls 3 dB per octave."""
    white = np.fft.rfft(np.random.default_rng(0).normal(size=round(seconds * RATE)))
    pink = np.fft.irfft(white / np.sqrt(np.maximum(np.arange(len(white)), 1)))
    return np.asarray(pink / np.abs(pink).max(), np.float32)


def moving_noises() -> list[Float32Array]:
    """Wind, breath, knocks, an engine and alarms, of `vasari.models.acoustics`."""
    return [make_noise(seed) for seed in MOVING_NOISES]


def opening_in_vowels(speech: Speech, fps: float = 25.0) -> float:
    """Mean opening, centimetres, where the voice is loudest, as it is in vowels."""
    parted = opening(speech, fps)
    index = (np.arange(len(parted)) / fps * FRAME_RATE).astype(int)
    levels = loudness(speech)
    return float(parted[levels[np.minimum(index, len(levels) - 1)] > LOUD_DB].mean())


def closed_in_bilabials(
    speech: Speech, phones: tuple[Phone, ...], *, closures_shown: bool
) -> list[bool]:
    """For every m, b and p: do the lips close somewhere within it?

    Args:
        speech: what is heard.
        phones: its speech sounds.
        closures_shown: see `vasari.models.utterances.label`.
    """
    parted = opening(speech, RATE_OF_CLOSURES)
    limit = CLOSED * np.percentile(parted, 95)
    sounds, _ = label(phones, len(parted), closures_shown=closures_shown)
    edges = np.flatnonzero(np.diff(np.pad(sounds == BILABIAL, 1).astype(int)))
    slack = round(CLOSURE_SLACK * RATE_OF_CLOSURES)
    return [
        bool(parted[max(0, start - slack) : end + slack].min() <= limit)
        for start, end in edges.reshape(-1, 2)
    ]


def accuracy(speech: Speech, phones: tuple[Phone, ...]) -> tuple[float, float]:
    """Share of the spectra whose group of sounds the encoder hears: of all, and of speech."""
    levels = np.concatenate([band_levels(part) for part in power_spectra(speech.blocks())])
    heard = load_speech_encoder()(levels[:, :-1] - np.float32(speech.level.reference))
    sounds, certain = label(phones, len(levels), closures_shown=True)
    right = heard.chances.argmax(axis=1) == sounds
    known = certain > 0
    return float(right[known].mean()), float(right[known & (sounds != SILENCE)].mean())
