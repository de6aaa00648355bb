"""Time stamps, by an authority made with OpenSSL that listens on this machine."""

from __future__ import annotations

import shutil
import subprocess
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from test_manifest import BINDING

from vasari.cli import run
from vasari.errors import ProvenanceError
from vasari.models.digests import generative_weights
from vasari.provenance.credentials import Credential
from vasari.provenance.evidence import Consent, Manifest, read_manifest
from vasari.provenance.layers import State
from vasari.provenance.manifest import ManifestRecord, sign
from vasari.provenance.verdict import verify
from vasari.provenance.wording import facts

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="needs the program openssl")

EXTENSIONS = """basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,timeStamping
authorityKeyIdentifier=keyid
"""
SETTINGS = """[tsa]
default_tsa=stamping
[stamping]
serial={0}/serial
signer_cert={0}/leaf.pem
certs={0}/root.pem
signer_key={0}/leaf-key.pem
signer_digest=sha256
default_policy=1.2.3.4
digests=sha256,sha384,sha512
ess_cert_id_alg=sha256
"""
NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """The URL of a time-stamping authority, and its root certificate."""
    folder: Path = tmp_path_factory.mktemp("authority")

    def openssl(*arguments: str, check: bool = True) -> bytes:
        return subprocess.run(
            [str(OPENSSL), *arguments], cwd=folder, check=check, capture_output=True, timeout=60
        ).stdout

    (folder / "leaf.ext").write_text(EXTENSIONS)
    (folder / "ts.cnf").write_text(SETTINGS.format(folder))
    (folder / "serial").write_text("01\n")
    usage = "keyUsage=critical,keyCertSign,cRLSign"
    openssl(
        *("req", "-x509", *NEW_KEY, "-days", "30", "-keyout", "root-key.pem", "-out", "root.pem"),
        *("-subj", "/O=Clock/CN=Clock root", "-addext", usage),
    )
    openssl(
        *("req", *NEW_KEY, "-keyout", "leaf-key.pem", "-out", "leaf.csr"),
        *("-subj", "/O=Clock/CN=Clock"),
    )
    openssl(
        *("x509", "-req", "-in", "leaf.csr", "-CA", "root.pem", "-CAkey", "root-key.pem"),
        *("-days", "30", "-extfile", "leaf.ext", "-out", "leaf.pem"),
    )

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            query = self.rfile.read(int(self.headers["Content-Length"]))
            (folder / "query").write_bytes(query)
            refused = self.path == "/refuse"
            reply = (
                b""
                if refused
                else openssl(
                    "ts", "-reply", "-config", "ts.cnf", "-queryfile", "query", check=False
                )
            )
            self.send_response(503 if refused else 200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, *arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", (folder / "root.pem").read_bytes()
    server.shutdown()
    server.server_close()


RECORD = ManifestRecord("talk.wav", (), BINDING, mime_type="audio/wav")


def test_stamp_of_a_trusted_authority_counts(authority, speech_file, tmp_path):
    url, root = authority
    path, credential = tmp_path / "talk.wav", Credential.default()
    sign(speech_file, path, RECORD, credential, time_authority=url)
    verdict = verify(path, trust_anchors=credential.trust_anchors + root)
    assert verdict.state is State.TRUSTED
    assert verdict.manifest is not None
    stamped = datetime.fromisoformat(verdict.manifest.time_stamp)
    assert abs(stamped - datetime.now(timezone.utc)) < timedelta(minutes=5)
    assert verdict.manifest.signed_at == stamped
    assert "confirmed by a time stamp" in facts(verdict.manifest)["Signed at"]


def test_stamp_of_an_unknown_authority_counts_for_nothing(authority, speech_file, tmp_path):
    path, credential = tmp_path / "talk.wav", Credential.default()
    sign(speech_file, path, RECORD, credential, time_authority=authority[0])
    verdict = verify(path, trust_anchors=credential.trust_anchors)
    assert verdict.state is State.TRUSTED
    assert verdict.manifest is not None
    assert verdict.manifest.time_stamp == ""
    assert "timeStamp.untrusted" in [each.code for each in verdict.manifest.notes]
    assert "by the maker's own clock" in facts(verdict.manifest)["Signed at"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "{}/refuse", "ftp://x", "nonsense"])
def test_no_stamp_no_output(authority, speech_file, tmp_path, url):
    path, address = tmp_path / "talk.wav", url.format(authority[0])
    with pytest.raises(ProvenanceError, match="no time stamp could be had from"):
        sign(speech_file, path, RECORD, Credential.default(), time_authority=address)
    assert list(tmp_path.iterdir()) == []


def test_generate_states_and_stamps(authority, portrait_file, speech_file, tmp_path):
    url, root = authority
    path = tmp_path / "talk.mp4"
    files = [str(portrait_file), "--speech", str(speech_file), "-o", str(path), "--size", "256"]
    statements = ["--author", "Grace", "--consent", "Ada", "signed release", "--timestamp", url]
    assert run(["generate", *files, *statements]) == 0
    found = read_manifest(path, Credential.default().trust_anchors + root)
    assert isinstance(found, Manifest)
    assert found.time_stamp
    assert (found.author, found.consent) == ("Grace", Consent("Ada", "signed release"))
    assert found.models == generative_weights()
    assert "speech_encoder.npz" in found.models


def test_consent_says_who_and_why(portrait_file, speech_file, tmp_path, capsys):
    path = tmp_path / "talk.mp4"
    files = [str(portrait_file), "--speech", str(speech_file), "-o", str(path)]
    assert run(["generate", *files, "--consent", "Ada", ""]) == 1
    assert "who agreed and on what basis" in capsys.readouterr().err
    assert not path.exists()
