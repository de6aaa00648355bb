"""The manifest store: nothing lost, everything found again."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_manifest import BINDING, write_video

from vasari.cli import run
from vasari.errors import InputError, OutputError, ProvenanceError
from vasari.provenance import store as store_module
from vasari.provenance import worker
from vasari.provenance.credentials import Credential
from vasari.provenance.fingerprint import Fingerprint
from vasari.provenance.folders import store_path
from vasari.provenance.layers import State
from vasari.provenance.manifest import Ingredient, ManifestRecord, SoftBinding, sign
from vasari.provenance.store import MAX_MANIFEST_BYTES, ManifestStore
from vasari.provenance.verdict import verify
from vasari.watermark import reading as watermark_reading


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "unsigned.mp4")


@pytest.fixture
def manifest_of(video, tmp_path):
    """Make the manifest of an output with a watermark."""

    def made(identifier: int = BINDING.identifier, title: str = "talk.mp4") -> bytes:
        binding = SoftBinding(BINDING.algorithm, identifier)
        ingredients = (Ingredient(b"RIFF", "sound", "speech.wav", "audio/wav"),)
        record = ManifestRecord(title, ingredients, binding)
        return sign(video, tmp_path / "signed.mp4", record, Credential.default())

    return made


def test_found_again_by_watermark_and_label(manifest_of):
    manifest = manifest_of()
    with ManifestStore.default() as store:
        entry = store.add(manifest)
    with ManifestStore.default() as store:
        assert store.by_identifier(BINDING.identifier) == [entry]
        assert store.by_label(entry.label) == entry
        assert list(store) == store.newest(5) == [entry]
        assert store.by_identifier(1) == []
        assert store.by_label("urn:c2pa:other") is None
    assert entry.manifest == manifest
    assert (entry.title, entry.signer) == ("talk.mp4", Credential.default().signer_name)
    assert abs(entry.created - datetime.now(timezone.utc)) < timedelta(minutes=5)
    assert store_path().parent.stat().st_mode & 0o077 == 0


def test_adding_twice_keeps_one_and_two_makers_may_share_a_number(manifest_of):
    first, second = manifest_of(title="first"), manifest_of(title="second")
    with ManifestStore.default() as store:
        for manifest in (first, first, second):
            store.add(manifest)
        found = store.by_identifier(BINDING.identifier)
        assert [entry.title for entry in found] == ["second", "first"]
        assert len(store) == 2


def test_removing_the_old(manifest_of):
    with ManifestStore.default() as store:
        store.add(manifest_of())
        now = datetime.now(timezone.utc)
        assert store.remove_before(now - timedelta(days=1)) == 0
        assert store.remove_before(now + timedelta(days=1)) == 1
        assert len(store) == 0


@pytest.mark.parametrize("manifest", [b"", b"nonsense", bytes(5000)])
def test_what_is_no_manifest_is_not_kept(manifest):
    with ManifestStore.default() as store:
        with pytest.raises(ProvenanceError, match="cannot be read"):
            store.add(manifest)
        assert len(store) == 0


def test_manifests_without_our_watermark_are_not_kept(video, tmp_path):
    record = ManifestRecord("t", (), SoftBinding("com.example.mark", 7))
    manifest = sign(video, tmp_path / "t.mp4", record, Credential.default())
    with ManifestStore.default() as store:
        with pytest.raises(ProvenanceError, match="names no watermark of Vasari"):
            store.add(manifest)
        with pytest.raises(ProvenanceError, match="too large"):
            store.add(bytes(MAX_MANIFEST_BYTES + 1))


def test_unusable_stores(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="cannot open the manifest store nonsense"):
        ManifestStore.open("nonsense")
    with pytest.raises(InputError, match="cannot open the manifest store nodb://"):
        ManifestStore.open("nodb://host/name")
    with pytest.raises(OutputError, match="unable to open database file"):
        ManifestStore.open(f"sqlite:///{tmp_path}/no/such/folder.sqlite")
    (tmp_path / "text.sqlite").write_text("no database at all, but some text" * 40)
    with pytest.raises(OutputError, match="file is not a database"):
        ManifestStore.open(f"sqlite:///{tmp_path}/text.sqlite")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="no manifest store can be kept"):
        ManifestStore.default()


def test_store_of_a_newer_version_is_left_alone():
    ManifestStore.default().close()
    connection = sqlite3.connect(store_path())
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(ProvenanceError, match="newer Vasari"):
        ManifestStore.default()


def test_store_from_before_the_migrations_is_kept(manifest_of):
    """The tables as the first release had them, with a fingerprint of 64 bits."""
    manifest = manifest_of()
    store_path().parent.mkdir(parents=True)
    connection = sqlite3.connect(store_path())
    connection.executescript(
        """
        CREATE TABLE manifests (number INTEGER PRIMARY KEY, identifier BIGINT NOT NULL,
          label VARCHAR(200) NOT NULL UNIQUE, title VARCHAR(200) NOT NULL,
          signer VARCHAR(200) NOT NULL, created DATETIME NOT NULL, manifest BLOB NOT NULL);
        CREATE INDEX ix_manifests_identifier ON manifests (identifier);
        CREATE TABLE fingerprints (label VARCHAR(200) PRIMARY KEY, hashes BLOB NOT NULL);
        CREATE TABLE schema (version INTEGER PRIMARY KEY);
        INSERT INTO schema VALUES (1);
        INSERT INTO fingerprints VALUES ('urn:c2pa:old', x'0011223344556677');
        """
    )
    row = (BINDING.identifier, "urn:c2pa:old", "old", "s", "2026-01-02 03:04:05.000000", manifest)
    connection.execute("INSERT INTO manifests VALUES (1, ?, ?, ?, ?, ?, ?)", row)
    connection.commit()
    connection.close()
    with ManifestStore.default() as store:
        store.add(manifest)
        new, old = store.by_identifier(BINDING.identifier)
    assert (old.title, old.manifest, old.fingerprint) == ("old", manifest, Fingerprint())
    assert old.created == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert new.title == "talk.mp4"


def test_several_processes_write_at_once(manifest_of):
    manifests = [manifest_of(number) for number in range(12)]
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        pool.map(_add, manifests, chunksize=1)
    with ManifestStore.default() as store:
        assert sorted(entry.identifier for entry in store) == list(range(12))


def _add(manifest: bytes) -> None:
    with ManifestStore.default() as store:
        store.add(manifest)


WRITER = """
import sys
from vasari.provenance import store
manifest = sys.stdin.buffer.read()
number = 0
def numbered(manifest, fingerprint):
    entry = made(manifest, fingerprint)
    return store.Entry(number, f"urn:{number}", "t", "s", entry.created, manifest)
