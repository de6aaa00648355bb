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
from vasari.provenance.credentials import read_pem
from vasari.provenance.evidence import Absence, Damage, Manifest, read_manifest, read_stored
from vasari.provenance.findings import main_failure
from vasari.provenance.media import MediaKind, check_file, media_kind

if TYPE_CHECKING:
    from vasari.provenance.store import Entry, ManifestStore


class State(enum.Enum):
    """The outcome; the first three are the C2PA library's own."""

    TRUSTED = "trusted"  # intact, by a signer under a trust anchor in use
    VALID = "valid"  # intact, by a signer whom no trust anchor covers
    INVALID = "invalid"  # broken or tampered with
    STRIPPED = "stripped"  # no manifest, but Vasari's watermark is in the frames
    NONE = "none"  # no provenance of any kind


MAX_RECOVERED = 10  # kept manifests that are shown for one watermark

EXIT_CODES = {
    State.TRUSTED: 0,
    State.VALID: 0,
    State.NONE: 3,
    State.INVALID: 4,
    State.STRIPPED: 4,
}


@dataclass(frozen=True)
class Watermark:
    """What reading Vasari's watermark gave."""

    identifier: str | None  # 12 hexadecimal digits, None if none was read
    p_value: float | None  # chance that unmarked frames look like this, None if none was read
    # Whether the manifest names this watermark; None if there is nothing to compare.
    agrees: bool | None
    note: str  # in plain words


