"""The touch-up changes what moved, where it may, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from vasari.errors import VasariError
from vasari.generate.motion import ARKIT_INDEX, Motion
from vasari.generate.portrait import Portrait
from vasari.generate.render import Pose, Renderer, poses
from vasari.generate.retouch import retouch
from vasari.generate.template import mirror
from vasari.generate.touchup import (
    LEFT_EYE,
    PATCH_HEIGHT,
    PATCH_WIDTH,
    REGIONS,
    RIGHT_EYE,
    Patch,
    TouchUp,
    change,
    lay_patches,
    look,
    place_regions,
    spared_ball,
    spared_teeth,
)
from vasari.models import touchup as models
from vasari.models.touchup import load_touch_up


def pose(**weights: float) -> Pose:
    """A head at rest with an expression."""
    expression = np.zeros(52, np.float32)
    for name, weight in weights.items():
        expression[ARKIT_INDEX[name]] = weight
    return Pose(expression, *np.zeros((2, 3), np.float32), np.zeros(2, np.float32))


BLINK = pose(eyeBlinkLeft=1.0, eyeBlinkRight=1.0, jawOpen=0.4)


@pytest.fixture(scope="module")
def touched(astronaut: Portrait) -> Renderer:
    return Renderer(astronaut, TouchUp(astronaut))


def patches(portrait: Portrait) -> list[Patch]:
    return lay_patches(place_regions(portrait), portrait.size)


def test_patches_lie_on_eyes_and_mouth(astronaut: Portrait) -> None:
    for patch in patches(astronaut):
        points = astronaut.mesh[list(patch.region.opening), :2] - patch.forth[:, 2]
        inside = np.linalg.solve(patch.forth[:, :2], points.T).T
        margin = 4 if patch.region.ball else 1  # this portrait smiles broadly
        assert (inside > margin).all()
        assert (inside < np.array([PATCH_WIDTH, PATCH_HEIGHT]) - margin).all()


def test_one_network_sees_both_eyes_alike(astronaut: Portrait) -> None:
    flipped = astronaut.mesh[mirror()]
    flipped[:, 0] = astronaut.size - 1 - flipped[:, 0]
    picture = np.ascontiguousarray(astronaut.image[:, ::-1])
    own = look(astronaut.image, patches(astronaut)[0], astronaut.mesh)
    anchors = place_regions(astronaut)[:3]
    anchors[:, 0] = astronaut.size - 1 - anchors[:, 0]
    other = look(picture, Patch.between(LEFT_EYE, anchors, astronaut.size), flipped)
    assert np.abs(own.colours.astype(int) - other.colours).mean() < 1
    assert np.abs(own.opening.astype(int) - other.opening).mean() < 2


def test_nothing_to_change_leaves_a_frame_as_it_is(astronaut: Portrait) -> None:
    frame = astronaut.image.copy()
    change(frame, patches(astronaut)[0], np.zeros((5, PATCH_HEIGHT, PATCH_WIDTH), np.float32))
    assert np.array_equal(frame, astronaut.image)


def test_colours_are_added_inside_the_patch_alone(astronaut: Portrait) -> None:
    frame = np.full_like(astronaut.image, 100)
    fields = np.zeros((5, PATCH_HEIGHT, PATCH_WIDTH), np.float32)
    fields[2:, 10:-10, 10:-10] = np.array([10, 20, -30], np.float32)[:, None, None] / 255
    patch = patches(astronaut)[0]
    change(frame, patch, fields)
    middle = patch.forth[:, :2] @ [PATCH_WIDTH / 2, PATCH_HEIGHT / 2] + patch.forth[:, 2]
    x, y = middle.astype(int)
    assert frame[y, x].tolist() == [110, 120, 70]
    window = patch.window
    frame[window.top : window.top + window.height, window.left : window.left + window.width] = 100
    assert (frame == 100).all()


def test_pixels_move_by_pixels_of_the_patch(astronaut: Portrait) -> None:
    patch = patches(astronaut)[0]
    ramp = np.repeat(np.arange(512, dtype=np.float32)[None] / 4, 512, axis=0)
    frame = np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8)
    fields = np.zeros((5, PATCH_HEIGHT, PATCH_WIDTH), np.float32)
    fields[0] = 6  # each pixel comes from 6 pixels of the patch to the right
    forth = patch.forth
    x, y = (forth[:, :2] @ [PATCH_WIDTH / 2, PATCH_HEIGHT / 2] + forth[:, 2]).astype(int)
    before = int(frame[y, x, 0])
    change(frame, patch, fields)
    assert frame[y, x, 0] == pytest.approx(before + 6 * forth[0, 0] / 4, abs=1)


@pytest.mark.parametrize("broken", [0, 1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf, -3e38])
def test_what_is_no_number_changes_nothing_outside_the_window(broken: int, value: float) -> None:
    frame = np.full((100, 100, 3), 9, np.uint8)
    warp = np.eye(2, 3, dtype=np.float32)
    given = (np.zeros((5, PATCH_HEIGHT, PATCH_WIDTH), np.float32), warp, warp.copy())
    given[broken][:] = value
    retouch(frame, 10, 10, 50, 50, *given)
    frame[10:60, 10:60] = 9
    assert (frame == 9).all()


def test_networks_change_nothing_at_the_border() -> None:
    shape = (PATCH_HEIGHT, PATCH_WIDTH)
    fields = load_touch_up()(np.random.default_rng(0).random((len(REGIONS), 7, *shape), np.float32))
    assert fields.shape == (len(REGIONS), 5, *shape)
    assert np.abs(fields).max() > 0
    edge = np.ones(shape, bool)
    edge[1:-1, 1:-1] = False
    assert not fields[..., edge].any()


def test_damaged_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "SHA256", "0" * 64)
    with pytest.raises(VasariError, match="damaged"):
        load_touch_up()


def test_a_portrait_at_rest_stays_itself(astronaut: Portrait) -> None:
    anchors = place_regions(astronaut)[:, :2]
    frame = astronaut.image.copy()
    TouchUp(astronaut).apply(
        frame, anchors=anchors, mesh=astronaut.mesh[:, :2], gaze=np.zeros(2, np.float32)
    )
    assert np.array_equal(frame, astronaut.image)


def test_balls_are_spared_as_the_gaze_turns() -> None:
    gazes = [(0, 0), (3, 0), (0, 7), (-20, 10)]
    spared = [spared_ball(np.array(gaze, np.float32)) for gaze in gazes]
    assert spared == [0, 0, 0.5, 1]
    assert all(type(share) is np.float32 for share in spared)  # or the loops compile once more


def test_teeth_are_changed_little_and_a_wide_mouth_not_at_all() -> None:
    narrow, parted, wide = spared_teeth(np.array([0.03, 0.2, 0.4]))
    assert 0 < narrow < parted < 1
    assert wide == pytest.approx(1)


def test_a_ball_that_is_turned_far_is_left_alone(
    astronaut: Portrait, astronaut_renderer: Renderer, touched: Renderer
) -> None:
    far = replace(pose(), gaze=np.array([-20, 0], np.float32))
    plain, better = astronaut_renderer.frame(far), touched.frame(far)
    changed = np.abs(plain.astype(int) - better).max(axis=2) > 2
    assert changed.any()  # the skin around
    for region in (RIGHT_EYE, LEFT_EYE):
        inside = np.zeros(changed.shape, np.uint8)
        rim = np.rint(astronaut.mesh[list(region.opening), :2]).astype(np.int32)
        cv2.fillPoly(inside, [rim], 1)
        inside = cv2.erode(inside, np.ones((5, 5), np.uint8)) > 0
        assert inside.any()
        assert not (changed & inside).any()


def test_frames_drawn_ahead_are_those_drawn_one_by_one(touched: Renderer) -> None:
    motion = Motion.still(6)
    motion.expression[:] = np.linspace(0, 1, 6, dtype=np.float32)[:, None] * BLINK.expression
    together = list(touched.frames([motion]))
    apart = [touched.frame(each) for each in poses([motion])]
    assert len(together) == 6
    assert all(np.array_equal(one, other) for one, other in zip(together, apart, strict=True))
    assert not np.array_equal(together[0], together[-1])


def test_eyes_and_mouth_alone_are_touched_up(
    astronaut: Portrait, astronaut_renderer: Renderer, touched: Renderer
) -> None:
    plain, better = astronaut_renderer.frame(BLINK), touched.frame(BLINK)
    changed = (plain != better).any(axis=2)
    assert changed.any()
    for patch in patches(astronaut):
        window = patch.window
        rows = slice(window.top, window.top + window.height)
        columns = slice(window.left, window.left + window.width)
        assert changed[rows, columns].any()
        changed[rows, columns] = False
    assert not changed.any()


def test_what_stands_still_does_not_flicker(touched: Renderer) -> None:
    first = touched.frame(BLINK)
    touched.frame(pose())
    assert np.array_equal(touched.frame(BLINK), first)


def test_a_face_that_leaves_the_frame(touched: Renderer, astronaut: Portrait) -> None:
    away = Pose(BLINK.expression, BLINK.rotation, np.array([0, 60, 0], np.float32), BLINK.gaze)
    assert touched.frame(away).shape == astronaut.image.shape
