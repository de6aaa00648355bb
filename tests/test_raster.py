"""The compiled loops agree with plain numpy, and leave no crack."""

from __future__ import annotations

import cv2
import numpy as np

from vasari.generate.layer import in_words
from vasari.generate.raster import (
    blend,
    blend_ball,
    blend_layer,
    express,
    find_folds,
    rasterise,
    relax,
    soften,
)

SIZE = 48


def _map(faces: np.ndarray, targets: np.ndarray, sources: np.ndarray) -> np.ndarray:
    maps = np.full((3, SIZE, SIZE), 7, np.float32)
    rasterise(faces, targets, sources, *maps)
    return maps[:2]


def _grid(cells: int) -> tuple[np.ndarray, np.ndarray]:
    line = np.linspace(-5, SIZE + 5, cells + 1, dtype=np.float32)
    points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    corner = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).ravel()
    upper = np.stack([corner, corner + 1, corner + cells + 1], axis=1)
    lower = np.stack([corner + 1, corner + cells + 2, corner + cells + 1], axis=1)
    return points, np.concatenate([upper, lower]).astype(np.int32)


def test_a_sheet_at_rest_maps_each_pixel_to_itself() -> None:
    points, faces = _grid(7)
    map_x, map_y = _map(faces, np.column_stack([points, points[:, :1] * 0]), points)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    np.testing.assert_allclose(map_x, columns, atol=1e-3)
    np.testing.assert_allclose(map_y, rows, atol=1e-3)


def test_a_bent_sheet_has_no_cracks() -> None:
    points, faces = _grid(12)
    wave = points + 1.5 * np.sin(points[:, ::-1] / 5)
    maps = _map(faces, np.column_stack([wave, points[:, :1] * 0]).astype(np.float32), points)
    assert (np.abs(maps - np.mgrid[:SIZE, :SIZE][::-1]) < 4).all()


def test_one_triangle_against_barycentric_coordinates() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        corners = rng.uniform(0, SIZE, (3, 2)).astype(np.float32)
        sources = rng.uniform(0, 100, (3, 2)).astype(np.float32)
        targets = np.column_stack([corners, [0, 0, 0]]).astype(np.float32)
        found = _map(np.array([[0, 1, 2]], np.int32), targets, sources)
        pixels = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=-1).reshape(-1, 2)
        system = np.vstack([corners.T, np.ones(3)])
        weights = np.linalg.solve(system, np.column_stack([pixels, np.ones(len(pixels))]).T).T
        clear = np.abs(weights).min(axis=1) > 1e-2
        inside = (weights > 0).all(axis=1)
        flat = found.reshape(2, -1).T
        assert (flat[clear & ~inside] == 0).all()
        np.testing.assert_allclose(
            flat[clear & inside], (weights @ sources)[clear & inside], atol=0.05
        )


def test_the_nearer_triangle_hides_the_farther() -> None:
    corners = np.array([[-50, -50], [150, -50], [0, 150]], np.float32)
    far, near = np.column_stack([corners, [5] * 3]), np.column_stack([corners, [-5] * 3])
    targets = np.concatenate([near, far]).astype(np.float32)
    sources = np.array([[1, 1]] * 3 + [[2, 2]] * 3, np.float32)
    for order in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        map_x, _ = _map(np.array(order, np.int32), targets, sources)
        np.testing.assert_allclose(map_x[:20, :20], 1, atol=1e-4)


def test_blend_touches_only_its_window() -> None:
    frame = np.full((10, 10, 3), 200, np.uint8)
    blend(frame, 3, 4, np.full((2, 2, 3), 100, np.uint8), np.full((2, 2), 0.5, np.float32))
    assert (frame[4:6, 3:5] == 150).all()
    assert (frame == 200).sum() == 300 - 12


def test_spans_hold_what_is_covered() -> None:
    corners = np.array([[10, 5, 0], [30, 5, 0], [10, 25, 0]], np.float32)
    maps = np.empty((3, SIZE, SIZE), np.float32)
    spans = rasterise(np.array([[0, 1, 2]], np.int32), corners, corners[:, :2] + 1, *maps)
    covered = maps[0] > 0
    assert (spans[covered.any(axis=1), 0] == covered.argmax(axis=1)[covered.any(axis=1)]).all()
    assert (np.maximum(spans[:, 1] - spans[:, 0], 0) == covered.sum(axis=1)).all()


