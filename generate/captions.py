"""Captions: words with their times as lines to read, as WebVTT, and painted into frames.

Example:
    >>> from vasari.generate.captions import cues, webvtt
    >>> from vasari.generate.speech import Word
    >>> words = (Word("Good", 0.1, 0.3), Word("morning", 0.3, 0.8))
    >>> print(webvtt(cues(words, text="Good morning!")))
    WEBVTT
    <BLANKLINE>
    00:00:00.100 --> 00:00:01.300
    Good morning!
    <BLANKLINE>
"""

from __future__ import annotations

import functools
import importlib.util
import math
import os
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vasari.errors import OutputError
from vasari.generate.speech import Word

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

ImageArray = npt.NDArray[np.uint8]

# Two lines of 37 characters, and a cue of at most 7 s that stays a moment: the BBC's guidelines.
LINE, LINES = 37, 2
MAX_SECONDS = 7.0
LINGER = 0.5  # seconds after its last word, if no other follows
PAUSE = 0.8  # seconds between words that part two cues

FONT = "mpl-data/fonts/ttf/DejaVuSans.ttf"  # of matplotlib, which mediapipe brings
FONT_SHARE = 0.045  # of the frame's height
BOX = (0, 0, 0, 160)  # RGBA behind the text

_SENTENCE_END = re.compile(r"[.!?…。！？]['\")\]]*\s*$")  # noqa: RUF001


@dataclass(frozen=True)
class Cue:
    """What is shown at once."""

    text: str
    start: float  # seconds
    end: float  # seconds


def cues(words: Sequence[Word], *, text: str | None = None) -> tuple[Cue, ...]:
    """Words as lines that can be read in their time.

    Args:
        words: in order.
        text: what the words were spoken from; its spelling and punctuation are kept.
    """
    spelled = tuple(_spelled(words, text)) if text else tuple(words)
    return one_at_a_time([_cue(group) for group in _grouped(spelled)])


def one_at_a_time(shown: Sequence[Cue]) -> tuple[Cue, ...]:
    """Cues in order, each of which ends where the next begins, if not before."""
    following = [*(cue.start for cue in shown[1:]), math.inf]
    return tuple(
        replace(cue, end=min(cue.end, start)) for cue, start in zip(shown, following, strict=False)
    )


def _spelled(words: Sequence[Word], text: str) -> Iterator[Word]:
    """The words with what stands around them in the text."""
    plain = " ".join(text.split())
    starts = [*_starts(words, plain), len(plain)]
    for word, first, last in zip(words, starts[:-1], starts[1:], strict=True):
        yield replace(word, text=plain[first:last].strip() or word.text)


def _starts(words: Sequence[Word], text: str) -> Iterator[int]:
    """The character with which each word begins, or a quotation mark before it."""
    place = 0
    for word in words:
        found = text.find(word.text, place)
        if found < 0 or place == 0:
            yield place
        else:
            yield text.rfind(" ", place, found) + 1 or found
        if found >= 0:
            place = found + len(word.text)


def _grouped(words: Iterable[Word]) -> Iterator[list[Word]]:
    """Words that are shown together."""
    group: list[Word] = []
    for word in words:
        if group and _parts(group, word):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _parts(group: list[Word], word: Word) -> bool:
    """Whether a word begins a cue of its own."""
    joined = _joined([*group, word])
    return (
        word.start - group[-1].end > PAUSE
        or word.end - group[0].start > MAX_SECONDS
        or len(textwrap.wrap(joined, LINE)) > LINES
        or bool(_SENTENCE_END.search(group[-1].text))
    )


def _cue(words: list[Word]) -> Cue:
    return Cue(_joined(words), words[0].start, words[-1].end + LINGER)


def _joined(words: Iterable[Word]) -> str:
    return " ".join(word.text for word in words)


def webvtt(shown: Iterable[Cue]) -> str:
    """Cues as a WebVTT file (https://www.w3.org/TR/webvtt1/)."""
    return "\n".join(["WEBVTT\n", *map(_block, shown)])


def _block(cue: Cue) -> str:
    text = _escaped("\n".join(_lines(cue.text)))
    return f"{_stamp(cue.start)} --> {_stamp(cue.end)}\n{text}\n"


def write_webvtt(shown: Iterable[Cue], path: Path) -> None:
    """Write a WebVTT file, which appears when it is complete.

    Raises:
        OutputError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        draft.write_text(webvtt(shown), encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _stamp(seconds: float) -> str:
    """HH:MM:SS.mmm."""
    minutes, rest = divmod(round(1000 * max(seconds, 0)), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"


def _escaped(text: str) -> str:
    """Text without markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _lines(text: str) -> list[str]:
    """A cue's lines, of about one length."""
    count = len(textwrap.wrap(text, LINE)) or 1
    even = -(-len(text) // count)
    for width in range(even, LINE + 1):
        lines = textwrap.wrap(text, width)
        if len(lines) <= count:
            return lines
    return textwrap.wrap(text, LINE) or [""]


class CaptionPainter:
    """Paints cues into frames, before these are marked."""

    def __init__(self, shown: Sequence[Cue]) -> None:
        """Paint the cues of a clip, in order of time."""
        self._cues = tuple(shown)
        self._place = 0
        self._plate: tuple[Cue, ImageArray, int, int] | None = None

    def paint(self, frame: ImageArray, seconds: float) -> None:
        """Paint what is said at a time, not before that of the last call, into (H, W, 3) uint8."""
        while self._place < len(self._cues) and self._cues[self._place].end <= seconds:
            self._place += 1
        if self._place == len(self._cues) or self._cues[self._place].start > seconds:
            return
        plate, top, left = self._drawn(self._cues[self._place], frame.shape[0])
        window = frame[top : top + plate.shape[0], left : left + plate.shape[1]]
        alpha = plate[..., 3:].astype(np.uint16)
        window[:] = (plate[..., :3] * alpha + window * (255 - alpha)) // 255

    def _drawn(self, cue: Cue, side: int) -> tuple[ImageArray, int, int]:
        """A cue as (H, W, 4) uint8, and where it goes."""
        if self._plate is None or self._plate[0] is not cue:
            plate = _plate("\n".join(_lines(cue.text)), side)
            top = round(0.95 * side) - plate.shape[0]
            self._plate = cue, plate, max(top, 0), (side - plate.shape[1]) // 2
        return self._plate[1:]


def _plate(text: str, side: int) -> ImageArray:
    """Text on a dark box, (H, W, 4) uint8 for a frame of this side, in pixels."""
    from PIL import Image, ImageDraw

    size = round(FONT_SHARE * side)
    font, margin = _font(size), size // 2
    measure = ImageDraw.Draw(Image.new("RGBA", (1, 1)))
    left, top, right, bottom = measure.multiline_textbbox((0, 0), text, font, align="center")
    width, height = round(right - left) + 2 * margin, round(bottom - top) + margin
    plate = Image.new("RGBA", (min(width, side), height), BOX)
    place = (margin - left, margin / 2 - top)
    ImageDraw.Draw(plate).multiline_text(place, text, (255, 255, 255, 255), font, align="center")
    return np.asarray(plate, np.uint8)


@functools.cache
def _font(size: int) -> FreeTypeFont:
    """A font for most alphabets."""
    from PIL import ImageFont

    spec = importlib.util.find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return ImageFont.truetype(str(Path(spec.origin).parent / FONT), size)
