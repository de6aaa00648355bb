"""The evaluation of the lips: does it see a good fit, a late one, an open mouth in a pause?"""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from vasari.errors import VideoError
from vasari.eval import lips
from vasari.eval.lips import LipTrack, interval, match_clip, shown_opening, track_lips
from vasari.generate.pipeline import generate
from vasari.generate.speech import Speech

RATE = 16_000
FPS = 25.0


@pytest.fixture
def bursts(tmp_path, monkeypatch):
    """A WAV of irregular bursts, and lips that follow them perfectly."""
    from conftest import write_wav

    steps = np.random.default_rng(0).random(60) < 0.5
    gate = np.repeat(steps, RATE // 8)
    gate[: RATE // 2] = gate[-RATE // 2 :] = False
    sound = 0.3 * gate * np.sin(2 * np.pi * 500 * np.arange(len(gate)) / RATE)
    write_wav(tmp_path / "clip.wav", sound.astype(np.float32), RATE)

    def opening(speech, fps):
        times = np.arange(int(speech.duration * fps)) / fps
        return 0.4 * gate[np.minimum((times * RATE).astype(int), len(gate) - 1)]

    monkeypatch.setattr(lips, "opening", opening)
    monkeypatch.setattr(lips, "live_opening", lambda speech, fps: np.roll(opening(speech, fps), 1))
    monkeypatch.setattr(
        lips, "shown_opening", lambda path, fps: 0.5 * opening(Speech.open(path), fps)
    )
    return tmp_path / "clip.wav", opening


def test_a_perfect_fit(bursts):
    path, opening = bursts
    real = opening(Speech.open(path), FPS)
    match = match_clip(path, LipTrack(FPS, real, real))
    assert match.r == pytest.approx(1)
    assert match.r_speech == pytest.approx(1)
    assert abs(match.lag) < 0.021
    assert 0.3 < match.r_live < 1
    assert match.likeness == pytest.approx(match.r_live, abs=0.02)
    assert match.usual == pytest.approx(0.5)
    assert match.widest == pytest.approx(0.5)


def test_what_is_shown_is_what_is_tracked(portrait_file, speech_file, tmp_path):
    video = tmp_path / "said.mp4"
    generate(portrait_file, speech_file, video)
    tracked = track_lips(video).opening
    shown = shown_opening(video, FPS)[: len(tracked)]
    assert np.corrcoef(shown, tracked)[0, 1] > 0.85
    assert np.percentile(shown, 95) == pytest.approx(np.percentile(tracked, 95), rel=0.25)


@pytest.mark.parametrize("frames", [-3, 2])
def test_the_sign_of_the_lag(bursts, frames):
    path, opening = bursts
    real = np.roll(opening(Speech.open(path), FPS), -frames)  # real lips come earlier: we are late
    match = match_clip(path, LipTrack(FPS, real, real))
    assert match.lag == pytest.approx(frames / FPS, abs=0.021)


def test_frames_without_a_face_do_not_count(bursts):
    path, opening = bursts
    real = opening(Speech.open(path), FPS).astype(float)
    real[40:60] = np.nan
    assert match_clip(path, LipTrack(FPS, real, real)).r == pytest.approx(1)


def test_interval_of_a_mean():
    values = np.random.default_rng(1).normal(3, 1, 400)
    mean, low, high = interval(values)
    assert mean == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.2)


def test_no_video(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(VideoError, match="cannot be read"):
        lips.track_lips(tmp_path / "a.mp4")


@pytest.fixture
def one_phrase(monkeypatch):
    """A single synthesised sentence, half of whose m, b and p are closed."""
    spoken = Speech.from_samples(np.zeros(RATE), RATE)
    monkeypatch.setattr(lips, "PHRASES", {"en": ("Mum.",)})
    monkeypatch.setattr(lips, "UNHEARD_FESTIVAL", ())
    monkeypatch.setattr(lips, "speak", lambda text, language, voice: spoken)
    monkeypatch.setattr(lips, "closed_in_bilabials", lambda *speech, **kind: [True, False])
    monkeypatch.setattr(lips, "closed_in_silence", lambda speech: 1.0)
    monkeypatch.setattr(lips, "opening_in_vowels", lambda speech: speech.duration / 4)


def test_the_table(one_phrase):
    result = CliRunner().invoke(lips.main, [])
    assert result.exit_code == 0
    assert "0.500" in result.output


def test_sounds_are_grouped_by_language_and_compared_with_english(bursts, one_phrase):
    folder = bursts[0].parent / "speech"
    folder.mkdir()
    bursts[0].rename(folder / "de_one.wav")
    from conftest import write_wav

    half = np.random.default_rng(0).normal(0, 0.1, round(3.75 * RATE)).astype(np.float32)
    write_wav(folder / "en_half.wav", half, RATE)
    lines = CliRunner().invoke(lips.main, ["--sounds", str(folder)]).output.splitlines()
    start = lines.index("speech, de:")
    assert "closed in pauses" in lines[start + 1]
    assert "relative to English" in lines[start + 3]
    assert "2.000" in lines[start + 3]
