"""Text to speech through espeak-ng, with the times of words and phones.

espeak-ng is GPL-3.0 and comes with the extra ``vasari[text]``. ``python -m
vasari.generate.synthesis`` prints the languages and voices.

Example:
    >>> speech = speak("Good morning!", voice="f3")  # doctest: +SKIP
    >>> [word.text for word in speech.words]  # doctest: +SKIP
    ['Good', 'morning']
"""

from __future__ import annotations

import difflib
import functools
import importlib
import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vasari.errors import SpeechError
from vasari.generate.speech import Phone, Speech, Word

MAX_TEXT = 10_000  # characters, about a quarter of an hour; longer talks come as sound
MAX_SPOKEN = 1800  # seconds; emoji and digits can be spoken at length
ENGINE_TIMEOUT = 120  # seconds; MAX_TEXT takes a few
DEFAULT_VOICE = "default"  # the language's own
# Between a newsreader's 150 words a minute and espeak-ng's own 175, with a livelier melody.
SETTINGS = {"rate": 160, "pitch": 50, "range": 60, "word_gap": 0}
INSTALL_HINT = 'text needs espeak-ng: pip install "vasari[text]", or give a sound file'
LIST_HINT = "python -m vasari.generate.synthesis lists them"


def speak(
    text: str, *, language: str = "en", voice: str = DEFAULT_VOICE, rate: int = SETTINGS["rate"]
) -> Speech:
    """Say a text.

    Args:
        text: plain text of at most MAX_TEXT characters; markup is read out, not obeyed.
        language: a code of `languages`, such as "en-us"; a region that is not known falls back
            to the language ("de-DE" to "de").
        voice: a name of `voices`.
        rate: words per minute, 80 to 450.

    Returns:
        Speech at 22,050 Hz with words and phones.

    Raises:
        SpeechError: espeak-ng is not installed, the text is empty, too long or cannot be
            spoken, or the language or voice is unknown.
    """
    plain = _plain(text)
    if not 80 <= rate <= 450:
        raise SpeechError(f"rate is {rate}; give 80 to 450 words per minute")
    code, variant = _language(language), _voice(voice)
    answer, sound = _ask(
        text=plain,
        voice=code if variant == DEFAULT_VOICE else f"{code}+{variant}",
        settings=SETTINGS | {"rate": rate},
        max_samples=MAX_SPOKEN * 22_050,
    )
    samples = np.frombuffer(sound, "<i2").astype(np.float32) / 32_768
    sample_rate = answer["sample_rate"]
    if len(samples) > MAX_SPOKEN * sample_rate:
        raise SpeechError(f"the text takes more than {MAX_SPOKEN // 60} minutes to say; shorten it")
    words, phones = _timed(answer["events"], plain, sample_rate, len(samples))
    if not phones:
        raise SpeechError(f"the text {plain[:40]!r} holds nothing that can be said in '{code}'")
    return Speech.from_samples(samples, sample_rate, words=words, phones=phones)


@functools.cache
def languages() -> tuple[str, ...]:
    """The codes of the languages that can be spoken.

    Raises:
        SpeechError: espeak-ng is not installed.
    """
    return tuple(_ask()[0]["languages"])


@functools.cache
def voices() -> tuple[str, ...]:
    """The names of the voices, each of which speaks every language.

    Raises:
        SpeechError: espeak-ng is not installed.
    """
    folder = Path(_engine_files()["data"], "voices", "!v")
    return (DEFAULT_VOICE, *sorted((file.name for file in folder.iterdir()), key=str.lower))


def _plain(text: str) -> str:
    """Text without control characters and lone surrogates, which are nothing to say."""
    if len(text) > MAX_TEXT:
        raise SpeechError(f"the text has {len(text)} characters; {MAX_TEXT} is the most")
    categories = (unicodedata.category(character) for character in text)
    kept = [
        " " if category in ("Cc", "Cs", "Co", "Cn") else character
        for character, category in zip(text, categories, strict=True)
    ]
    plain = "".join(kept).strip()
    if not plain:
        raise SpeechError("the text is empty; give a sentence to say")
    return plain


def _language(name: str) -> str:
    """The engine's code for a language, without the region if need be."""
    known = languages()
    code = name.lower().replace("_", "-")
    by_code = {language.lower(): language for language in known}
    while code not in by_code and "-" in code:
        code = code.rpartition("-")[0]
    if code not in by_code:
        raise SpeechError(_unknown("language", name, known))
    return by_code[code]


def _voice(name: str) -> str:
    """The engine's name for a voice."""
    by_name = {voice.lower(): voice for voice in voices()}
    if name.lower() not in by_name:
        raise SpeechError(_unknown("voice", name, voices()))
    return by_name[name.lower()]


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """An error line that shows some of the choices, the likeliest first."""
    close = difflib.get_close_matches(name, known, 3, 0.5)
    some = [*close, *(choice for choice in known if choice not in close and len(choice) < 9)]
    return (
        f"unknown {kind} {name!r}; {len(known)} are known: {', '.join(some[:16])}, …; {LIST_HINT}"
    )


def _engine_files() -> dict[str, str]:
    """Where espeak-ng's library and data are."""
    try:
        loader = importlib.import_module("espeakng_loader")
    except ImportError:
        raise SpeechError(INSTALL_HINT) from None
    return {"library": str(loader.get_library_path()), "data": str(loader.get_data_path())}


def _ask(**request: Any) -> tuple[dict[str, Any], bytes]:
    """Put a request to a fresh worker (see `vasari.generate.espeak`)."""
    message = json.dumps(_engine_files() | request).encode() + b"\n"
    try:
        worker = subprocess.run(
            [sys.executable, "-m", "vasari.generate.espeak"],
            input=message,
            capture_output=True,
            timeout=ENGINE_TIMEOUT,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise SpeechError(f"espeak-ng took longer than {ENGINE_TIMEOUT} s for this text") from None
    except (OSError, subprocess.CalledProcessError) as error:
        last = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
        reason = last.rpartition("\n")[2] or error
        raise SpeechError(f"espeak-ng failed on this text: {reason}") from None
    header, _, sound = worker.stdout.partition(b"\n")
    return json.loads(header), sound


def _timed(
    events: Sequence[Sequence[Any]], text: str, rate: int, samples: int
) -> tuple[tuple[Word, ...], tuple[Phone, ...]]:
    """Words and phones from the engine's events; a phone lasts until the next event."""
    words: list[Word] = []
    phones: list[Phone] = []
    last = 0  # character after the last word
    ends = [event[1] for event in events[1:]] + [samples]
    for (kind, sample, *rest), end in zip(events, ends, strict=True):
        start, stop = sample / rate, max(end, sample) / rate
        if kind == "word":
            first, word_end = rest[0], _word_end(text, *rest)
            if first >= last and text[first:word_end].strip():
                words.append(Word(text[first:word_end], start, stop))
                last = word_end
        elif rest[0]:  # an unnamed phone is a pause
            phones.append(Phone(rest[0], start, stop))
            if words:
                words[-1] = replace(words[-1], end=stop)
    return tuple(words), tuple(phones)


def _word_end(text: str, first: int, length: int) -> int:
    """The character after a word; the engine leaves out what follows an apostrophe."""
    contraction = re.compile(r"['\u2019]\w+").match(text, first + length)
    return contraction.end() if contraction else first + length


def main() -> None:
    """Print what can be spoken."""
    print("languages:", *languages())
    print("voices:", *voices())


if __name__ == "__main__":
    main()
