"""Irises are found where they were painted."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.eval.irises import EYES, Irises
from vasari.generate.topology import RIGID_POINTS

SCALE = 14.0  # pixels per cm
CENTRES = ((90.0, 100.0), (170.0, 100.0))


def face(
    aside: tuple[float, float], *, lean: float = 0.0, pull: float = 0.0, grain: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Two eyes that look aside by degrees, on a head that leans by others, and their mesh.

    The whole mesh goes with the irises by a share of their way, the pull. Skin has a grain of so
    many levels.
    """
    import cv2

    turn = cv2.getRotationMatrix2D((128.0, 128.0), lean, 1.1 if lean else 1.0)
    shift = 1.2 * SCALE * np.sin(np.radians(aside)) * (1, -1)
    noise = np.random.default_rng(0).normal(0, 1, (256, 256, 1))
    skin = 210 + grain * cv2.GaussianBlur(noise, (0, 0), 1.5)
    picture = np.repeat(np.clip(skin, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    mesh = np.zeros((478, 3), np.float32)
    for (upper, lower, iris), centre in zip(EYES, CENTRES, strict=True):
        sign = 1 if centre[0] < 128 else -1
        where = tuple(round(16 * v) for v in centre + shift)
        cv2.circle(picture, where, round(16 * 0.6 * SCALE), (90, 60, 40), -1, cv2.LINE_AA, 4)
        cv2.circle(picture, where, round(16 * 0.25 * SCALE), (10, 10, 10), -1, cv2.LINE_AA, 4)
        half = np.array([sign * 1.5 * SCALE, 0])
        share = np.linspace(-1, 1, len(upper))[:, None]
        for lid, side in ((upper, -1), (lower, 1)):
            rise = side * 0.5 * SCALE * np.hstack([0 * share, 1 - share**2])
            mesh[list(lid), :2] = centre + share * half + rise
            _lid(picture, mesh[list(lid), :2], side)
        ring = 0.6 * SCALE * np.array([(0, 0), (1, 0), (0, -1), (-1, 0), (0, 1)])
        mesh[list(iris), :2] = centre + ring  # hangs back: does not follow at all
    far = [point for point in RIGID_POINTS if not mesh[point].any()]
    around = np.linspace(0, 2 * np.pi, len(far))
    mesh[far, :2] = 128 + 60 * np.stack([np.cos(around), np.sin(around)], axis=1)
    mesh[:, :2] += pull * shift
    mesh[:, :2] = mesh[:, :2] @ turn[:, :2].T + turn[:, 2]
    return cv2.warpAffine(picture, turn, (256, 256), borderValue=(210, 210, 210)), mesh


def test_shut_eyes_look_nowhere():
    picture, mesh = face((0.0, 0.0))
    irises = Irises(picture, mesh, SCALE)
    for upper, lower, _ in EYES:
        mesh[list(upper)] = mesh[list(lower)]
    assert np.isnan(irises.read(picture, mesh)).all()


def _lid(picture: np.ndarray, edge: np.ndarray, side: int) -> None:
    """Paint what lies beyond the edge of a lid, above (-1) or below (1)."""
    import cv2

    beyond = edge[[-1, 0]] + (0, side * 1.5 * SCALE)
    skin = np.rint(16 * np.concatenate([edge, beyond])).astype(np.int32)
    cv2.fillPoly(picture, [skin], (190, 150, 120), cv2.LINE_AA, 4)


@pytest.mark.parametrize("aside", [(0.0, 0.0), (15.0, 0.0), (-15.0, 0.0), (0.0, 10.0), (8.0, -4.0)])
@pytest.mark.parametrize("lean", [0.0, 7.0])
def test_gaze_is_that_of_the_painted_irises(aside, lean):
    irises = Irises(*face((0.0, 0.0)), SCALE)
    assert irises.read(*face(aside, lean=lean)) == pytest.approx(aside, abs=1.2)


@pytest.mark.parametrize("aside", [(15.0, 0.0), (0.0, 10.0), (0.0, -10.0)])
@pytest.mark.parametrize("lean", [0.0, 7.0])
def test_a_mesh_that_goes_with_the_irises_does_not_mislead(aside, lean):
    irises = Irises(*face((0.0, 0.0), grain=60.0), SCALE)
    seen = irises.read(*face(aside, lean=lean, pull=0.4, grain=60.0))
    assert seen == pytest.approx(aside, abs=2.0)
