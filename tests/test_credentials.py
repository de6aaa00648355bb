"""Credentials: what is created, what is accepted, and what is refused with which words."""

from __future__ import annotations

import multiprocessing
import os
import stat
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vasari.errors import CredentialError
from vasari.provenance.certificates import (
    C2PA_SIGNING,
    create_leaf,
    create_root,
    read_certificates,
    to_pem,
)
from vasari.provenance.credentials import Credential
from vasari.provenance.folders import credential_folder
from vasari.provenance.keyring import ROOT_FILE, ROOT_KEY_FILE, SIGNER_FILE

NOW = datetime.now(timezone.utc)


def pem_of(key, password: bytes | None = None, form: str = "PKCS8") -> bytes:
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form), encryption
    )


def issue(
    key,
    *,
    usage: bool = True,
    purposes: tuple = (ExtendedKeyUsageOID.EMAIL_PROTECTION,),
    authority: bool = True,
    ca: bool = False,
    start: timedelta = timedelta(days=-1),
    end: timedelta = timedelta(days=90),
    self_signed: bool = False,
) -> bytes:
    """A certificate made apart from our own code, by an authority made here."""
    authority_key = key if self_signed else ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Newsroom")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if self_signed else issuer)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW + start)
        .not_valid_after(NOW + end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if usage:
        flags = dict.fromkeys(
            (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "key_cert_sign",
                "crl_sign",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        builder = builder.add_extension(x509.KeyUsage(digital_signature=True, **flags), True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if authority:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    if isinstance(authority_key, ed25519.Ed25519PrivateKey):
        return to_pem([builder.sign(authority_key, None)])
    return to_pem([builder.sign(authority_key, hashes.SHA256())])


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Credential]:
    """Load a credential from the given PEM texts."""

    def loaded(chain: bytes, key: bytes, password: bytes | None = None) -> Credential:
        (tmp_path / "chain.pem").write_bytes(chain)
        (tmp_path / "key.pem").write_bytes(key)
        return Credential.load(tmp_path / "chain.pem", tmp_path / "key.pem", password=password)

    return loaded


def test_default_is_created_once_and_only_its_owner_may_read_it():
    before = os.umask(0)
    try:
        first = Credential.default()
    finally:
        os.umask(before)
    folder = credential_folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in (ROOT_KEY_FILE, SIGNER_FILE):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == [
        ROOT_KEY_FILE,
        ROOT_FILE,
        SIGNER_FILE,
    ]
    second = Credential.default()
    assert second.chain == first.chain
    assert second.self_made
    assert "no trust list" in second.standing
    assert second.signer_name.startswith("Vasari test signer ")


def test_default_leaf_is_issued_by_its_root_for_claim_signing():
    credential = Credential.default()
    roots = read_certificates(credential.trust_anchors, "anchors")
    leaf = credential.certificate
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(purposes) == {ExtendedKeyUsageOID.EMAIL_PROTECTION, C2PA_SIGNING}
    leaf.verify_directly_issued_by(roots[0])


def test_signatures_of_the_default_verify_with_its_certificate():
    credential = Credential.default()
    signature = credential.sign(b"claim")
    public_key = credential.certificate.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    public_key.verify(signature, b"claim", ec.ECDSA(hashes.SHA256()))


def test_no_key_in_repr_or_in_the_chain():
    credential = Credential.default()
    private = (credential_folder() / SIGNER_FILE).read_bytes()
    secret = private.split(b"-----")[2].strip()
    assert secret.decode()[:20] not in repr(credential)
    assert b"PRIVATE" not in credential.chain + credential.trust_anchors
    assert "sign=" not in repr(credential)


def test_default_that_is_about_to_expire_is_renewed_under_the_same_root():
    first = Credential.default()
    folder = credential_folder()
    root = read_certificates((folder / ROOT_FILE).read_bytes(), "root")[0]
    root_key = serialization.load_pem_private_key((folder / ROOT_KEY_FILE).read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    past = NOW - timedelta(days=365 * 10 - 3)
    old = create_leaf("Old signer", key, root, root_key, past)
    (folder / SIGNER_FILE).write_bytes(pem_of(key) + to_pem([old]))
    renewed = Credential.default()
    assert renewed.signer_name == "Old signer"
    assert renewed.chain not in (to_pem([old]), first.chain)
    assert renewed.trust_anchors == first.trust_anchors
    renewed.certificate.verify_directly_issued_by(root)
    assert renewed.certificate.not_valid_after_utc > NOW + timedelta(days=3000)
    assert stat.S_IMODE((folder / SIGNER_FILE).stat().st_mode) == 0o600


def test_two_processes_at_once_get_the_same_credential():
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        chains = pool.map(_default_chain, range(6), chunksize=1)
    assert len(set(chains)) == 1
    assert [path.name for path in credential_folder().parent.iterdir()] == ["default"]


def _default_chain(_: int) -> bytes:
    return Credential.default().chain


def test_default_in_a_folder_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(CredentialError, match="XDG_CONFIG_HOME"):
        Credential.default()


def test_damaged_default_names_its_file():
    Credential.default()
    (credential_folder() / SIGNER_FILE).write_bytes(b"-----BEGIN nonsense")
    with pytest.raises(CredentialError, match=r"signer\.pem holds no PEM certificate"):
        Credential.default()


def test_relative_config_home_is_ignored(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert credential_folder() == tmp_path / ".config" / "vasari" / "credentials" / "default"


@pytest.mark.parametrize(
    ("make", "algorithm"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), "es256"),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "es384"),
        (ed25519.Ed25519PrivateKey.generate, "ed25519"),
    ],
)
def test_load_takes_the_three_algorithms(load, make, algorithm):
    key = make()
    credential = load(issue(key), pem_of(key))
    assert credential.algorithm == algorithm
    assert credential.signer_name == "Newsroom"
    assert not credential.self_made
    public_key = key.public_key()
    if algorithm == "ed25519":
        public_key.verify(credential.sign(b"x"), b"x")
    else:
        digest = hashes.SHA256() if algorithm == "es256" else hashes.SHA384()
        public_key.verify(credential.sign(b"x"), b"x", ec.ECDSA(digest))


def test_load_splits_the_root_from_the_chain(load):
    root_key = ec.generate_private_key(ec.SECP256R1())
    root = create_root("Our root", root_key, NOW)
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = create_leaf("Our signer", key, root, root_key, NOW)
    credential = load(to_pem([leaf, root]), pem_of(key))
    assert credential.chain == to_pem([leaf])
    assert credential.trust_anchors == to_pem([root])


def test_load_takes_openssl_style_keys(load, key):
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    assert load(issue(key), parameters + pem_of(key, form="TraditionalOpenSSL")).algorithm


def test_encrypted_key(load, key):
    chain, encrypted = issue(key), pem_of(key, b"open sesame")
    assert load(chain, encrypted, b"open sesame").algorithm == "es256"
    with pytest.raises(CredentialError, match="encrypted: give its password in VASARI_KEY_PASS"):
        load(chain, encrypted)
    with pytest.raises(CredentialError, match="password is wrong"):
        load(chain, encrypted, b"guess")


def test_password_for_a_key_that_needs_none(load, key):
    assert load(issue(key), pem_of(key), b"unused").algorithm == "es256"


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        ({"usage": False}, "lacks the key usage digitalSignature"),
        ({"purposes": ()}, "lacks the extended key usage emailProtection"),
        ({"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)}, "extended key usage emailProtection"),
        ({"purposes": (C2PA_SIGNING,)}, "lacks the extended key usage emailProtection"),
        ({"authority": False}, "lacks an authority key identifier"),
        ({"ca": True}, "is an authority's"),
        ({"end": timedelta(hours=-1)}, "expired on"),
        ({"start": timedelta(days=2)}, "not valid before"),
        ({"self_signed": True}, "is self-signed"),
    ],
)
def test_certificates_that_may_not_sign(load, key, flaw, message):
    with pytest.raises(CredentialError, match=message):
        load(issue(key, **flaw), pem_of(key))


def test_key_of_another_certificate(load, key):
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(CredentialError, match="does not belong to the certificate"):
        load(issue(other), pem_of(key))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: rsa.generate_private_key(65537, 2048), "RSA"),
        (lambda: ec.generate_private_key(ec.SECP521R1()), "EC secp521r1"),
    ],
)
def test_keys_of_other_kinds(load, key, make, kind):
    with pytest.raises(CredentialError, match=f"kind {kind}; EC P-256"):
        load(issue(key), pem_of(make()))


