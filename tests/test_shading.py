"""The light stays where it is while the head turns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vasari.generate.portrait import Portrait
from vasari.generate.pose import turn
from vasari.generate.raster import shade
from vasari.generate.shading import Shading
from vasari.generate.sheet import Sheet, lay_sheet


@pytest.fixture(scope="module")
def sheet(astronaut: Portrait) -> Sheet:
    return lay_sheet(astronaut)


def _lit_from_the_left(portrait: Portrait) -> Portrait:
    """A portrait on whose face the light falls off to the viewer's right."""
    across = np.linspace(1.2, 0.4, portrait.size)[:, None]
    return replace(portrait, image=(portrait.image * across).clip(0, 255).astype(np.uint8))


def test_a_head_at_rest_keeps_its_light(astronaut: Portrait, sheet: Sheet) -> None:
    frame = astronaut.image.copy()
    Shading(astronaut, sheet).apply(frame, sheet.points, turn(np.zeros(3)))
    assert (frame == astronaut.image).all()


@pytest.mark.parametrize("yaw", [-15, 15])
def test_a_face_that_turns_to_the_light_becomes_lighter(
    astronaut: Portrait, sheet: Sheet, yaw: float
) -> None:
    portrait = _lit_from_the_left(astronaut)
    frame = portrait.image.copy()
    Shading(portrait, sheet).apply(frame, sheet.points, turn(np.array([yaw, 0, 0])))
    x, y = portrait.mesh[4, :2].astype(int)  # the tip of the nose
    change = (
        frame.astype(int)[y - 20 : y, x - 8 : x + 8] - portrait.image[y - 20 : y, x - 8 : x + 8]
    )
    assert np.sign(change.mean()) == -np.sign(yaw)
    background = portrait.layers.alpha == 0
    assert (frame[background] == portrait.image[background]).mean() > 0.98


def test_gains_are_interpolated_between_the_middles_of_cells() -> None:
    import cv2

    gains = np.random.default_rng(1).uniform(-0.3, 0.3, (8, 8)).astype(np.float32)
    frame = np.full((64, 64, 3), 100, np.uint8)
    shade(frame, gains, 8)
    expected = 100 * (1 + cv2.resize(gains, (64, 64), interpolation=cv2.INTER_LINEAR))
    assert np.abs(frame - expected[..., None]).max() <= 0.51
