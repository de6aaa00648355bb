"""X.509 certificates in the profile that C2PA asks of whoever signs.

The profile is section 14.5 ("Certificate Profile") of the C2PA specification 2.2. A root and a leaf
made here are a self-made credential: sound cryptography, and no one who vouches for the name.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from vasari.errors import CredentialError

SigningKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

# Claim signing by C2PA (C2PA 2.2, section 14.5.1.1).
C2PA_SIGNING = ObjectIdentifier("1.3.6.1.4.1.62558.2.1")

# A signature counts only while its certificate is valid, unless an authority has time-stamped it.
# Self-made credentials have no such authority, so the leaf must outlive the videos it signs.
ROOT_YEARS = 30
LEAF_YEARS = 10
CLOCK_SKEW = timedelta(days=1)  # a verifier's clock may be behind the signer's

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def create_root(name: str, key: SigningKey, now: datetime) -> x509.Certificate:
    """A self-signed root, which issues leaves and nothing else."""
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    subject = _subject(name)
    builder = (
        _builder(subject, subject, key, now, now + timedelta(days=365 * ROOT_YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
    )
    return builder.sign(key, _hash_for(key))


def create_leaf(
    name: str,
    key: SigningKey,
    issuer: x509.Certificate,
    issuer_key: SigningKey,
    now: datetime,
) -> x509.Certificate:
    """A certificate that may sign C2PA claims until ``LEAF_YEARS`` from now or its issuer's end."""
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    # The C2PA library takes a certificate for claims only with the usage for e-mail protection.
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION, C2PA_SIGNING])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    end = min(now + timedelta(days=365 * LEAF_YEARS), issuer.not_valid_after_utc)
    builder = (
        _builder(_subject(name), issuer.subject, key, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(authority, critical=False)
    )
    return builder.sign(issuer_key, _hash_for(issuer_key))


def read_certificates(pem: bytes, source: str) -> list[x509.Certificate]:
    """The certificates in PEM text, in its order; other blocks are skipped.

    Raises:
        CredentialError: there is none, or one is malformed.
    """
    blocks = _CERTIFICATE.findall(pem)
    if not blocks:
        raise CredentialError(
            f"{source} holds no PEM certificate ('-----BEGIN CERTIFICATE-----' is expected)"
        )
    try:
        return [x509.load_pem_x509_certificate(block) for block in blocks]
    except ValueError as error:
        raise CredentialError(f"{source} holds a malformed certificate: {error}") from error


def to_pem(certificates: list[x509.Certificate]) -> bytes:
    """Certificates as PEM text."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether a certificate names itself as its issuer, as roots do."""
    return certificate.issuer == certificate.subject


def subject_name(certificate: x509.Certificate) -> str:
    """Whom a certificate names: its common name, or else its organization, or else all of it."""
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in certificate.subject.get_attributes_for_oid(oid):
            return str(attribute.value)
    return certificate.subject.rfc4514_string()


def check_signer(chain: list[x509.Certificate], source: str, now: datetime) -> None:
    """Refuse a chain whose first certificate may not sign C2PA claims now.

    Raises:
        CredentialError: out of order, self-signed, an authority's, expired, not yet valid, or
            without the key usage, extended key usage or authority key identifier of the profile.
    """
    for lower, upper in pairwise(chain):
        if lower.issuer != upper.subject:
            raise CredentialError(
                f"{source}: the certificates are out of order; the signer's comes first, "
                "each followed by the one that issued it"
            )
    leaf = chain[0]
    if is_self_signed(leaf):
        raise CredentialError(
            f"{source}: the signer's certificate is self-signed; C2PA asks for one that was issued "
            "by another certificate"
        )
    _check_validity(leaf, source, now)
    _check_profile(leaf, source)


def public_bytes(key: CertificatePublicKeyTypes) -> bytes:
    """A public key in the form in which two can be compared."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_validity(leaf: x509.Certificate, source: str, now: datetime) -> None:
    if now > leaf.not_valid_after_utc:
        raise CredentialError(
            f"{source}: the certificate expired on {leaf.not_valid_after_utc:%Y-%m-%d}"
        )
    if now < leaf.not_valid_before_utc:
        raise CredentialError(
            f"{source}: the certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d}"
        )


def _check_profile(leaf: x509.Certificate, source: str) -> None:
    extensions = leaf.extensions
    constraints = _extension(extensions, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise CredentialError(f"{source}: the first certificate is an authority's, not a signer's")
    usage = _extension(extensions, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        raise CredentialError(f"{source}: the certificate lacks the key usage digitalSignature")
    purposes = _extension(extensions, x509.ExtendedKeyUsage)
    if purposes is None or ExtendedKeyUsageOID.EMAIL_PROTECTION not in purposes:
        raise CredentialError(
            f"{source}: the certificate lacks the extended key usage emailProtection, "
            "without which the C2PA library accepts no signer"
        )
    if _extension(extensions, x509.AuthorityKeyIdentifier) is None:
        raise CredentialError(f"{source}: the certificate lacks an authority key identifier")


def _extension(
    extensions: x509.Extensions, kind: type[x509.extensions.ExtensionTypeVar]
) -> x509.extensions.ExtensionTypeVar | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _subject(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Vasari self-made credential"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: SigningKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(timezone.utc) - CLOCK_SKEW)
        .not_valid_after(end.astimezone(timezone.utc))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _hash_for(key: SigningKey) -> hashes.SHA256 | hashes.SHA384 | None:
    """The hash that goes with a key; Ed25519 has its own."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    return hashes.SHA384() if key.curve.name == "secp384r1" else hashes.SHA256()
