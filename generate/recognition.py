"""The words of a voice, with their times, from a recogniser in a process of its own.

faster-whisper is used where it is installed and ``VASARI_WHISPER_MODEL`` names a model that is on
this machine; otherwise PocketSphinx (``vasari[captions]``), which carries a small model of US
English. Both make mistakes: recognised captions are for reading along, not for the record.

Example:
    >>> words = recognise(Speech.open("talk.wav"))  # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO

import numpy as np

from vasari.errors import SpeechError
from vasari.generate.recogniser import HEADER, RATE, Int16Array, installed
from vasari.generate.speech import Speech, Word

INSTALL_HINT = 'captions of sound need a recogniser: pip install "vasari[captions]"'
MAX_BEHIND = 500  # blocks that may wait: where the machine is too slow, some are left out

Heard = Callable[[tuple[Word, ...]], None]


def recognise(speech: Speech) -> tuple[Word, ...]:
    """The words of a whole speech.

    Raises:
        SpeechError: no recogniser is installed, or it failed.
    """
    words: list[Word] = []
    recogniser = Recogniser(words.extend, waiting=1)
    position = 0
    for block in speech.blocks():
        samples = np.asarray(np.round(block * 32767), np.int16)
        recogniser.hear(position / RATE, samples, wait=True)
        position += len(samples)
    recogniser.close()
    return tuple(words)


class Recogniser:
    """Hears a stream, and tells the words of each utterance when it has ended."""

    def __init__(self, heard: Heard, *, waiting: int = MAX_BEHIND) -> None:
        """Start the worker.

        Args:
            heard: called from another thread with the words of an utterance.
            waiting: blocks that may wait for the worker.

        Raises:
            SpeechError: no recogniser is installed.
        """
        if not installed():
            raise SpeechError(INSTALL_HINT)
        self._heard = heard
        self._blocks: queue.Queue[bytes | None] = queue.Queue(waiting)
        self._worker = subprocess.Popen(
            [sys.executable, "-m", "vasari.generate.recogniser"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._threads = [
            threading.Thread(target=task, args=(stream,), name=name, daemon=True)
            for name, task, stream in (
                ("recogniser-in", self._write, self._worker.stdin),
                ("recogniser-out", self._read, self._worker.stdout),
            )
        ]
        for thread in self._threads:
            thread.start()

    def hear(self, seconds: float, samples: Int16Array, *, wait: bool = False) -> None:
        """Take in sound, (N,) at 16 kHz, that begins at a time; where too much waits, leave it out.

        Args:
            seconds: the words' times count from the same zero.
            samples: mono.
            wait: let the caller wait, rather than leave anything out.

        Raises:
            SpeechError: the worker has failed, and `wait` is set.
        """
        if self._worker.poll() is not None:
            if wait:
                raise SpeechError("the recogniser failed on this sound")
            return
        block = HEADER.pack(seconds, len(samples)) + samples.astype("<i2").tobytes()
        with contextlib.suppress(queue.Full):
            self._blocks.put(block, block=wait)

    def close(self) -> None:
        """Tell the last words, and end.

        Raises:
            SpeechError: the worker failed.
        """
        self._blocks.put(None)
        for thread in self._threads:
            thread.join()
        if self._worker.wait():
            raise SpeechError("the recogniser failed on this sound")

    def stop(self) -> None:
        """End at once."""
        self._worker.kill()
        with contextlib.suppress(queue.Full):
            self._blocks.put_nowait(None)
        self._worker.wait()

    def _write(self, stream: IO[bytes]) -> None:
        """Give the worker what waits for it; if it has ended, forget that."""
        while (block := self._blocks.get()) is not None:
            with contextlib.suppress(OSError):
                stream.write(block)
                stream.flush()
        with contextlib.suppress(OSError):
            stream.close()

    def _read(self, stream: IO[bytes]) -> None:
        """Tell what the worker heard."""
        with stream:
            for line in stream:
                words = tuple(Word(*word) for word in json.loads(line))
                if words:
                    self._heard(words)
