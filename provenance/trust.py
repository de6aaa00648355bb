"""The root certificates of signers whom the user trusts."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from vasari.errors import CredentialError, OutputError
from vasari.provenance.certificates import read_certificates, subject_name, to_pem
from vasari.provenance.credentials import read_pem
from vasari.provenance.folders import trust_folder


@dataclass(frozen=True)
class Anchor:
    """One trusted root."""

    name: str  # whom it names
    digest: str  # SHA-256 of the certificate, hexadecimal
    expires: str  # date, ISO 8601


def trusted_roots() -> bytes:
    """All trusted roots as PEM, b"" if there are none."""
    return b"".join(path.read_bytes() for path in _files())


def trusted() -> list[Anchor]:
    """All trusted roots."""
    return [
        _anchor(certificate)
        for path in _files()
        for certificate in read_certificates(path.read_bytes(), str(path))
    ]


def trust(path: Path) -> list[Anchor]:
    """Trust the certificates of a PEM file from now on.

    Raises:
        CredentialError: the file holds no certificates, or one that is no authority's.
        OutputError: they cannot be kept.
    """
    certificates = read_certificates(read_pem(path), str(path))
    for certificate in certificates:
        if not _is_authority(certificate):
            raise CredentialError(
                f"{path}: the certificate of {subject_name(certificate)} is a signer's; "
                "trust the root that issued it"
            )
    for certificate in certificates:
        _keep(certificate)
    return [_anchor(certificate) for certificate in certificates]


def distrust(digest: str) -> Anchor:
    """Trust a root no longer.

    Args:
        digest: the first digits of its SHA-256, enough to tell it from others.

    Raises:
        CredentialError: it fits none, or more than one.
    """
    found = [each for each in trusted() if digest and each.digest.startswith(digest.lower())]
    if len(found) != 1:
        raise CredentialError(
            f"'{digest}' is the beginning of {len(found)} trusted roots; give enough digits for one"
        )
    (trust_folder() / f"{found[0].digest}.pem").unlink(missing_ok=True)
    return found[0]


def _files() -> list[Path]:
    return sorted(trust_folder().glob("*.pem"))


def _keep(certificate: x509.Certificate) -> None:
    """Write one certificate under its digest, complete or not at all."""
    folder = trust_folder()
    target = folder / f"{_anchor(certificate).digest}.pem"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=".trust-", dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(to_pem([certificate]))
        Path(name).replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}") from error


def _anchor(certificate: x509.Certificate) -> Anchor:
    return Anchor(
        name=subject_name(certificate),
        digest=certificate.fingerprint(hashes.SHA256()).hex(),
        expires=f"{certificate.not_valid_after_utc:%Y-%m-%d}",
    )


def _is_authority(certificate: x509.Certificate) -> bool:
    with contextlib.suppress(x509.ExtensionNotFound):
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        return constraints.value.ca
    return False
