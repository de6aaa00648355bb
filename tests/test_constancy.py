"""How a face changes while it moves: one picture bent, against skin that changes."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from vasari.detect import constancy as c
from vasari.detect.scoring import FrameScore, weigh
from vasari.generate.topology import LOWER_LIP_INNER
from vasari.models.detector import Calibration, Movement, Operating

POINT = Operating(1.0, 0.0, 0.8, 0.01, 0.1, 0.3, 0.05)
EVEN = np.zeros(len(c.FEATURES))


@pytest.fixture(scope="module")
def talk(astronaut_renderer):
    """Two seconds of a portrait that speaks and turns."""
    from vasari.generate.motion import ARKIT_INDEX
    from vasari.generate.render import Pose

    frames = []
    for k in range(25):
        expression = np.zeros(52, np.float32)
        expression[ARKIT_INDEX["jawOpen"]] = 0.35 * (1 + np.sin(1.3 * k))
        turn = np.array([4 * np.sin(0.3 * k), 0, 0], np.float32)
        pose = Pose(expression, turn, np.zeros(3, np.float32), np.zeros(2, np.float32))
        frames.append(astronaut_renderer.frame(pose))
    return frames


def lit(frames):
    """Frames over whose cheeks a soft shadow comes and goes."""
    side = len(frames[0])
    rows, columns = np.indices((side, side)) / side
    for k, frame in enumerate(frames):
        x = 0.4 + 0.2 * np.sin(0.8 * k)
        shadow = 1 - 0.25 * np.exp(-((columns - x) ** 2 + (rows - 0.5) ** 2) / 0.004)
        yield np.asarray(frame * shadow[..., None], np.uint8)


def test_changing_skin_is_told_from_one_picture(talk):
    one, many = c.constancy(talk), c.constancy(list(lit(talk)))
    assert one is not None
    assert many is not None
    assert one.shape == (len(c.FEATURES),)
    assert many[0] > one[0] + 0.5  # the skin changes
    assert many[1] > one[1] + 0.3  # and that of the cheeks
    assert many[3:5] == pytest.approx(one[3:5], abs=0.3)  # the face moved as before


def test_a_noisy_picture_is_restless(talk):
    random = np.random.default_rng(1)
    noisy = [f + random.normal(0, 6, f.shape) for f in talk]
    one, many = c.constancy(talk), c.constancy([np.clip(f, 0, 255).astype(np.uint8) for f in noisy])
    assert one is not None
    assert many is not None
    assert many[5] > one[5] + 0.2


def test_a_face_that_does_not_speak_says_nothing(astronaut):
    shifts = [np.roll(astronaut.image, k, axis=1) for k in range(25)]
    assert c.constancy(shifts) is None


def test_lips_that_quiver_without_the_jaw_do_not_speak(astronaut):
    """As FaceMesh's do in a compressed still picture."""
    random = np.random.default_rng(0)
    faces = np.clip(astronaut.image[:80, :80, 0] + random.normal(0, 2, (25, 80, 80)), 0, 255)
    centimetres = 0.8 * random.random(25) * astronaut.placement.scale
    meshes = np.repeat(astronaut.mesh[None], 25, axis=0)
    meshes[:, list(LOWER_LIP_INNER), 1] += centimetres[:, None]
    assert c._movement(meshes)[1] > c.MIN_MOUTH
    assert c.features(c.Unrolled(meshes, faces.astype(np.uint8))) is None
    meshes[:, list(c.LOWER_CHIN), 1] += centimetres[:, None]
    assert c.features(c.Unrolled(meshes, faces.astype(np.uint8))) is not None


def test_no_face_says_nothing():
    assert c.constancy([np.zeros((128, 128, 3), np.uint8)] * 25) is None


def test_a_short_stretch_says_nothing(talk):
    assert c.constancy(talk[: c.MIN_FRAMES - 1]) is None


def test_a_stretch_after_the_end_of_the_picture_says_nothing():
    assert c.constancy([]) is None


def test_the_grid_lies_in_the_face(astronaut):
    weights = c._weights().toarray()
    inside = weights.any(axis=1)
    assert weights[inside].sum(axis=1) == pytest.approx(1, abs=1e-4)
    skin = c._skin()
    assert inside[skin.ravel()].all()
    assert 0.25 < skin.mean() < 0.6


def test_errors_of_the_register_are_no_change():
    """A picture that only shifts has little change of its own, as its slopes explain it."""
    random = np.random.default_rng(0)
    small = random.normal(size=(12, 12)).astype(np.float32)
    picture = cv2.resize(small, (c.GRID + 8, c.GRID + 8), interpolation=cv2.INTER_CUBIC)
    shifts = random.normal(0, 0.3, (30, 2))
    maps = [
        cv2.warpAffine(picture, np.array([[1, 0, x], [0, 1, y]]), (c.GRID, c.GRID))
        for x, y in shifts
    ]
    band = np.stack(maps)
    assert c._own_change(band) < 0.2 * band.var(axis=0)[c._skin()].mean()


def test_log_odds_of_movement():
    head = Movement((1.0, 2.0), (1.0, 2.0), (3.0, -1.0), 0.5, POINT)
    assert head.log_odds([1.0, 2.0]) == 0.5
    assert head.log_odds([2.0, 0.0]) == 0.5 + 3 + 1
    assert head.log_odds([1e9, 2.0]) == 0.5 + 9  # counts no more than three spreads


def test_a_face_that_speaks_is_judged_by_its_movement():
    moving = dataclasses.replace(POINT, threshold=0.6)
    head = Movement((0.0,), (1.0,), (1.0,), 0.0, moving)
    frame = FrameScore(0.0, 5.0, 100.0, None, (1.0, 1.0), np.zeros((1, 1)))  # type: ignore[arg-type]
    calibration = Calibration(POINT, POINT, (0.0, 1.0), (0.0, 1.0), 112, head)
    assert weigh([frame], -2.0, calibration) == (-2.0, moving)
    assert weigh([frame], None, calibration) == (5.0, POINT)
    frames_only = dataclasses.replace(calibration, movement=None)
    assert weigh([frame], -2.0, frames_only) == (5.0, POINT)
