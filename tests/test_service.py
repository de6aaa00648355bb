"""The resolution service: what it finds, what it refuses, and that it keeps nothing."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import re
import tempfile
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import pytest
import skimage.data
from test_fingerprint import write_clip
from test_manifest import BINDING

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")
import httpx

from vasari.cli import run
from vasari.errors import InputError, ProvenanceError
from vasari.provenance import fingerprint, resolution, service
from vasari.provenance.credentials import Credential
from vasari.provenance.manifest import Ingredient, ManifestRecord, SoftBinding, sign
from vasari.provenance.service import ServiceSettings, create_service
from vasari.provenance.service_guard import UPLOAD_COST, Budget, Limits
from vasari.provenance.store import ManifestStore
from vasari.watermark import payload
from vasari.watermark import reading as watermark_reading


class Client:
    """Asks an application without a network."""

    def __init__(self, app) -> None:
        self._app = app

    def __getattr__(self, method: str):
        def ask(path: str, **options):
            return asyncio.run(self._ask(method.upper(), path, **options))

        return ask

    async def _ask(self, method: str, path: str, **options) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **options)


TOKEN = "let me write"
HEX = f"{BINDING.identifier:012x}"


@pytest.fixture
def clip(tmp_path) -> Path:
    return write_clip(tmp_path / "unsigned.mp4", skimage.data.astronaut())


@pytest.fixture
def signed(clip, tmp_path) -> tuple[Path, bytes]:
    binding = SoftBinding(payload.ALGORITHM, BINDING.identifier)
    record = ManifestRecord("talk.mp4", (), binding)
    path = tmp_path / "talk.mp4"
    return path, sign(clip, path, record, Credential.default())


@pytest.fixture
def in_frames(monkeypatch):
    """Say what watermark the frames of every file carry, and read files in this process."""

    def carries(identifier: int | None) -> None:
        found = identifier and SimpleNamespace(identifier=identifier, p_value=1e-30, intervals=())
        monkeypatch.setattr(watermark_reading, "read_video", lambda path, **options: found)

    carries(None)
    monkeypatch.setattr(service, "isolated", lambda path, function, *given: function(*given))
    return carries


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where uploads lie while they are read."""
    path = tmp_path / "uploads"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


@pytest.fixture
def store():
    with ManifestStore.default() as opened:
        yield opened


def client_of(store: ManifestStore, **limits: int) -> Client:
    settings = ServiceSettings(token=TOKEN, limits=Limits(**limits))
    app = create_service(settings, store, host="127.0.0.1")
    return Client(app)


@pytest.fixture
def client(store, in_frames, folder) -> Client:
    return client_of(store)


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_a_watermark_leads_to_its_manifest(client, store, signed):
    entry = store.add(signed[1], signed[0])
    expected = {"matches": [{"manifestId": entry.label, "similarityScore": 100}]}
    for value in (HEX, base64_of(HEX.encode())):
        query = {"alg": payload.ALGORITHM, "value": value}
        assert client.get("/matches/byBinding", params=query).json() == expected
        assert client.post("/matches/byBinding", json=query).json() == expected
    query = {"alg": payload.ALGORITHM, "value": "0" * 12}
    assert client.get("/matches/byBinding", params=query).json() == {"matches": []}
    answer = client.get(f"/manifests/{entry.label}")
    assert (answer.content, answer.headers["content-type"]) == (signed[1], "application/c2pa")
    assert client.get("/manifests/urn:c2pa:none").status_code == 404


def test_a_fingerprint_leads_to_its_manifest(client, store, signed, clip):
    entry = store.add(signed[1], signed[0])
    value = base64_of(fingerprint.fingerprint_of(clip).hashes)
    query = {"alg": fingerprint.ALGORITHM, "value": value}
    (match,) = client.post("/matches/byBinding", json=query).json()["matches"]
    assert match == {"manifestId": entry.label, "similarityScore": 100}


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"alg": "com.example.mark", "value": HEX},
        {"alg": payload.ALGORITHM, "value": "nonsense"},
        {"alg": payload.ALGORITHM, "value": "****"},
        {"alg": fingerprint.ALGORITHM, "value": "AAAA"},
        {"alg": payload.ALGORITHM, "value": HEX, "maxResults": 0},
    ],
)
def test_queries_that_are_none(client, query):
    assert client.get("/matches/byBinding", params=query).status_code in (400, 422)


