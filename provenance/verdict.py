"""The verdict on a file: what its manifest and its watermark show, and what they do not.

>>> from vasari.provenance.verdict import verify
>>> verdict = verify("talk.mp4")  # doctest: +SKIP
>>> verdict.state, verdict.headline  # doctest: +SKIP
(<State.VALID: 'valid'>, 'Unchanged since it was signed, but no one vouches for the signer ...')
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vasari.errors import InputError, VasariError
from vasari.provenance.certificates import read_certificates
from vasari.provenance.conclusions import INTACT, conclusions, headline
from vasari.provenance.credentials import read_pem
from vasari.provenance.evidence import Absence, Damage, Manifest, read_manifest
from vasari.provenance.findings import main_failure
from vasari.provenance.layers import Detector, Recovered, State, Watermark
from vasari.provenance.media import MediaKind, check_file, media_kind

if TYPE_CHECKING:
    from vasari.provenance.store import ManifestStore

VISIBLE = (MediaKind.VIDEO, MediaKind.IMAGE)
EXIT_CODES = {
    State.TRUSTED: 0,
    State.VALID: 0,
    State.NONE: 3,
    State.INVALID: 4,
    State.STRIPPED: 4,
}


@dataclass(frozen=True)
class Verdict:
    """The outcome for one file, with its evidence."""

    path: str
    kind: MediaKind
    state: State
    headline: str  # one sentence
    reason: str  # why it is invalid, or ""
    manifest: Manifest | None  # None if there is none, or none that can be read
    elsewhere: str  # where the file says that its manifest lies, or ""; it is not fetched
    watermark: Watermark
    recovered: tuple[Recovered, ...]  # kept manifests that its frames lead to
    detector: Detector | None  # None if it was not asked
    follows: tuple[str, ...]  # what may be concluded
    does_not_follow: tuple[str, ...]  # what may not

    @property
    def exit_code(self) -> int:
        """What `vasari verify` exits with."""
        return EXIT_CODES[self.state]

    def to_dict(self) -> dict[str, Any]:
        """The verdict as JSON can hold it."""
        return {**_jsonable(dataclasses.asdict(self)), "exit_code": self.exit_code}


def verify(
    path: str | Path,
    *,
    trust_anchors: bytes = b"",
    store: ManifestStore | None = None,
    fetch: bool = False,
    detect: bool = False,
) -> Verdict:
    """Judge where a file comes from and whether it was changed since.

    The file is not changed, and unless it is asked for nothing is fetched from a network.

    Args:
        path: a video, picture or sound.
        trust_anchors: PEM certificates; who signs under one of them is trusted.
        store: where to look for the manifest of a file that has lost it.
        fetch: get the manifest of a file that says that it lies elsewhere, from a public address
            by HTTPS.
        detect: ask also a detector of generated faces. It does not change the state.

    Raises:
        InputError: the file is missing, empty, or no media that can be read.
        CredentialError: the trust anchors are not PEM certificates.
    """
    path = Path(path)
    check_file(path)
    if trust_anchors:
        read_certificates(trust_anchors, "the trust anchors")
    found = read_manifest(path, trust_anchors)
    if fetch and isinstance(found, Absence) and found.elsewhere:
        found = _fetched(path, found, trust_anchors)
    kind = media_kind(path)
    if isinstance(found, Absence) and kind is MediaKind.UNKNOWN:
        raise InputError(f"{path} is no video, picture or sound that can be read")
    manifest = found if isinstance(found, Manifest) else None
    watermark = _read_watermark(path, kind, manifest)
    state, reason = _judge(found, watermark)
    recovered: tuple[Recovered, ...] = ()
    if store is not None and kind in VISIBLE:
        intact = manifest if state in INTACT else None
        recovered = _recover(path, store, intact, watermark, trust_anchors)
    follows, does_not_follow = conclusions(state, manifest, watermark, recovered)
    return Verdict(
        path=str(path),
        kind=kind,
        state=state,
        headline=headline(state, reason, manifest, watermark, recovered),
        reason=reason,
        manifest=manifest,
        elsewhere=found.elsewhere if isinstance(found, Absence) else "",
        watermark=watermark,
        recovered=recovered,
        detector=_ask_detector(path) if detect and kind in VISIBLE else None,
        follows=follows,
        does_not_follow=does_not_follow,
    )


def load_trust_anchors(path: Path) -> bytes:
    """The certificates of a PEM file under which signers are to be trusted.

    Raises:
        CredentialError: the file cannot be read, or holds no certificates.
    """
    pem = read_pem(path)
    read_certificates(pem, str(path))
    return pem


def _read_watermark(path: Path, kind: MediaKind, manifest: Manifest | None) -> Watermark:
    from vasari.watermark.payload import format_identifier
    from vasari.watermark.reading import read_video

    if kind not in VISIBLE:
        return Watermark(None, None, None, "not looked for: it is in pictures only")
    stated = set(_stated(manifest))
    # What is as it was signed lies as it was made. To search for it is a matter of seconds.
    upright = bool(stated) and manifest is not None and manifest.intact
    try:
        reading = read_video(path, transformed=not upright)
    except VasariError as error:
        reason = str(error).removeprefix(f"{path}: ")
        return Watermark(None, None, None, f"could not be looked for: {reason}")
    if reading is None:
        note = "none could be read, although the manifest names one" if stated else "none found"
        return Watermark(None, None, None, note)
    identifier = format_identifier(reading.identifier)
    agrees = identifier in stated if stated else None
    note = {
        True: "read, and the manifest names the same one",
        False: "read, but the manifest names another one",
        None: "read, but the manifest does not name it" if manifest else "read from the frames",
    }[agrees]
    spans = tuple((each.start, each.end) for each in reading.intervals)
    return Watermark(identifier, reading.p_value, agrees, note, spans)


def _recover(
    path: Path,
    store: ManifestStore,
    intact: Manifest | None,
    watermark: Watermark,
    trust_anchors: bytes,
) -> tuple[Recovered, ...]:
    """Kept manifests: of the original, or of others with the watermark of an intact file."""
    from vasari.provenance.recovery import by_fingerprint, by_watermark

    if watermark.identifier is not None:
        known = intact.label if intact else ""
        return by_watermark(path, store, watermark.identifier, trust_anchors, known=known)
    return () if intact else by_fingerprint(path, store, trust_anchors)


def _fetched(path: Path, absence: Absence, trust_anchors: bytes) -> Manifest | Damage | Absence:
    """The manifest that lies elsewhere."""
    from vasari.provenance.remote import fetch

    return read_manifest(path, trust_anchors, detached=fetch(absence.elsewhere))


def _ask_detector(path: Path) -> Detector:
    """What the detector makes of a file; that it cannot be asked is no failure of the file."""
    try:
        from vasari.detect.scoring import score

        found = score(path)
    except (ImportError, VasariError) as error:
        note = f"the detector could not be asked: {error}"
        return Detector("cannot say", None, None, None, None, (), note)
    return Detector(
        decision=found.decision.value,
        probability=found.probability,
        threshold=found.threshold,
        false_alarm_rate=found.false_alarm_rate,
        miss_rate=found.miss_rate,
        suspicious=tuple((each.start, each.end) for each in found.suspicious),
        note=found.reason,
    )


def _stated(manifest: Manifest | None) -> Iterable[str]:
    """Identifiers of Vasari's watermark that a manifest or one of its ingredients names."""
    if manifest is None:
        return
    yield from manifest.watermarks
    for origin in manifest.origins:
        yield from _stated(origin.manifest)


def _judge(found: Manifest | Damage | Absence, watermark: Watermark) -> tuple[State, str]:
    """The state and, if it is invalid, the reason."""
    if isinstance(found, Damage):
        return State.INVALID, found.reason
    if isinstance(found, Absence):
        return (State.STRIPPED if watermark.identifier else State.NONE), ""
    if not found.intact:
        codes = [finding.code for finding in found.failures]
        code = main_failure(codes)
        return State.INVALID, next(each.words for each in found.failures if each.code == code)
    if watermark.agrees is False:
        return State.INVALID, (
            "its frames carry the watermark of another video than its manifest names: the manifest "
            "was made for other frames"
        )
    return (State.TRUSTED if found.trusted else State.VALID), ""


def _jsonable(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _jsonable(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_jsonable(each) for each in value]
    return value
