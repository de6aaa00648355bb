"""What lids hide of an eyeball is made from what shows of it."""

from __future__ import annotations

import numpy as np

from vasari.generate.eyeball import complete_ball

CENTRE, RADIUS = np.array([40.0, 30.0], np.float32), 11.0
SKIN, WHITE, IRIS, PUPIL = (200, 150, 120), (235, 235, 230), (40, 110, 60), (10, 10, 10)


def _eye(lower_lid: int, upper_lid: int = 22) -> tuple[np.ndarray, np.ndarray]:
    """An eye that shows between two rows, and where it shows."""
    rows, columns = np.indices((60, 80))
    apart = np.hypot(columns - CENTRE[0], rows - CENTRE[1])
    picture = np.full((60, 80, 3), SKIN, np.uint8)
    shown = (rows >= upper_lid) & (rows < lower_lid) & (abs(columns - 40) < 30)
    for colour, part in ((WHITE, shown), (IRIS, apart < RADIUS), (PUPIL, apart < 5)):
        picture[part & shown] = colour
    return picture, shown


def _ball(lower_lid: int) -> np.ndarray:
    return complete_ball(*_eye(lower_lid), CENTRE, RADIUS).astype(int)


def test_an_iris_goes_on_behind_the_lower_lid() -> None:
    np.testing.assert_allclose(_ball(lower_lid=37)[38:40, 40], [IRIS] * 2, atol=30)


def test_an_iris_trails_no_colour_behind_the_lower_lid() -> None:
    ball = _ball(lower_lid=37)
    np.testing.assert_allclose(ball[46:54, 30:50], np.broadcast_to(WHITE, (8, 20, 3)), atol=12)


def test_what_shows_stays() -> None:
    picture, shown = _eye(lower_lid=37)
    np.testing.assert_array_equal(_ball(lower_lid=37)[shown], picture[shown])


def test_an_iris_without_white_beside_it_goes_on() -> None:
    flat = np.full((40, 40, 3), 90, np.uint8)
    shown = np.zeros((40, 40), bool)
    shown[18:22, 15:25] = True
    ball = complete_ball(flat, shown, np.array([20.0, 20.0], np.float32), 9.0)
    np.testing.assert_array_equal(ball, flat)
