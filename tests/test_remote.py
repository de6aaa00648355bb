"""Manifests that lie elsewhere: fetched when asked, and never from where they should not be."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image
from test_verdict import CAPTURE, sign_with

from vasari.errors import InputError
from vasari.provenance import remote
from vasari.provenance.layers import State
from vasari.provenance.remote import fetch, public_address
from vasari.provenance.verdict import verify
from vasari.watermark import reading as watermark_reading

HOST = "manifests.example"


@pytest.fixture(scope="module")
def identity(tmp_path_factory) -> str:
    """Key and certificate of a host, as one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("identity") / "host.pem"
    encoding = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(encoding)
    )
    return str(path)


@pytest.fixture
def served(identity, monkeypatch):
    """What a server on this machine answers, path -> (status, body or seconds to wait)."""
    answers: dict[str, tuple[int, bytes | float]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answers[self.path]
            self.send_response(status)
            self.send_header("location", "https://other.example/")
            self.end_headers()
            if isinstance(body, bytes):
                self.wfile.write(body)
            else:
                time.sleep(body)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    trusting = ssl.create_default_context(cafile=identity)
    monkeypatch.setattr(remote, "public_address", lambda host, port: server.server_address)
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    yield answers
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "https://example.com:8443/x",
        "https://user:password@example.com/x",
        "https://",
        "https://[::1",
        "https://example.com:99999/",
    ],
)
def test_only_plain_https(address):
    with pytest.raises(InputError, match=r"plain https|malformed|cannot be fetched"):
        fetch(address)


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "10.0.0.7", "192.168.1.1", "169.254.169.254", "::1", "fd00::1"],
)
def test_no_private_addresses(host):
    with pytest.raises(InputError, match="not on the public internet"):
        public_address(host, 443)


def test_a_name_with_one_private_address_is_refused(monkeypatch):
    found = [(0, 0, 0, "", (each, 443)) for each in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **options: found)
    with pytest.raises(InputError, match="not on the public internet"):
        public_address("rebinding.example", 443)
    found.pop()
    assert public_address("fine.example", 443) == ("93.184.216.34", 443)


def test_manifest_is_fetched_when_asked(served, tmp_path, monkeypatch):
    monkeypatch.setattr(watermark_reading, "read_video", lambda path, **options: None)
    path = tmp_path / "a.jpg"
    Image.new("RGB", (64, 64)).save(tmp_path / "original.jpg")
    address = f"https://{HOST}/a.c2pa?x=1"
    manifest = sign_with(CAPTURE, tmp_path / "original.jpg", path, "image/jpeg", remote=address)
    served["/a.c2pa?x=1"] = (200, manifest)
    assert verify(path).state is State.NONE
    assert verify(path).elsewhere == address
    verdict = verify(path, fetch=True)
    assert verdict.state is State.VALID
    assert verdict.manifest.generator == "Camera 2"
    served["/a.c2pa?x=1"] = (200, b"nonsense")
    assert verify(path, fetch=True).state is State.NONE


def test_answers_have_limits(served, monkeypatch):
    monkeypatch.setattr(remote, "MAX_BYTES", 1000)
    monkeypatch.setattr(remote, "MAX_SECONDS", 2.0)
    served.update(
        {"/long": (200, bytes(5000)), "/slow": (200, 5.0), "/moved": (302, b""), "/": (200, b"ok")}
    )
    assert fetch(f"https://{HOST}") == b"ok"
    for path, reason in (
        ("long", "more than 0 MB"),
        ("slow", r"timed out|more than 2 s"),
        ("moved", "status 302"),
    ):
        with pytest.raises(InputError, match=reason):
            fetch(f"https://{HOST}/{path}")
    with pytest.raises(InputError, match="certificate"):
        fetch("https://other.example/")


def drip(connection: socket.socket, pieces: Iterable[bytes]) -> None:
    """Send a little, often enough that no single read waits long."""
    with contextlib.suppress(OSError):
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.1)


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b""], ids=["head", "body", "tls"]
)
def test_dripping_answers_end(identity, monkeypatch, start):
    """A head, a body or a handshake that comes byte by byte holds nobody up."""
    server = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    trusting = ssl.create_default_context(cafile=identity)
    monkeypatch.setattr(remote, "public_address", lambda host, port: server.getsockname())
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    monkeypatch.setattr(remote, "MAX_SECONDS", 1.0)

    def serve() -> None:
        raw, _ = server.accept()
        with raw:
            if not start:  # a record of TLS that announces 16 kB
                drip(raw, itertools.chain([b"\x16\x03\x03\x40\x00"], [b"\x02"] * 80))
                return
            with context.wrap_socket(raw, server_side=True) as secure:
                drip(secure, itertools.chain([start], [b"x"] * 80))

    threading.Thread(target=serve, daemon=True).start()
    started = time.monotonic()
    with pytest.raises(InputError, match=r"timed out|more than 1 s"):
        fetch(f"https://{HOST}/x")
    assert time.monotonic() - started < 4.0
    server.close()
