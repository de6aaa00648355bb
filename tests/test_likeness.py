"""Each measure of likeness sees what it is for, and not the rest."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from vasari.eval.likeness import compare, expression_error, face_box, skin_likeness
from vasari.generate.portrait import Portrait
from vasari.generate.topology import CHIN, FOREHEAD, LOWER_LIP_OUTER, MESH_POINTS


def blotted(portrait: Portrait, point: int, radius: int = 6) -> np.ndarray:
    """The portrait with a grey disc at a point of its mesh."""
    centre = portrait.mesh[point, :2].astype(int).tolist()
    return cv2.circle(portrait.image.copy(), centre, radius, (128, 128, 128), -1)


def test_the_face_is_compared_as_scikit_image_does(astronaut: Portrait) -> None:
    shown = cv2.GaussianBlur(astronaut.image, (0, 0), 2)
    face = compare(shown, astronaut.image, astronaut.mesh)["face"]
    box = face_box(astronaut.mesh, astronaut.size)
    truth, made = astronaut.image[box], shown[box]
    assert face.psnr == pytest.approx(peak_signal_noise_ratio(truth, made), abs=0.01)
    assert face.ssim == pytest.approx(structural_similarity(truth, made, channel_axis=2), abs=0.005)


def test_blur_lowers_sharpness(astronaut: Portrait) -> None:
    own, made = astronaut.image, cv2.GaussianBlur(astronaut.image, (0, 0), 2)
    for region in compare(made, own, astronaut.mesh).values():
        assert region.sharpness < 0.8
    for region in compare(own, own, astronaut.mesh).values():
        assert region.sharpness == 1


@pytest.mark.parametrize(
    ("point", "hit", "missed"), [(13, "mouth", "eyes"), (159, "eyes", "mouth")]
)
def test_a_region_sees_its_own_errors(
    astronaut: Portrait, point: int, hit: str, missed: str
) -> None:
    found = compare(blotted(astronaut, point), astronaut.image, astronaut.mesh)
    assert found[hit].psnr < found["face"].psnr < found[missed].psnr
    assert found[hit].ssim < found["face"].ssim < found[missed].ssim


def test_expression_is_free_of_pose(astronaut: Portrait) -> None:
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]])
    turn = np.vstack([turn, [0, 0, 1]])
    moved = (1.3 * astronaut.mesh @ turn.T + (40, -10, 5)).astype(np.float32)
    assert expression_error(moved, astronaut.mesh) < 0.01


def test_expression_error_is_in_percent_of_the_face(astronaut: Portrait) -> None:
    height = np.linalg.norm((astronaut.mesh[FOREHEAD] - astronaut.mesh[CHIN])[:2])
    moved = astronaut.mesh.copy()
    moved[list(LOWER_LIP_OUTER), 1] += 0.05 * height
    share = len(LOWER_LIP_OUTER) / MESH_POINTS
    assert expression_error(moved, astronaut.mesh) == pytest.approx(5 * share, rel=0.15)


def test_skin_is_compared_where_it_lies(astronaut: Portrait) -> None:
    shift = np.array([[1, 0, 7], [0, 1, -5]], np.float32)
    moved = cv2.warpAffine(astronaut.image, shift, astronaut.image.shape[:2])
    mesh = astronaut.mesh + np.array([7, -5, 0], np.float32)
    own = (astronaut.image, astronaut.mesh)
    assert skin_likeness(moved, mesh, *own) > 0.99
    assert skin_likeness(moved, astronaut.mesh, *own) < 0.9
    assert skin_likeness(blotted(astronaut, 151, 20), astronaut.mesh, *own) < 0.98
    assert skin_likeness(blotted(astronaut, 14, 8), astronaut.mesh, *own) == 1
