"""`vasari verify`: what a user reads, and what a script gets."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from test_manifest import BINDING, write_video

from vasari.cli import run
from vasari.provenance import worker
from vasari.provenance.command import verify
from vasari.provenance.credentials import Credential
from vasari.provenance.manifest import Ingredient, ManifestRecord, sign
from vasari.provenance.store import ManifestStore
from vasari.watermark import reading as watermark_reading


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "unsigned.mp4")


@pytest.fixture
def signed(video, tmp_path, portrait_file) -> Path:
    path = tmp_path / "talk.mp4"
    ingredients = (Ingredient(portrait_file, "portrait", "astronaut.png", "image/png"),)
    sign(video, path, ManifestRecord("talk.mp4", ingredients, BINDING), Credential.default())
    return path


@pytest.fixture(autouse=True)
def in_frames(monkeypatch):
    """Say what watermark the frames of every file carry; none, to begin with."""

    def carries(identifier: int | None) -> None:
        found = identifier and SimpleNamespace(identifier=identifier, p_value=1e-30, intervals=())
        monkeypatch.setattr(watermark_reading, "read_video", lambda path, **options: found)

    carries(None)
    # In this process, where the stand-in is.
    monkeypatch.setattr(worker, "isolated", lambda path, function, *given: function(*given))
    return carries


def said(capsys) -> str:
    """What was printed, without line breaks."""
    return " ".join(capsys.readouterr().out.split())


def test_intact_by_an_unknown_signer(signed, in_frames, capsys):
    in_frames(BINDING.identifier)
    assert run(["verify", str(signed)]) == 0
    text = said(capsys)
    for words in (
        "no one vouches for the signer",
        Credential.default().signer_name,
        "by the maker's own clock",
        "at least one of them synthetic",
        "portrait: astronaut.png (image/png), SHA-256 ",
        "created, watermarked",
        "00c0ffee1234: read, and the manifest names the same one",
        "What does not follow",
        "(--trust)",
    ):
        assert words in text


def test_trusted(signed, capsys, tmp_path):
    (tmp_path / "root.pem").write_bytes(Credential.default().trust_anchors)
    assert run(["verify", str(signed), "--trust", str(tmp_path / "root.pem")]) == 0
    assert "whom your trust anchors cover" in said(capsys)


def test_trusted_for_good(signed, capsys, tmp_path):
    (tmp_path / "root.pem").write_bytes(Credential.default().trust_anchors)
    assert run(["credentials", "trust", str(tmp_path / "root.pem")]) == 0
    assert run(["verify", str(signed)]) == 0
    assert "whom your trust anchors cover" in said(capsys)


def test_json(signed, capsys):
    assert run(["verify", str(signed), "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["state"] == "valid"
    assert verdict["manifest"]["generator"].startswith("Vasari")


def test_broken(signed, capsys):
    content = bytearray(signed.read_bytes())
    content[content.rindex(b"mdat") + 500] ^= 1
    signed.write_bytes(content)
    assert run(["verify", str(signed)]) == 4
    text = said(capsys)
    assert "Broken: its picture, sound or structure is not what was signed" in text
    assert "That anyone meant to deceive" in text


def test_stripped(video, in_frames, capsys):
    in_frames(BINDING.identifier)
    assert run(["verify", str(video)]) == 4
    assert "Its manifest is gone, but its frames carry the watermark" in said(capsys)


def test_no_provenance(video, capsys):
    assert run(["verify", str(video)]) == 3
    text = said(capsys)
    assert "No provenance found" in text
    assert "That it is real, or that it is fake" in text


@pytest.mark.parametrize("name", ["nowhere.mp4", "folder", "empty.mp4", "text.mp4"])
def test_unusable_input_is_one_line(tmp_path, name, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("words")
    assert run(["verify", str(tmp_path / name)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("vasari: ")
    assert name in captured.err
    assert len(captured.err.splitlines()) == 1


def test_unusable_anchors_are_one_line(signed, tmp_path, capsys):
    (tmp_path / "anchors.pem").write_text("words")
    assert run(["verify", str(signed), "--trust", str(tmp_path / "anchors.pem")]) == 2
    assert "anchors.pem is no PEM file" in capsys.readouterr().err


def test_hostile_names_reach_no_terminal(video, tmp_path, capsys):
    path = tmp_path / "hostile.mp4"
    title = "\x1b[2J\u202efake"
    ingredients = (Ingredient(b"x", "sound", title, "audio/wav"),)
    sign(video, path, ManifestRecord(title, ingredients, BINDING), Credential.default())
    assert run(["verify", str(path)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "[2Jfake" in out


def test_nothing_is_fetched(signed, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    assert run(["verify", str(signed)]) == 0


def test_several_files_get_a_line_each(signed, video, tmp_path, capsys):
    arguments = ["verify", str(signed), str(video), str(tmp_path / "nowhere.mp4")]
    assert run(arguments) == 3
    lines = capsys.readouterr().out.splitlines()
    assert [line[:11] for line in lines] == ["0  valid   ", "3  none    ", "2  unusable"]
    assert "does not exist" in lines[2]
    assert run([*arguments, "--json"]) == 3
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["exit_code"] for each in told] == [0, 3, 2]
    assert run([*arguments, "--report", str(tmp_path / "r.html")]) == 2
    assert "--report is about one file" in capsys.readouterr().err


def test_table_of_several_files(signed, video, tmp_path, capsys):
    table = tmp_path / "table.csv"
    odd = tmp_path / "=cmd().mp4"
    odd.write_bytes(video.read_bytes())
    files = [str(signed), odd.name, "nowhere.mp4"]
    with contextlib.chdir(tmp_path) if hasattr(contextlib, "chdir") else in_folder(tmp_path):
        assert run(["verify", *files, "--csv", str(table)]) == 3
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["valid", "none", "unusable"]
    assert [row["exit_code"] for row in rows] == ["0", "3", "2"]
    assert rows[0]["signer"] == Credential.default().signer_name
    assert rows[1]["file"] == "'=cmd().mp4"  # no formula
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert run(["verify", str(signed), "--csv", str(tmp_path / "no" / "table.csv")]) == 1
    assert "cannot write" in capsys.readouterr().err


@contextlib.contextmanager
def in_folder(path: Path):
    """What contextlib.chdir does from Python 3.11 on."""
    before = Path.cwd()
    os.chdir(path)
    yield
    os.chdir(before)


def test_schema_is_that_of_the_types_and_describes_every_output(
    signed, video, in_frames, tmp_path, capsys
):
    jsonschema = pytest.importorskip("jsonschema")
    pytest.importorskip("pydantic")
    maker = Path(__file__).resolve().parent.parent / "docs" / "schema.py"
    assert run(["verify", "--schema"]) == 0
    printed = capsys.readouterr().out
    assert printed == runpy.run_path(str(maker))["as_text"]()
    validator = jsonschema.Draft202012Validator(json.loads(printed))
    jsonschema.Draft202012Validator.check_schema(validator.schema)
    (tmp_path / "policy.toml").write_text("trusted = true\n")
    in_frames(BINDING.identifier)
    with ManifestStore.default() as store:
        manifest = tmp_path / "kept.mp4"
        store.add(sign(video, manifest, ManifestRecord("a", (), BINDING), Credential.default()))
    files = [str(signed), str(video), str(tmp_path / "nowhere.mp4")]
    run(["verify", *files, "--json", "--policy", str(tmp_path / "policy.toml")])
    run(["verify", str(signed), "--json", "--detect"])
    told = capsys.readouterr().out
    lines = [*told.splitlines()[:3], "".join(told.splitlines()[3:])]
    for line in lines:
        validator.validate(json.loads(line))
        broken = {**json.loads(line), "state": "perhaps"}
        assert not validator.is_valid(broken)
    assert json.loads(lines[1])["recovered"][0]["lead"] == "watermark"
    assert json.loads(lines[3])["detector"]["decision"]


def test_help_teaches():
    text = " ".join(CliRunner().invoke(verify, ["--help"]).output.split())
    for words in ("C2PA", "watermark", "Exit codes", "--trust", "--json", "Nothing is fetched"):
        assert words in text
    for code in ("0 intact", "2 unusable", "3 no provenance", "4 broken"):
        assert code in text


def test_importing_the_command_is_light():
    code = (
        "import sys, vasari.provenance.command\n"
        "heavy = {'av', 'c2pa', 'cryptography', 'numpy', 'cv2', 'rich'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