def test_active_manifest_alone(client, store, clip, signed, tmp_path):
    ingredients = (Ingredient(signed[0], "clip", "talk.mp4", "video/mp4"),)
    record = ManifestRecord("edit.mp4", ingredients, SoftBinding(payload.ALGORITHM, 7))
    whole = sign(clip, tmp_path / "edit.mp4", record, Credential.default())
    label = store.add(whole).label
    answer = client.get(f"/manifests/{label}", params={"returnActiveManifest": "true"})
    assert len(answer.content) < len(whole)
    assert label.encode() in answer.content
    assert b"talk.mp4" in whole
    assert answer.content[4:8] == b"jumb"
    assert int.from_bytes(answer.content[:4], "big") == len(answer.content)
    with pytest.raises(ProvenanceError, match="damaged"):
        resolution.active_manifest(whole[:1000])


def test_a_file_leads_to_its_manifest(client, store, signed, clip, in_frames, folder):
    entry = store.add(signed[1], signed[0])
    in_frames(BINDING.identifier)
    answer = client.post("/matches/byContent", content=clip.read_bytes())
    assert answer.json()["matches"] == [{"manifestId": entry.label, "similarityScore": 100}]
    in_frames(None)
    (match,) = client.post("/matches/byContent", content=clip.read_bytes()).json()["matches"]
    assert match["manifestId"] == entry.label
    assert 80 <= match["similarityScore"] <= 100
    only = {"alg": payload.ALGORITHM}
    answer = client.post("/matches/byContent", params=only, content=clip.read_bytes())
    assert answer.json() == {"matches": []}
    hint = {**only, "hintAlg": payload.ALGORITHM, "hintValue": HEX}
    answer = client.post("/matches/byContent", params=hint, content=clip.read_bytes())
    assert [each["manifestId"] for each in answer.json()["matches"]] == [entry.label]
    answer = client.post("/matches/byContent", content=b"words")
    assert answer.status_code == 415
    assert "no video or picture" in answer.json()["error"]
    assert list(folder.iterdir()) == []


def test_algorithms_and_document(client):
    assert client.get("/services/supportedAlgorithms").json() == {
        "watermarks": [{"alg": payload.ALGORITHM}],
        "fingerprints": [{"alg": fingerprint.ALGORITHM}],
    }
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {
        "/matches/byBinding",
        "/matches/byContent",
        "/manifests/{manifest_id}",
        "/manifests",
        "/services/supportedAlgorithms",
        "/verdict",
    }
    assert client.get("/docs").status_code == 404  # its page would load scripts from elsewhere


def test_verdict_as_page_and_as_json(client, signed, folder):
    form = {"file": ("../../etc/<talk>.mp4", signed[0].read_bytes(), "video/mp4")}
    page = client.post("/verdict", files=form, headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "no one vouches for the signer" in page.text
    assert "_talk_.mp4" in page.text
    assert str(folder) not in page.text
    assert "script" not in page.headers["content-security-policy"]
    told = client.post("/verdict", content=signed[0].read_bytes()).json()
    assert (told["state"], told["path"]) == ("valid", "upload")
    assert list(folder.iterdir()) == []


def test_what_cannot_be_checked(client, folder):
    page = client.post(
        "/verdict", files={"file": ("a.mp4", b"words")}, headers={"accept": "text/html"}
    )
    assert page.status_code == 400
    assert "a.mp4 is no video" in page.text
    assert str(folder) not in page.text
    assert client.post("/verdict", content=b"").status_code == 400
    assert client.post("/verdict", files={"other": ("a.mp4", b"words")}).status_code == 400
    assert list(folder.iterdir()) == []


def test_nothing_is_kept_without_the_token(client, store, signed, folder):
    for headers in ({}, {"authorization": "Bearer guess"}):
        answer = client.post("/manifests", content=signed[1], headers=headers)
        assert answer.status_code == 401
    assert len(store) == 0
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = client.post("/manifests", content=signed[1], headers=headers)
    assert answer.status_code == 201
    assert answer.json() == {"manifestId": store.by_identifier(BINDING.identifier)[0].label}
    answer = client.post("/manifests", content=b"nonsense", headers=headers)
    assert answer.status_code == 400
    assert len(store) == 1
    assert list(folder.iterdir()) == []


def test_without_a_token_nobody_writes(store, signed, in_frames):
    app = create_service(ServiceSettings(), store, host="127.0.0.1")
    client = Client(app)
    headers = {"authorization": "Bearer "}
    assert client.post("/manifests", content=signed[1], headers=headers).status_code == 401


def test_uploads_have_a_limit(store, in_frames, folder):
    client = client_of(store, upload_bytes=1000)

    async def stream():
        for _ in range(20):
            yield bytes(100)

    for content in (bytes(2000), stream()):
        answer = client.post("/verdict", content=content)
        assert (answer.status_code, answer.text) == (413, "at most 0 MB are taken")
    assert list(folder.iterdir()) == []


def test_callers_have_a_budget(store, in_frames):
    client = client_of(store, per_minute=UPLOAD_COST + 2)
    statuses = [client.get("/services/supportedAlgorithms").status_code for _ in range(2)]
    assert statuses == [200, 200]
    client.post("/verdict", content=b"words")
    answer = client.get("/services/supportedAlgorithms")
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


def test_budget_fills_again():
    now = [0.0]
    budget = Budget(60, clock=lambda: now[0])
    assert [budget.wait("a", 30), budget.wait("a", 30)] == [0, 0]
    assert budget.wait("a", 1) == pytest.approx(1)
    assert budget.wait("b", 60) == 0
    now[0] = 10.0
    assert budget.wait("a", 10) == 0
    assert budget.wait("a", 1) > 0


def test_requests_from_elsewhere(client):
    assert client.get("/", headers={"host": "evil.example"}).status_code == 403
    for origin in ("http://evil.example", "null"):
        answer = client.post("/verdict", content=b"x", headers={"origin": origin})
        assert answer.status_code == 403
    own = client.post("/verdict", content=b"x", headers={"origin": "http://localhost"})
    assert own.status_code == 400
    # With a stricter one, browsers hide the origin of the page's own form.
    assert client.get("/").headers["referrer-policy"] == "same-origin"
    assert client.put("/manifests").status_code == 405
    assert client.get("/matches/byBinding?value=" + "A" * 9000).status_code == 414


@pytest.mark.parametrize("host", ["[::1", "[", "localhost]", "", "localhost@evil"])
def test_malformed_hosts_are_refused(client, host):
    assert client.get("/", headers={"host": host}).status_code == 403


def test_malformed_origins_are_refused(client):
    for origin in ("http://[x", "http://]", "["):
        answer = client.post("/verdict", content=b"x", headers={"origin": origin})
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("length", "status"),
    [(b"\xb2", 400), (b"-1", 400), (b"", 400), (b"1_0", 400), (b"9" * 30, 413), (b"9" * 9000, 413)],
)
def test_odd_lengths_are_refused(client, length, status):
    answer = client.post("/verdict", content=b"x", headers={b"content-length": length})
    assert answer.status_code == status


