"""What a file's C2PA manifest says, read without trusting a byte of it."""

from __future__ import annotations

import dataclasses
import io
import json
import mimetypes
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO

from vasari.errors import InputError, ProvenanceError
from vasari.provenance.findings import (
    HARD_BINDING_MISMATCHES,
    TIME_STAMPED,
    TRUSTED,
    UNTRUSTED,
    code_words,
)
from vasari.provenance.manifest import (
    CONSENT_LABEL,
    CONTROLS_LABEL,
    DIGESTS_LABEL,
    METADATA_LABEL,
    MODELS_LABEL,
)
from vasari.provenance.sourcetype import IPTC, source_type_words

# Limits on what a stranger's manifest makes us do and print.
MAX_TEXT = 200  # characters of any text that a manifest holds
MAX_LISTED = 100  # ingredients, actions, findings of one manifest
MAX_DEPTH = 8  # ingredients of ingredients
MAX_MARKER_SCAN = 256 << 20  # bytes searched for the remains of a manifest

# Vasari's own watermark in a soft binding, in any version, and its identifier.
ALGORITHM_PREFIX = "org.vasari.watermark."
_IDENTIFIER = re.compile(r"[0-9a-f]{12}")

# The type of a C2PA manifest store in JUMBF, wherever a format keeps it (C2PA 2.2, section 11.1.4).
MANIFEST_STORE_UUID = bytes.fromhex("6332706100110010800000aa00389b71")


@dataclass(frozen=True)
class Finding:
    """One result of validation."""

    code: str  # of C2PA
    words: str  # what it means


@dataclass(frozen=True)
class Action:
    """Something that was done to make the file."""

    name: str  # of C2PA, for instance "c2pa.created"
    agent: str  # the software that did it, or ""
    when: str  # as the signer's clock had it, ISO 8601, or ""


@dataclass(frozen=True)
class Origin:
    """Something that the file was made from."""

    role: str  # what it was used as, or how it is related
    title: str  # what it was called
    mime_type: str  # or ""
    sha256: str  # of its bytes, if the maker stated it, or ""
    thumbnail: str  # address of its thumbnail in the manifest store, or ""
    manifest: Manifest | None  # its own manifest, if it had one


@dataclass(frozen=True)
class Consent:
    """That the person shown agreed, as the maker states it: nobody has checked."""

    person: str  # who agreed
    basis: str  # on what basis


@dataclass(frozen=True)
class Manifest:
    """What a manifest says, and whether it holds.

    All text is the maker's own: it is signed, which does not make it true.
    """

    label: str  # its name in the manifest store: "urn:c2pa:…"
    title: str
    signer: str  # whom the certificate names, "" if it cannot be read
    issuer: str  # the organization in the certificate, or ""
    algorithm: str  # of the signature, or ""
    time_stamp: str  # when a trusted authority saw the signature, ISO 8601, or ""
    generator: str  # software and version
    source_type: str  # URI of the digital source type, or ""
    origins: tuple[Origin, ...]
    actions: tuple[Action, ...]
    assertions: tuple[str, ...]  # labels of its statements
    soft_bindings: tuple[tuple[str, str], ...]  # (algorithm, value)
    controls: Mapping[str, Any]  # of a talking portrait, as given to Vasari
    models: Mapping[str, str]  # what made it: file of weights -> SHA-256, as stated
    author: str  # who made it, as stated, or ""
    consent: Consent | None  # of the person shown, as stated
    training: str  # whether others may train on it: allowed, notAllowed, constrained, or ""
    thumbnail: str  # address of its thumbnail in the manifest store, or ""
    intact: bool = True  # the C2PA library calls it valid or trusted
    trusted: bool = False  # the signer is under a trust anchor in use
    failures: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()  # neither good nor bad
    successes: tuple[Finding, ...] = ()

    @property
    def stated_time(self) -> str:
        """When it was made by the maker's own clock, as it was stated, or ""."""
        return next((each.when for each in self.actions if each.when), "")

    @property
    def signed_at(self) -> datetime | None:
        """When it was signed, by the time stamp or else as stated, if that is a time."""
        try:
            stamp = (self.time_stamp or self.stated_time).replace("Z", "+00:00")  # Python 3.10
            moment = datetime.fromisoformat(stamp)
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)

    @property
    def watermarks(self) -> tuple[str, ...]:
        """Identifiers of Vasari's watermark that it names, 12 hexadecimal digits each."""
        return tuple(
            value.lower()
            for algorithm, value in self.soft_bindings
            if algorithm.startswith(ALGORITHM_PREFIX) and _IDENTIFIER.fullmatch(value.lower())
        )

    @property
    def source_words(self) -> str:
        """How the file came about, in plain words, or ""."""
        return source_type_words(self.source_type) if self.source_type else ""

    @property
    def synthetic(self) -> bool:
        """Whether the maker says that at least a part of it is synthetic."""
        return self.source_type.removeprefix(IPTC) in _SYNTHETIC


