"""A known motion, rendered and tracked, comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vasari.errors import VideoError
from vasari.generate.motion import ARKIT_INDEX, Motion
from vasari.generate.perform import Tracker, _steadied, perform, resting, track_meshes
from vasari.generate.portrait import Portrait
from vasari.generate.pose import turn, turn_angles
from vasari.generate.render import Pose, Renderer


def _round_trip(astronaut_renderer: Renderer, **fields: object) -> Pose:
    """Track a rendered pose relative to the rendered rest."""
    rest = {name: np.zeros(size, np.float32) for name, size in _SIZES.items()}
    wanted = {**rest, **{name: np.array(value, np.float32) for name, value in fields.items()}}
    frames = [astronaut_renderer.frame(Pose(**rest))] * 3 + [
        astronaut_renderer.frame(Pose(**wanted))
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
    assert 7 < right < 15
    assert -15 < left < -7


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


def test_a_motion_comes_back(astronaut_renderer: Renderer) -> None:
    """Two seconds in which head, jaw and lids move: rendered, tracked, compared."""
    time = np.arange(50, dtype=np.float32) / 25
    motion = Motion.still(50)
    motion.rotation[:, 0] = 8 * np.sin(3 * time)
    motion.rotation[:, 1] = 5 * np.sin(4 * time)
    motion.expression[:, ARKIT_INDEX["jawOpen"]] = 0.3 - 0.3 * np.cos(9 * time)
    lids = [ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]
    motion.expression[20:24, lids] = np.array([0.6, 1, 1, 0.5], np.float32)[:, None]
    still = astronaut_renderer.frames([Motion.still(4)])
    meshes = list(track_meshes(frame.copy() for frame in still))
    tracker = Tracker(meshes[-1])
    moved = astronaut_renderer.frames([motion])
    poses = [tracker.pose(mesh) for mesh in track_meshes(frame.copy() for frame in moved)]
    turns = np.stack([pose.rotation for pose in poses])
    weights = np.stack([pose.expression for pose in poses])
    jaw = ARKIT_INDEX["jawOpen"]
    for axis in (0, 1):
        assert (
            np.corrcoef(turns[3:, axis], motion.rotation[3:, axis])[0, 1] > 0.85
        )  # FaceMesh lags a little
    assert np.corrcoef(weights[3:, jaw], motion.expression[3:, jaw])[0, 1] > 0.9
    assert abs(int(weights[5:, lids].mean(axis=1).argmax()) + 5 - 21.5) <= 2


def test_the_resting_face_is_awake_with_closed_lips() -> None:
    asleep, talking, calm = (np.zeros((478, 3), np.float32) for _ in range(3))
    for face, eyes, lips in ((asleep, 0.1, 0.0), (talking, 1.0, 3.0), (calm, 1.0, 0.2)):
        face[[145, 374], 1], face[14, 1] = eyes, lips  # middles of the lower lids and lower lip
    assert resting([asleep, talking, calm]) is calm


def test_steadying_takes_the_quiver_and_leaves_blinks() -> None:
    rng = np.random.default_rng(0)
    shut = [ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]
    poses = []
    for frame in range(60):
        expression = np.full(52, 0.5, np.float32)
        expression[shut] = float(frame == 30)
        turn_ = (frame / 10 + rng.normal(0, 0.3, 3)).astype(np.float32)
        poses.append(Pose(expression, turn_, np.zeros(3, np.float32), np.zeros(2, np.float32)))
    steady = list(_steadied(iter(poses)))
    assert len(steady) == len(poses)
    assert [pose.expression[shut[0]] for pose in steady] == [float(n == 30) for n in range(60)]
    line = np.arange(60)[:, None] / 10
    before, after = (np.stack([p.rotation for p in each]) - line for each in (poses, steady))
    assert after.std() < 0.8 * before.std()


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_steadying_keeps_the_number(count: int) -> None:
    pose = Pose(*(np.zeros(size, np.float32) for size in (52, 3, 3, 2)))
    assert len(list(_steadied(iter([pose] * count)))) == count
