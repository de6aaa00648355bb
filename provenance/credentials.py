"""Credentials: who signs a manifest, and with which key.

>>> from vasari.provenance.credentials import Credential
>>> Credential.default().signer_name  # doctest: +SKIP
'Vasari test signer 3f9a0c'
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
)

from vasari.errors import CredentialError
from vasari.provenance.certificates import (
    SigningKey,
    check_signer,
    is_self_signed,
    public_bytes,
    read_certificates,
    subject_name,
    to_pem,
)

# C2PA 2.2, section 13.2.1. RSA is allowed there too; no one has asked for it.
ALGORITHMS = ("es256", "es384", "ed25519")

MAX_PEM_BYTES = 1 << 20  # a chain is a few kilobytes: anything larger is the wrong file
PASSWORD_VARIABLE = "VASARI_KEY_PASSWORD"  # noqa: S105 - the name of a variable, no password

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
        check_signer(read_certificates(self.chain, "the chain"), "the chain", now())

    @classmethod
    def default(cls) -> Credential:
        """The credential of this user's configuration folder, created on first use.

        If it was imported with an encrypted key, the password is read from VASARI_KEY_PASSWORD.

        Raises:
            CredentialError: the folder cannot be written, or what is in it is damaged.
        """
        from vasari.provenance.keyring import kept_credential

        return kept_credential()

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
        certificates = read_certificates(read_pem(chain), str(chain))
        check_signer(certificates, str(chain), now())
        private_key = load_key(read_pem(key), str(key), password)
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


def now() -> datetime:
    """The time that certificates are judged by."""
    return datetime.now(timezone.utc)


def _signer(key: SigningKey) -> Callable[[bytes], bytes]:
    """The function that signs with a key, which stays inside of it."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign
    algorithm = ec.ECDSA(hashes.SHA384() if key.curve.name == "secp384r1" else hashes.SHA256())
    return lambda data: key.sign(data, algorithm)


def read_pem(path: Path) -> bytes:
    """The content of a PEM file.

    Raises:
        CredentialError: it cannot be read, or is not PEM.
    """
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


def load_key(pem: bytes, source: str, password: bytes | None) -> SigningKey:
    """The private key in PEM text.

    Raises:
        CredentialError: there is none, it is of another kind, or the password is missing or wrong.
    """
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
