"""Kept manifests as files: to move a store, or to give someone else a few of them."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from vasari.errors import InputError, OutputError
from vasari.provenance.fingerprint import Fingerprint
from vasari.provenance.store import MAX_MANIFEST_BYTES, ManifestStore

MANIFEST_SUFFIX = ".c2pa"  # a manifest store on its own (C2PA 2.2, section 11.4)
FINGERPRINT_SUFFIX = ".fingerprint.json"


def export_entries(store: ManifestStore, folder: Path) -> int:
    """Write all manifests of a store into a folder, and say how many.

    Raises:
        OutputError: the folder cannot be written.
    """
    count = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for entry in store:
            label = re.sub(r"[^0-9A-Za-z-]", "_", entry.label)  # it is a maker's own text
            stem = f"{entry.identifier:012x}-{label}"
            # First: a manifest is never without what belongs to it.
            _write(folder / f"{stem}{FINGERPRINT_SUFFIX}", entry.fingerprint.to_json())
            _write(folder / f"{stem}{MANIFEST_SUFFIX}", entry.manifest)
            count += 1
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from error
    return count


def import_entries(store: ManifestStore, folder: Path) -> int:
    """Keep all manifests of a folder, and say how many there were.

    Raises:
        InputError: the folder or a file in it cannot be read, or there is none.
        ProvenanceError: a file is no manifest of a video by Vasari, or no fingerprint.
    """
    paths = sorted(folder.glob(f"*{MANIFEST_SUFFIX}"))
    if not paths:
        raise InputError(f"{folder} holds no *{MANIFEST_SUFFIX} files")
    for path in paths:
        beside = path.with_suffix(FINGERPRINT_SUFFIX)
        fingerprint = Fingerprint.from_json(_read(beside)) if beside.exists() else None
        store.add(_read(path), fingerprint=fingerprint)
    return len(paths)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _write(path: Path, content: bytes) -> None:
    """Write a file that appears when it is complete."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
