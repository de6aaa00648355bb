"""A worker process that hears words in a stream: ``python -m vasari.generate.recogniser``.

Recognisers are native code and slow; in a process of its own, and with low priority, one neither
stops the frames nor hurts the caller. Sound comes on stdin in blocks, each a `HEADER` (the time in
seconds of its first sample, and how many there are) and mono little-endian int16 at 16 kHz. For
each utterance the answer on stdout is one line of JSON: ``[[word, start, end], …]`` in seconds.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

Int16Array = npt.NDArray[np.int16]
Words = list[tuple[str, float, float]]  # text, first and last second

RATE = 16_000  # samples per second
HEADER = struct.Struct(">dI")
MODEL_VARIABLE = "VASARI_WHISPER_MODEL"  # faster-whisper's model: its folder, or its name
NICENESS = 10

# An utterance ends at a pause, or where it grows so long that its words would come too late.
BLOCK = RATE // 50  # samples: 20 ms
LOUD_DB = -45.0  # dB re full scale, root mean square of a block
PAUSE = 0.5  # seconds
MARGIN = 0.2  # seconds kept before the first loud block
MAX_UTTERANCE = 10.0  # seconds
MAX_GAP = 0.05  # seconds between blocks that still follow each other


class Engine(Protocol):
    """What recognises words."""

    def words(self, samples: Int16Array) -> Words:
        """The words of an utterance, (N,) at RATE, their times counted from its start."""


class Sphinx:
    """CMU PocketSphinx with the model of US English that it carries."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._decoder = Decoder(samprate=RATE, loglevel="FATAL")
        self._frames = self._decoder.config["frate"]

    def words(self, samples: Int16Array) -> Words:
        """See `Engine`."""
        self._decoder.start_utt()
        self._decoder.process_raw(samples.tobytes(), full_utt=True)
        self._decoder.end_utt()
        segments = self._decoder.seg() or ()
        return [
            # "the(2)" is another pronunciation, "<sil>" and "[NOISE]" are no words
            (part.word.partition("(")[0], part.start_frame / rate, (part.end_frame + 1) / rate)
            for rate in [self._frames]
            for part in segments
            if part.word[0] not in "<["
        ]


class Whisper:
    """faster-whisper with a model that is on this machine already."""

    def __init__(self, model: str) -> None:
        from faster_whisper import WhisperModel

        self._model = WhisperModel(model, device="cpu", cpu_threads=1, local_files_only=True)

    def words(self, samples: Int16Array) -> Words:
        """See `Engine`."""
        sound = samples.astype(np.float32) / 32768
        segments, _ = self._model.transcribe(sound, word_timestamps=True, beam_size=1)
        return [
            (word.word.strip(), word.start, word.end)
            for segment in segments
            for word in segment.words
        ]


def utterances(blocks: Iterator[tuple[float, Int16Array]]) -> Iterator[tuple[float, Int16Array]]:
    """Cut a stream at its pauses.

    Args:
        blocks: pieces of BLOCK samples or fewer, with the time in seconds of each.

    Yields:
        The time of an utterance, and its samples.
    """
    kept: list[Int16Array] = []
    start = end = 0.0
    heard = quiet = 0.0  # seconds since the utterance began, and since it was last loud
    for time, block in blocks:
        seconds = len(block) / RATE
        if kept and abs(time - end) > MAX_GAP and heard:
            yield start, np.concatenate(kept)
            kept, heard = [], 0.0
        if not kept:
            start = time
        kept.append(block)
        end = time + seconds
        loud = _level(block) > LOUD_DB
        quiet = 0.0 if loud else quiet + seconds
        heard += seconds if loud or heard else 0.0
        if heard and (quiet >= PAUSE or heard >= MAX_UTTERANCE):
            yield start, np.concatenate(kept)
            kept, heard = [], 0.0
        elif not heard and end - start > MARGIN:
            start += len(kept[0]) / RATE
            del kept[0]
    if heard:
        yield start, np.concatenate(kept)


def _level(block: Int16Array) -> float:
    """DB re full scale."""
    power = float(np.mean(np.square(block / 32768))) if len(block) else 0.0
    return 10 * math.log10(power + 1e-12)


def read_blocks(stream: BinaryIO) -> Iterator[tuple[float, Int16Array]]:
    """The blocks that come on a stream, cut to BLOCK samples."""
    while len(header := stream.read(HEADER.size)) == HEADER.size:
        time, count = HEADER.unpack(header)
        samples = np.frombuffer(stream.read(2 * count), "<i2").astype(np.int16)
        for first in range(0, len(samples), BLOCK):
            yield time + first / RATE, samples[first : first + BLOCK]


def installed() -> bool:
    """Whether there is a recogniser."""
    return bool(_whisper_model() or find_spec("pocketsphinx"))


def _whisper_model() -> str | None:
    """The model for faster-whisper, where both are there."""
    return os.environ.get(MODEL_VARIABLE) if find_spec("faster_whisper") else None


def _engine() -> Engine:
    model = _whisper_model()
    return Whisper(model) if model else Sphinx()


def main() -> None:
    """Answer until stdin ends."""
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    engine = _engine()
    for start, samples in utterances(read_blocks(sys.stdin.buffer)):
        words = [(text, start + first, start + last) for text, first, last in engine.words(samples)]
        print(json.dumps(words), flush=True)


if __name__ == "__main__":
    main()
