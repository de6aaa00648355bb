"""Every ARKit name moves what it should, where it should, on both sides alike."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.generate.blendshapes import RELAXED, face_shapes, jaw_drop, lip_closure, relaxation
from vasari.generate.motion import ARKIT_INDEX, ARKIT_NAMES
from vasari.generate.template import mirror, template
from vasari.generate.topology import (
    LOWER_LIP_INNER,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    UPPER_LIP_INNER,
    edges,
    triangles,
)

RIGHT, DOWN, AWAY = 0, 1, 2

# Shape -> a point of the mesh, an axis, and the sign of its way.
WAYS = {
    "eyeBlinkRight": (159, DOWN, 1),
    "eyeWideRight": (159, DOWN, -1),
    "eyeSquintRight": (145, DOWN, -1),
    "eyeLookDownRight": (159, DOWN, 1),
    "eyeLookUpRight": (159, DOWN, -1),
    "eyeLookInRight": (159, RIGHT, 1),
    "eyeLookOutRight": (159, RIGHT, -1),
    "jawOpen": (152, DOWN, 1),
    "jawForward": (152, AWAY, -1),
    "jawLeft": (152, RIGHT, 1),
    "jawRight": (152, RIGHT, -1),
    "mouthClose": (14, DOWN, -1),
    "mouthFunnel": (61, RIGHT, 1),
    "mouthPucker": (61, RIGHT, 1),
    "mouthLeft": (0, RIGHT, 1),
    "mouthRight": (0, RIGHT, -1),
    "mouthSmileRight": (61, DOWN, -1),
    "mouthFrownRight": (61, DOWN, 1),
    "mouthDimpleRight": (61, AWAY, 1),
    "mouthStretchRight": (61, RIGHT, -1),
    "mouthRollLower": (17, DOWN, -1),
    "mouthRollUpper": (0, DOWN, 1),
    "mouthShrugLower": (17, DOWN, -1),
    "mouthShrugUpper": (0, DOWN, -1),
    "mouthPressRight": (39, DOWN, 1),
    "mouthLowerDownRight": (181, DOWN, 1),
    "mouthUpperUpRight": (39, DOWN, -1),
    "browDownRight": (105, DOWN, 1),
    "browInnerUp": (107, DOWN, -1),
    "browOuterUpRight": (63, DOWN, -1),
    "cheekPuff": (205, AWAY, -1),
    "cheekSquintRight": (50, DOWN, -1),
    "noseSneerRight": (98, DOWN, -1),
}


@pytest.fixture(scope="module")
def shapes() -> np.ndarray:
    return face_shapes(template())


def test_every_name_but_the_tongue_has_a_way() -> None:
    sided = {name.replace("Left", "Right") if "jaw" not in name else name for name in ARKIT_NAMES}
    sided -= {"tongueOut"}  # drawn, not on the skin
    assert {n for n in sided if n not in ("mouthRight",)} <= set(WAYS)


@pytest.mark.parametrize("name", WAYS)
def test_the_way(shapes: np.ndarray, name: str) -> None:
    point, axis, sign = WAYS[name]
    assert sign * shapes[ARKIT_INDEX[name], point, axis] > 0.05


@pytest.mark.parametrize("name", [n for n in ARKIT_NAMES if "Left" in n])
def test_left_is_the_mirror_image_of_right(shapes: np.ndarray, name: str) -> None:
    left = shapes[ARKIT_INDEX[name]]
    right = shapes[ARKIT_INDEX[name.replace("Left", "Right")]]
    np.testing.assert_allclose(left, right[mirror()] * [-1, 1, 1], atol=0.02)


def test_mouth_shapes_leave_the_brows_alone(shapes: np.ndarray) -> None:
    for name in ("jawOpen", "mouthSmileLeft", "mouthPucker", "mouthClose"):
        brows = shapes[ARKIT_INDEX[name]][[105, 107, 334, 336, 10]]
        assert np.abs(brows).max() < 0.05


def test_a_blink_brings_the_lids_together(shapes: np.ndarray) -> None:
    shut = template() + shapes[ARKIT_INDEX["eyeBlinkRight"]]
    apart = shut[list(RIGHT_LOWER_LID)] - shut[list(RIGHT_UPPER_LID)]
    assert np.abs(apart[1:-1]).max() < 0.01


def test_mouth_close_shuts_an_open_jaw(shapes: np.ndarray) -> None:
    rest = template() + lip_closure(template())
    face = rest + shapes[ARKIT_INDEX["jawOpen"]] + shapes[ARKIT_INDEX["mouthClose"]]
    apart = face[list(LOWER_LIP_INNER)] - face[list(UPPER_LIP_INNER)]
    assert np.abs(apart).max() < 0.01


def test_closed_lips_leave_nose_and_eyes() -> None:
    closure = lip_closure(template())
    assert np.abs(closure[[1, 33, 263, 10]]).max() < 0.02


def test_only_a_broad_smile_with_teeth_is_taken_back(shapes: np.ndarray) -> None:
    face = template() + lip_closure(template())
    smile = shapes[ARKIT_INDEX["mouthSmileLeft"]] + shapes[ARKIT_INDEX["mouthSmileRight"]]
    jaw = shapes[ARKIT_INDEX["jawOpen"]]
    broad, pressed, amazed = (
        face + share * smile + opening * jaw for share, opening in ((1, 0.6), (1, 0), (0, 0.6))
    )
    taken = relaxation(broad)
    np.testing.assert_allclose(taken, -RELAXED * smile, atol=0.02)
    assert not relaxation(pressed).any()
    assert not relaxation(amazed).any()


def test_the_jaw_drops_about_its_joint() -> None:
    chin = template()[[152]]
    assert jaw_drop(chin, 0.0) == pytest.approx(0)
    down = jaw_drop(chin, 1.0)[0]
    assert 2.5 < down[DOWN] < 3.5
    np.testing.assert_allclose(jaw_drop(chin, 0.5)[0], down / 2, atol=1e-5)


def test_the_surface_is_one_sheet_with_holes_for_eyes_and_mouth() -> None:
    faces = triangles()
    sides = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    _, uses = np.unique(sides, axis=0, return_counts=True)
    assert set(uses) == {1, 2}
    assert (uses == 1).sum() == 36 + 2 * 16 + 20  # oval, eyes, mouth
    euler = 468 - len(edges()) + len(faces)
    assert euler == 1 - 3  # a disc with three holes
