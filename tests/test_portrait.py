"""Faces are found, chosen, framed and taken apart."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from vasari.errors import PortraitError
from vasari.generate.faces import Box, face_height, find_faces
from vasari.generate.inpaint import fill
from vasari.generate.portrait import MIN_FACE_HEIGHT, Portrait
from vasari.generate.template import align, template

ASTRONAUT_EYES = ((204, 101), (247, 104))  # the pupils, the viewer's left first: read off by eye


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return skimage.data.astronaut()


@pytest.fixture(scope="module")
def portrait(astronaut: np.ndarray) -> Portrait:
    return Portrait.from_image(astronaut)


def test_the_face_is_where_it_is(astronaut: np.ndarray) -> None:
    (mesh,) = find_faces(astronaut)
    assert mesh.shape == (478, 3)
    np.testing.assert_allclose(mesh[[468, 473], :2], ASTRONAUT_EYES, atol=2.5)


def test_a_small_face_in_a_large_picture_is_found(astronaut: np.ndarray) -> None:
    scene = np.full((1400, 2000, 3), 120, np.uint8)
    scene[800:1312, 1400:1912] = astronaut
    (mesh,) = find_faces(scene)
    np.testing.assert_allclose(mesh[468, :2], (1400 + 204, 800 + 101), atol=4)


def test_head_and_shoulders_fill_the_frame(portrait: Portrait) -> None:
    assert portrait.image.shape == (512, 512, 3)
    share = face_height(portrait.mesh) / portrait.size
    middle = portrait.mesh[:468, :2].mean(axis=0) / portrait.size
    assert 0.35 < share < 0.55
    assert 0.4 < middle[0] < 0.6
    assert 0.35 < middle[1] < 0.6


@pytest.mark.parametrize("size", [256, 1024])
def test_sizes_scale_everything(astronaut: np.ndarray, portrait: Portrait, size: int) -> None:
    other = Portrait.from_image(astronaut, size=size)
    np.testing.assert_allclose(other.mesh / size, portrait.mesh / 512, atol=0.012)
    assert other.placement.scale / size == pytest.approx(portrait.placement.scale / 512, rel=0.03)


def test_layers_add_up_to_the_picture(portrait: Portrait) -> None:
    layers = portrait.layers
    share = layers.alpha[..., None]
    again = share * layers.foreground + (1 - share) * layers.background
    assert np.abs(again - portrait.image).mean() < 1
    x, y = portrait.mesh[1, :2].astype(int)
    assert layers.alpha[y, x] == 1
    assert layers.alpha[20, 20] == 0


def test_a_face_is_chosen_by_its_number(astronaut: np.ndarray) -> None:
    scene = np.full((512, 900, 3), 128, np.uint8)
    scene[:, :512] = astronaut
    small = cv2.resize(astronaut, (380, 380), interpolation=cv2.INTER_AREA)
    scene[60:440, 515:895] = small
    first, second = (Portrait.from_image(scene, face=n) for n in (1, 2))
    assert np.abs(first.image.astype(int) - second.image).mean() > 1
    with pytest.raises(PortraitError, match="2 face"):
        Portrait.from_image(scene, face=3)


def test_no_face_and_a_face_too_small(astronaut: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "grass.png"
    Image.fromarray(skimage.data.grass()).save(path)
    with pytest.raises(PortraitError, match=r"no face found in .*grass\.png"):
        Portrait.open(path)
    tiny = cv2.resize(astronaut, (200, 200), interpolation=cv2.INTER_AREA)
    with pytest.raises(PortraitError, match=f"at least {MIN_FACE_HEIGHT}"):
        Portrait.from_image(tiny)


def test_a_size_that_is_not_offered(astronaut: np.ndarray) -> None:
    with pytest.raises(PortraitError, match="256, 512, 1024"):
        Portrait.from_image(astronaut, size=300)


def test_a_tight_crop_is_extended(astronaut: np.ndarray) -> None:
    tight = Portrait.from_image(astronaut[45:170, 165:285])
    assert tight.image.shape == (512, 512, 3)
    assert np.isfinite(tight.mesh).all()


def test_align_finds_a_known_placement() -> None:
    angle = np.radians(20)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    mesh = (7.5 * template() @ turn.T + [100, 50, 3]).astype(np.float32)
    found = align(mesh, template())
    assert found.scale == pytest.approx(7.5, rel=1e-4)
    np.testing.assert_allclose(found.rotation, turn, atol=1e-4)
    np.testing.assert_allclose(found.unplace(found.place(template())), template(), atol=1e-3)


def test_filling_continues_a_gradient() -> None:
    ramp = np.repeat(np.linspace(0, 250, 96)[None, :, None], 96, axis=0).repeat(3, axis=2)
    picture = np.rint(ramp).astype(np.uint8)
    hole = np.zeros((96, 96), bool)
    hole[30:60, 30:60] = True
    filled = fill(np.where(hole[..., None], 0, picture).astype(np.uint8), hole)
    assert (filled[~hole] == picture[~hole]).all()
    assert np.abs(filled[hole].astype(int) - picture[hole]).max() < 25


def test_overlap_of_boxes() -> None:
    assert Box(0, 0, 2, 2).overlap(Box(1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert Box(0, 0, 1, 1).overlap(Box(5, 5, 6, 6)) == 0
