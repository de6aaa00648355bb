"""From frames back to a kept manifest: by the watermark, or else by what the frames look like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vasari.provenance.evidence import read_stored
from vasari.provenance.layers import Lead, Recovered

if TYPE_CHECKING:
    from vasari.provenance.fingerprint import Fingerprint
    from vasari.provenance.store import Entry, ManifestStore

MAX_RECOVERED = 10  # kept manifests that are shown for one file
# Encoders round lengths to frames and packets, and pages round sizes to even pixels.
SAME_SECONDS, SAME_PIXELS = 0.2, 1


def by_watermark(
    path: Path, store: ManifestStore, identifier: str, trust_anchors: bytes, *, known: str = ""
) -> tuple[Recovered, ...]:
    """The kept manifests that name the watermark of a file.

    Args:
        path: a video or picture that can be decoded.
        store: where they are kept.
        identifier: of its watermark, 12 hexadecimal digits.
        trust_anchors: PEM certificates under which a signer is trusted.
        known: label of a manifest that is left out, because the file carries it.

    Returns:
        Those that look alike first, then the newest first.

    Raises:
        OutputError: the store cannot be read.
    """
    from vasari.provenance.fingerprint import fingerprint_of

    kept = store.by_identifier(int(identifier, 16))
    others = [entry for entry in kept if entry.label != known][:MAX_RECOVERED]
    if not others:
        return ()
    clip = fingerprint_of(path)
    found = [_recovered(entry, Lead.WATERMARK, clip, trust_anchors) for entry in others]
    return tuple(sorted(found, key=lambda each: each.looks_alike is not True))


def by_fingerprint(path: Path, store: ManifestStore, trust_anchors: bytes) -> tuple[Recovered, ...]:
    """The kept manifests of videos that look like a file, the most like first.

    Arguments and errors are those of `by_watermark`.
    """
    from vasari.provenance.fingerprint import fingerprint_of

    clip = fingerprint_of(path)
    matches = store.by_fingerprint(clip, MAX_RECOVERED)
    return tuple(
        _recovered(match.entry, Lead.FINGERPRINT, clip, trust_anchors) for match in matches
    )


def _recovered(entry: Entry, lead: Lead, clip: Fingerprint, trust_anchors: bytes) -> Recovered:
    from vasari.provenance.fingerprint import MAX_DISTANCE, distance

    _, manifest = read_stored(entry.manifest, trust_anchors)
    bits = distance(clip, entry.fingerprint)
    return Recovered(
        manifest=manifest,
        label=entry.label,
        kept=entry.created.isoformat(),
        lead=lead,
        looks_alike=None if bits is None else bits <= MAX_DISTANCE,
        differences=tuple(_differences(clip, entry.fingerprint)),
    )


def _differences(clip: Fingerprint, original: Fingerprint) -> Iterator[str]:
    if not (clip.seconds and original.seconds):
        return  # a picture, or a thumbnail, whose size says nothing
    if abs(clip.seconds - original.seconds) > SAME_SECONDS:
        yield f"it lasts {clip.seconds:.1f} s, the original {original.seconds:.1f} s"
    sizes = (clip.width - original.width, clip.height - original.height)
    if max(map(abs, sizes)) > SAME_PIXELS:
        yield (
            f"it is {clip.width}x{clip.height} pixels, "
            f"the original {original.width}x{original.height}"
        )
