"""A worker process that speaks a text with espeak-ng: ``python -m vasari.generate.espeak``.

The C library keeps its state in globals and may crash on strange text; in a process of its own
neither can hurt the caller. A request comes as one line of JSON on stdin; the answer on stdout is
one line of JSON and, after a text was spoken, its sound as little-endian int16.

Interface: espeak-ng 1.52, src/include/espeak-ng/speak_lib.h.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import Any

AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_PHONEME_EVENTS = 0x0001
INITIALIZE_PHONEME_IPA = 0x0002
INITIALIZE_DONT_EXIT = 0x8000
CHARS_UTF8 = 1  # and neither espeakSSML nor espeakPHONEMES: the text is only text
EVENT_LIST_TERMINATED, EVENT_WORD, EVENT_PHONEME = 0, 1, 7
PARAMETERS = {"rate": 1, "pitch": 3, "range": 4, "word_gap": 7}
BUFFER_MS = 200


class _EventId(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # characters from 1
        ("length", ctypes.c_int),  # characters
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.POINTER(ctypes.c_char)),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_SynthCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Engine:
    """The C library, initialised; one in a process."""

    def __init__(self, library: str, data: str) -> None:
        self._espeak = ctypes.CDLL(library)
        self._espeak.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        options = INITIALIZE_PHONEME_EVENTS | INITIALIZE_PHONEME_IPA | INITIALIZE_DONT_EXIT
        self.sample_rate: int = self._espeak.espeak_Initialize(
            AUDIO_OUTPUT_SYNCHRONOUS, BUFFER_MS, os.fsencode(data), options
        )

    def languages(self) -> list[str]:
        """The codes of all languages; voices that need MBROLA's data are left out."""
        codes: set[str] = set()
        voices = self._espeak.espeak_ListVoices(None)
        index = 0
        while voices[index]:
            voice = voices[index].contents
            if not voice.identifier.startswith(b"mb/"):
                codes.update(_language_codes(voice.languages))
            index += 1
        return sorted(codes)

    def speak(
        self, text: str, voice: str, settings: dict[str, int], max_samples: int
    ) -> tuple[bytes, list[list[Any]]]:
        """Speak a text.

        Returns:
            The sound, and events: ["word", sample, first character, length] and
            ["phone", sample, symbol], in order. The sound stops soon after ``max_samples``.
        """
        sound = bytearray()
        events: list[list[Any]] = []

        def receive(wav: Any, count: int, event: Any) -> int:
            if wav and count:
                sound.extend(ctypes.string_at(wav, 2 * count))
            events.extend(_read_events(event))
            return int(len(sound) > 2 * max_samples)

        callback = _SynthCallback(receive)
        self._espeak.espeak_SetSynthCallback(callback)
        if self._espeak.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"no voice {voice}")
        for name, value in settings.items():
            self._espeak.espeak_SetParameter(PARAMETERS[name], value, 0)
        encoded = text.encode() + b"\0"
        size = ctypes.c_size_t(len(encoded))
        self._espeak.espeak_Synth(encoded, size, 0, 1, 0, CHARS_UTF8, None, None)
        self._espeak.espeak_Synchronize()
        return bytes(sound), events


def _language_codes(packed: Any) -> list[str]:
    """Unpack a voice's languages: a priority byte and a C string each, until a zero byte."""
    codes, position = [], 0
    while packed[position] != b"\0":
        end = position + 1
        while packed[end] != b"\0":
            end += 1
        codes.append(packed[position + 1 : end].decode())
        position = end + 1
    return codes


def _read_events(events: Any) -> list[list[Any]]:
    """The words and phones in an array of events."""
    found: list[list[Any]] = []
    index = 0
    while events and events[index].type != EVENT_LIST_TERMINATED:
        event = events[index]
        if event.type == EVENT_WORD:
            found.append(["word", event.sample, event.text_position - 1, event.length])
        elif event.type == EVENT_PHONEME:
            found.append(["phone", event.sample, event.id.string.decode(errors="ignore")])
        index += 1
    return found


def main() -> None:
    """Answer one request."""
    request = json.loads(sys.stdin.readline())
    engine = Engine(request["library"], request["data"])
    if "text" not in request:
        print(json.dumps({"languages": engine.languages()}))
        return
    sound, events = engine.speak(
        request["text"], request["voice"], request["settings"], request["max_samples"]
    )
    print(json.dumps({"sample_rate": engine.sample_rate, "events": events}), flush=True)
    sys.stdout.buffer.write(sound)


if __name__ == "__main__":
    main()
