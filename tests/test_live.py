"""The live service as its clients see it: a real server on loopback, decoded by another decoder."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import uvicorn
from conftest import RATE as SYLLABLE_RATE
from conftest import syllables
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from vasari.errors import SpeechError
from vasari.generate import live_registry
from vasari.generate.live_registry import LiveSettings
from vasari.generate.live_service import MAX_UPLOAD, PAGE_FILES, create_service
from vasari.generate.live_socket import FRAME, HEADER, KEY_FRAME, SOUND
from vasari.generate.live_sound import RATE, samples_of
from vasari.generate.portrait import Portrait
from vasari.generate.speech import Speech
from vasari.generate.speech_endpoint import paced
from vasari.generate.synthesis import speak
from vasari.provenance.credentials import Credential
from vasari.provenance.store import ManifestStore
from vasari.provenance.verdict import verify
from vasari.watermark.reading import read_frames

SIZE, FPS = 256, 24.0
TOKEN = "a-token-for-tests"


class Server:
    """A service in a thread of its own."""

    def __init__(self, settings: LiveSettings, **options: str) -> None:
        self.app = create_service(settings, host=options.get("host", "127.0.0.1"), **{
            name: value for name, value in options.items() if name == "token"
        })  # fmt: skip
        config = uvicorn.Config(self.app, port=0, log_level="critical", ws_max_size=1 << 20)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self.registry = self.app._application.state.registry

    def __enter__(self) -> Server:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    def ask(self, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, dict]:
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), dict(error.headers)

    def open(self, path: str = "/api/sessions/default/live", **options: object) -> ClientConnection:
        # A client that does not read its frames cannot see the end of the connection either.
        return connect(f"ws://127.0.0.1:{self.port}{path}", close_timeout=1, **options)


class Received:
    """What came over a connection."""

    def __init__(self) -> None:
        self.video: list[tuple[int, float, bytes]] = []
        self.sound: list[tuple[float, np.ndarray]] = []
        self.events: list[dict] = []

    def take(self, connection: ClientConnection, timeout: float = 20) -> None:
        message = connection.recv(timeout=timeout)
        if isinstance(message, str):
            self.events.append(json.loads(message))
            return
        kind, seconds = HEADER.unpack_from(message)
        content = message[HEADER.size :]
        if kind == SOUND:
            self.sound.append((seconds, np.frombuffer(content, "<i2")))
        else:
            self.video.append((kind, seconds, content))

    def until(self, connection: ClientConnection, done) -> Received:
        limit = time.monotonic() + 30
        while not done(self):
            assert time.monotonic() < limit, "it did not come"
            self.take(connection)
        return self

    def event(self, kind: str) -> dict | None:
        return next((event for event in self.events if event["type"] == kind), None)

    def luma(self) -> list[np.ndarray]:
        """The decoded frames."""
        decoder = av.CodecContext.create("h264", "r")
        packets = [av.Packet(data) for _, _, data in self.video]
        frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
        return [frame.to_ndarray()[: frame.height] for frame in frames]

    def loudest(self, index: int) -> int:
        return int(np.abs(self.sound[index][1].astype(int)).max())

    def heard(self) -> np.ndarray:
        return np.concatenate([samples for _, samples in self.sound])


def frames(count: int):
    return lambda received: len(received.video) >= count


def told(kind: str):
    return lambda received: received.event(kind) is not None


def command(connection: ClientConnection, kind: str, **content: object) -> None:
    connection.send(json.dumps({"type": kind, **content}))


def say(connection: ClientConnection, seconds: float) -> None:
    """Send syllables as PCM, all at once."""
    command(connection, "speech", rate=SYLLABLE_RATE)
    connection.send((syllables(seconds) * 20_000).astype("<i2").tobytes())
    command(connection, "end")


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("live")))
        yield


@pytest.fixture(scope="module")
def settings(
    home: None, portrait_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveSettings]:
    folder = tmp_path_factory.mktemp("recordings")
    with ManifestStore.open(f"sqlite:///{folder}/manifests.sqlite") as store:
        yield LiveSettings(
            credential=Credential.default(),
            store=store,
            recordings=folder,
            portrait=Portrait.open(portrait_file, size=SIZE),
            size=SIZE,
            fps=FPS,
            cores=1,
        )


@pytest.fixture(scope="module")
def server(settings: LiveSettings) -> Iterator[Server]:
    with Server(settings) as running:
        yield running


def test_frames_arrive_marked_and_declared(server: Server, settings: LiveSettings) -> None:
    with server.open() as connection:
        received = Received().until(connection, frames(40))
    session = received.event("session")
    assert received.video[0][0] == KEY_FRAME
    assert {kind for kind, _, _ in received.video} <= {KEY_FRAME, FRAME}
    luma = received.luma()
    assert luma[0].shape == (SIZE, SIZE)
    assert len(luma) == 40
    reading = read_frames(luma)
    assert f"{reading.identifier:012x}" == session["watermark"]
    (entry,) = settings.store.by_identifier(reading.identifier)
    assert entry.signer == session["signer"]


def test_picture_and_sound_have_one_timeline(server: Server) -> None:
    with server.open() as connection:
        received = Received().until(connection, frames(30))
    times = np.array([seconds for _, seconds, _ in received.video])
    assert (np.diff(times) > 0).all()
    np.testing.assert_allclose(times * FPS, np.rint(times * FPS), atol=1e-2)
    ends = [seconds + len(samples) / RATE for seconds, samples in received.sound]
    starts = [seconds for seconds, _ in received.sound]
    np.testing.assert_allclose(starts[1:], ends[:-1], atol=1e-6)


def test_the_avatar_idles_alive(server: Server) -> None:
    with server.open() as connection:
        luma = Received().until(connection, frames(30)).luma()
    change = np.std([frame.astype(float) for frame in luma], axis=0)
    assert change.max() > 4


def test_speech_comes_back_with_a_moving_mouth(server: Server) -> None:
    with server.open() as connection:
        received = Received().until(connection, frames(5))
        say(connection, 1.0)
        received.until(connection, frames(35))
    assert np.abs(received.heard()).max() > 3000
    lips = slice(SIZE // 2, 3 * SIZE // 4), slice(3 * SIZE // 8, 5 * SIZE // 8)
    change = np.std([frame[lips].astype(float) for frame in received.luma()], axis=0)
    assert change.max() > 10


def test_barge_in_cuts_what_was_said(server: Server) -> None:
    with server.open() as connection:
        say(connection, 20.0)
        Received().until(connection, lambda got: got.sound and got.loudest(-1) > 3000)
        command(connection, "stop")
        received = Received().until(connection, told("cut"))
        received.until(connection, lambda got: len(got.sound) > 30)
    cut = received.event("cut")["time"]
    after = [i for i, (seconds, _) in enumerate(received.sound) if seconds > cut + 0.15]
    assert after
    assert max(received.loudest(i) for i in after) == 0


def test_new_speech_cuts_the_old_within_200_ms_of_sound(server: Server) -> None:
    with server.open() as connection:
        command(connection, "speech", rate=RATE)
        for _ in range(8):  # a second each: a tone that never pauses
            connection.send((12_000 * np.sin(np.arange(RATE) / 20)).astype("<i2").tobytes())
        Received().until(connection, lambda got: got.sound and got.loudest(-1) > 3000)
        command(connection, "speech", rate=RATE)
        connection.send(np.full(RATE // 2, 1000, "<i2").tobytes())
        received = Received().until(connection, told("cut"))
        received.until(connection, lambda got: got.sound and (got.sound[-1][1] == 1000).all())
        command(connection, "stop")
    cut = received.event("cut")["time"]
    sound, start = received.heard(), received.sound[0][0]
    begun = start + int(np.flatnonzero(sound == 1000)[-RATE // 4 :][0]) / RATE
    assert begun < cut + 0.2


def test_text_is_spoken_with_captions(server: Server) -> None:
    pytest.importorskip("espeakng_loader")
    with server.open() as connection:
        command(connection, "text", text="Good morning.")
        received = Received().until(connection, told("caption"))
        received.until(connection, lambda got: got.sound and np.abs(got.heard()).max() > 1000)
        command(connection, "stop")
    caption = received.event("caption")
    assert caption["text"] == "Good morning."
    assert [word for word, _, _ in caption["words"]] == ["Good", "morning"]
    assert caption["words"][0][1] >= caption["time"]


def test_sound_is_captioned_as_it_is_heard(settings: LiveSettings) -> None:
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("pocketsphinx")
    speech = speak("one two three four five six seven", voice="m3", rate=120)
    with (
        Server(replace(settings, captions=True)) as listening,
        listening.open() as connection,
    ):
        command(connection, "speech", rate=RATE)
        connection.send(samples_of(speech).astype("<i2").tobytes())
        command(connection, "end")
        received = Received().until(connection, told("heard"))
    heard = received.event("heard")
    assert {"one", "two", "three", "four", "five", "six", "seven"} & set(heard["text"].split())
    times = [time for _, start, end in heard["words"] for time in (start, end)]
    assert times == sorted(times)
    assert heard["time"] == times[0] < received.sound[-1][0]


def test_another_speech_service_can_speak(settings: LiveSettings) -> None:
    def say_tone(text: str, *, language: str, voice: str) -> Speech:
        if voice == "nobody":
            raise SpeechError("the speech service answered 404 Not Found")
        tone = 0.5 * np.sin(np.arange(24_000) / 10)
        return Speech.from_samples(tone, 24_000, words=paced(text, 1.0))

    with Server(replace(settings, speaker=say_tone)) as served, served.open() as connection:
        command(connection, "text", text="Hello there.", voice="nobody")
        received = Received().until(connection, told("error"))
        command(connection, "text", text="Hello there.")
        received.until(connection, told("caption"))
        received.until(connection, lambda got: got.sound and got.loudest(-1) > 10_000)
    assert received.event("error")["message"] == "the speech service answered 404 Not Found"
    assert [word for word, _, _ in received.event("caption")["words"]] == ["Hello", "there."]


def test_controls_take_effect(server: Server) -> None:
    with server.open() as connection:
        command(connection, "controls", distance=1.0, headMotion=0)
        received = Received().until(connection, frames(30))
        command(connection, "controls", distance=0.75)
        received.until(connection, frames(50))
        command(connection, "controls", distance=3.0)
        refused = received.until(connection, told("error")).event("error")
        command(connection, "controls", distance=1.0, headMotion=1)
    luma = [frame.astype(float) for frame in received.luma()]
    assert np.abs(luma[49] - luma[29]).mean() > 4 * np.abs(luma[29] - luma[20]).mean()
    assert refused["message"] == "distance is 3; give a value from 0.7 to 1.4"


def test_a_speaking_program_needs_no_picture(server: Server) -> None:
    with (
        server.open() as viewer,
        server.open("/api/sessions/default/speech") as program,
    ):
        say(program, 0.5)
        Received().until(viewer, lambda got: got.sound and np.abs(got.heard()).max() > 3000)
        command(program, "ping", time=1.5)
        answer = json.loads(program.recv(timeout=10))
    assert answer["type"] == "pong"
    assert answer["time"] == 1.5


def test_viewers_share_one_avatar(server: Server) -> None:
    with server.open() as first, server.open() as second:
        one, two = Received().until(first, frames(10)), Received().until(second, frames(10))
    assert one.event("session")["watermark"] == two.event("session")["watermark"]
    shared = {seconds: data for _, seconds, data in one.video}
    assert any(shared.get(seconds) == data for _, seconds, data in two.video)
    assert two.video[0][0] == KEY_FRAME


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("{", "a command must be JSON"),
        ("[]", "unknown command"),
        ('{"type": "_on_ping"}', "unknown command"),
        ('{"type": "speech", "rate": "fast"}', "'rate' must be a number"),
        ('{"type": "speech", "rate": 7}', "8000 to 192000"),
        ('{"type": "text", "text": 7}', "'text' must be a text"),
        ('{"type": "text", "text": "' + "a" * 2001 + '"}', "2000 is the most"),
        ('{"type": "controls", "gaze": 3}', "gaze is [yaw, pitch]"),
        ('{"type": "controls", "emotion": {"bored": 1}}', "unknown emotion 'bored'"),
        (b"\0\0", "sound without a beginning"),
    ],
)
def test_bad_commands_are_explained(server: Server, message: str | bytes, expected: str) -> None:
    with server.open("/api/sessions/default/speech") as connection:
        connection.send(message)
        answer = json.loads(connection.recv(timeout=10))
    assert answer["type"] == "error"
    assert expected in answer["message"]


def test_a_recording_is_signed_and_verified(server: Server, settings: LiveSettings) -> None:
    with server.open() as connection:
        command(connection, "record", on=True)
        say(connection, 0.5)
        received = Received().until(connection, frames(60))
        command(connection, "record", on=False)
        recorded = received.until(connection, told("recorded")).event("recorded")
    assert recorded["note"] == ""
    path = settings.recordings / recorded["name"]
    verdict = verify(path, store=settings.store)
    assert verdict.exit_code == 0
    assert verdict.watermark.identifier == received.event("session")["watermark"]
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) > 30
    with av.open(str(path)) as container:
        sound = np.concatenate([part.to_ndarray()[0] for part in container.decode(audio=0)])
    assert np.abs(sound).max() > 0.1
    status, content, headers = server.ask(f"/api/recordings/{recorded['name']}")
    assert (status, headers["content-type"]) == (200, "video/mp4")
    assert content == path.read_bytes()
    status, report, _ = server.ask(f"/api/recordings/{recorded['name']}/report")
    assert status == 200
    assert b"Unchanged since it was signed" in report
    assert str(settings.recordings).encode() not in report


def test_what_was_said_is_kept_beside_a_recording(server: Server, settings: LiveSettings) -> None:
    pytest.importorskip("espeakng_loader")
    with server.open() as connection:
        command(connection, "record", on=True)
        received = Received().until(connection, frames(3))
        command(connection, "text", text="Good morning.")
        received.until(connection, told("caption"))
        received.until(connection, frames(len(received.video) + 20))
        command(connection, "record", on=False)
        recorded = received.until(connection, told("recorded")).event("recorded")
    assert recorded["captions"]
    status, content, headers = server.ask(f"/api/recordings/{recorded['name']}/captions")
    assert (status, headers["content-type"]) == (200, "text/vtt; charset=utf-8")
    assert content.decode().startswith("WEBVTT\n")
    assert content.decode().splitlines()[-1] == "Good morning."


def test_a_session_can_be_verified_while_it_runs(server: Server) -> None:
    with server.open() as connection:
        session = Received().until(connection, frames(1)).event("session")
        status, report, headers = server.ask(f"/api/sessions/{session['name']}/report")
    assert status == 200
    assert session["watermark"].encode() in report
    assert b"Unchanged since it was signed" in report
    assert b"/tmp" not in report
    assert "script" not in headers["content-security-policy"]


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "manifests.sqlite", "vasari-1.mp4"])
def test_only_recordings_can_be_fetched(server: Server, name: str) -> None:
    assert server.ask(f"/api/recordings/{name}")[0] == 404


def test_the_next_session_is_refused(
    server: Server, portrait_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_registry, "CORE_SHARE", 10.0)
    with server.open() as connection:
        name = Received().until(connection, frames(1)).event("session")["name"]
        with server.open():
            picture = portrait_file.read_bytes()
            status, body, _ = server.ask(f"/api/sessions?replacing={name}", picture)
    assert status == 503
    assert "this machine moves 1 avatar(s) at once" in json.loads(body)["error"]


def test_an_uploaded_portrait_takes_the_place(server: Server, portrait_file: Path) -> None:
    with server.open() as connection:
        name = Received().until(connection, frames(1)).event("session")["name"]
        status, body, _ = server.ask(f"/api/sessions?replacing={name}", portrait_file.read_bytes())
        closed = Received().until(connection, told("closed")).event("closed")
    assert status == 201
    assert closed["reason"] == "another portrait was chosen"
    begun = json.loads(body)["name"]
    with server.open(f"/api/sessions/{begun}/live") as connection:
        assert Received().until(connection, frames(3)).event("session")["name"] == begun
    delete = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/api/sessions/{begun}", method="DELETE"
    )
    with urllib.request.urlopen(delete, timeout=10) as answer:
        assert answer.status == 204
    assert server.ask(f"/api/sessions/{begun}")[0] == 404


def test_a_session_that_no_one_attends_ends(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.open() as connection:
        name = Received().until(connection, frames(1)).event("session")["name"]
        server.registry.expire()
        assert server.ask(f"/api/sessions/{name}")[0] == 200
    while server.registry.get(name).attended:
        time.sleep(0.05)
    monkeypatch.setattr(live_registry, "UNATTENDED_SECONDS", -1.0)
    server.registry.expire()
    assert server.ask(f"/api/sessions/{name}")[0] == 404


def test_an_avatar_that_failed_is_replaced(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with server.open() as connection:
        received = Received().until(connection, frames(1))
        session = server.registry.get(received.event("session")["name"])
        monkeypatch.setattr(session.stage, "_actor", None)
        closed = received.until(connection, told("closed")).event("closed")
    assert closed["reason"] == "the avatar stopped by an internal error"
    with server.open() as connection:
        again = Received().until(connection, frames(3)).event("session")
    assert again["name"] != session.name


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "the body is empty"),
        (b"no picture", "the picture is no image"),
        (b"\0" * (MAX_UPLOAD + 1), "larger than 32 MB"),
    ],
)
def test_bad_uploads_are_explained_without_a_path(
    settings: LiveSettings, body: bytes, expected: str
) -> None:
    with Server(replace(settings, portrait=None)) as alone:
        status, answer, _ = alone.ask("/api/sessions", body)
    assert status == 400
    assert expected in json.loads(answer)["error"]
    assert "/tmp" not in answer.decode()


def test_without_a_portrait_there_is_no_default(settings: LiveSettings) -> None:
    with Server(replace(settings, portrait=None)) as alone, alone.open() as connection:
        closed = Received().until(connection, told("closed")).event("closed")
    assert "no avatar of its own" in closed["reason"]


def test_the_page_loads_nothing_from_elsewhere(server: Server) -> None:
    for path in PAGE_FILES:
        status, body, headers = server.ask(path)
        assert status == 200
        assert b"//" not in body.replace(b"://", b"").replace(b"\n//", b"") or path != "/"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    assert b"style=" not in server.ask("/")[1]


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}],
)
def test_other_pages_are_refused(server: Server, headers: dict[str, str]) -> None:
    assert server.ask("/api/status", **headers)[0] == 403


def test_other_pages_open_no_connection(server: Server) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        server.open(additional_headers={"Origin": "https://evil.example"})


def test_beyond_this_machine_a_token_is_needed(settings: LiveSettings) -> None:
    with Server(replace(settings, portrait=None), host="0.0.0.0", token=TOKEN) as guarded:
        assert guarded.ask("/api/status")[0] == 403
        assert guarded.ask("/api/status", Authorization="Bearer wrong")[0] == 403
        assert guarded.ask("/api/status", Authorization=f"Bearer {TOKEN}")[0] == 200
        assert guarded.ask("/api/status", Cookie=f"vasari_token={TOKEN}")[0] == 200
        with pytest.raises(InvalidStatus, match="403"):
            guarded.open()
        with guarded.open(f"/api/sessions/default/live?token={TOKEN}") as connection:
            assert "no avatar" in json.loads(connection.recv(timeout=10))["reason"]
        opener = urllib.request.build_opener(_Stay)
        with contextlib.suppress(urllib.error.HTTPError):
            opener.open(f"http://127.0.0.1:{guarded.port}/?token={TOKEN}", timeout=10)
        assert "HttpOnly; SameSite=Strict" in _Stay.cookie


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirection, and keeps the cookie."""

    cookie = ""

    def redirect_request(self, request, file, code, message, headers, url):
        _Stay.cookie = headers["set-cookie"]
        assert (code, headers["location"]) == (303, "/")