@dataclass(frozen=True)
class Recovered:
    """A kept manifest that the watermark leads to."""

    manifest: Manifest
    label: str  # of the manifest in the store
    kept: str  # when it was kept, ISO 8601
    # Whether the frames look like those of the original; None if that cannot be said.
    looks_alike: bool | None


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
    recovered: tuple[Recovered, ...]  # kept manifests that the watermark leads to, newest first
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
    path: str | Path, *, trust_anchors: bytes = b"", store: ManifestStore | None = None
) -> Verdict:
    """Judge where a file comes from and whether it was changed since.

    Nothing is fetched from a network, and the file is not changed.

    Args:
        path: a video, picture or sound.
        trust_anchors: PEM certificates; who signs under one of them is trusted.
        store: where to look for the manifest of a file that has lost it.

    Raises:
        InputError: the file is missing, empty, or no media that can be read.
        CredentialError: the trust anchors are not PEM certificates.
    """
    path = Path(path)
    check_file(path)
    if trust_anchors:
        read_certificates(trust_anchors, "the trust anchors")
    found = read_manifest(path, trust_anchors)
    kind = media_kind(path)
    if isinstance(found, Absence) and kind is MediaKind.UNKNOWN:
        raise InputError(f"{path} is no video, picture or sound that can be read")
    manifest = found if isinstance(found, Manifest) else None
    watermark = _read_watermark(path, kind, manifest)
    state, reason = _judge(found, watermark)
    recovered: tuple[Recovered, ...] = ()
    if state is State.STRIPPED and store is not None:
        recovered = _recover(path, store, watermark, trust_anchors)
    told = recovered[0].manifest if recovered else manifest
    follows, does_not_follow = _conclusions(state, told, watermark)
    if recovered:
        follows, does_not_follow = _compared(recovered[0], follows, does_not_follow)
    return Verdict(
        path=str(path),
        kind=kind,
        state=state,
        headline=_headline(state, reason, manifest, watermark, recovered),
        reason=reason,
        manifest=manifest,
        elsewhere=found.elsewhere if isinstance(found, Absence) else "",
        watermark=watermark,
        recovered=recovered,
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

    if kind not in (MediaKind.VIDEO, MediaKind.IMAGE):
        return Watermark(None, None, None, "not looked for: it is in pictures only")
    stated = set(_stated(manifest))
    try:
        # What was signed lies as it was made, which is quickly seen.
        reading = read_video(path, transformed=False) if stated else None
        reading = reading or read_video(path)
    except VasariError as error:
        return Watermark(None, None, None, f"could not be looked for: {error}")
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
    return Watermark(identifier, reading.p_value, agrees, note)


def _recover(
    path: Path, store: ManifestStore, watermark: Watermark, trust_anchors: bytes
) -> tuple[Recovered, ...]:
    """The manifests that a store keeps under a watermark, those first that look alike."""
    found = []
    for entry in store.by_identifier(int(watermark.identifier or "0", 16))[:MAX_RECOVERED]:
        _, manifest = read_stored(entry.manifest, trust_anchors)
        looks_alike = _looks_alike(path, entry, manifest)
        found.append(Recovered(manifest, entry.label, entry.created.isoformat(), looks_alike))
    return tuple(sorted(found, key=lambda each: each.looks_alike is not True))


def _looks_alike(path: Path, entry: Entry, manifest: Manifest) -> bool | None:
    """Compare a file with the original's kept frames, or else with the signed thumbnail of one."""
    from vasari.provenance.fingerprint import MAX_DISTANCE, distance, fingerprint_of_picture
    from vasari.provenance.pictures import thumbnails

    original = entry.fingerprint
    if not original:
        pictures = thumbnails(entry.manifest, [manifest.thumbnail])
        original = b"".join(fingerprint_of_picture(each) for each in pictures.values())
    bits = distance(path, original)
    return None if bits is None else bits <= MAX_DISTANCE


def _compared(
    recovered: Recovered, follows: tuple[str, ...], does_not_follow: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What comparing the frames with those of the original adds."""
    if recovered.looks_alike:
        return (*follows, "Its frames look like those of that original."), does_not_follow
    if recovered.looks_alike is None:
        return follows, does_not_follow
    return follows, (_UNLIKE, *does_not_follow[1:])


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


def _headline(
    state: State,
    reason: str,
    manifest: Manifest | None,
    watermark: Watermark,
    recovered: tuple[Recovered, ...],
) -> str:
    signer = _signer(manifest)
    return {
        State.TRUSTED: f"Unchanged since it was signed by {signer}, whom your trust anchors cover.",
        State.VALID: f"Unchanged since it was signed, but no one vouches for the signer {signer}.",
        State.INVALID: f"Broken: {reason}.",
        State.STRIPPED: _stripped_headline(watermark, recovered),
        State.NONE: "No provenance found: nothing in this file says where it comes from.",
    }[state]


def _stripped_headline(watermark: Watermark, recovered: tuple[Recovered, ...]) -> str:
    if not recovered:
        return (
            "Its manifest is gone, but its frames carry the watermark of Vasari video "
            f"{watermark.identifier}."
        )
    if recovered[0].looks_alike is False:
        return "It has no manifest, and its watermark leads to a video that looks different."
    signer = _signer(recovered[0].manifest)
    return f"Its manifest was removed, but its watermark leads back to one signed by {signer}."


def _signer(manifest: Manifest | None) -> str:
    return f"“{manifest.signer or 'unnamed'}”" if manifest else ""


# What each state means to someone who must decide whether to publish.
_FOLLOWS = {
    State.TRUSTED: ("Not one byte of picture or sound has changed since it was signed.",),
    State.VALID: ("Not one byte of picture or sound has changed since it was signed.",),
    State.INVALID: ("What its manifest says must not be relied on for this file.",),
    State.STRIPPED: (
        "Its frames carry the mark that Vasari puts into every video it makes: most likely a "
        "talking portrait, not a recording.",
        "It has been through something that drops manifests, as most uploads and editors do.",
    ),
    State.NONE: (),
}
_DOES_NOT_FOLLOW = {
    State.TRUSTED: (
        "That what is shown happened, or that the words were ever spoken: the signature says who "
        "made the file, not that it is true.",
        "That the person shown agreed to it.",
    ),
    State.VALID: (
        "Who signed it: anyone can put any name into a certificate of their own. Ask the supposed "
        "maker for their root certificate over a channel that you trust, and pass it with --trust.",
        "That what is shown happened, or that the words were ever spoken.",
        "That the person shown agreed to it.",
    ),
    State.INVALID: (
        "That anyone meant to deceive: a copying error, a cut or a tool that does not know C2PA "
        "breaks a manifest as well.",
        "What it was before: only the unbroken original can show that.",
    ),
    State.STRIPPED: (
        "Who made it, from what and when: that stood in the manifest. Whoever keeps it can look it "
        "up by the watermark id.",
        "That picture and sound are as they were: the watermark survives cuts and new sound.",
        "That it cannot be forged: this watermark is read and written with a public key.",
    ),
    State.NONE: (
        "That it is real, or that it is fake: most real recordings carry no provenance, and "
        "whoever wants to deceive will not leave any.",
        "That it was not made with Vasari: a watermark does not survive everything.",
    ),
}


# In place of the first, where a kept manifest was found.
_COPIED = (
    "That this file is that original: its bytes differ, and a watermark can be copied onto other "
    "frames. Compare the two."
)


_UNLIKE = (
    "That it is that original: its frames look different. The watermark may have been copied onto "
    "other frames, or the original was mirrored, set into a larger picture or cut down a lot. "
    "Compare the two."
)


def _conclusions(
    state: State, manifest: Manifest | None, watermark: Watermark
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What follows from a state and what does not."""
    follows, does_not_follow = _FOLLOWS[state], _DOES_NOT_FOLLOW[state]
    if state is State.STRIPPED and manifest:
        follows += ("The manifest that was kept says how the original was made.",)
        does_not_follow = (_COPIED, *does_not_follow[1:])
    if manifest and manifest.synthetic and state in (State.TRUSTED, State.VALID):
        follows += (f"Its maker declares it as {manifest.source_words}: it is no plain recording.",)
    if watermark.identifier and state in (State.TRUSTED, State.VALID):
        follows += ("Its frames carry Vasari's watermark, which leads back to it after an upload.",)
    return follows, does_not_follow


def _jsonable(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _jsonable(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_jsonable(each) for each in value]
    return value