_SYNTHETIC = {
    "algorithmicMedia",
    "compositeSynthetic",
    "compositeWithTrainedAlgorithmicMedia",
    "trainedAlgorithmicMedia",
    "virtualRecording",
}


@dataclass(frozen=True)
class Damage:
    """There is a manifest, or what is left of one, that cannot be read."""

    reason: str


@dataclass(frozen=True)
class Absence:
    """There is no manifest in the file."""

    readable: bool  # the C2PA library knows the format and found it whole
    elsewhere: str = ""  # where the file says that its manifest lies; it is not fetched


def read_manifest(
    path: Path, trust_anchors: bytes = b"", *, detached: bytes | None = None
) -> Manifest | Damage | Absence:
    """Read and validate the manifest of a file; nothing is fetched from a network.

    Args:
        path: a file of any kind.
        trust_anchors: PEM certificates under which a signer is trusted.
        detached: its manifest store, where it lies elsewhere.

    Raises:
        InputError: the file cannot be opened.
    """
    import c2pa

    try:
        with (
            _opened(path) as file,
            c2pa.Context.from_dict(reader_settings(trust_anchors)) as context,
            # The format is left to be found from the bytes: a name may be wrong.
            c2pa.Reader(_format(path, detached), file, detached, context=context) as reader,
        ):
            return _parse(json.loads(reader.json()))
    except c2pa.C2paError.ManifestNotFound:
        return Absence(readable=True)
    except (c2pa.C2paError, ValueError, KeyError, TypeError, AttributeError) as error:
        return _without_manifest(path, str(error))


