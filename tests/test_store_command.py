"""`vasari store`: list, show, export, import, prune."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_manifest import BINDING

from vasari.cli import run
from vasari.errors import InputError, ProvenanceError
from vasari.provenance.archive import import_entries
from vasari.provenance.credentials import Credential
from vasari.provenance.fingerprint import HASH_BYTES, WINDOWS, Fingerprint
from vasari.provenance.manifest import ManifestRecord, SoftBinding, sign
from vasari.provenance.store import ManifestStore


@pytest.fixture
def kept(speech_file, tmp_path):
    """Two kept manifests, one with a fingerprint."""
    entries = []
    with ManifestStore.default() as store:
        looks = Fingerprint(bytes(HASH_BYTES * len(WINDOWS)), b"strip", 4.5, 640, 360)
        for number, fingerprint in ((BINDING.identifier, looks), (7, None)):
            binding = SoftBinding(BINDING.algorithm, number)
            record = ManifestRecord(f"talk {number}", (), binding, mime_type="audio/wav")
            manifest = sign(speech_file, tmp_path / "s.wav", record, Credential.default())
            entries.append(store.add(manifest, fingerprint=fingerprint))
    return entries


def test_list(kept, capsys):
    assert run(["store", "list"]) == 0
    captured = capsys.readouterr()
    first, second = captured.out.splitlines()
    assert first.startswith("000000000007  ")
    assert first.endswith("talk 7")
    assert second.startswith("00c0ffee1234  ")
    assert captured.err == "2 kept\n"
    assert run(["store", "list", "--limit", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_show(kept, capsys):
    assert run(["store", "show", "00C0FFEE1234"]) == 0
    out = capsys.readouterr().out
    assert kept[0].label in out
    assert Credential.default().signer_name in out
    assert run(["store", "show", "0000000000ff"]) == 2
    assert "no manifest is kept under" in capsys.readouterr().err
    assert run(["store", "show", "nonsense"]) == 2


def test_export_and_import_keep_everything(kept, tmp_path, capsys):
    folder, other = tmp_path / "out" / "kept", f"sqlite:///{tmp_path}/other.sqlite"
    assert run(["store", "export", str(folder)]) == 0
    assert capsys.readouterr().out == "2 written\n"
    suffixes = sorted("".join(path.suffixes) for path in folder.iterdir())
    assert suffixes == [".c2pa", ".c2pa", ".fingerprint.json", ".fingerprint.json"]
    for _ in range(2):
        assert run(["store", "--store", other, "import", str(folder)]) == 0
    with ManifestStore.open(other) as store:
        found = {entry.label: entry for entry in store}
    for entry in kept:
        again = found.pop(entry.label)
        assert (again.manifest, again.fingerprint) == (entry.manifest, entry.fingerprint)
        assert again.identifier == entry.identifier
    assert found == {}


def test_unusable_imports(tmp_path):
    with ManifestStore.default() as store:
        with pytest.raises(InputError, match=r"holds no \*\.c2pa files"):
            import_entries(store, tmp_path)
        (tmp_path / "x.c2pa").write_bytes(b"nonsense")
        with pytest.raises(ProvenanceError, match="cannot be read"):
            import_entries(store, tmp_path)


def test_damaged_fingerprint(kept, tmp_path):
    assert run(["store", "export", str(tmp_path / "out")]) == 0
    for path in (tmp_path / "out").glob("*.fingerprint.json"):
        path.write_bytes(b"{")
    with (
        ManifestStore.default() as store,
        pytest.raises(ProvenanceError, match="this is no fingerprint"),
    ):
        import_entries(store, tmp_path / "out")


def test_export_to_a_file_is_refused(kept, tmp_path, capsys):
    Path(tmp_path / "file").touch()
    assert run(["store", "export", str(tmp_path / "file")]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_prune_asks_first(kept, capsys, monkeypatch):
    assert run(["store", "prune", "--before", "2000-01-01", "--yes"]) == 0
    assert capsys.readouterr().out == "0 removed\n"
    assert run(["store", "prune", "--before", "2999-01-01", "--yes"]) == 0
    assert capsys.readouterr().out == "2 removed\n"
    assert run(["store", "prune", "--before", "last week", "--yes"]) == 2
