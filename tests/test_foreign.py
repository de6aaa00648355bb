"""Files by others, with ingredients and updates: our state is the C2PA library's, in words."""

from __future__ import annotations

import io
import json
from pathlib import Path

import c2pa
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image
from test_credentials import issue, pem_of
from test_manifest import read, write_video
from test_verdict import CAPTURE, flipped

from vasari.provenance.layers import State
from vasari.provenance.presentation import show
from vasari.provenance.verdict import verify
from vasari.watermark import reading as watermark_reading

KINDS = {"jpg": "image/jpeg", "png": "image/png", "wav": "audio/wav", "mp4": "video/mp4"}
EDITED = {
    "claim_generator_info": [{"name": "Editor", "version": "5"}],
    "title": "edit",
    "assertions": [
        {"label": "c2pa.actions.v2", "data": {"actions": [{"action": "c2pa.color_adjustments"}]}}
    ],
}


@pytest.fixture(autouse=True)
def unmarked(monkeypatch):
    monkeypatch.setattr(watermark_reading, "read_video", lambda path, **options: None)


@pytest.fixture(scope="module")
def originals(tmp_path_factory, speech_file) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("originals")
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8))
    for suffix in ("jpg", "png"):
        picture.save(folder / f"a.{suffix}")
    (folder / "a.wav").write_bytes(speech_file.read_bytes())
    write_video(folder / "a.mp4")
    return {suffix: folder / f"a.{suffix}" for suffix in KINDS}


def signed(source: Path, target: Path, definition: dict, intent=None, ingredients=()) -> Path:
    """Sign as other tools do, with the C2PA library alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    mime = KINDS[source.suffix[1:]]
    with (
        c2pa.Signer.from_info(
            c2pa.C2paSignerInfo(b"es256", issue(key), pem_of(key), None)
        ) as signer,
        c2pa.Context.from_dict({"version": 1}) as context,
        c2pa.Builder(definition, context=context) as builder,
        source.open("rb") as original,
        target.open("w+b") as output,
    ):
        if intent is not None:
            builder.set_intent(intent)
        for path, relationship in ingredients:
            description = {"title": path.name, "relationship": relationship}
            with path.open("rb") as stream:
                builder.add_ingredient(description, KINDS[path.suffix[1:]], stream)
        builder.sign(signer, mime, original, output)
    return target


def content_of(path: Path) -> int:
    """The place of a byte of the picture or sound."""
    content = path.read_bytes()
    if path.suffix == ".mp4":
        return content.rindex(b"mdat") + 100
    return content.index(b"data") + 100 if path.suffix == ".wav" else len(content) - 100


def told(path: Path) -> str:
    """What a user reads."""
    from rich.console import Console

    text = io.StringIO()
    show(verify(path), Console(file=text, width=500))
    return text.getvalue()


def agrees(path: Path) -> State:
    """Our state, which must be the library's."""
    verdict = verify(path)
    assert verdict.state.value == read(path)["validation_state"].lower()
    return verdict.state


@pytest.mark.parametrize("suffix", KINDS)
def test_signed_by_others(originals, tmp_path, suffix):
    path = signed(originals[suffix], tmp_path / f"s.{suffix}", CAPTURE)
    assert agrees(path) is State.VALID
    assert "Camera 2" in told(path)
    assert verify(flipped(path, content_of(path))).state is State.INVALID


@pytest.mark.parametrize("suffix", KINDS)
def test_ingredients_of_others(originals, tmp_path, suffix):
    camera = signed(originals["jpg"], tmp_path / "camera.jpg", CAPTURE)
    path = signed(
        originals[suffix],
        tmp_path / f"edit.{suffix}",
        {**EDITED, "assertions": CAPTURE["assertions"]},
        ingredients=[(camera, "componentOf"), (originals["wav"], "inputTo")],
    )
    assert agrees(path) is State.VALID
    origins = verify(path).manifest.origins
    assert [each.title for each in origins] == ["camera.jpg", "a.wav"]
    assert origins[0].manifest.generator == "Camera 2"
    assert origins[1].manifest is None
    words = told(path)
    assert "part: camera.jpg" in words
    assert "with a manifest of its own: signed by Newsroom, Camera 2, recorded" in words


@pytest.mark.parametrize("suffix", ["jpg", "png", "mp4"])
def test_edits_and_updates(originals, tmp_path, suffix):
    """An edit has its source as parent; an update changes statements and no byte of the content."""
    first = signed(originals[suffix], tmp_path / f"first.{suffix}", CAPTURE)
    edit = signed(first, tmp_path / f"edit.{suffix}", EDITED, c2pa.C2paBuilderIntent.EDIT)
    assert agrees(edit) is State.VALID
    (parent,) = verify(edit).manifest.origins
    assert parent.manifest.generator == "Camera 2"
    assert "opened" in told(edit)
    noted = {**EDITED, "assertions": []}
    update = signed(edit, tmp_path / f"update.{suffix}", noted, c2pa.C2paBuilderIntent.UPDATE)
    assert agrees(update) is State.VALID
    verdict = verify(update)
    assert verdict.manifest.origins[0].manifest.origins[0].manifest.generator == "Camera 2"
    assert agrees(flipped(update, content_of(update))) is State.INVALID


def test_broken_ingredient_is_told(originals, tmp_path):
    camera = signed(originals["jpg"], tmp_path / "camera.jpg", CAPTURE)
    broken = flipped(camera, content_of(camera)).rename(tmp_path / "broken.jpg")
    path = signed(
        originals["png"], tmp_path / "edit.png", CAPTURE, ingredients=[(broken, "componentOf")]
    )
    agrees(path)
    assert "with a broken manifest" in told(path)
    assert json.loads(json.dumps(verify(path).to_dict()))["manifest"]["origins"]
