"""Fakes made of real crops, and what crops go through."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vasari.detect.augmentation import Change
from vasari.detect.pseudofakes import blended, warped


@pytest.fixture(scope="module")
def crop(astronaut):
    """A crop of 160 pixels, its face in the middle."""
    middle = astronaut.mesh[:468, :2].mean(axis=0).astype(int)
    left, top = np.maximum(middle - 150, 0)
    square = astronaut.image[top : top + 300, left : left + 300]
    return np.asarray(Image.fromarray(square).resize((160, 160), Image.Resampling.BOX))


@pytest.mark.parametrize("make", [blended, warped])
def test_only_the_face_is_changed(crop, make):
    random = np.random.default_rng(0)
    change = np.mean(
        [np.abs(make(crop, random).astype(int) - crop).mean(axis=2) for _ in range(40)], axis=0
    )
    corners = change[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert change[60:110, 60:100].mean() > 1
    assert change[60:110, 60:100].mean() > 3 * corners.mean()


@pytest.mark.parametrize("make", [blended, warped])
def test_the_same_seed_makes_the_same_fake(crop, make):
    first, second = (make(crop, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first, second)


def test_a_change_is_the_same_for_both_of_a_pair(crop):
    random = np.random.default_rng(1)
    for _ in range(20):
        change = Change.draw(random, 32)
        first, second = change.apply(crop, 128), change.apply(crop, 128)
        assert first.shape == (128, 128, 3)
        assert np.array_equal(first, second)


def test_no_change_is_the_middle(crop):
    assert np.array_equal(Change.none(32).apply(crop, 128), crop[16:144, 16:144])