def test_chain_out_of_order(load, key):
    root_key = ec.generate_private_key(ec.SECP256R1())
    root = create_root("Root", root_key, NOW)
    leaf = create_leaf("Leaf", key, root, root_key, NOW)
    with pytest.raises(CredentialError, match="out of order"):
        load(to_pem([root, leaf]), pem_of(key))


def test_files_that_are_no_pem(load, key, tmp_path):
    chain = issue(key)
    der = read_certificates(chain, "x")[0].public_bytes(serialization.Encoding.DER)
    with pytest.raises(CredentialError, match=r"chain\.pem is no PEM file"):
        load(der, pem_of(key))
    with pytest.raises(CredentialError, match=r"key\.pem is no PEM file"):
        load(chain, b"")
    with pytest.raises(CredentialError, match=r"key\.pem holds no PEM private key"):
        load(chain, chain)
    with pytest.raises(CredentialError, match=r"chain\.pem holds no PEM certificate"):
        load(pem_of(key), pem_of(key))
    with pytest.raises(CredentialError, match="malformed certificate"):
        load(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", pem_of(key))
    broken = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
    with pytest.raises(CredentialError, match="cannot be loaded: it is damaged"):
        load(chain, broken)
    with pytest.raises(CredentialError, match=r"nowhere\.pem cannot be read: No such file"):
        Credential.load(tmp_path / "nowhere.pem", tmp_path / "key.pem")
    with pytest.raises(CredentialError, match="cannot be read: Is a directory"):
        Credential.load(tmp_path, tmp_path)


def test_credential_by_callback(key):
    credential = Credential(issue(key), "es256", lambda data: b"signature of a token")
    assert credential.sign(b"") == b"signature of a token"
    with pytest.raises(CredentialError, match="known are es256, es384, ed25519"):
        Credential(issue(key), "ps256", lambda data: data)
