"""Keyframes: what a file may hold, and what is wished between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vasari.errors import ControlsError
from vasari.generate.controls import EMOTIONS, Controls, Keyframe
from vasari.generate.keyframes import read_keyframes, wishes_at

FILE = """
[[keyframe]]
time = 1.0
emotion = { happy = 0.4 }

[[keyframe]]
time = 3
gaze = [12, -4]
emotion = { sad = 1 }
head_motion = 0.5
"""


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "moods.toml").write_text(FILE)
    first, second = read_keyframes(tmp_path / "moods.toml")
    assert first == Keyframe(1.0, emotion={"happy": 0.4})
    assert second.gaze == (12.0, -4.0)
    assert second.head_motion == 0.5
    assert second.distance is None


def test_wishes_between_keyframes() -> None:
    keys = (
        Keyframe(3.0, distance=0.8, emotion={"sad": 1.0}),
        Keyframe(1.0, emotion={"happy": 1.0}),
    )
    wishes = wishes_at(Controls(gaze=(5, 0), keyframes=keys), np.array([0.0, 1.0, 2.0, 3.0, 9.0]))
    happy, sad = (wishes.emotion[:, EMOTIONS.index(name)] for name in ("happy", "sad"))
    np.testing.assert_allclose(happy, [1, 1, 0.5, 0, 0])
    np.testing.assert_allclose(sad, [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(wishes.distance, 0.8)  # a lone keyframe holds for the whole clip
    np.testing.assert_allclose(wishes.gaze, [[5, 0]] * 5)  # no keyframe names it
    np.testing.assert_allclose(wishes.head_motion, 1)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no keyframes"),
        ("keyframe = 3", "no keyframes"),
        ("x = [", "no TOML"),
        ("[[keyframe]]\ngaze = [1, 2]", "no time"),
        ("[[keyframe]]\ntime = 0\nmood = 1", "unknown 'mood'"),
        ("[[keyframe]]\ntime = 0\ngaze = 4", "malformed"),
        ("[[keyframe]]\ntime = 0\nemotion = 4", "malformed"),
        ("[[keyframe]]\ntime = 0\ndistance = 'far'", "malformed"),
        ("[[keyframe]]\ntime = 0\ngaze = [80, 0]", "keyframe 1: gaze yaw"),
        ("[[keyframe]]\ntime = -1", "time of a keyframe"),
        ("[[keyframe]]\ntime = 0\nemotion = { glad = 1 }", "unknown emotion"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(ControlsError, match=reason):
        read_keyframes(tmp_path / "bad.toml")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ControlsError, match="cannot read"):
        read_keyframes(tmp_path / "none.toml")
