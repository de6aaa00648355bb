"""Glasses are found by their bridge, and stand still while the face behind them moves."""

from __future__ import annotations

from dataclasses import replace

import cv2

from vasari.generate.glasses import give, wears_glasses
from vasari.generate.portrait import Portrait


def with_glasses(portrait: Portrait) -> Portrait:
    """A portrait with a pair of glasses drawn on."""
    image = portrait.image.copy()
    scale = portrait.placement.scale
    eyes = [tuple(portrait.mesh[iris, :2].astype(int).tolist()) for iris in (468, 473)]
    radius, thick = round(2.2 * scale), max(round(0.3 * scale), 2)
    for x, y in eyes:
        cv2.circle(image, (x, y), radius, (30, 20, 20), thick)
    (left, y), (right, _) = eyes
    cv2.line(image, (left + radius, y), (right - radius, y), (30, 20, 20), thick)
    return replace(portrait, image=image)


def test_glasses_are_found_by_their_bridge(astronaut: Portrait) -> None:
    assert not wears_glasses(astronaut)
    assert wears_glasses(with_glasses(astronaut))


def test_only_what_is_behind_glasses_holds_still(astronaut: Portrait) -> None:
    rest = astronaut.placement.unplace(astronaut.mesh)
    assert (give(astronaut, rest) == 1).all()
    follows = give(with_glasses(astronaut), rest)[:, 0]
    assert follows[[159, 386, 168]].max() < 0.2  # upper lids, root of the nose
    assert follows[[13, 14, 152, 10]].min() == 1  # lips, chin, forehead
