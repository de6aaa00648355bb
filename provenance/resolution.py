"""Soft bindings resolved to kept manifests: what the service's look-ups and uploads come down to.

The C2PA Soft Binding Resolution API (C2PA 2.2, "Soft Binding API") names each binding by an
algorithm and a value in base64. Functions here that read a stranger's bytes run in a worker.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vasari.errors import InputError, ProvenanceError
from vasari.provenance.store import ManifestStore

if TYPE_CHECKING:
    from vasari.provenance.fingerprint import Fingerprint
    from vasari.provenance.verdict import Verdict

_IDENTIFIER = re.compile(r"[0-9a-fA-F]{12}")
CERTAIN = 100  # similarity of a watermark that was read
_BOX = struct.Struct(">I4s")


@dataclass(frozen=True)
class Resolved:
    """A kept manifest that a soft binding leads to."""

    label: str
    similarity: int  # 0 to 100


def by_binding(store: ManifestStore, algorithm: str, value: str, limit: int) -> list[Resolved]:
    """Resolve one soft binding.

    Args:
        store: where manifests are kept.
        algorithm: of the watermark or of the fingerprint.
        value: base64 of the twelve hexadecimal digits of a watermark, or these themselves; base64
            of a fingerprint's hashes.
        limit: manifests at most.

    Raises:
        InputError: the algorithm is not known, or the value is none of its kind.
    """
    from vasari.provenance import fingerprint
    from vasari.watermark.payload import ALGORITHM

    if algorithm == ALGORITHM:
        entries = store.by_identifier(_identifier(value))[:limit]
        return [Resolved(entry.label, CERTAIN) for entry in entries]
    if algorithm == fingerprint.ALGORITHM:
        try:
            return _by_looks(store, fingerprint.Fingerprint(_decoded(value)), limit)
        except ProvenanceError as error:
            raise InputError(str(error)) from error
    raise InputError(
        f"'{algorithm}' is not known; known are {ALGORITHM} and {fingerprint.ALGORITHM}"
    )


def by_content(path: Path, url: str | None, algorithm: str, limit: int) -> list[Resolved]:
    """Resolve the soft bindings in a file: its watermark, or else what it looks like.

    Args:
        path: a video or picture.
        url: of the store; the user's own if None.
        algorithm: which binding to look for; all if "".
        limit: manifests at most.

    Raises:
        InputError: it is no video or picture that can be read, or the algorithm is not known.
    """
    from vasari.provenance.fingerprint import ALGORITHM as FINGERPRINT
    from vasari.provenance.fingerprint import fingerprint_of
    from vasari.provenance.media import MediaKind, media_kind
    from vasari.watermark.payload import ALGORITHM as WATERMARK
    from vasari.watermark.reading import read_video

    if algorithm not in ("", WATERMARK, FINGERPRINT):
        raise InputError(f"'{algorithm}' is not known; known are {WATERMARK} and {FINGERPRINT}")
    if media_kind(path) not in (MediaKind.VIDEO, MediaKind.IMAGE):
        raise InputError("this is no video or picture that can be read")
    with opened(url) as store:
        reading = read_video(path) if algorithm != FINGERPRINT else None
        if reading is not None:
            entries = store.by_identifier(reading.identifier)[:limit]
            return [Resolved(entry.label, CERTAIN) for entry in entries]
        return _by_looks(store, fingerprint_of(path), limit) if algorithm != WATERMARK else []


def judge(path: Path, url: str | None, trust_anchors: bytes, page: bool) -> tuple[Verdict, str]:
    """The verdict on an upload, and the page that shows it if that is asked for."""
    from vasari.provenance.report import render_report
    from vasari.provenance.verdict import verify

    with opened(url) as store:
        verdict = verify(path, trust_anchors=trust_anchors, store=store)
        return verdict, render_report(verdict, store) if page else ""


def keep(path: Path, url: str | None) -> str:
    """Keep an uploaded manifest store; gives its label."""
    with opened(url) as store:
        return store.add(path.read_bytes()).label


def active_manifest(store: bytes) -> bytes:
    """A manifest store with nothing but its active manifest, the last (C2PA 2.2, section 11.1.4).

    Raises:
        ProvenanceError: the bytes are no manifest store.
    """
    _, start, end = next(_boxes(store, 0, len(store)))
    children = list(_boxes(store, start, end))
    if len(children) < 2:
        raise ProvenanceError("a kept manifest store holds no manifest")
    description, active = children[0], children[-1]
    kept = store[description[0] : description[2]] + store[active[0] : active[2]]
    return _BOX.pack(_BOX.size + len(kept), b"jumb") + kept


@contextlib.contextmanager
def opened(url: str | None) -> Iterator[ManifestStore]:
    """The store at a URL, or else the user's own."""
    with ManifestStore.open(url) if url else ManifestStore.default() as store:
        yield store


def _by_looks(store: ManifestStore, clip: Fingerprint, limit: int) -> list[Resolved]:
    from vasari.provenance.fingerprint import HASH_BITS

    matches = store.by_fingerprint(clip, limit)
    return [
        Resolved(match.entry.label, round(CERTAIN * (1 - 2 * match.distance / HASH_BITS)))
        for match in matches
    ]


def _identifier(value: str) -> int:
    digits = value if _IDENTIFIER.fullmatch(value) else _decoded(value).decode("ascii", "replace")
    if not _IDENTIFIER.fullmatch(digits):
        raise InputError("the value of a watermark is base64 of 12 hexadecimal digits")
    return int(digits, 16)


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"the value is no base64: {error}") from error


def _boxes(content: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Boxes of JUMBF (ISO/IEC 19566-5): where each begins, its content begins, and it ends."""
    while start + _BOX.size <= end:
        size, _ = _BOX.unpack_from(content, start)
        if not _BOX.size <= size <= end - start:
            raise ProvenanceError("a kept manifest store is damaged")
        yield start, start + _BOX.size, start + size
        start += size
