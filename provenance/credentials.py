"""Credentials: who signs a manifest, and with which key.

>>> from vasari.provenance.credentials import Credential
>>> Credential.default().signer_name  # doctest: +SKIP
'Vasari test signer 3f9a0c'
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from vasari.errors import CredentialError
from vasari.provenance.certificates import (
    SigningKey,
    check_signer,
    create_leaf,
    create_root,
    is_self_signed,
    public_bytes,
    read_certificates,
    subject_name,
    to_pem,
)
from vasari.provenance.folders import credential_folder

# C2PA 2.2, section 13.2.1. RSA is allowed there too; no one has asked for it.
ALGORITHMS = ("es256", "es384", "ed25519")

RENEWAL = timedelta(days=30)  # a self-made leaf with less than this to live is replaced
MAX_PEM_BYTES = 1 << 20  # a chain is a few kilobytes: anything larger is the wrong file
PASSWORD_VARIABLE = "VASARI_KEY_PASSWORD"  # noqa: S105 - the name of a variable, no password

# The files of the self-made credential. The signer's key and chain share one file, so that
# renewing it is one rename.
ROOT_FILE = "root.pem"  # the certificate to give to those who shall trust this signer
ROOT_KEY_FILE = "root-key.pem"
SIGNER_FILE = "signer.pem"

_PRIVATE_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)


@dataclass(frozen=True)
class Credential:
    """Who signs: a certificate chain and a way to sign with the key that belongs to it.

    The key itself may be anywhere: ``sign`` can call a hardware token or a cloud service.

    Raises:
        CredentialError: the algorithm is unknown, or the chain may not sign C2PA claims now.
    """

    chain: bytes = field(
        repr=False
    )  # PEM: the signer's certificate, then each issuer's; without the root
    algorithm: str  # one of ALGORITHMS
    sign: Callable[[bytes], bytes] = field(repr=False)  # data -> signature (DER for ECDSA)
    trust_anchors: bytes = field(
        default=b"", repr=False
    )  # PEM: the root that the chain leads to, if it is known
    self_made: bool = False  # made by Vasari on first use

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise CredentialError(
                f"unknown signing algorithm '{self.algorithm}'; known are {', '.join(ALGORITHMS)}"
            )
        check_signer(read_certificates(self.chain, "the chain"), "the chain", _now())

    @classmethod
    def default(cls) -> Credential:
        """The credential of this user's configuration folder, created on first use.

        Raises:
            CredentialError: the folder cannot be written, or what is in it is damaged.
        """
        folder = credential_folder()
        try:
            if not (folder / SIGNER_FILE).exists():
                _create(folder)
            return cls._load_self_made(folder)
        except OSError as error:
            raise CredentialError(
                f"no credential can be kept in {folder}: {error.strerror}; "
                "set XDG_CONFIG_HOME to a folder that can be written, or give your own credential"
            ) from error

    @classmethod
    def load(cls, chain: Path, key: Path, *, password: bytes | None = None) -> Credential:
        """A credential from PEM files.

        Args:
            chain: the signer's certificate, then each issuer's. A root at the end is taken as
                trust anchor.
            key: the private key: EC P-256, EC P-384 or Ed25519. It may be the same file.
            password: what the key is encrypted with, if it is.

        Raises:
            CredentialError: a file is missing or not PEM, the password is wrong, the key is of
                another kind or does not belong to the certificate, or the certificate may not sign.
        """
        certificates = read_certificates(_read(chain), str(chain))
        check_signer(certificates, str(chain), _now())
        private_key = _load_key(_read(key), str(key), password)
        if public_bytes(private_key.public_key()) != public_bytes(certificates[0].public_key()):
            raise CredentialError(f"the key in {key} does not belong to the certificate in {chain}")
        issuers = [each for each in certificates if not is_self_signed(each)]
        roots = [each for each in certificates if is_self_signed(each)]
        return cls(
            chain=to_pem(issuers),
            algorithm=algorithm_of(private_key, str(key)),
            sign=_signer(private_key),
            trust_anchors=to_pem(roots),
        )

    @classmethod
    def _load_self_made(cls, folder: Path) -> Credential:
        signer = folder / SIGNER_FILE
        leaf = read_certificates(_read(signer), str(signer))[0]
        if leaf.not_valid_after_utc - _now() < RENEWAL:
            _renew(folder)
        loaded = cls.load(signer, signer)
        roots = _read(folder / ROOT_FILE)
        return cls(loaded.chain, loaded.algorithm, loaded.sign, roots, self_made=True)

    @property
    def certificate(self) -> x509.Certificate:
        """The signer's own certificate."""
        return read_certificates(self.chain, "the chain")[0]

    @property
    def signer_name(self) -> str:
        """Whom the certificate names."""
        return subject_name(self.certificate)

    @property
    def standing(self) -> str:
        """What others may make of this signer, to be said beside its name."""
        if self.self_made:
            return "on no trust list: made on this machine, vouched for by no one"
        return "trusted by those who trust the root that issued it"


