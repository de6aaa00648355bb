"""The manifest store in PostgreSQL, on a server that the test starts for itself."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from test_manifest import BINDING

from vasari.provenance.credentials import Credential
from vasari.provenance.fingerprint import fingerprint_of
from vasari.provenance.manifest import ManifestRecord, SoftBinding, sign
from vasari.provenance.store import ManifestStore

pytest.importorskip("psycopg")
SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
pytestmark = pytest.mark.skipif(not SERVERS, reason="needs the programs of a PostgreSQL server")
AS_ROOT = os.geteuid() == 0  # which PostgreSQL refuses to run as


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The URL of an empty database; its server listens on a socket in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a short path: sockets have a limit
    user = "nobody" if AS_ROOT else getpass.getuser()
    if AS_ROOT:
        shutil.chown(folder, user)

    def program(name: str, *arguments: str) -> None:
        command = [str(SERVERS[-1].with_name(name)), *arguments]
        options = {"user": user} if AS_ROOT else {}
        subprocess.run(
            command, check=True, timeout=100, stdout=subprocess.DEVNULL, cwd=folder, **options
        )

    data = str(folder / "data")
    program("initdb", "-D", data, "-U", "vasari", "-A", "trust", "-N")
    program(
        "pg_ctl", "-D", data, "-w", "-o", f"-k {folder} -h ''", "-l", str(folder / "log"), "start"
    )
    yield f"postgresql+psycopg://vasari@/postgres?host={folder}"
    program("pg_ctl", "-D", data, "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture
def manifests(portrait_file, tmp_path) -> list[bytes]:
    """Manifests of one picture with different watermarks."""
    records = [
        ManifestRecord("a", (), SoftBinding(BINDING.algorithm, number), mime_type="image/png")
        for number in range(6)
    ]
    return [
        sign(portrait_file, tmp_path / "s.png", record, Credential.default()) for record in records
    ]


def _add(arguments: tuple[str, bytes]) -> None:
    url, manifest = arguments
    with ManifestStore.open(url) as store:
        store.add(manifest)


def test_everything_in_postgresql(url, manifests, portrait_file):
    """The first of several processes makes the tables, while the others wait."""
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.map(_add, [(url, manifest) for manifest in manifests], chunksize=1)
    with ManifestStore.open(url) as store:
        assert sorted(entry.identifier for entry in store) == list(range(6))
        (entry,) = store.by_identifier(3)
        assert entry.manifest == manifests[3]
        assert store.by_label(entry.label) == entry
        assert store.remove_before(datetime.now(timezone.utc) + timedelta(days=1)) == 6
        kept = store.add(manifests[0], portrait_file)
        (match,) = store.by_fingerprint(fingerprint_of(portrait_file))
        assert (match.entry.label, match.distance) == (kept.label, 0)
        store.add(manifests[0], portrait_file)
        assert len(store) == 1