def test_a_layer_is_blended_by_its_alpha_and_share() -> None:
    frame = np.full((6, 6, 3), 200, np.uint8)
    layer = np.array([[[100, 100, 100, 255], [100, 100, 100, 0]]], np.uint8)
    blend_layer(frame, 2, 3, layer, 0.5)
    assert frame[3, 2].tolist() == [150, 150, 150]
    assert (frame == 200).sum() == 36 * 3 - 3


def test_only_the_disc_moves_with_its_shift() -> None:
    columns = np.broadcast_to(np.arange(60, dtype=np.uint8), (60, 60))
    picture = np.ascontiguousarray(np.repeat(columns[..., None], 3, axis=2))
    back = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    centre, shift = np.array([30, 30], np.float32), np.array([4, 0], np.float32)
    frame = np.zeros((60, 60, 3), np.uint8)
    mask, shade = np.ones((60, 60), np.float32), np.ones(60, np.float32)
    shade[50:] = 0.5
    blend_ball(frame, 0, 0, mask, picture, back, centre, shift, 5.0, 10.0, shade)
    assert frame[30, 34, 0] == 30
    assert frame[30, 5, 0] == 5
    assert frame[55, 40, 0] == 20
    assert (np.diff(frame[30, :, 0].astype(int)) >= 0).all()


def test_express_adds_weighted_shapes() -> None:
    rng = np.random.default_rng(3)
    rest, shapes = rng.normal(size=(20, 3)), rng.normal(size=(4, 20, 3))
    weights = np.array([0.5, 0, -1, 2])
    expected = rest + np.einsum("s,spc->pc", weights, shapes)
    found = express(*(array.astype(np.float32) for array in (rest, shapes, weights)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_is_unknown_relaxes_toward_the_mean_around() -> None:
    random = np.random.default_rng(0)
    known = np.clip(random.normal(0.7, 0.6, (12, 9)), 0, 1).astype(np.float32)
    own = random.random((12, 9, 3), np.float32) * known[..., None]
    picture = own + random.random((12, 9, 3), np.float32) * (1 - known[..., None])
    expected = picture.copy()
    for _ in range(5):
        expected = own + (1 - known[..., None]) * cv2.blur(expected, (3, 3))
    relax(picture, own, known, 5)
    assert np.abs(picture - expected).max() < 1e-5


def test_folds_are_where_neighbours_come_from_far_apart() -> None:
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.float32) + 1
    columns[:, 20:] += 30  # a fold from top to bottom
    columns[:, :4] = rows[:, :4] = 0  # nothing lies here
    layer = np.full((SIZE, SIZE, 4), 255, np.uint8)
    layer[:, 4, 3] = layer[:, :4, 3] = 0  # a soft edge that has faded: no fold
    spans = np.tile(np.array([4, SIZE], np.int32), (SIZE, 1))
    folds = np.zeros((SIZE, SIZE), np.uint8)
    find_folds(columns, rows, in_words(layer), spans, np.float32(4), folds)
    expected = np.zeros_like(folds)
    expected[:, 19:21] = 1
    assert (folds == expected).all()
    layer[:, 4, 3] = 255  # cut off hard
    find_folds(columns, rows, in_words(layer), spans, np.float32(4), folds)
    expected[:, 3:5] = 1
    assert (folds == expected).all()


def test_marked_pixels_are_blurred_and_no_others() -> None:
    rng = np.random.default_rng(3)
    frame = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    marks = (rng.random((SIZE, SIZE)) < 0.2).astype(np.uint8)
    marks[0, 0] = 1
    before, marked = frame.copy(), marks > 0
    soften(frame, marks)
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    blurred = cv2.filter2D(before.astype(float), -1, kernel, borderType=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(frame[marked], blurred[marked], atol=0.51)
    assert (frame[~marked] == before[~marked]).all()
    assert not marks.any()