def algorithm_of(key: object, source: str) -> str:
    """The C2PA algorithm that a private key signs with.

    Raises:
        CredentialError: a key of another kind.
    """
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    curve = key.curve.name if isinstance(key, ec.EllipticCurvePrivateKey) else ""
    if curve in _CURVES:
        return _CURVES[curve]
    kind = f"EC {curve}" if curve else type(key).__name__.lstrip("_").removesuffix("PrivateKey")
    raise CredentialError(
        f"{source} holds a key of kind {kind}; EC P-256 (es256), EC P-384 (es384) and Ed25519 "
        "are accepted"
    )


_CURVES = {"secp256r1": "es256", "secp384r1": "es384"}


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _signer(key: SigningKey) -> Callable[[bytes], bytes]:
    """The function that signs with a key, which stays inside of it."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign
    algorithm = ec.ECDSA(hashes.SHA384() if key.curve.name == "secp384r1" else hashes.SHA256())
    return lambda data: key.sign(data, algorithm)


def _read(path: Path) -> bytes:
    """The content of a PEM file."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PEM_BYTES + 1)
    except OSError as error:
        raise CredentialError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_PEM_BYTES or b"-----BEGIN " not in content:
        raise CredentialError(
            f"{path} is no PEM file (text with '-----BEGIN …-----'); "
            "`openssl x509 -inform der` and `openssl pkey -inform der` convert DER files"
        )
    return content


def _load_key(pem: bytes, source: str, password: bytes | None) -> SigningKey:
    block = _PRIVATE_KEY.search(pem)
    if block is None:
        raise CredentialError(
            f"{source} holds no PEM private key ('-----BEGIN PRIVATE KEY-----' is expected)"
        )
    encrypted = b"ENCRYPTED" in block[0]
    if encrypted and password is None:
        raise CredentialError(
            f"the key in {source} is encrypted: give its password in {PASSWORD_VARIABLE}"
        )
    try:
        key = load_pem_private_key(block[0], password if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = "the password is wrong, or the key is damaged" if encrypted else "it is damaged"
        raise CredentialError(f"the key in {source} cannot be loaded: {reason}") from error
    algorithm_of(key, source)
    assert isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)
    return key


def _create(folder: Path) -> None:
    """Make a root, a leaf and their keys, in a folder that appears complete or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    root_key, now = ec.generate_private_key(ec.SECP256R1()), _now()
    root = create_root(f"Vasari test root {secrets.token_hex(3)}", root_key, now)
    temporary = Path(tempfile.mkdtemp(prefix=".creating-", dir=folder.parent))  # mode 0700
    try:
        _write(temporary / ROOT_FILE, to_pem([root]))
        _write(temporary / ROOT_KEY_FILE, _key_to_pem(root_key))
        _write(temporary / SIGNER_FILE, _new_signer(root, root_key, now))
        _publish(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: Path, folder: Path) -> None:
    """Rename a finished folder; another process that was quicker wins."""
    try:
        temporary.rename(folder)
    except OSError:
        if not (folder / SIGNER_FILE).exists():
            raise


def _renew(folder: Path) -> None:
    """Replace the leaf by a new one of the same root, so that those who trust it still do."""
    root_path, key_path = folder / ROOT_FILE, folder / ROOT_KEY_FILE
    root = read_certificates(_read(root_path), str(root_path))[0]
    root_key = _load_key(_read(key_path), str(key_path), None)
    if root.not_valid_after_utc - _now() < RENEWAL:
        raise CredentialError(f"the root in {folder} has expired: remove the folder for a new one")
    temporary = folder / f".{SIGNER_FILE}.{secrets.token_hex(4)}"
    try:
        _write(temporary, _new_signer(root, root_key, _now()))
        temporary.replace(folder / SIGNER_FILE)
    finally:
        temporary.unlink(missing_ok=True)


def _new_signer(root: x509.Certificate, root_key: SigningKey, now: datetime) -> bytes:
    """A new leaf and its key as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = create_leaf(f"Vasari test signer {secrets.token_hex(3)}", key, root, root_key, now)
    return _key_to_pem(key) + to_pem([leaf])


def _key_to_pem(key: SigningKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may read, through to the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
