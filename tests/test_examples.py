from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def test_frames(portrait_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    output = tmp_path / "talking.webp"
    runpy.run_path(str(EXAMPLES / "frames.py"))["main"](str(portrait_file), "Hi!", str(output))
    with Image.open(output) as animation:
        assert animation.size == (256, 256)
        assert animation.n_frames > 5


def test_signing_with_a_token(tmp_path: Path, portrait_file: Path) -> None:
    """The token is a stand-in that gives r and s, as PKCS#11 does."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
    from test_credentials import issue
    from test_manifest import BINDING

    from vasari.provenance.credentials import Credential
    from vasari.provenance.evidence import Manifest, read_manifest
    from vasari.provenance.manifest import ManifestRecord, sign

    key, asked = ec.generate_private_key(ec.SECP256R1()), []

    class Token:
        def sign(self, digest: bytes, mechanism: str) -> bytes:
            asked.append(mechanism)
            pair = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
            return b"".join(number.to_bytes(32, "big") for number in pair)

    example = runpy.run_path(str(EXAMPLES / "sign_with_token.py"))
    credential = Credential(issue(key), "es256", example["token_signer"](Token(), "ECDSA"))
    record = ManifestRecord("a.png", (), BINDING, mime_type="image/png")
    sign(portrait_file, tmp_path / "a.png", record, credential)
    found = read_manifest(tmp_path / "a.png")
    assert isinstance(found, Manifest)
    assert found.intact
    assert asked == ["ECDSA"]
