"""Layers agree with plain numpy."""

from __future__ import annotations

import numpy as np

from vasari.generate.layer import composite, in_words, look_up


def test_looking_up_is_bilinear_and_goes_on_at_the_edges() -> None:
    rng = np.random.default_rng(4)
    picture = rng.integers(0, 256, (20, 30, 4), np.uint8)
    map_x, map_y = rng.uniform(-4, 34, (2, 37, 53)).astype(np.float32)
    spans = np.sort(rng.integers(0, 54, (37, 2)), axis=1).astype(np.int32)
    layer = np.full((37, 53), 7, np.uint32)
    look_up(in_words(picture), map_x, map_y, spans, layer)
    x, y = np.clip(map_x, 0, 29), np.clip(map_y, 0, 19)
    left, top = np.minimum(x.astype(int), 28), np.minimum(y.astype(int), 18)
    across, down = (x - left)[..., None], (y - top)[..., None]
    upper = picture[top, left] * (1 - across) + picture[top, left + 1] * across
    lower = picture[top + 1, left] * (1 - across) + picture[top + 1, left + 1] * across
    columns = np.arange(53)
    inside = (columns >= spans[:, :1]) & (columns < spans[:, 1:])
    found = layer.view(np.uint8).reshape(37, 53, 4)
    assert np.abs(found - (upper + down * (lower - upper)))[inside].max() < 2.1
    assert (layer[~inside] == 7).all()


def test_places_far_away_and_no_places_at_all_are_looked_up_inside() -> None:
    picture = np.arange(600, dtype=np.uint32).reshape(20, 30)
    map_x = np.full((4, 64), np.nan, np.float32)
    map_x[1:] = np.array([np.inf, -np.inf, 3e38], np.float32)[:, None]
    layer = np.zeros((4, 64), np.uint32)
    look_up(picture, map_x, map_x.copy(), np.tile(np.array([0, 64], np.int32), (4, 1)), layer)
    first, last = picture[0, 0], picture[-1, -1]
    assert (layer[[0, 2]] == first).all()
    assert (layer[[1, 3]] == last).all()


def test_composite_is_the_over_operator_inside_its_spans() -> None:
    rng = np.random.default_rng(2)
    layer = rng.integers(0, 256, (9, 11, 4), np.uint8)
    background = rng.integers(0, 256, (9, 11, 3), np.uint8)
    spans = np.tile(np.array([2, 8], np.int32), (9, 1))
    frame = np.empty_like(background)
    composite(in_words(layer), spans, in_words(background), frame)
    alpha = layer[..., 3:] / 255
    alpha[:, :2] = alpha[:, 8:] = 0
    assert np.abs(frame - (alpha * layer[..., :3] + (1 - alpha) * background)).max() <= 0.51
