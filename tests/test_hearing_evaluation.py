"""What the lips do to sound alone: does the evaluation see a mouth that is wrong?"""

from __future__ import annotations

import numpy as np
import pytest

from vasari.eval import hearing
from vasari.generate.animator import animate
from vasari.generate.controls import Controls
from vasari.generate.motion import ARKIT_INDEX, Motion
from vasari.generate.speech import Phone, Speech

RATE = 16_000


@pytest.fixture
def speech():
    """A second of a tone between two of silence."""
    sound = np.zeros(5 * RATE)
    sound[2 * RATE : 3 * RATE] = 0.3 * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)
    return Speech.from_samples(sound, RATE)


def mouth(monkeypatch, *, talking: float, silent: float, quiver: float = 0.0) -> None:
    """Lips that are open while the tone, a pause later, sounds, and otherwise as told."""

    def opening(speech, fps):
        time = np.arange(round(speech.duration * fps)) / fps
        wave = np.where(np.arange(len(time)) % 2, 1.0, -1.0)
        start = 2 + hearing.PAUSE * (speech.duration > 6)
        spoken = (time >= start) & (time < start + 1)
        return np.where(spoken, talking * (1 + 0.5 * wave), silent + quiver * wave)

    monkeypatch.setattr(hearing, "opening", opening)


def test_closed_in_silence(monkeypatch, speech):
    mouth(monkeypatch, talking=0.5, silent=0.0)
    assert hearing.closed_in_silence(speech) == 1
    mouth(monkeypatch, talking=0.5, silent=0.3)
    assert hearing.closed_in_silence(speech) == 0


def test_motion_in_silence(monkeypatch, speech):
    mouth(monkeypatch, talking=0.5, silent=0.1)
    assert hearing.motion_in_silence(speech) == pytest.approx(0)
    mouth(monkeypatch, talking=0.5, silent=0.1, quiver=0.05)
    assert hearing.motion_in_silence(speech) > 0.1


def test_speech_without_a_pause_gets_one(monkeypatch):
    tone = Speech.from_samples(np.sin(np.arange(RATE)), RATE)
    padded = hearing.with_pauses(tone)
    assert padded.duration == pytest.approx(tone.duration + 2 * hearing.PAUSE)
    found = hearing.pauses(padded, 75, 25.0).tolist()
    assert found[:15] == [True] * 15
    assert found[16:52] == [False] * 36
    assert found[53:] == [True] * 22


@pytest.mark.parametrize("noise", [hearing.steady_noise(), hearing.moving_noises()[0]])
def test_noise_has_the_level_that_was_asked_for(speech, noise):
    beside = hearing.with_noise(speech, noise, -20.0)
    rest = np.concatenate(list(beside.blocks())) - np.concatenate(list(speech.blocks()))
    loud = Speech.from_samples(rest, RATE).level.loud
    assert loud == pytest.approx(speech.level.loud - 20, abs=1.5)


def test_the_opening_is_that_of_the_motion(speech):
    motion = Motion.concatenate(animate(speech, Controls(), 25.0))
    assert hearing.opening(speech, 25.0) == pytest.approx(hearing.gap(motion.expression), abs=0.02)


def gap_of(**weights: float) -> float:
    track = np.zeros((1, len(ARKIT_INDEX)), np.float32)
    for name, value in weights.items():
        track[0, ARKIT_INDEX[name]] = value
    return float(hearing.gap(track)[0])


def test_lips_part_by_what_all_shapes_do():
    assert gap_of() == pytest.approx(0, abs=1e-3)
    jaw = gap_of(jawOpen=0.2)
    assert jaw > 0.3
    assert gap_of(jawOpen=0.2, mouthUpperUpLeft=0.4, mouthUpperUpRight=0.4) > 1.1 * jaw
    assert gap_of(jawOpen=0.2, mouthClose=0.2) < 0.1 * jaw
    assert gap_of(mouthPressLeft=1, mouthPressRight=1) < 0.1 * jaw


def test_the_live_opening_is_near_to_that_of_the_file():
    from conftest import syllables

    spoken = Speech.from_samples(syllables(4.0), RATE)
    whole, live = hearing.opening(spoken, 25.0), hearing.live_opening(spoken, 25.0)
    assert len(live) == len(whole)
    assert np.corrcoef(whole[25:], live[25:])[0, 1] > 0.5


def test_opening_in_vowels(monkeypatch, speech):
    mouth(monkeypatch, talking=0.5, silent=0.1)
    assert hearing.opening_in_vowels(speech) == pytest.approx(0.5, abs=0.05)


def test_closures_of_phones(monkeypatch):
    parted = np.full(100, 0.3)
    parted[20:25] = parted[53:57] = 0
    monkeypatch.setattr(hearing, "opening", lambda speech, fps: parted)
    phones = (
        Phone("m", 0.19, 0.26),  # closed
        Phone("a", 0.26, 0.40),  # no matter
        Phone("b", 0.40, 0.47),  # open
        Phone("p", 0.58, 0.60),  # closed before its burst
    )
    speech = Speech.from_samples(np.zeros(RATE), RATE)
    closed = hearing.closed_in_bilabials(speech, phones, closures_shown=False)
    assert closed == [True, False, True]


def test_accuracy_counts_what_is_heard(monkeypatch, speech):
    phones = (Phone("a", 2.0, 3.0),)
    whole, spoken = hearing.accuracy(speech, phones)
    assert 0 <= spoken <= 1
    assert whole > 0.6  # the silence at least


def test_motion_in_pauses_leaves_out_frames_without_a_face():
    opening = np.array([0.1, 0.2] * 5 + [0.0, 1.0] * 5 + [np.nan])
    deep = np.arange(21) < 10
    assert hearing.motion_in_pauses(opening, deep) == pytest.approx(0.1)
    assert np.isnan(hearing.motion_in_pauses(opening, np.arange(21) < 4))
