"""Words from sound: how a stream is cut, and what a recogniser tells."""

from __future__ import annotations

import io
import sys
import types

import numpy as np
import pytest

from vasari.errors import SpeechError
from vasari.generate import recogniser, recognition
from vasari.generate.recogniser import BLOCK, HEADER, MAX_UTTERANCE, RATE, read_blocks, utterances
from vasari.generate.recognition import Recogniser, recognise
from vasari.generate.speech import Speech


def blocks(*parts: tuple[float, float], start: float = 0.0):
    """Blocks of parts, each seconds of noise at an amplitude."""
    random = np.random.default_rng(0)
    for seconds, amplitude in parts:
        for _ in range(round(seconds * RATE / BLOCK)):
            yield start, (amplitude * random.standard_normal(BLOCK)).clip(-1e4, 1e4).astype("i2")
            start += BLOCK / RATE


def spans(stream) -> list[tuple[float, float]]:
    return [(start, start + len(samples) / RATE) for start, samples in utterances(stream)]


def test_a_stream_is_cut_at_its_pauses() -> None:
    found = spans(blocks((1, 10), (1, 2000), (1, 10), (0.4, 2000), (0.3, 10), (0.2, 2000)))
    np.testing.assert_allclose(found, [(0.8, 2.5), (2.8, 3.9)], atol=0.05)


def test_long_speech_is_cut_too() -> None:
    found = spans(blocks((25, 2000)))
    assert len(found) == 3
    assert all(end - start <= MAX_UTTERANCE + 0.1 for start, end in found)


def test_a_gap_in_the_stream_ends_an_utterance() -> None:
    stream = [*blocks((0.5, 2000)), *blocks((0.5, 2000), start=9.0)]
    np.testing.assert_allclose(spans(iter(stream)), [(0, 0.5), (9, 9.5)], atol=0.01)


def test_silence_says_nothing() -> None:
    assert spans(blocks((5, 10))) == []


def test_blocks_come_through_a_pipe() -> None:
    samples = np.arange(3 * BLOCK // 2, dtype="<i2")
    stream = io.BytesIO(HEADER.pack(1.5, len(samples)) + samples.tobytes())
    (first, one), (second, two) = read_blocks(stream)
    assert (first, second) == (1.5, 1.5 + BLOCK / RATE)
    np.testing.assert_array_equal(np.concatenate([one, two]), samples)


def test_words_of_a_spoken_text_come_with_times() -> None:
    pytest.importorskip("pocketsphinx")
    pytest.importorskip("espeakng_loader")
    from vasari.generate.synthesis import speak

    speech = speak("one two three four five six seven", voice="m3", rate=120)
    words = recognise(speech)
    assert len(words) >= 3
    assert {word.text for word in words} & {"one", "two", "three", "four", "five", "six", "seven"}
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= speech.duration


def test_without_a_recogniser_there_is_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognition, "installed", lambda: False)
    with pytest.raises(SpeechError, match=r"vasari\[captions\]"):
        recognise(Speech.from_samples(np.zeros(RATE), RATE))


def test_a_worker_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognition, "installed", lambda: True)
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(recognition.sys, "executable", "/bin/false")
    with pytest.raises(SpeechError, match="recogniser failed"):
        recognise(Speech.from_samples(np.zeros(20 * RATE), RATE))


def test_a_recogniser_can_be_stopped() -> None:
    pytest.importorskip("pocketsphinx")
    heard: list[object] = []
    running = Recogniser(heard.append)
    running.hear(0.0, np.zeros(RATE, np.int16))
    running.stop()
    assert heard == []


class FakeWhisper:
    """Stands for faster-whisper's model."""

    def __init__(self, model: str, **options: object) -> None:
        assert options["local_files_only"] is True
        self.model = model

    def transcribe(self, sound: np.ndarray, **options: object):
        word = types.SimpleNamespace(word=f" {self.model}", start=0.1, end=len(sound) / RATE)
        return [types.SimpleNamespace(words=[word])], None


def test_whisper_is_taken_where_its_model_is(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = types.ModuleType("faster_whisper")
    fake.WhisperModel = FakeWhisper  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "faster_whisper", fake)
    monkeypatch.setattr(recogniser, "find_spec", lambda name: name == "faster_whisper")
    assert not recogniser.installed()
    monkeypatch.setenv(recogniser.MODEL_VARIABLE, "base")
    assert recogniser.installed()
    engine = recogniser._engine()
    assert engine.words(np.ones(RATE, np.int16)) == [("base", 0.1, 1.0)]
