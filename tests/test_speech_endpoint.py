"""Speech from a service with OpenAI's interface: a fake one on loopback."""

from __future__ import annotations

import io
import json
import threading
import wave
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from vasari.errors import InputError, SpeechError
from vasari.generate import speech_endpoint
from vasari.generate.speech_endpoint import SpeechEndpoint, paced

RATE = 24_000
TEXT = "Good morning, Ada."


def wav(seconds: float = 1.0) -> bytes:
    sound = 8000 * np.sin(np.arange(round(seconds * RATE)) / 20)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.astype("<i2").tobytes())
    return buffer.getvalue()


class Service(ThreadingHTTPServer):
    """Answers as it is told, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.body, self.headers = 200, wav(), {}
        self.length: int | None = None
        self.asked: list[tuple[dict[str, str], dict[str, str]]] = []
        self.released = threading.Event()
        self.released.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/audio/speech"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        service = self.server
        assert isinstance(service, Service)
        body = self.rfile.read(int(self.headers["content-length"]))
        service.asked.append((dict(self.headers), json.loads(body)))
        service.released.wait(10)
        self.send_response(service.status)
        for name, value in service.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(service.length or len(service.body)))
        self.end_headers()
        self.wfile.write(service.body)

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield running
        running.released.set()
        running.shutdown()
        thread.join()


def test_a_sentence_is_spoken(service: Service) -> None:
    speech = SpeechEndpoint(service.url, "secret", "kokoro", "bella").speak(TEXT)
    ((headers, request),) = service.asked
    assert headers["Authorization"] == "Bearer secret"
    assert request == {
        "model": "kokoro", "input": TEXT, "voice": "bella", "response_format": "wav"
    }  # fmt: skip
    assert (speech.rate, speech.duration) == (RATE, pytest.approx(1.0))
    assert [word.text for word in speech.words] == ["Good", "morning,", "Ada."]
    assert speech.words[-1].end == pytest.approx(1.0)
    samples = np.concatenate(list(speech.blocks()))
    assert np.abs(samples).max() == pytest.approx(8000 / 32768, rel=0.02)


def test_without_a_key_none_is_sent(service: Service) -> None:
    SpeechEndpoint(service.url).speak(TEXT, voice="echo")
    ((headers, request),) = service.asked
    assert "Authorization" not in headers
    assert request["voice"] == "echo"
    assert "secret" not in repr(SpeechEndpoint(service.url, "secret"))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": 401}, "the speech service answered 401 Unauthorized"),
        ({"status": 307, "headers": {"location": "http://127.0.0.1:1/"}}, "answered 307"),
        ({"body": b"no sound"}, "sent no sound"),
        ({"length": 1 << 20}, "broke off"),
    ],
)
def test_bad_answers_are_explained(service: Service, answer: dict, expected: str) -> None:
    for name, value in answer.items():
        setattr(service, name, value)
    with pytest.raises(SpeechError, match=expected) as raised:
        SpeechEndpoint(service.url, "secret").speak(TEXT)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)
    assert len(service.asked) == 1


def test_a_service_that_does_not_answer_is_given_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_endpoint, "CONNECTING", 0.2)
    service.released.clear()
    with pytest.raises(SpeechError, match=r"nothing came for 0\.2 s"):
        SpeechEndpoint(service.url).speak(TEXT)


def test_too_much_and_too_slow_are_given_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_endpoint, "MAX_ANSWER", 1000)
    with pytest.raises(SpeechError, match="more than"):
        SpeechEndpoint(service.url).speak(TEXT)
    monkeypatch.setattr(speech_endpoint, "MAX_ANSWER", 1 << 20)
    monkeypatch.setattr(speech_endpoint, "ANSWERING", -1.0)
    with pytest.raises(SpeechError, match="took longer"):
        SpeechEndpoint(service.url).speak(TEXT)


def test_no_service_is_explained() -> None:
    with pytest.raises(SpeechError, match="cannot be reached"):
        SpeechEndpoint("http://127.0.0.1:1/v1/audio/speech").speak(TEXT)


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "127.0.0.1:80", "http://"])
def test_only_web_addresses_are_accepted(url: str) -> None:
    with pytest.raises(InputError, match="the speech address"):
        SpeechEndpoint(url)


def test_words_are_as_long_as_their_letters() -> None:
    first, second = paced("aa bbbb", 7.0)
    assert (first.start, first.end, second.start, second.end) == (0, 2, 3, 7)
