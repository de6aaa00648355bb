"""Other rooms and throats: what they do to mel levels, in numbers."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.models import acoustics
from vasari.models.acoustics import QUIET, Acoustics, make_noise, play_music
from vasari.models.speech_encoder import MELS

SILENCE = np.full((40, 60, MELS), QUIET, np.float32)


@pytest.fixture
def plain(monkeypatch):
    """Acoustics that change nothing, until a test lets them."""
    for name, value in {
        "STRETCH": 0.0, "SHIFT": 0.0, "TILT": 0.0, "GAIN": 0.0, "FLOOR": (-90.0, -89.9),
        "ECHO_SHARE": 0.0, "NARROW_SHARE": 0.0, "COMPANY_SHARE": 0.0,
        "CALM_SHARE": 0.0,
    }.items():  # fmt: skip
        monkeypatch.setattr(acoustics, name, value)
    return monkeypatch


def click(level: float = 0.0) -> np.ndarray:
    """Silence with one loud spectrum."""
    levels = SILENCE.copy()
    levels[:, 10] = level
    return levels


def test_nothing_is_left_as_it_is(plain):
    heard = Acoustics(0)(click(), SILENCE)
    assert heard[:, 10] == pytest.approx(0, abs=0.1)


def test_an_echo_decays_by_60_db_in_its_time(plain):
    plain.setattr(acoustics, "ECHO_SHARE", 1.0)
    plain.setattr(acoustics, "REVERBERATION", (0.6, 0.6))
    plain.setattr(acoustics, "ECHO_LEVEL", (0.0, 0.0))
    heard = Acoustics(0)(click(40.0), SILENCE)
    assert heard[0, 11, 0] - heard[0, 41, 0] == pytest.approx(30, abs=0.5)
    assert heard[:, 9].max() < QUIET + 15


def test_company_adds_its_power(plain):
    plain.setattr(acoustics, "COMPANY_SHARE", 1.0)
    plain.setattr(acoustics, "COMPANY_LEVEL", (-3.0, -3.0))
    heard = Acoustics(0)(click(), click(3.0))
    assert heard[:, 10] == pytest.approx(10 * np.log10(2), abs=0.1)


def test_a_narrow_line_loses_the_high_bands(plain):
    plain.setattr(acoustics, "NARROW_SHARE", 1.0)
    heard = Acoustics(0)(click(), SILENCE)[:, 10]
    assert (heard[:, -1] < -60).mean() > 0.8
    assert heard[:, 5 : acoustics.NARROWEST] == pytest.approx(0, abs=0.1)


def test_the_same_seed_gives_the_same():
    first, second = (Acoustics(3)(click(), SILENCE) for _ in range(2))
    assert np.array_equal(first, second)


def test_hiss_flutters_about_its_level(plain):
    plain.setattr(acoustics, "FLOOR", (-20.0, -20.0))
    plain.setattr(Acoustics, "_curve", lambda self, batch, knots, sigma: np.zeros((batch, 1, 1)))
    heard = Acoustics(0)(SILENCE, SILENCE)
    assert 10 * np.log10(np.mean(10 ** (heard / 10))) == pytest.approx(-20, abs=0.5)
    deviation = heard.std(axis=(0, 1))
    assert deviation[0] > deviation[-1] > 1  # high bands are wider: they flutter less


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_every_kind_is_loud_and_bounded(seed):
    noise = make_noise(seed)
    assert np.isfinite(noise).all()
    assert np.abs(noise).max() == pytest.approx(0.5)
    assert np.array_equal(noise, make_noise(seed))


def test_music_is_loud_and_bounded():
    piece = play_music(1)
    assert np.isfinite(piece).all()
    assert np.abs(piece).max() == pytest.approx(0.5)
    assert np.array_equal(piece, play_music(1))