def read_stored(store: bytes, trust_anchors: bytes = b"") -> tuple[str, Manifest]:
    """Read a manifest store that was kept apart from its file.

    That the file's bytes are not there to be compared is no failure here.

    Args:
        store: JUMBF, as `vasari.provenance.manifest.sign` returns it.
        trust_anchors: PEM certificates under which a signer is trusted.

    Returns:
        The label of the active manifest, and the manifest.

    Raises:
        ProvenanceError: the bytes are no manifest store.
    """
    import c2pa

    try:
        with (
            c2pa.Context.from_dict(reader_settings(trust_anchors)) as context,
            c2pa.Reader("application/c2pa", io.BytesIO(store), context=context) as reader,
        ):
            report = json.loads(reader.json())
            manifest = _parse(report)
    except (c2pa.C2paError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProvenanceError(f"a kept manifest cannot be read: {error}") from error
    failures = tuple(each for each in manifest.failures if each.code not in HARD_BINDING_MISMATCHES)
    intact = all(each.code == UNTRUSTED for each in failures)
    trusted = intact and any(each.code == TRUSTED for each in manifest.successes)
    return plain(report["active_manifest"]), dataclasses.replace(
        manifest, failures=failures, intact=intact, trusted=trusted
    )


def plain(value: object, limit: int = MAX_TEXT) -> str:
    """Text from a stranger as it may be shown: one line, no control or formatting characters."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    shown = "".join(
        " " if character.isspace() else character
        for character in text[: 4 * limit]
        if character.isspace() or not unicodedata.category(character).startswith("C")
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def reader_settings(trust_anchors: bytes = b"") -> dict[str, Any]:
    """Settings of the C2PA library for reading: nothing is fetched from a network."""
    settings: dict[str, Any] = {
        "version": 1,
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
    }
    if trust_anchors:
        settings["trust"] = {"trust_anchors": trust_anchors.decode("ascii", "replace")}
    return settings


def _format(path: Path, detached: bytes | None) -> str | None:
    """What the C2PA library has to be told, where the manifest is not in the file."""
    return None if detached is None else mimetypes.guess_type(path.name)[0]


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _without_manifest(path: Path, error: str) -> Damage | Absence:
    """Tell a damaged manifest from a file that never had one the library could read."""
    remote = "must fetch remote manifests from url "
    if remote in error:
        return Absence(readable=True, elsewhere=plain(error.partition(remote)[2]))
    if _holds_marker(path):
        return Damage(
            "its manifest cannot be read: the file is damaged, cut short, or was tampered with"
        )
    return Absence(readable=False)


def _holds_marker(path: Path) -> bool:
    """Whether a manifest store begins somewhere in the file."""
    overlap = len(MANIFEST_STORE_UUID) - 1
    tail = b""
    with _opened(path) as file:
        while file.tell() < MAX_MARKER_SCAN and (piece := file.read(1 << 20)):
            if MANIFEST_STORE_UUID in tail + piece:
                return True
            tail = piece[-overlap:]
    return False


def _parse(report: dict[str, Any]) -> Manifest:
    """Build the evidence from the C2PA library's report on a file."""
    results = report.get("validation_results", {}).get("activeManifest", {})
    successes = _findings(results.get("success"))
    trusted = report.get("validation_state") == "Trusted"
    time_stamped = any(each.code == TIME_STAMPED for each in successes)
    return _manifest(
        report["manifests"],
        report["active_manifest"],
        depth=0,
        time_stamped=time_stamped,
        intact=trusted or report.get("validation_state") == "Valid",
        trusted=trusted and any(each.code == TRUSTED for each in successes),
        failures=_findings(results.get("failure")),
        notes=_findings(results.get("informational")),
        successes=successes,
    )


def _manifest(
    manifests: dict[str, Any], label: str, *, depth: int, time_stamped: bool, **validation: Any
) -> Manifest:
    manifest = manifests[label]
    signature = manifest.get("signature_info") or {}
    assertions = list(_assertions(manifest))
    actions = [
        action
        for name, data in assertions
        if name.startswith("c2pa.actions")
        for action in data.get("actions", [])
    ][:MAX_LISTED]
    parameters = _parameters(actions)
    return Manifest(
        label=plain(label),
        title=plain(manifest.get("title")),
        signer=plain(signature.get("common_name") or signature.get("issuer")),
        issuer=plain(signature.get("issuer")),
        algorithm=plain(signature.get("alg")),
        time_stamp=plain(signature.get("time")) if time_stamped else "",
        generator=_generator(manifest),
        source_type=_source_type(actions),
        origins=_origins(manifests, manifest, parameters.get(DIGESTS_LABEL), depth),
        actions=tuple(_action(each) for each in actions),
        assertions=_labels(manifest),
        soft_bindings=_soft_bindings(assertions),
        controls=_mapping(parameters.get(CONTROLS_LABEL)),
        models={
            plain(name): plain(digest)
            for name, digest in list(_mapping(parameters.get(MODELS_LABEL)).items())[:MAX_LISTED]
        },
        author=_author(assertions),
        consent=_consent(assertions),
        training=_training(assertions),
        thumbnail=_address(manifest),
        **validation,
    )


def _address(holder: dict[str, Any]) -> str:
    """Where the thumbnail of a manifest or an ingredient lies, unshortened."""
    return str(_mapping(holder.get("thumbnail")).get("identifier") or "")


def _assertions(manifest: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    for assertion in manifest.get("assertions", []):
        data = assertion.get("data")
        if isinstance(data, dict):
            yield str(assertion.get("label")), data


def _labels(manifest: dict[str, Any]) -> tuple[str, ...]:
    """Labels of the assertions; the C2PA library lists ingredients and thumbnails elsewhere."""
    holders = (*manifest.get("assertions", []), *manifest.get("ingredients", []))
    labels = tuple(plain(each.get("label")) for each in holders[:MAX_LISTED])
    return (*labels, "c2pa.thumbnail.claim") if manifest.get("thumbnail") else labels


def _generator(manifest: dict[str, Any]) -> str:
    information = (manifest.get("claim_generator_info") or [{}])[0]
    named = f"{information.get('name', '')} {information.get('version') or ''}".strip()
    return plain(named or manifest.get("claim_generator"))


def _source_type(actions: list[dict[str, Any]]) -> str:
    """The source type of the creation, or else the first that any action names."""
    stated = [each for each in actions if each.get("digitalSourceType")]
    stated.sort(key=lambda each: each.get("action") != "c2pa.created")
    return plain(stated[0]["digitalSourceType"]) if stated else ""


def _parameters(actions: list[dict[str, Any]]) -> Mapping[str, Any]:
    for action in actions:
        if action.get("action") == "c2pa.created":
            return _mapping(action.get("parameters"))
    return {}


def _origins(
    manifests: dict[str, Any], manifest: dict[str, Any], digests: object, depth: int
) -> tuple[Origin, ...]:
    known = _mapping(digests)
    return tuple(
        _origin(manifests, each, known, depth)
        for each in manifest.get("ingredients", [])[:MAX_LISTED]
    )


def _origin(
    manifests: dict[str, Any], ingredient: dict[str, Any], digests: Mapping[str, Any], depth: int
) -> Origin:
    label = ingredient.get("active_manifest")
    follow = label in manifests and depth < MAX_DEPTH
    role = ingredient.get("description")
    return Origin(
        role=plain(role or ingredient.get("relationship")),
        title=plain(ingredient.get("title")),
        mime_type=plain(ingredient.get("format")),
        sha256=plain(digests.get(str(role), "")),
        thumbnail=_address(ingredient),
        manifest=_ingredient_manifest(manifests, ingredient, depth) if follow else None,
    )


def _ingredient_manifest(
    manifests: dict[str, Any], ingredient: dict[str, Any], depth: int
) -> Manifest:
    """An ingredient's own manifest, with what its maker's software found when it was added."""
    results = _mapping(_mapping(ingredient.get("validation_results")).get("activeManifest"))
    failures = _findings(results.get("failure"))
    broken = [each for each in failures if each.code != UNTRUSTED]
    return _manifest(
        manifests,
        ingredient["active_manifest"],
        depth=depth + 1,
        time_stamped=False,
        intact=not broken,
        trusted=False,
        failures=failures,
    )


def _action(action: dict[str, Any]) -> Action:
    agent = action.get("softwareAgent")
    if isinstance(agent, dict):
        agent = f"{agent.get('name', '')} {agent.get('version') or ''}".strip()
    return Action(plain(action.get("action")), plain(agent), plain(action.get("when")))


def _soft_bindings(assertions: list[tuple[str, dict[str, Any]]]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (plain(data.get("alg")), plain(block.get("value")))
        for name, data in assertions
        if name.startswith("c2pa.soft-binding")
        for block in data.get("blocks", [])[:MAX_LISTED]
    )


def _author(assertions: list[tuple[str, dict[str, Any]]]) -> str:
    for name, data in assertions:
        if name.startswith(METADATA_LABEL):
            creators = data.get("dc:creator")
            named = creators if isinstance(creators, list) else [creators]
            return plain(", ".join(str(each) for each in named[:MAX_LISTED] if each))
    return ""


def _consent(assertions: list[tuple[str, dict[str, Any]]]) -> Consent | None:
    for name, data in assertions:
        if name.startswith(CONSENT_LABEL):
            return Consent(plain(data.get("person")), plain(data.get("basis")))
    return None


def _training(assertions: list[tuple[str, dict[str, Any]]]) -> str:
    for name, data in assertions:
        if name.startswith("cawg.training-mining"):
            uses = {plain(_mapping(use).get("use")) for use in _mapping(data["entries"]).values()}
            return uses.pop() if len(uses) == 1 else "constrained"
    return ""


def _findings(results: list[dict[str, Any]] | None) -> tuple[Finding, ...]:
    """Validation results, each code once."""
    codes = dict.fromkeys(plain(each.get("code")) for each in (results or [])[:MAX_LISTED])
    return tuple(Finding(code, code_words(code)) for code in codes)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
