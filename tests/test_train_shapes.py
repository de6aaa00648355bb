"""The refinement of the blendshapes on real clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from vasari.generate import blendshapes
from vasari.generate.blendshapes import PARTNERS, face_shapes
from vasari.generate.motion import ARKIT_INDEX
from vasari.generate.template import mirror, template
from vasari.generate.topology import LOWER_LIP_INNER, MESH_POINTS, UPPER_LIP_INNER
from vasari.models import shapes, train_shapes
from vasari.models.train_shapes import Example, fit, write

SMILES = [ARKIT_INDEX["mouthSmileLeft"], ARKIT_INDEX["mouthSmileRight"]]
CHEEK = 50


def examples(count: int, table: np.ndarray, seed: int) -> list[Example]:
    """What is seen of faces whose shapes lack a table."""
    random = np.random.default_rng(seed)
    weights = random.uniform(0, 1, (count, 52)).astype(np.float32)
    return [
        Example(each, np.tensordot(each, table, 1), np.ones(MESH_POINTS, np.float32))
        for each in weights
    ]


def symmetric_table() -> np.ndarray:
    table = np.zeros((52, MESH_POINTS, 2), np.float32)
    table[SMILES[0], CHEEK] = (0.1, -0.2)
    table[SMILES[1], mirror()[CHEEK]] = (-0.1, -0.2)
    return table


def test_finds_what_the_shapes_lack() -> None:
    table = symmetric_table()
    found = fit([examples(300, table, 0), examples(20, table, 1)])
    np.testing.assert_allclose(found, table, atol=0.05)  # a ridge holds it back
    np.testing.assert_allclose(
        found[SMILES[0]], found[SMILES[1]][mirror()[:MESH_POINTS]] * [-1, 1], atol=1e-5
    )


def test_what_is_not_known_does_not_count() -> None:
    seen = examples(200, symmetric_table(), 0)
    wild = [Example(each.expression, each.offsets + 5, 0 * each.known) for each in seen]
    np.testing.assert_allclose(fit([seen, wild]), fit([seen]), atol=0.01)


def test_lips_and_lids_that_meet_still_meet() -> None:
    table = np.random.default_rng(0).normal(0, 0.1, (52, MESH_POINTS, 2)).astype(np.float32)
    found = fit([examples(200, table, 0)])
    for upper, lower in PARTNERS:
        np.testing.assert_array_equal(found[:, upper], found[:, lower])


def test_what_was_learned_is_added_to_the_shapes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = face_shapes(template())
    learned = shapes.learned_shapes()
    more = learned + symmetric_table()
    write(more, tmp_path / "shapes.npz")
    monkeypatch.setattr(shapes, "read_weights", lambda _: (tmp_path / "shapes.npz").read_bytes())
    caches = (shapes.learned_shapes, blendshapes._template_shapes)
    for cached in caches:
        cached.cache_clear()
    try:
        after = face_shapes(template())
    finally:
        for cached in caches:
            cached.cache_clear()
    np.testing.assert_allclose((after - before)[SMILES[0], CHEEK], (0.1, -0.2, 0), atol=1e-3)
    assert [path.name for path in tmp_path.iterdir()] == ["shapes.npz"]


def test_a_closed_mouth_is_closed_with_the_jaw_down() -> None:
    learned = face_shapes(template())
    lips = learned[ARKIT_INDEX["jawOpen"]] + learned[ARKIT_INDEX["mouthClose"]]
    gap = lips[list(LOWER_LIP_INNER)] - lips[list(UPPER_LIP_INNER)]
    assert np.abs(gap).max() < 0.02


def test_a_folder_without_clips_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(train_shapes.shapes, [str(tmp_path), "-o", str(tmp_path / "s.npz")])
    assert result.exit_code != 0
    assert "no .mp4 to train on" in str(result.exception)