made, store._entry = store._entry, numbered
with store.ManifestStore.default() as kept:
    while True:
        kept.add(manifest)
        print(number, flush=True)
        number += 1
"""


def test_nothing_that_was_added_is_lost_in_a_crash(manifest_of):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(manifest_of())
    process.stdin.close()
    reported = [process.stdout.readline() for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    reported += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    with ManifestStore.default() as store:
        kept = {entry.identifier for entry in store}
    assert {int(line) for line in reported if line.endswith(b"\n")} <= kept
    assert sqlite3.connect(store_path()).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_full_disk_loses_nothing(manifest_of, monkeypatch):
    def prepared(connection, record):
        prepare(connection, record)
        connection.execute("PRAGMA max_page_count = 60")  # as if no more could be written

    def fill(store: ManifestStore) -> None:
        for number in range(50):
            store.add(manifest_of(number))
            kept.add(number)

    kept: set[int] = set()
    prepare = store_module._prepare_sqlite
    ManifestStore.default().close()
    with monkeypatch.context() as full:
        full.setattr(store_module, "_prepare_sqlite", prepared)
        with ManifestStore.default() as store, pytest.raises(OutputError, match="full"):
            fill(store)
    with ManifestStore.default() as store:
        assert {entry.identifier for entry in store} == kept != set()
        store.add(manifest_of(50))  # there is room again
        assert store.by_identifier(50)
    assert sqlite3.connect(store_path()).execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.fixture
def stripped(video, monkeypatch) -> Path:
    found = SimpleNamespace(identifier=BINDING.identifier, p_value=1e-30, intervals=())
    monkeypatch.setattr(watermark_reading, "read_video", lambda path, **options: found)
    monkeypatch.setattr(worker, "isolated", lambda path, function, *given: function(*given))
    return video


def test_watermark_leads_back_to_the_manifest(stripped, manifest_of):
    with ManifestStore.default() as store:
        assert verify(stripped, store=store).recovered == ()
        store.add(manifest_of())
        verdict = verify(stripped, store=store)
        anchors = Credential.default().trust_anchors
        trusted = verify(stripped, store=store, trust_anchors=anchors).recovered[0].manifest.trusted
    assert verdict.state is State.STRIPPED
    assert "its watermark leads back to one signed by" in verdict.headline
    manifest = verdict.recovered[0].manifest
    assert (manifest.title, manifest.intact, manifest.trusted) == ("talk.mp4", True, False)
    assert [each.role for each in manifest.origins] == ["sound"]
    assert any("can be copied" in line for line in verdict.does_not_follow)
    assert trusted


def test_tampered_store_is_noticed(stripped, manifest_of):
    manifest = manifest_of()
    with ManifestStore.default() as store:
        store.add(manifest.replace(b"speech.wav", b"speeeh.wav"))
        assert not verify(stripped, store=store).recovered[0].manifest.intact


def test_command_looks_into_the_users_store(stripped, manifest_of, capsys, tmp_path):
    assert run(["verify", str(stripped)]) == 4
    assert not store_path().exists()  # looking makes none
    assert "Kept manifest" not in capsys.readouterr().out
    with ManifestStore.default() as store:
        store.add(manifest_of())
    assert run(["verify", str(stripped)]) == 4
    out = " ".join(capsys.readouterr().out.split())
    assert "Kept manifest “talk.mp4”" in out
    assert run(["verify", str(stripped), "--store", f"sqlite:///{tmp_path}/other.sqlite"]) == 4
    assert "Kept manifest" not in capsys.readouterr().out
