"""The credential that is kept for a user: made on first use, renewed, replaced by their own.

Its folder appears complete or not at all, and only its owner may read it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from vasari.errors import CredentialError
from vasari.provenance.certificates import (
    SigningKey,
    create_leaf,
    create_root,
    read_certificates,
    subject_name,
    to_pem,
)
from vasari.provenance.credentials import (
    ALGORITHMS,
    PASSWORD_VARIABLE,
    Credential,
    algorithm_of,
    load_key,
    now,
    read_pem,
)
from vasari.provenance.folders import credential_folder

# Key and chain of the signer share one file, so that renewing them is one rename.
SIGNER_FILE = "signer.pem"
ROOT_FILE = "root.pem"  # the certificate to give to those who shall trust this signer
ROOT_KEY_FILE = "root-key.pem"  # there is none for an imported credential

RENEWAL = timedelta(days=30)  # a self-made leaf with less than this to live is replaced

_MAKERS: dict[str, Callable[[], SigningKey]] = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@dataclass(frozen=True)
class Summary:
    """What there is to say about a kept credential."""

    folder: Path
    signer: str  # whom the certificate names
    algorithm: str
    expires: str  # date, ISO 8601
    days_left: int
    self_made: bool
    root: str  # SHA-256 of the root certificate, hexadecimal, or "" if it is not known


def kept_credential() -> Credential:
    """The kept credential; a self-made one is created or renewed if need be.

    Raises:
        CredentialError: the folder cannot be written, or what is in it is damaged.
    """
    folder = credential_folder()
    try:
        if not (folder / SIGNER_FILE).exists():
            _create(folder, "es256", None)
        return _load(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error


def create(*, algorithm: str = "es256", name: str | None = None) -> Summary:
    """Make a root and a signer.

    Args:
        algorithm: one of ALGORITHMS.
        name: whom the signer's certificate shall name; a made-up name by default.

    Raises:
        CredentialError: there is a credential already, or it cannot be written.
    """
    folder = credential_folder()
    if algorithm not in ALGORITHMS:
        raise CredentialError(f"unknown algorithm '{algorithm}'; known are {', '.join(ALGORITHMS)}")
    if (folder / SIGNER_FILE).exists():
        raise CredentialError(
            f"there is a credential in {folder} already; `rotate` gives it a new key, and removing "
            "the folder makes room for another"
        )
    try:
        _create(folder, algorithm, name)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return summary()


def rotate() -> Summary:
    """Give the signer a new key and certificate under the same root, so that trust carries over.

    Raises:
        CredentialError: there is no self-made credential, or its root has expired.
    """
    folder = credential_folder()
    if not (folder / ROOT_KEY_FILE).exists():
        raise CredentialError(f"there is no self-made credential in {folder} to give a new key")
    try:
        _renew(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return summary()


def install(chain: Path, key: Path, *, password: bytes | None = None) -> Summary:
    """Keep the user's own chain and key; the credential that was kept before is put aside.

    An encrypted key stays encrypted.

    Raises:
        CredentialError: chain and key cannot sign, or cannot be kept.
    """
    credential = Credential.load(chain, key, password=password)
    signer = read_pem(key) if key.samefile(chain) else read_pem(key) + credential.chain
    files = {SIGNER_FILE: signer}
    if credential.trust_anchors:
        files[ROOT_FILE] = credential.trust_anchors
    folder = credential_folder()
    try:
        _publish(files, folder, replaces=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return summary()


def summary() -> Summary:
    """What there is to say about the kept credential, which is created on first use."""
    credential = kept_credential()
    expires = credential.certificate.not_valid_after_utc
    return Summary(
        folder=credential_folder(),
        signer=credential.signer_name,
        algorithm=credential.algorithm,
        expires=f"{expires:%Y-%m-%d}",
        days_left=(expires - now()).days,
        self_made=credential.self_made,
        root=_root_digest(credential),
    )


def _root_digest(credential: Credential) -> str:
    if not credential.trust_anchors:
        return ""
    root = read_certificates(credential.trust_anchors, "the root")[0]
    return root.fingerprint(hashes.SHA256()).hex()


def _load(folder: Path) -> Credential:
    signer, root = folder / SIGNER_FILE, folder / ROOT_FILE
    self_made = (folder / ROOT_KEY_FILE).exists()
    leaf = read_certificates(read_pem(signer), str(signer))[0]
    if self_made and leaf.not_valid_after_utc - now() < RENEWAL:
        _renew(folder)
    password = os.environ.get(PASSWORD_VARIABLE)
    loaded = Credential.load(signer, signer, password=password.encode() if password else None)
    anchors = read_pem(root) if root.exists() else b""
    return replace(loaded, trust_anchors=anchors, self_made=self_made)


def _create(folder: Path, algorithm: str, name: str | None) -> None:
    """Make a root, a leaf and their keys."""
    root_key = _MAKERS[algorithm]()
    root = create_root(f"Vasari test root {secrets.token_hex(3)}", root_key, now())
    files = {
        ROOT_FILE: to_pem([root]),
        ROOT_KEY_FILE: _key_to_pem(root_key),
        SIGNER_FILE: _new_signer(root, root_key, algorithm, name),
    }
    _publish(files, folder, replaces=False)


def _renew(folder: Path) -> None:
    """Replace the leaf by a new one of the same root, name and algorithm."""
    root_path, key_path, signer_path = (
        folder / name for name in (ROOT_FILE, ROOT_KEY_FILE, SIGNER_FILE)
    )
    root = read_certificates(read_pem(root_path), str(root_path))[0]
    root_key = load_key(read_pem(key_path), str(key_path), None)
    if root.not_valid_after_utc - now() < RENEWAL:
        raise CredentialError(f"the root in {folder} has expired: remove the folder for a new one")
    old = read_pem(signer_path)
    algorithm = algorithm_of(load_key(old, str(signer_path), None), str(signer_path))
    name = subject_name(read_certificates(old, str(signer_path))[0])
    temporary = folder / f".{SIGNER_FILE}.{secrets.token_hex(4)}"
    try:
        _write(temporary, _new_signer(root, root_key, algorithm, name))
        temporary.replace(signer_path)
    finally:
        temporary.unlink(missing_ok=True)


def _new_signer(
    root: x509.Certificate, root_key: SigningKey, algorithm: str, name: str | None
) -> bytes:
    """A new key and its leaf as PEM."""
    key = _MAKERS[algorithm]()
    named = name or f"Vasari test signer {secrets.token_hex(3)}"
    return _key_to_pem(key) + to_pem([create_leaf(named, key, root, root_key, now())])


def _publish(files: dict[str, bytes], folder: Path, *, replaces: bool) -> None:
    """Write a folder beside its place and rename it, so that it appears complete or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = Path(tempfile.mkdtemp(prefix=".creating-", dir=folder.parent))  # mode 0700
    try:
        for name, content in files.items():
            _write(temporary / name, content)
        if replaces and folder.exists():
            folder.rename(folder.with_name(f"{folder.name}.{now():%Y%m%dT%H%M%S}"))
        temporary.rename(folder)
    except OSError:
        # Another process that made the credential at the same moment was quicker, and wins.
        if replaces or not (folder / SIGNER_FILE).exists():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read, through to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _key_to_pem(key: SigningKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _unwritable(folder: Path, error: OSError) -> CredentialError:
    return CredentialError(
        f"no credential can be kept in {folder}: {error.strerror}; "
        "set XDG_CONFIG_HOME to a folder that can be written, or give your own credential"
    )
