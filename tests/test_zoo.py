"""The table of weights."""

from __future__ import annotations

import hashlib

import pytest

from vasari.errors import VasariError
from vasari.models import zoo
from vasari.models.zoo import ZOO, Weights, read_weights


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A package of weights of the test's own, which holds one file."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "own.bin").write_bytes(b"weights")
    table = {"own.bin": Weights(hashlib.sha256(b"weights").hexdigest(), "own.md")}
    monkeypatch.setattr(zoo, "ZOO", {**table, "gone.bin": Weights("", "own.md")})
    monkeypatch.setattr(zoo.resources, "files", lambda package: tmp_path)
    return tmp_path


def test_weights_are_read(folder):
    assert read_weights("own.bin") == b"weights"


def test_changed_weights_are_refused(folder):
    (folder / "weights" / "own.bin").write_bytes(b"other weights")
    with pytest.raises(VasariError, match="damaged"):
        read_weights("own.bin")


@pytest.mark.parametrize(("name", "word"), [("gone.bin", "missing"), ("unknown", "own.bin")])
def test_weights_that_are_not_there(folder, name, word):
    with pytest.raises(VasariError, match=word):
        read_weights(name)


def test_every_row_has_a_card():
    from importlib import resources

    cards = resources.files("vasari.models") / "cards"
    assert all((cards / weights.card).is_file() for weights in ZOO.values())
