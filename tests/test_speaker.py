"""The speaker: every voice comes to open its lips as far as others."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.generate.speaker import LONGEST_STEP, MOST, USUAL, Speaker

FPS = 25.0


def syllables(height: float, seconds: float = 20.0):
    """Openings that rise and fall four times a second, and their times."""
    times = np.arange(round(seconds * FPS)) / FPS
    return (height * np.sin(4 * np.pi * times) ** 2).astype(np.float32), times


def usual(opening) -> float:
    """The opening, wide moments counting more."""
    return float(np.square(opening).sum() / opening.sum())


@pytest.mark.parametrize("height", [0.8, 1.1])
def test_voices_come_to_open_alike(height):
    opening, times = syllables(height)
    evened = Speaker().evened(opening, times)
    assert abs(usual(evened[-250:]) - USUAL) < 0.25 * abs(usual(opening) - USUAL)


def test_an_opening_changes_by_so_much_at_most():
    opening, times = syllables(0.1)
    evened = Speaker().evened(opening, times)
    assert evened.max() == pytest.approx(MOST * opening.max(), rel=1e-3)


def test_closed_lips_stay_closed():
    opening = np.zeros(50, np.float32)
    assert not Speaker().evened(opening, np.arange(50) / FPS).any()


def test_frame_by_frame_is_the_same():
    opening, times = syllables(0.8)
    speaker = Speaker()
    single = [speaker.evened(opening[[k]], times[[k]]) for k in range(len(times))]
    np.testing.assert_allclose(np.concatenate(single), Speaker().evened(opening, times), atol=1e-5)


def test_what_comes_later_does_not_count():
    opening, times = syllables(0.8)
    begun = Speaker().evened(opening[:100], times[:100])
    np.testing.assert_array_equal(begun, Speaker().evened(opening, times)[:100])


def test_time_without_frames_is_not_heard():
    late, soon = Speaker(), Speaker()
    opening = np.array([0.3], np.float32)
    first = late.evened(opening, np.array([100.0]))
    assert first == soon.evened(opening, np.array([LONGEST_STEP]))
