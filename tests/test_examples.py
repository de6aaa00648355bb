from __future__ import annotations

import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SOFTHSM = [
    Path(folder) / "softhsm/libsofthsm2.so"
    for folder in ("/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/local/lib", "/opt/homebrew/lib")
]


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


def test_signing_with_softhsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole example with a real PKCS#11 library; the token keeps its key in software."""
    pytest.importorskip("pkcs11")
    library = next((each for each in SOFTHSM if each.is_file()), None)
    if library is None or shutil.which("softhsm2-util") is None:
        pytest.skip("needs SoftHSM (apt-get install softhsm2)")
    import skimage.data
    from cryptography.hazmat.primitives.asymmetric import ec
    from test_credentials import issue, pem_of
    from test_fingerprint import write_clip

    from vasari.provenance.layers import State
    from vasari.provenance.verdict import verify
    from vasari.watermark.media import mark_file

    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm.conf"))
    monkeypatch.setenv("TOKEN_PIN", "1234")
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key.pem").write_bytes(pem_of(key))
    (tmp_path / "chain.pem").write_bytes(issue(key))
    for arguments in (
        ["--init-token", "--free", "--label", "desk", "--so-pin", "5678"],
        [
            "--import",
            str(tmp_path / "key.pem"),
            "--token",
            "desk",
            "--label",
            "video",
            "--id",
            "01",
        ],
    ):
        command = ["softhsm2-util", *arguments, "--pin", "1234"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (tmp_path / "key.pem").unlink()  # from here on it is in the token alone
    clip = write_clip(tmp_path / "clip.mp4", skimage.data.astronaut(), 384)
    mark_file(clip, tmp_path / "marked.mp4")
    example = runpy.run_path(str(EXAMPLES / "sign_with_token.py"))
    files = str(tmp_path / "marked.mp4"), str(tmp_path / "signed.mp4")
    example["main"](str(tmp_path / "chain.pem"), str(library), "desk", "video", files)
    assert verify(tmp_path / "signed.mp4").state is State.VALID
