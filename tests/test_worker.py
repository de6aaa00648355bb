"""Isolation: whatever a file does to its reader, the caller gets one line."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_manifest import BINDING, write_video

from vasari.cli import run
from vasari.errors import InputError, VasariError
from vasari.provenance import worker
from vasari.provenance.credentials import Credential
from vasari.provenance.evidence import MANIFEST_STORE_UUID, Absence, Damage, Manifest, read_manifest
from vasari.provenance.manifest import Ingredient, ManifestRecord, sign
from vasari.provenance.media import MAX_BYTES, MediaKind, check_file, media_kind
from vasari.provenance.worker import isolated

# How long and how much a mutant may take.
MAX_SECONDS = 10.0


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hang() -> None:
    time.sleep(600)


def devour() -> int:
    return len(bytearray(worker.max_memory()))


def refuse(reason: str) -> None:
    raise InputError(reason)


def double(number: int, *, plus: int = 0) -> int:
    return 2 * number + plus


def test_outcome_and_errors_come_back():
    path = Path("x.mp4")
    assert isolated(path, double, 4, plus=1) == 9
    with pytest.raises(InputError, match="no such luck"):
        isolated(path, refuse, "no such luck")


def test_crash_hang_and_hunger_are_one_line(monkeypatch):
    path = Path("x.mp4")
    with pytest.raises(InputError, match=r"x\.mp4 is corrupt: reading it crashed the reader"):
        isolated(path, crash)
    with pytest.raises(InputError, match=r"it needed more than \d+ MB"):
        isolated(path, devour)
    # Of the processor as by the clock: beside other work, importing takes more than one.
    monkeypatch.setattr(worker, "BASE_SECONDS", 4.0)
    monkeypatch.setattr(worker, "PATIENCE", 1)
    with pytest.raises(InputError, match=r"x\.mp4 could not be read in 4 s"):
        isolated(path, hang)


def test_boxes_nested_without_end(tmp_path):
    """Neither reader follows boxes by calling itself, which would end the process."""
    label = b"\x03c2pa\0"
    described = struct.pack(">I4s", 24 + len(label), b"jumd") + MANIFEST_STORE_UUID + label
    for name, head, kind, body in (
        ("deep.c2pa", b"", b"jumb", described),
        ("deep.mp4", struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom"), b"moov", b""),
    ):
        depth, size = 100_000, 8 + len(body)
        boxes = (struct.pack(">I4s", size * (depth - n), kind) + body for n in range(depth))
        path = tmp_path / name
        path.write_bytes(head + b"".join(boxes))
        assert isinstance(isolated(path, read_manifest, path), Damage | Absence)
        assert isolated(path, media_kind, path) is MediaKind.UNKNOWN


def test_enormous_file(tmp_path):
    path = tmp_path / "large.mp4"
    path.touch()
    os.truncate(path, MAX_BYTES + 1)  # sparse: it takes no room
    with pytest.raises(InputError, match=r"large\.mp4 has \d+ bytes; at most \d+ are read"):
        check_file(path)


def test_the_command_reads_in_a_worker(speech_file, tmp_path, capsys):
    path = tmp_path / "talk.wav"
    record = ManifestRecord("talk.wav", (), BINDING, mime_type="audio/wav")
    sign(speech_file, path, record, Credential.default())
    assert run(["verify", str(path)]) == 0
    assert "no one vouches" in capsys.readouterr().out
    assert run(["verify", str(tmp_path / "nowhere.mp4")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_program_ends(speech_file):
    """Its stderr passes through a process that waits for all who could still write there."""
    main = "from vasari.cli import main; main()"
    program = [sys.executable, "-c", main, "verify", str(speech_file)]
    outcome = subprocess.run(program, capture_output=True, timeout=200, check=False)
    assert outcome.returncode == 3
    assert b"No provenance found" in outcome.stdout
    assert outcome.stderr == b""


@pytest.fixture(scope="module")
def signed(tmp_path_factory) -> bytes:
    folder = tmp_path_factory.mktemp("signed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder))
        ingredients = (Ingredient(b"RIFF", "sound", "speech.wav", "audio/wav"),)
        record = ManifestRecord("talk.mp4", ingredients, BINDING)
        path = folder / "talk.mp4"
        sign(write_video(folder / "unsigned.mp4"), path, record, Credential.default())
    return path.read_bytes()


def mutant(content: bytes, rng: random.Random) -> bytes:
    """A file with a few bytes flipped, overwritten, removed, repeated or cut off."""
    changed = bytearray(content)
    manifest = content.index(MANIFEST_STORE_UUID)
    for _ in range(rng.choice((1, 1, 2, 5))):
        near = rng.random() < 0.7  # most in the manifest, and in the boxes around it
        at = rng.randrange(manifest - 60, manifest + 4000) if near else rng.randrange(len(content))
        at = min(at, len(changed) - 1)
        kind = rng.randrange(6)
        if kind == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            number = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, rng.getrandbits(32)))
            changed[at : at + 4] = struct.pack(">I", number)
        elif kind == 2:
            del changed[at : at + rng.choice((1, 4, 100))]
        elif kind == 3:
            changed[at:at] = rng.randbytes(rng.choice((1, 4, 100)))
        elif kind == 4:
            changed[at:at] = changed[at : at + 64]
        else:
            del changed[max(at, 1) :]
    return bytes(changed)


@given(seed=st.integers(0, 2**32))
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_mutants_give_an_answer_in_time(signed, tmp_path, seed):
    path = tmp_path / "mutant.mp4"
    content = mutant(signed, random.Random(seed))
    path.write_bytes(content)
    started = time.monotonic()
    try:
        found = read_manifest(path)
        kind = media_kind(path)
    except VasariError:
        return
    assert time.monotonic() - started < MAX_SECONDS
    assert isinstance(found, Manifest | Damage | Absence)
    assert isinstance(kind, MediaKind)
    if content == signed:
        assert isinstance(found, Manifest)
