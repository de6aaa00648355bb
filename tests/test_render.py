"""Rendered frames do what the motion says, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vasari.generate.motion import ARKIT_INDEX, ARKIT_NAMES, Motion
from vasari.generate.portrait import Portrait
from vasari.generate.render import Pose, Renderer
from vasari.generate.sheet import lay_sheet
from vasari.generate.topology import LOWER_LIP_OUTER, UPPER_LIP_OUTER


def _pose(rotation=(0, 0, 0), translation=(0, 0, 0), gaze=(0, 0), **shapes: float) -> Pose:
    expression = np.zeros(52, np.float32)
    for name, weight in shapes.items():
        expression[ARKIT_INDEX[name]] = weight
    arrays = (np.array(values, np.float32) for values in (rotation, translation, gaze))
    return Pose(expression, *arrays)


def _change(astronaut_renderer: Renderer, pose: Pose) -> np.ndarray:
    rest = astronaut_renderer.frame(_pose()).astype(int)
    return np.abs(astronaut_renderer.frame(pose) - rest).max(axis=2)


def _around(astronaut: Portrait, points: tuple[int, ...], margin: int) -> tuple[slice, slice]:
    box = astronaut.mesh[list(points), :2]
    (left, top), (right, bottom) = box.min(axis=0) - margin, box.max(axis=0) + margin
    return np.s_[int(top) : int(bottom), int(left) : int(right)]


def test_at_rest_all_but_the_closed_mouth_is_the_portrait(
    astronaut: Portrait, astronaut_renderer: Renderer
) -> None:
    difference = np.abs(astronaut_renderer.frame(_pose()).astype(int) - astronaut.image).max(axis=2)
    difference[_around(astronaut, UPPER_LIP_OUTER + LOWER_LIP_OUTER, 45)] = 0
    assert (difference > 24).mean() < 0.01
    assert difference.mean() < 2


def test_the_same_pose_gives_the_same_frame(astronaut_renderer: Renderer) -> None:
    pose = _pose((4, -2, 3), (0.5, 0.2, 1), (5, 3), jawOpen=0.4, eyeBlinkLeft=0.6)
    first = astronaut_renderer.frame(pose)
    astronaut_renderer.frame(_pose(jawOpen=1))
    assert (astronaut_renderer.frame(pose) == first).all()


def test_the_background_holds_while_the_head_moves(
    astronaut: Portrait, astronaut_renderer: Renderer
) -> None:
    # All that the head can reach at this pose lies within a band around its outline.
    import cv2

    reach = cv2.dilate((astronaut.layers.alpha > 0).astype(np.uint8), np.ones((121, 121))) > 0
    change = _change(astronaut_renderer, _pose((8, 4, 5), (0.5, 0.5, 2), jawOpen=0.5))
    assert (~reach).mean() > 0.05
    assert change[~reach].max() == 0
    assert change[reach].max() > 50


@pytest.mark.parametrize("name", ARKIT_NAMES)
def test_every_shape_changes_the_picture(astronaut_renderer: Renderer, name: str) -> None:
    base = {"jawOpen": 0.4} if name in ("tongueOut", "mouthClose") else {}
    before = astronaut_renderer.frame(_pose(**base)).astype(int)
    change = np.abs(astronaut_renderer.frame(_pose(**{**base, name: 1.0})) - before).max(axis=2)
    assert (change > 4).sum() > 10


def test_lips_that_are_closed_show_no_mouth(
    astronaut: Portrait, astronaut_renderer: Renderer
) -> None:
    area = _around(astronaut, UPPER_LIP_OUTER + LOWER_LIP_OUTER, 4)
    closed = astronaut_renderer.frame(_pose())[area].mean(axis=2).copy()
    ajar = astronaut_renderer.frame(_pose(jawOpen=0.6))[area].mean(axis=2)
    assert np.percentile(closed, 1) > 70
    assert np.percentile(ajar, 5) < 60


def test_a_shut_eye_hides_the_iris(astronaut: Portrait, astronaut_renderer: Renderer) -> None:
    x, y = astronaut.mesh[468, :2].astype(int)
    spot = np.s_[y - 3 : y + 4, x - 3 : x + 4]
    open_eye = astronaut_renderer.frame(_pose())[spot].mean()
    shut_eye = astronaut_renderer.frame(_pose(eyeBlinkRight=1.0))[spot].mean()
    assert shut_eye > open_eye + 30


@pytest.mark.parametrize(("yaw", "sign"), [(15, 1), (-15, -1)])
def test_the_iris_follows_the_gaze(
    astronaut: Portrait, astronaut_renderer: Renderer, yaw: float, sign: int
) -> None:
    x, y = astronaut.mesh[468, :2].astype(int)
    area = np.s_[y - 4 : y + 5, x - 16 : x + 17]

    def dark_centre(pose: Pose) -> float:
        weight = np.clip(110 - astronaut_renderer.frame(pose)[area].mean(axis=2), 0, None)
        return float((weight.sum(axis=0) * np.arange(33)).sum() / weight.sum())

    assert sign * (dark_centre(_pose(gaze=(yaw, 0))) - dark_centre(_pose())) > 1.5


def test_the_edge_of_a_turned_head_has_no_stairs(
    astronaut_renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    soft = astronaut_renderer.frame(_pose((22, 0, 0))).astype(float)
    monkeypatch.setattr("vasari.generate.render.FOLD", 1e6)
    hard = astronaut_renderer.frame(_pose((22, 0, 0))).astype(float)
    changed = np.abs(soft - hard).max(axis=2) > 8
    assert 0.0005 < changed.mean() < 0.03  # only along the folds

    def roughness(frame: np.ndarray) -> float:
        return float(np.abs(np.diff(frame, 2, axis=0))[changed[1:-1]].mean())

    assert roughness(soft) < 0.5 * roughness(hard)


def test_a_face_that_reaches_beside_the_person_is_brought_onto_it(astronaut: Portrait) -> None:
    cheek = int(astronaut.mesh[234, 0]) + 6  # as if the matte ended inside the oval
    alpha = astronaut.layers.alpha.copy()
    alpha[:, :cheek] = 0
    cut = replace(astronaut, layers=replace(astronaut.layers, alpha=alpha))
    face, whole = (lay_sheet(portrait).points[:478] for portrait in (cut, astronaut))
    moved = np.abs(face - whole)[:, :2].max(axis=1) > 1e-3
    assert moved[234]
    assert face[234, 0] >= cheek
    assert not moved[astronaut.mesh[:, 0] > cheek + 1].any()


def test_frames_of_a_motion(astronaut_renderer: Renderer) -> None:
    blocks = [Motion.still(2), Motion.still(1)]
    frames = list(astronaut_renderer.frames(blocks))
    assert len(frames) == 3
    assert all((frame == frames[0]).all() for frame in frames)
    assert frames[0].dtype == np.uint8


def test_a_head_at_the_frames_edge_and_beyond_does_not_fail(astronaut_renderer: Renderer) -> None:
    frame = astronaut_renderer.frame(
        _pose((30, 20, 30), (25, 25, 15), (30, 20), jawOpen=1, eyeBlinkLeft=0.5)
    )
    assert frame.shape == (512, 512, 3)
