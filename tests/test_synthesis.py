"""Text to speech: timed words and phones, hostile text, unknown names, a failing engine."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vasari.errors import SpeechError
from vasari.generate import synthesis
from vasari.generate.synthesis import MAX_TEXT, languages, speak, voices

pytest.importorskip("espeakng_loader")


def samples_of(speech):
    return np.concatenate([frame.to_ndarray()[0] for frame in speech.original()])


def test_a_sentence():
    speech = speak("Mum, don't bring 25 papers.")
    assert [word.text for word in speech.words] == ["Mum", "don't", "bring", "25", "papers"]
    assert (speech.rate, speech.layout, speech.silent) == (22_050, "mono", False)
    assert 1.5 < speech.duration < 4
    assert [phone.symbol for phone in speech.phones[:3]] == ["m", "ˈʌ", "m"]
    for track in (speech.words, speech.phones):
        times = [time for item in track for time in (item.start, item.end)]
        assert times == sorted(times)
        assert 0 <= times[0] <= times[-1] <= speech.duration


def test_phones_lie_where_the_sound_is():
    speech = speak("Mama!")
    samples, rate = samples_of(speech), speech.rate
    vowels = [phone for phone in speech.phones if not phone.symbol.startswith("m")]
    loudest = np.argmax(np.convolve(samples**2, np.ones(500), "same")) / rate
    assert any(vowel.start <= loudest <= vowel.end for vowel in vowels)


def test_the_same_text_gives_the_same_sound():
    assert np.array_equal(samples_of(speak("Hello.")), samples_of(speak("Hello.")))


def test_voice_language_and_rate_change_the_sound():
    plain = samples_of(speak("Guten Tag."))
    for options in ({"voice": "f3"}, {"language": "de"}, {"rate": 300}):
        other = samples_of(speak("Guten Tag.", **options))
        assert len(other) != len(plain) or not np.array_equal(other, plain)
    assert speak("Guten Tag.", rate=300).duration < speak("Guten Tag.", rate=100).duration


def test_a_region_falls_back_to_its_language():
    german = samples_of(speak("Guten Tag.", language="de"))
    assert np.array_equal(samples_of(speak("Guten Tag.", language="de_AT")), german)


def test_languages_and_voices():
    assert {"en", "en-us", "de", "fr", "ja", "cmn"} <= set(languages())
    assert {"default", "f3"} <= set(voices())


def test_markup_and_phoneme_codes_are_only_text():
    words = [word.text for word in speak("<p>one</p> [[h@l'oU]] /etc/passwd $(ls)").words]
    assert {"p", "one", "etc", "passwd", "ls"} <= set(words)


def test_control_characters_are_spaces():
    spoken = speak("one\0two\x07three\ud800").words
    assert [word.text for word in spoken] == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": ""}, "empty"),
        ({"text": " \n\t\0"}, "empty"),
        ({"text": "..."}, "nothing that can be said"),
        ({"text": "a" * (MAX_TEXT + 1)}, "10001 characters; 10000 is the most"),
        ({"text": "hi", "language": "klingon"}, "unknown language 'klingon'.*known.*lists them"),
        ({"text": "hi", "language": "../en"}, "unknown language"),
        ({"text": "hi", "voice": "f33"}, "unknown voice 'f33'.*f3"),
        ({"text": "hi", "rate": 1000}, "80 to 450"),
    ],
)
def test_unusable_requests_get_one_line(arguments, message):
    with pytest.raises(SpeechError, match=message) as error:
        speak(**arguments)
    assert "\n" not in str(error.value)


def test_text_that_takes_too_long(monkeypatch):
    monkeypatch.setattr(synthesis, "MAX_SPOKEN", 2)
    with pytest.raises(SpeechError, match="minutes to say"):
        speak("999999999999 " * 20)


def test_without_the_extra(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(synthesis.importlib, "import_module", missing)
    with pytest.raises(SpeechError, match=r'pip install "vasari\[text\]"'):
        speak("hello")


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (subprocess.TimeoutExpired("espeak", 1), "took longer"),
        (subprocess.CalledProcessError(-11, "espeak", b"", b"a\nbad thing"), "failed.*bad thing"),
        (OSError("no processes left"), "failed.*no processes"),
    ],
)
def test_a_failing_engine(monkeypatch, failure, message):
    languages()

    def fail(*_args, **_options):
        raise failure

    monkeypatch.setattr(synthesis.subprocess, "run", fail)
    with pytest.raises(SpeechError, match=message):
        speak("hello")


def test_threads_may_speak_at_once():
    texts = ["one", "two", "three", "four"]
    with ThreadPoolExecutor(4) as pool:
        spoken = list(pool.map(speak, texts))
    assert [speech.words[0].text for speech in spoken] == texts
