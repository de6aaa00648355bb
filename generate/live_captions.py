"""Captions of a live session: of sound, as a recogniser hears it, and kept beside recordings."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from vasari.generate.captions import Cue, cues, one_at_a_time
from vasari.generate.live_sound import RATE, Caption, Int16Array
from vasari.generate.recogniser import RATE as HEARD_RATE
from vasari.generate.recognition import Recogniser
from vasari.generate.speech import Word


class Ear:
    """Listens to what a session plays, and tells the words of each utterance."""

    def __init__(self, heard: Callable[[tuple[Word, ...]], None]) -> None:
        """Start a recogniser.

        Args:
            heard: called from another thread; the times are the session's.

        Raises:
            SpeechError: no recogniser is installed.
        """
        self._recogniser = Recogniser(heard)
        self._resampler: av.AudioResampler | None = None
        self._start = 0.0  # seconds of the session at which the resampler began
        self._taken = self._given = 0  # samples

    def hear(self, seconds: float, samples: Int16Array) -> None:
        """Take in sound, (N,) at RATE, that begins at a time of the session."""
        if self._resampler is None or abs(self._start + self._taken / RATE - seconds) > 1e-3:
            self._resampler = av.AudioResampler(format="s16", layout="mono", rate=HEARD_RATE)
            self._start, self._taken, self._given = seconds, 0, 0
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        frame.pts = self._taken
        self._taken += len(samples)
        for part in self._resampler.resample(frame):
            self._recogniser.hear(self._start + self._given / HEARD_RATE, part.to_ndarray()[0])
            self._given += part.samples

    def stop(self) -> None:
        """Listen no more."""
        self._recogniser.stop()


@dataclass(frozen=True)
class Transcript:
    """What was said while a recording runs, line by line in a file, so that a kill loses none."""

    path: Path

    def begin(self, seconds: float) -> None:
        """Note the time of the session at which the recording begins."""
        self._append({"origin": seconds})

    def add(self, seconds: float, caption: Caption) -> None:
        """Note what begins to be said."""
        words = [[word.text, seconds + word.start, seconds + word.end] for word in caption.words]
        self._append({"time": seconds, "text": caption.text, "words": words})

    def cut(self, seconds: float) -> None:
        """Note that what was being said ended."""
        self._append({"cut": seconds})

    def _append(self, line: dict[str, object]) -> None:
        """Captions must not end a recording: where they cannot be written, there are none."""
        with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def read_transcript(path: Path) -> tuple[Cue, ...]:
    """The cues of a recording, counted from its beginning; an unfinished last line is left out."""
    if not path.is_file():
        return ()
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            lines.append(json.loads(line))
    origin = next((line["origin"] for line in lines if "origin" in line), None)
    return () if origin is None else one_at_a_time(_shown(lines, origin))


def _shown(lines: Iterable[dict[str, Any]], origin: float) -> list[Cue]:
    """Cues of lines, without what was cut or came before the recording."""
    shown: list[Cue] = []
    for line in lines:
        if "cut" in line:
            end = line["cut"] - origin
            left = (cue for cue in shown if cue.start < end)
            shown = [replace(cue, end=min(cue.end, end)) for cue in left]
        elif "words" in line:
            words = [Word(text, start - origin, end - origin) for text, start, end in line["words"]]
            shown += cues(words, text=str(line["text"]))
    return sorted((cue for cue in shown if cue.end > 0), key=lambda cue: cue.start)
