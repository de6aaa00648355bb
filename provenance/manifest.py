"""Manifests: the signed statement of how an output was made, bound to its bytes (C2PA 2.2).

>>> from vasari.provenance.manifest import Ingredient, ManifestRecord, SoftBinding, sign
>>> record = ManifestRecord(  # doctest: +SKIP
...     title="talk.mp4",
...     ingredients=(Ingredient(Path("portrait.jpg"), "portrait", "portrait.jpg", "image/jpeg"),),
...     watermark=SoftBinding("org.vasari.watermark.1", 0x00C0FFEE1234),
... )
>>> sign(Path("draft.mp4"), Path("talk.mp4"), record, Credential.default())  # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from vasari.errors import CredentialError, InputError, OutputError, ProvenanceError
from vasari.provenance.sourcetype import source_type_uri

if TYPE_CHECKING:
    from vasari.provenance.credentials import Credential

# What an action's parameters can hold: the C2PA library loses lists of numbers.
Parameter: TypeAlias = "str | int | float | Mapping[str, Parameter]"

# A portrait moved by hand-made rules: the portrait is a recording, its motion is synthetic. Once a
# trained model moves or paints it, "compositeWithTrainedAlgorithmicMedia" is the honest term.
DEFAULT_SOURCE_TYPE = "compositeSynthetic"

# What cawg.training-mining asserts, and the uses that it can allow (CAWG Training and Data Mining
# 1.1, section 2).
TRAINING_USES = (
    "cawg.ai_inference",
    "cawg.ai_generative_training",
    "cawg.ai_training",
    "cawg.data_mining",
)
TRAINING_CHOICES = ("allowed", "notAllowed", "constrained")

CONTROLS_LABEL = "org.vasari.controls"
DIGESTS_LABEL = "org.vasari.ingredients.sha256"
MODELS_LABEL = "org.vasari.models.sha256"
CONSENT_LABEL = "org.vasari.consent"
METADATA_LABEL = "cawg.metadata"  # CAWG Metadata 1.1
DUBLIN_CORE = "http://purl.org/dc/elements/1.1/"

# Assertions that the signer vouches for. Others are merely "gathered" (C2PA 2.2, section 10.3.2).
CREATED_ASSERTIONS = (
    "c2pa.actions",
    "c2pa.actions.v2",
    "c2pa.ingredient",
    "c2pa.ingredient.v3",
    "c2pa.soft-binding",
    "c2pa.thumbnail.claim",
    "c2pa.thumbnail.ingredient",
    "cawg.training-mining",
    METADATA_LABEL,
    CONSENT_LABEL,
)

THUMBNAIL_EDGE = 256  # pixels
# Pillow decodes the whole picture to make its thumbnail; larger ones go without.
MAX_THUMBNAIL_PIXELS = 60_000_000

_TIME_STAMP_FAILURE = re.compile("http resolver|TSA|time.?stamp", re.IGNORECASE)

# Without these the C2PA library holds a copy or two of the whole video in memory. Its hash becomes
# a tree over pieces of the video (C2PA 2.2, section 18.7.2), which is made piece by piece.
MAX_SIGNING_MEMORY = 16  # MB of video; longer ones go through a temporary file
HASHED_PIECE = 1024  # kB

UNKNOWN_MIME_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class Ingredient:
    """Something that the output was made from.

    A file is read in pieces: it may be larger than the memory.
    """

    source: Path | bytes
    role: str  # what it was used as, one word and unique: "portrait", "sound"
    title: str  # what it is called, for instance its file name without folders
    mime_type: str  # for instance "image/jpeg"
    relationship: str = "inputTo"  # C2PA 2.2, section 18.16.3: the asset was made with it


@dataclass(frozen=True)
class SoftBinding:
    """The watermark that leads from the frames back to the manifest."""

    algorithm: str  # on the C2PA list of algorithms, or a reverse-domain name
    identifier: int  # 48 bits

    @property
    def value(self) -> str:
        """The identifier as the manifest holds it: 12 hexadecimal digits."""
        return f"{self.identifier:012x}"


@dataclass(frozen=True)
class Consent:
    """That the person shown agreed: the signer's statement, which the signature does not prove.

    Raises:
        ProvenanceError: it does not say who, or on what basis.
    """

    person: str  # who agreed
    basis: str  # on what: "signed release of 3 May 2026", "my own face", "in the public domain"

    def __post_init__(self) -> None:
        if not self.person.strip() or not self.basis.strip():
            raise ProvenanceError("a statement of consent says who agreed and on what basis")


@dataclass(frozen=True)
class ManifestRecord:
    """What the manifest of one output says.

    Raises:
        ProvenanceError: the source type or the training preference is unknown.
    """

    title: str  # what the output is called
    ingredients: tuple[Ingredient, ...]
    watermark: SoftBinding
    source_type: str = DEFAULT_SOURCE_TYPE  # a term of vasari.provenance.sourcetype
    controls: Mapping[str, Parameter] = field(default_factory=dict)  # with the seed
    models: Mapping[str, str] = field(default_factory=dict)  # file of weights -> SHA-256
    author: str = ""  # who made it
    consent: Consent | None = None  # of the person shown
    training: str = "notAllowed"  # one of TRAINING_CHOICES: may others train on this output?
    thumbnail: bytes | None = None  # JPEG of the output
    generator: str = "Vasari"  # the software
    generator_version: str = field(default_factory=lambda: version("vasari"))
    mime_type: str = "video/mp4"  # of the output

    def __post_init__(self) -> None:
        source_type_uri(self.source_type)
        if self.training not in TRAINING_CHOICES:
            raise ProvenanceError(
                f"unknown training preference '{self.training}'; "
                f"known are {', '.join(TRAINING_CHOICES)}"
            )


def sign(
    source: Path,
    destination: Path,
    record: ManifestRecord,
    credential: Credential,
    *,
    time_authority: str | None = None,
) -> bytes:
    """Copy a finished file with its signed manifest inside.

    The copy is written beside the destination as ``<name>.part`` and renamed when it is complete.

    Args:
        source: the finished output, without a manifest.
        destination: where the signed file goes.
        record: what the manifest says.
        credential: who signs.
        time_authority: URL of a time-stamping authority (RFC 3161), which is sent a hash of the
            signature. With its stamp the signature outlives the certificate.

    Returns:
        The manifest store as it stands in the file (JUMBF), to be kept apart from it.

    Raises:
        InputError: the source or an ingredient cannot be read.
        OutputError: the destination cannot be written.
        CredentialError: the signer failed.
        ProvenanceError: the C2PA library refused the manifest.
    """
    import c2pa

    part = destination.with_name(f"{destination.name}.part")
    keeper = _ErrorKeeper(credential)
    try:
        file = _File(part, "w+b")
        with io.BufferedRandom(file) as output, _opened(source, "the video to sign") as video:
            manifest = _sign_stream(video, output, record, keeper, time_authority)
        part.replace(destination)
    except c2pa.C2paError as error:
        if file.error is not None:
            raise OutputError(f"cannot write {destination}: {file.error.strerror}") from error
        raise keeper.explain(error, destination, time_authority) from error
    except OSError as error:
        raise OutputError(f"cannot write {destination}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return manifest


def manifest_definition(record: ManifestRecord, when: datetime) -> dict[str, Any]:
    """The manifest as the C2PA library takes it, without ingredients and signature.

    The first action is the creation, with the source type (C2PA 2.2, section 18.15.2); the
    watermark has its own action and the soft binding that it stands for.
    """
    agent = {"name": record.generator, "version": record.generator_version}
    created = {
        "action": "c2pa.created",
        "digitalSourceType": source_type_uri(record.source_type),
        "softwareAgent": agent,
        "when": when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "parameters": _parameters(record),
    }
    watermarked = {"action": "c2pa.watermarked", "softwareAgent": agent}
    binding = {
        "alg": record.watermark.algorithm,
        "blocks": [{"scope": {}, "value": record.watermark.value}],
    }
    preference = {"entries": {use: {"use": record.training} for use in TRAINING_USES}}
    actions = {"actions": [created, watermarked], "allActionsIncluded": True}
    definition: dict[str, Any] = {
        "claim_generator_info": [agent],
        "title": record.title,
        "format": record.mime_type,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": actions},
            {"label": "c2pa.soft-binding", "data": binding},
            {"label": "cawg.training-mining", "data": preference},
        ],
    }
    if record.author:
        metadata = {"@context": {"dc": DUBLIN_CORE}, "dc:creator": [record.author]}
        definition["assertions"].append({"label": METADATA_LABEL, "data": metadata})
    if record.consent is not None:
        consent = dataclasses.asdict(record.consent)
        definition["assertions"].append({"label": CONSENT_LABEL, "data": consent})
    if record.thumbnail is not None:
        definition["thumbnail"] = {"format": "image/jpeg", "identifier": "thumbnail.jpg"}
    return definition


def _parameters(record: ManifestRecord) -> dict[str, Any]:
    """How the output was made: from which ingredients, and with which controls."""
    digests = {each.role: _sha256(each) for each in record.ingredients}
    return {
        "ingredientIds": [each.role for each in record.ingredients],
        DIGESTS_LABEL: digests,
        CONTROLS_LABEL: dict(record.controls),
        MODELS_LABEL: dict(record.models),
    }


def _sign_stream(
    source: IO[bytes],
    output: IO[bytes],
    record: ManifestRecord,
    keeper: _ErrorKeeper,
    time_authority: str | None,
) -> bytes:
    import c2pa

    algorithm = c2pa.C2paSigningAlg[keeper.credential.algorithm.upper()]
    chain = keeper.credential.chain.decode()
    definition = manifest_definition(record, datetime.now(timezone.utc))
    with (
        c2pa.Signer.from_callback(keeper.sign, algorithm, chain, time_authority) as signer,
        c2pa.Context.from_dict(_settings(_is_fragmented(source))) as context,
        c2pa.Builder(definition, context=context) as builder,
    ):
        for ingredient in record.ingredients:
            _add_ingredient(builder, ingredient)
        if record.thumbnail is not None:
            builder.add_resource("thumbnail.jpg", io.BytesIO(record.thumbnail))
        manifest: bytes = builder.sign(signer, record.mime_type, source, output)
    return manifest


def _settings(fragmented: bool) -> dict[str, Any]:
    core = {"backing_store_memory_threshold_in_mb": MAX_SIGNING_MEMORY}
    # The C2PA library takes such a tree in a fragmented file for hashes of its fragments.
    if not fragmented:
        core["merkle_tree_chunk_size_in_kb"] = HASHED_PIECE
    return {
        "version": 1,
        "verify": {"verify_after_sign": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
        "builder": {
            "created_assertion_labels": list(CREATED_ASSERTIONS),
            "thumbnail": {"enabled": False},  # ours are quicker
        },
        "core": core,
    }


def _is_fragmented(file: IO[bytes]) -> bool:
    """Whether a file of boxes holds a movie fragment (ISO/IEC 14496-12, section 8.8)."""
    start = file.tell()
    position = start
    try:
        while len(head := file.read(16)) >= 8:
            size, kind = struct.unpack(">I4s", head[:8])
            if kind == b"moof":
                return True
            if size == 1 and len(head) == 16:  # the size follows in 64 bits
                size = int.from_bytes(head[8:], "big")
            if size < 8:
                return False
            position += size
            file.seek(position)
        return False
    except (OSError, OverflowError, ValueError):
        return False
    finally:
        file.seek(start)


def _add_ingredient(builder: Any, ingredient: Ingredient) -> None:
    """Add an ingredient together with the manifest that it may carry itself."""
    import c2pa

    description: dict[str, Any] = {
        "title": ingredient.title,
        "label": ingredient.role,
        "description": ingredient.role,
        "relationship": ingredient.relationship,
    }
    thumbnail = _thumbnail(ingredient)
    if thumbnail is not None:
        name = f"{ingredient.role}.jpg"
        description["thumbnail"] = {"format": "image/jpeg", "identifier": name}
        builder.add_resource(name, io.BytesIO(thumbnail))
    try:
        _add_as(builder, description, ingredient, ingredient.mime_type)
    except c2pa.C2paError:
        # Named as a type that it is not, or damaged: it is listed without a look inside.
        _add_as(builder, description, ingredient, UNKNOWN_MIME_TYPE)


def _add_as(
    builder: Any, description: dict[str, Any], ingredient: Ingredient, mime_type: str
) -> None:
    with _content(ingredient) as stream:
        builder.add_ingredient({**description, "format": ingredient.mime_type}, mime_type, stream)


def _thumbnail(ingredient: Ingredient) -> bytes | None:
    """A small JPEG of an ingredient that is a picture; None for others."""
    from PIL import Image, ImageOps

    if not ingredient.mime_type.startswith("image/"):
        return None
    output = io.BytesIO()
    with _content(ingredient) as stream:
        try:
            image: Image.Image = Image.open(stream)
            if image.width * image.height > MAX_THUMBNAIL_PIXELS:
                return None
            image.draft("RGB", (THUMBNAIL_EDGE, THUMBNAIL_EDGE))
            image = ImageOps.exif_transpose(image)
            image.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE))
            image.convert("RGB").save(output, "JPEG", quality=80)
        except (OSError, ValueError, Image.DecompressionBombError, SyntaxError):
            return None  # the portrait's own reader is the one to complain
    return output.getvalue()


def _sha256(ingredient: Ingredient) -> str:
    digest = hashlib.sha256()
    with _content(ingredient) as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


@contextlib.contextmanager
def _content(ingredient: Ingredient) -> Iterator[IO[bytes]]:
    if isinstance(ingredient.source, bytes):
        yield io.BytesIO(ingredient.source)
    else:
        with _opened(ingredient.source, f"the {ingredient.role}") as file:
            yield file


@contextlib.contextmanager
def _opened(path: Path, what: str) -> Iterator[IO[bytes]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {what}, {path}: {error.strerror}") from error
    with file:
        yield file


class _File(io.FileIO):
    """A file that keeps why it could not be written: the C2PA library only says that it failed."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write as a file does."""
        try:
            return super().write(data)
        except OSError as error:
            self.error = error
            raise


class _ErrorKeeper:
    """Keeps what a signer raises: the C2PA library only says that signing failed."""

    def __init__(self, credential: Credential) -> None:
        self.credential = credential
        self._error: Exception | None = None

    def sign(self, data: bytes) -> bytes:
        """Sign with the credential; called by native code, which no exception can pass."""
        try:
            return self.credential.sign(data)
        except Exception as error:
            self._error = error
            return b""

    def explain(self, error: Exception, destination: Path, time_authority: str | None) -> Exception:
        """The error to raise for what the C2PA library raised."""
        import c2pa

        if self._error is not None:
            return CredentialError(f"{self.credential.signer_name} could not sign: {self._error}")
        if time_authority is not None and _TIME_STAMP_FAILURE.search(str(error)):
            return ProvenanceError(f"no time stamp could be had from {time_authority}: {error}")
        if isinstance(error, c2pa.C2paError.Io):
            return OutputError(f"cannot write {destination}: {error}")
        return ProvenanceError(f"cannot sign {destination}: {error}")
