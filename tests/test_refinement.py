"""A pose that was tracked a little wrong is put right by the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vasari.eval.refinement import refine
from vasari.generate.motion import ARKIT_INDEX
from vasari.generate.render import Pose, Renderer

SIZES = {"expression": 52, "rotation": 3, "translation": 3, "gaze": 2}


def _pose(weights: dict[str, float] | None = None, **fields: tuple[float, ...]) -> Pose:
    values = {name: np.zeros(size, np.float32) for name, size in SIZES.items()}
    values |= {name: np.array(value, np.float32) for name, value in fields.items()}
    for name, weight in (weights or {}).items():
        values["expression"][ARKIT_INDEX[name]] = weight
    return Pose(**values)


@pytest.fixture(scope="module")
def true() -> Pose:
    """What the picture shows."""
    weights = {"jawOpen": 0.3, "browInnerUp": 0.5}
    return _pose(weights, rotation=(6, -3, 2), translation=(0.5, 0.3, 1), gaze=(8, -4))


@pytest.fixture(scope="module")
def picture(astronaut_renderer: Renderer, true: Pose) -> np.ndarray:
    return astronaut_renderer.frame(true)


@pytest.fixture(scope="module")
def estimate(true: Pose) -> Pose:
    """What a tracker may have made of it."""
    return Pose(
        np.clip(true.expression - 0.1, 0, 1),
        true.rotation + np.array([1.5, -1, 0.5], np.float32),
        true.translation + np.array([0.2, -0.2, 0.5], np.float32),
        true.gaze + np.array([-5, 3], np.float32),
    )


def _slip(renderer: Renderer, pose: Pose, true: Pose) -> float:
    """How far the points of the skin stand from where they should, pixels."""
    apart = (renderer.face(pose) - renderer.face(true))[:468, :2]
    return float(np.linalg.norm(apart, axis=1).mean())


def test_the_picture_puts_an_estimate_right(
    astronaut_renderer: Renderer, true: Pose, picture: np.ndarray, estimate: Pose
) -> None:
    found = refine(astronaut_renderer, estimate, picture)
    before, after = (_slip(astronaut_renderer, pose, true) for pose in (estimate, found))
    assert after < 0.3 * before
    for name in ("rotation", "translation", "gaze"):
        errors = [
            np.abs(getattr(pose, name) - getattr(true, name)).mean() for pose in (estimate, found)
        ]
        assert errors[1] < 0.5 * errors[0], name


def test_weights_stay_weights(
    astronaut_renderer: Renderer, picture: np.ndarray, estimate: Pose
) -> None:
    found = refine(astronaut_renderer, estimate, picture)
    assert found.expression.min() >= 0
    assert found.expression.max() <= 1
    assert [vars(found)[name].shape for name in SIZES] == [(size,) for size in SIZES.values()]
    assert {vars(found)[name].dtype for name in SIZES} == {np.dtype(np.float32)}


def test_what_is_right_stays(astronaut_renderer: Renderer, true: Pose, picture: np.ndarray) -> None:
    found = refine(astronaut_renderer, true, picture)
    assert _slip(astronaut_renderer, found, true) < 0.1
    np.testing.assert_allclose(found.gaze, true.gaze, atol=0.3)


def test_other_light_moves_nothing_far(
    astronaut_renderer: Renderer, true: Pose, picture: np.ndarray, estimate: Pose
) -> None:
    darker = np.rint(picture * 0.85).astype(np.uint8)
    found = refine(astronaut_renderer, estimate, darker)
    before, after = (_slip(astronaut_renderer, pose, true) for pose in (estimate, found))
    assert after < 0.5 * before


def test_a_picture_that_tells_nothing_changes_little(
    astronaut_renderer: Renderer, picture: np.ndarray, estimate: Pose
) -> None:
    found = refine(astronaut_renderer, estimate, np.full_like(picture, 128))
    assert _slip(astronaut_renderer, found, estimate) < 2


def test_a_covered_chin_does_not_spoil_the_rest(
    astronaut_renderer: Renderer, true: Pose, picture: np.ndarray, estimate: Pose
) -> None:
    covered = picture.copy()
    covered[int(astronaut_renderer.face(true)[152, 1]) - 30 :] = 90
    found = refine(astronaut_renderer, estimate, covered)
    before, after = (_slip(astronaut_renderer, pose, true) for pose in (estimate, found))
    assert after < 0.5 * before


def test_a_face_outside_the_frame_stays_where_it_is(
    astronaut_renderer: Renderer, picture: np.ndarray
) -> None:
    away = _pose(translation=(60, 0, 0))
    found = refine(astronaut_renderer, away, picture)
    for name in SIZES:
        np.testing.assert_allclose(getattr(found, name), getattr(away, name), atol=1e-3)


def test_shut_eyes_keep_the_first_estimate_of_gaze(astronaut_renderer: Renderer) -> None:
    shut = _pose({"eyeBlinkLeft": 1, "eyeBlinkRight": 1}, gaze=(4, 0))
    picture = astronaut_renderer.frame(replace(shut, gaze=np.zeros(2, np.float32)))
    found = refine(astronaut_renderer, shut, picture)
    np.testing.assert_allclose(found.gaze, shut.gaze, atol=1.5)
