"""What the lips do to sound alone: does the evaluation see a mouth that is wrong?"""

from __future__ import annotations

import numpy as np
import pytest

from vasari.eval import hearing
from vasari.generate.speech import Phone, Speech

RATE = 16_000


@pytest.fixture
def speech():
    """A second of a tone between two of silence."""
    sound = np.zeros(5 * RATE)
    sound[2 * RATE : 3 * RATE] = 0.3 * np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE)
    return Speech.from_samples(sound, RATE)


def mouth(monkeypatch, *, talking: float, silent: float, quiver: float = 0.0) -> None:
    """A jaw that is open while the tone sounds, and otherwise as told."""

    def jaw(speech, fps):
        time = np.arange(round(speech.duration * fps)) / fps
        wave = np.where(np.arange(len(time)) % 2, 1.0, -1.0)
        spoken = (time >= 2) & (time < 3)
        return np.where(spoken, talking * (1 + 0.5 * wave), silent + quiver * wave)

    monkeypatch.setattr(hearing, "jaw", jaw)


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


def test_no_pause_is_no_figure(monkeypatch):
    mouth(monkeypatch, talking=0.5, silent=0.0)
    tone = Speech.from_samples(np.sin(np.arange(RATE)), RATE)
    assert np.isnan(hearing.closed_in_silence(tone))
    assert np.isnan(hearing.motion_in_silence(tone))


def test_noise_has_the_level_that_was_asked_for(speech):
    noisy = hearing.with_noise(speech, -20.0)
    levels = hearing.loudness(noisy)
    assert np.median(levels[20:180]) == pytest.approx(-20, abs=1.5)


def test_opening_in_vowels(monkeypatch, speech):
    mouth(monkeypatch, talking=0.5, silent=0.1)
    assert hearing.opening_in_vowels(speech) == pytest.approx(0.5, abs=0.05)


def test_closures_of_phones(monkeypatch):
    opening = np.full(100, 0.3)
    opening[20:25] = opening[53:57] = 0
    monkeypatch.setattr(hearing, "jaw", lambda speech, fps: opening)
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