def test_slow_requests_end(store, in_frames, monkeypatch):
    import time

    limits = dataclasses.replace(Limits(), seconds=0.2)
    app = create_service(ServiceSettings(limits=limits), store, host="127.0.0.1")
    monkeypatch.setattr(service, "isolated", lambda *given: time.sleep(0.6))
    answer = Client(app).post("/verdict", content=b"x")
    assert (answer.status_code, answer.text) == (408, "the request took too long")


def test_too_many_uploads_are_turned_away(store, in_frames, monkeypatch):
    monkeypatch.setattr(service, "MAX_WAITING", 0)
    answer = client_of(store).post("/verdict", content=b"x")
    assert answer.status_code == 503
    assert "try again" in answer.json()["error"]


def test_crashes_of_the_reader_are_its_answer(store, monkeypatch):
    """No stand-in here: a worker process reads the file."""
    answer = client_of(store).post("/verdict", content=b"words")
    assert answer.status_code == 400
    assert "no video, picture or sound" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/verdict", "/matches/byContent", "/manifests"])
@pytest.mark.parametrize("kind", [InputError, ProvenanceError])
def test_errors_do_not_say_where_the_upload_lies(store, monkeypatch, folder, path, kind):
    def crashing(path, function, *given):
        raise kind(f"{path} is corrupt: reading it crashed the reader")

    monkeypatch.setattr(service, "isolated", crashing)
    headers = {"authorization": f"Bearer {TOKEN}"}
    told = client_of(store).post(path, content=b"words", headers=headers).json()
    assert told == {"error": "upload is corrupt: reading it crashed the reader"}


def test_page_loads_nothing_from_elsewhere(client):
    for path in service.PAGE_FILES:
        answer = client.get(path)
        assert answer.status_code == 200
        assert "http" not in re.sub(r"http-equiv", "", answer.text)
    policy = client.get("/").headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "{{" not in client.get("/").text


def test_pages_come_with_the_package():
    for name, _ in service.PAGE_FILES.values():
        assert (resources.files("vasari.provenance") / name).is_file()


def test_command_needs_its_extra(monkeypatch, capsys):
    import builtins

    real = builtins.__import__

    def without(name, *given):
        if name == "fastapi":
            raise ImportError
        return real(name, *given)

    monkeypatch.setattr(builtins, "__import__", without)
    assert run(["serve"]) == 1
    assert "vasari[serve]" in capsys.readouterr().err


def test_command_serves(monkeypatch, capsys):
    import uvicorn

    called = {}
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: called.update(options))
    monkeypatch.setenv("VASARI_SERVE_TOKEN", TOKEN)
    assert run(["serve", "--port", "9"]) == 0
    out = capsys.readouterr().out
    assert "http://127.0.0.1:9/" in out
    assert "writing needs the token" in out
    assert TOKEN not in out
    assert called["host"] == "127.0.0.1"
