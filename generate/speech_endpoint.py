"""Speech from a service with OpenAI's interface, as many speech programs and companies offer it.

Interface: ``POST /v1/audio/speech`` of https://platform.openai.com/docs/api-reference/audio.

Example:
    >>> endpoint = SpeechEndpoint("http://127.0.0.1:8880/v1/audio/speech", voice="af_bella")
    >>> speech = endpoint.speak("Good morning!")  # doctest: +SKIP
"""

from __future__ import annotations

import http.client
import json
import re
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import av
import numpy as np
import numpy.typing as npt

from vasari.errors import InputError, SpeechError
from vasari.generate.speech import Speech, Word
from vasari.generate.synthesis import DEFAULT_VOICE

KEY_VARIABLE = "VASARI_SPEECH_KEY"
DEFAULT_MODEL, DEFAULT_ENDPOINT_VOICE = "tts-1", "alloy"  # known to every such service
CONNECTING, ANSWERING = 10.0, 30.0  # seconds until it answers at all, and until it has answered
MAX_ANSWER = 64 << 20  # bytes: ten minutes of 48 kHz
CHUNK = 64 << 10  # bytes read at once


@dataclass(frozen=True)
class SpeechEndpoint:
    """Where sentences are sent to be spoken."""

    url: str  # http or https, the whole address
    key: str = field(default="", repr=False)  # sent as a bearer token, if any
    model: str = DEFAULT_MODEL
    voice: str = DEFAULT_ENDPOINT_VOICE  # where a sentence names none

    def __post_init__(self) -> None:
        """Check the address.

        Raises:
            InputError: it is no web address.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                f"the speech address is '{self.url}'; give one as "
                "http://127.0.0.1:8880/v1/audio/speech"
            )

    def speak(self, text: str, *, language: str = "", voice: str = DEFAULT_VOICE) -> Speech:
        """Have a sentence spoken. Its words are timed by their length: the interface tells none.

        Args:
            text: what to say.
            language: has no effect: such services see it in the text.
            voice: one that the service knows.

        Raises:
            SpeechError: the service does not answer, in time or with sound.
        """
        wanted = self.voice if voice == DEFAULT_VOICE else voice
        sound = self._ask(
            {"model": self.model, "input": text, "voice": wanted, "response_format": "wav"}
        )
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            file.write(sound)
            file.flush()
            try:
                heard = Speech.open(file.name)
                samples = np.concatenate([_channels(frame) for frame in heard.original()], axis=1)
            except SpeechError:
                raise SpeechError("the speech service sent no sound that can be read") from None
        return Speech.from_samples(samples.T, heard.rate, words=paced(text, heard.duration))

    def _ask(self, request: dict[str, str]) -> bytes:
        """Post a request; gives the body of the answer."""
        headers = {"Content-Type": "application/json", "User-Agent": "vasari"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        asked = urllib.request.Request(self.url, json.dumps(request).encode(), headers)  # noqa: S310
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(asked, timeout=CONNECTING) as answer:
                return _read(answer)
        except urllib.error.HTTPError as error:
            error.close()
            raise SpeechError(f"the speech service answered {error.code} {error.msg}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                reason = f"nothing came for {CONNECTING:g} s"
            raise SpeechError(f"the speech service cannot be reached: {reason}") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: it would carry the key elsewhere."""

    def redirect_request(self, *arguments: Any) -> None:
        """Let the answer be the error that it is."""


def _read(answer: http.client.HTTPResponse) -> bytes:
    """The whole body, if it comes in time and is not too large."""
    body, limit = bytearray(), time.monotonic() + ANSWERING
    while chunk := answer.read1(CHUNK):
        body += chunk
        if len(body) > MAX_ANSWER:
            raise SpeechError(f"the speech service sent more than {MAX_ANSWER >> 20} MB")
        if time.monotonic() > limit:
            raise SpeechError(f"the speech service took longer than {ANSWERING:g} s")
    if answer.length:
        raise SpeechError("the speech service broke off its answer")
    return bytes(body)


def _channels(frame: av.AudioFrame) -> npt.NDArray[np.float32]:
    """The samples of a frame, (channels, n) in -1..1."""
    resampler = av.AudioResampler(format="fltp", layout=frame.layout, rate=frame.sample_rate)
    parts = [part.to_ndarray() for part in [*resampler.resample(frame), *resampler.resample(None)]]
    return np.concatenate(parts, axis=1).astype(np.float32)


def paced(text: str, seconds: float) -> tuple[Word, ...]:
    """The words of a text, each as long as its share of the characters."""
    words = list(re.finditer(r"\S+", text))
    pace = seconds / max(len(text), 1)
    return tuple(Word(each.group(), each.start() * pace, each.end() * pace) for each in words)
