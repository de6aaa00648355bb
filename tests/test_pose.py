"""Turning and projecting the head follow the signs and units that Motion promises."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.generate.motion import PORTRAIT_DISTANCE_CM
from vasari.generate.pose import Camera, turn

NOSE = np.array([[256.0, 300.0, -60.0]], np.float32)
CAMERA = Camera(
    scale=14.0,
    joint=np.array([256, 320, 130], np.float32),
    axis=np.array([256, 400], np.float32),
    depth=0.0,
    own_yaw=0.0,
)
ALL = np.ones(1, np.float32)
ZERO = np.zeros(3, np.float32)


def _move(rotation: tuple[float, ...] = (0, 0, 0), translation: tuple[float, ...] = (0, 0, 0)):
    moved = CAMERA.project(NOSE, ALL, np.array(rotation), np.array(translation))
    return (moved - NOSE)[0]


def test_nothing_moves_nothing() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 512, (50, 3)).astype(np.float32)
    shown = CAMERA.project(points, rng.uniform(0, 1, 50).astype(np.float32), ZERO, ZERO)
    np.testing.assert_allclose(shown, points, atol=1e-2)


def test_yaw_turns_the_nose_to_the_viewers_right_and_pitch_up() -> None:
    assert _move((10, 0, 0))[0] > 10
    assert _move((0, 10, 0))[1] < -10


def test_roll_is_clockwise() -> None:
    crown = np.array([[256, 100, 130]], np.float32)
    assert CAMERA.project(crown, ALL, np.array([0, 0, 10]), ZERO)[0, 0] > 256


def test_translation_is_right_up_nearer() -> None:
    assert _move(translation=(1, 0, 0))[0] == pytest.approx(14, rel=0.1)
    assert _move(translation=(0, 1, 0))[1] == pytest.approx(-14, rel=0.1)


@pytest.mark.parametrize("ratio", [0.7, 0.85, 1.2, 1.4])
def test_distance_scales_by_its_inverse(ratio: float) -> None:
    pair = np.array([[200, 300, 0], [300, 300, 0]], np.float32)
    nearer = (1 - ratio) * PORTRAIT_DISTANCE_CM
    shown = CAMERA.project(pair, np.ones(2, np.float32), ZERO, np.array([0, 0, nearer]))
    assert shown[1, 0] - shown[0, 0] == pytest.approx(100 / ratio, rel=1e-3)


def test_shoulders_rest_when_the_head_turns() -> None:
    shown = CAMERA.project(NOSE, np.zeros(1, np.float32), np.array([20, 10, 5]), ZERO)
    np.testing.assert_allclose(shown, NOSE, atol=1e-2)


def test_turn_is_a_rotation() -> None:
    matrix = turn(np.array([20, -10, 15]))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(matrix) == pytest.approx(1)


def test_an_oblique_head_turns_little_to_either_side() -> None:
    oblique = Camera(CAMERA.scale, CAMERA.joint, CAMERA.axis, CAMERA.depth, own_yaw=-35.0)
    back = oblique.project(NOSE, ALL, np.array([25, 0, 0]), ZERO)[0, 0]
    frontal = CAMERA.project(NOSE, ALL, np.array([25, 0, 0]), ZERO)[0, 0]
    assert 0 < back - 256 < 0.5 * (frontal - 256)
    on = 256 - oblique.project(NOSE, ALL, np.array([-25, 0, 0]), ZERO)[0, 0]
    assert back - 256 < on < 0.8 * (frontal - 256)
