"""Irises are found where they were painted."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.eval.irises import EYES, Irises

SCALE = 14.0  # pixels per cm
CENTRES = ((90.0, 100.0), (170.0, 100.0))


def face(aside: tuple[float, float], *, lean: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Two eyes that look aside by degrees, on a head that leans by others, and their mesh."""
    import cv2

    turn = cv2.getRotationMatrix2D((128.0, 128.0), lean, 1.1 if lean else 1.0)
    shift = 1.2 * SCALE * np.sin(np.radians(aside)) * (1, -1)
    picture = np.full((256, 256, 3), 210, np.uint8)
    mesh = np.zeros((478, 3), np.float32)
    for (outer, inner, iris), centre in zip(EYES, CENTRES, strict=True):
        sign = 1 if centre[0] < 128 else -1
        where = tuple(round(16 * v) for v in centre + shift)
        cv2.circle(picture, where, round(16 * 0.6 * SCALE), (90, 60, 40), -1, cv2.LINE_AA, 4)
        cv2.circle(picture, where, round(16 * 0.25 * SCALE), (10, 10, 10), -1, cv2.LINE_AA, 4)
        half = np.array([sign * 1.5 * SCALE, 0])
        mesh[outer, :2], mesh[inner, :2] = centre - half, centre + half
        ring = 0.6 * SCALE * np.array([(0, 0), (1, 0), (0, -1), (-1, 0), (0, 1)])
        mesh[list(iris), :2] = centre + ring  # hangs back: does not follow at all
    mesh[:, :2] = mesh[:, :2] @ turn[:, :2].T + turn[:, 2]
    return cv2.warpAffine(picture, turn, (256, 256), borderValue=(210, 210, 210)), mesh


@pytest.mark.parametrize("aside", [(0.0, 0.0), (15.0, 0.0), (-15.0, 0.0), (0.0, 10.0), (8.0, -4.0)])
@pytest.mark.parametrize("lean", [0.0, 7.0])
def test_gaze_is_that_of_the_painted_irises(aside, lean):
    irises = Irises(*face((0.0, 0.0)), SCALE)
    assert irises.read(*face(aside, lean=lean)) == pytest.approx(aside, abs=1.2)
