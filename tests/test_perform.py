"""A known motion, rendered and tracked, comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vasari.errors import VideoError
from vasari.generate.motion import ARKIT_INDEX
from vasari.generate.perform import Tracker, perform, track_meshes
from vasari.generate.portrait import Portrait
from vasari.generate.pose import turn, turn_angles
from vasari.generate.render import Pose, Renderer


def _round_trip(astronaut_renderer: Renderer, **fields: object) -> Pose:
    """Track a rendered pose relative to the rendered rest."""
    rest = {name: np.zeros(size, np.float32) for name, size in _SIZES.items()}
    wanted = {**rest, **{name: np.array(value, np.float32) for name, value in fields.items()}}
    frames = [astronaut_renderer.frame(Pose(**rest)).copy()] * 3 + [
        astronaut_renderer.frame(Pose(**wanted)).copy()
    ] * 5
    meshes = list(track_meshes(frames))
    tracker = Tracker(meshes[2])
    return [tracker.pose(mesh) for mesh in meshes[3:]][-1]


_SIZES = {"expression": 52, "rotation": 3, "translation": 3, "gaze": 2}


def _expression(**shapes: float) -> np.ndarray:
    expression = np.zeros(52, np.float32)
    for name, weight in shapes.items():
        expression[ARKIT_INDEX[name]] = weight
    return expression


@pytest.mark.parametrize("rotation", [(8, 0, 0), (-8, 0, 0), (0, 6, 0), (0, 0, 8)])
def test_rotation_comes_back(astronaut_renderer: Renderer, rotation: tuple[float, ...]) -> None:
    found = _round_trip(astronaut_renderer, rotation=rotation).rotation
    np.testing.assert_allclose(found, rotation, atol=3)


def test_translation_comes_back(astronaut_renderer: Renderer) -> None:
    found = _round_trip(astronaut_renderer, translation=(1.0, 0.5, 6.0)).translation
    np.testing.assert_allclose(found[:2], (1.0, 0.5), atol=0.4)
    assert found[2] == pytest.approx(6, abs=1.5)


def test_an_open_jaw_comes_back(astronaut_renderer: Renderer) -> None:
    found = _round_trip(astronaut_renderer, expression=_expression(jawOpen=0.5)).expression
    assert found[ARKIT_INDEX["jawOpen"]] > 0.25


def test_shut_eyes_come_back(astronaut_renderer: Renderer) -> None:
    shut = _expression(eyeBlinkLeft=1, eyeBlinkRight=1)
    found = _round_trip(astronaut_renderer, expression=shut).expression
    # FaceMesh never sees an eye quite shut, in real blinks either.
    assert found[[ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]].min() > 0.35


def test_the_direction_of_gaze_comes_back(astronaut_renderer: Renderer) -> None:
    right, left = (_round_trip(astronaut_renderer, gaze=(yaw, 0)).gaze[0] for yaw in (12, -12))
    assert right > 5
    assert left < -5


def test_a_mesh_explains_itself(astronaut: Portrait) -> None:
    pose = Tracker(astronaut.mesh).pose(astronaut.mesh)
    np.testing.assert_allclose(pose.rotation, 0, atol=1e-2)
    np.testing.assert_allclose(pose.translation, 0, atol=1e-2)
    np.testing.assert_allclose(pose.gaze, 0, atol=1e-3)


def test_angles_undo_turn() -> None:
    for angles in ((12, -7, 5), (-20, 10, -15)):
        np.testing.assert_allclose(turn_angles(turn(np.array(angles))), angles, atol=1e-3)


def test_a_file_that_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"not a video")
    with pytest.raises(VideoError, match="cannot be read"):
        next(perform(path))
