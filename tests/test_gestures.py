"""Gestures: drawn in windows that join, by a seed, under wishes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vasari.errors import InputError
from vasari.generate.channels import CHANNELS, INDEX, channels_of, face_weights
from vasari.generate.controls import Controls
from vasari.generate.gestures import STEPS, Gestures
from vasari.generate.keyframes import wishes_at
from vasari.generate.motion import ARKIT_INDEX, Motion
from vasari.models.motion_transformer import (
    LENGTH,
    PAST,
    SOUND,
    WINDOW,
    WISH_SIZE,
    WISHES,
    Conditions,
    MotionTransformer,
    load_motion_transformer,
)


def _track(seed: int, windows: int = 3, **wishes: object) -> np.ndarray:
    """Rotation at the frames of some windows of talk."""
    gestures, rows = Gestures(seed), []
    sound = np.random.default_rng(0).random((windows, WINDOW, SOUND)).astype(np.float32)
    for heard in sound:
        times = gestures.times()
        gestures.draw(heard, wishes_at(Controls(**wishes), times))
        rows.append(gestures.at(times).rotation)
    return np.concatenate(rows)


def test_windows_join() -> None:
    turns = np.concatenate([np.abs(np.diff(_track(seed), axis=0)) for seed in range(3)])
    seams = turns[WINDOW - 1 :: 3 * WINDOW - 1]
    assert seams.max() < np.percentile(turns, 99)


def test_a_seed_is_a_take() -> None:
    first, again, other = _track(1, 1), _track(1, 1), _track(2, 1)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.5


@pytest.mark.parametrize("yaw", [15.0, -15.0])
def test_the_head_leaves_most_of_a_look_aside_to_the_eyes(yaw: float) -> None:
    turned = [
        (_track(seed, gaze=(yaw, 0.0)) - _track(seed))[:, 0].mean() / yaw for seed in range(4)
    ]
    assert 0.1 < np.mean(turned) < 0.5


def test_times_go_on() -> None:
    gestures = Gestures(0)
    first = gestures.times()
    gestures.draw(np.zeros((WINDOW, SOUND), np.float32), wishes_at(Controls(), first))
    assert gestures.times()[0] - first[-1] == pytest.approx(first[1] - first[0])


def test_the_network_uses_each_condition() -> None:
    network, rng = load_motion_transformer(), np.random.default_rng(0)
    noisy = rng.standard_normal((1, WINDOW, len(CHANNELS))).astype(np.float32)
    arrays = {
        "past": rng.standard_normal((1, PAST, len(CHANNELS))),
        "past_known": np.ones(1),
        "sound": rng.random((1, LENGTH, SOUND)),
        "sound_known": np.ones(1),
        "wishes": rng.standard_normal((1, WISH_SIZE)),
        "wishes_known": np.ones((1, len(WISHES))),
    }
    given = {name: array.astype(np.float32) for name, array in arrays.items()}
    made = network(noisy, 0.9, Conditions(**given))
    assert made.shape == noisy.shape
    for name, array in given.items():
        changed = network(noisy, 0.9, Conditions(**given | {name: np.zeros_like(array)}))
        assert np.abs(changed - made).max() > 1e-3, name


def test_files_that_hold_no_weights(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "other.npz", tokens_bias=np.zeros(3))
    (tmp_path / "empty.npz").touch()
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    for name in ("text.npz", "other.npz", "missing.npz", "empty.npz", "array.npz"):
        with pytest.raises(InputError, match=f"{name} holds no weights"):
            MotionTransformer.load(tmp_path / name)


class Postures:
    """The exact denoiser of windows in which nothing moves, each somewhere else."""

    SPREAD = 0.8  # standard deviation of where
    channel_scale = np.ones(len(CHANNELS), np.float32)

    def __call__(self, noisy: np.ndarray, level: float, conditions: Conditions) -> np.ndarray:
        signal, noise = np.cos(level * np.pi / 2), np.sin(level * np.pi / 2)
        power = WINDOW * self.SPREAD**2
        share = signal * power / (signal**2 * power + noise**2)
        return np.broadcast_to(share * noisy.mean(axis=1, keepdims=True), noisy.shape)


def test_few_steps_draw_as_widely_as_people_move() -> None:
    places, means = [], []
    for seed in range(40):
        for steps, found in ((STEPS, places), (1, means)):
            gestures = Gestures(seed, Postures(), steps=steps)
            times = gestures.times()
            gestures.draw(np.zeros((WINDOW, SOUND), np.float32), wishes_at(Controls(), times))
            found.append(gestures.at(times).rotation[WINDOW // 2])
    assert np.std(places) == pytest.approx(Postures.SPREAD, rel=0.15)
    assert np.std(means) < 0.3 * Postures.SPREAD  # one step is a regression


def test_channels_of_a_face() -> None:
    expression = np.zeros((2, 52), np.float32)
    expression[1, ARKIT_INDEX["jawOpen"]] = 0.5
    expression[1, ARKIT_INDEX["browInnerUp"]] = 0.3
    zeros = np.zeros((2, 3), np.float32)
    first, second = channels_of(Motion(25.0, expression, zeros, zeros, zeros[:, :2]))
    assert not first.any()
    assert second[INDEX["opening"]] > 1
    assert second[INDEX["brow_inner"]] == pytest.approx(0.3)
    shown = face_weights(second[None])[0]
    assert shown[ARKIT_INDEX["browInnerUp"]] == pytest.approx(0.3)
    assert not shown[ARKIT_INDEX["jawOpen"]]  # lips are the sound's
