"""When is each sound of a known text spoken? Forced alignment of real English speech.

Needs ``vasari[captions]``: pocketsphinx carries an acoustic model and a dictionary of English.

Example:
    >>> phones = align(Speech.open("talk.wav"), "good morning")  # doctest: +SKIP
"""

from __future__ import annotations

import functools
import importlib
import string
from pathlib import Path
from typing import Any

import numpy as np

from vasari.errors import SpeechError
from vasari.generate.recognition import recognise
from vasari.generate.spectrum import FRAME_RATE
from vasari.generate.speech import Phone, Speech

INSTALL_HINT = 'aligning speech needs pocketsphinx: pip install "vasari[captions]"'
PAUSES = ("SIL", "+SPN+", "+NSN+", "pau")

# The phones of CMUdict and flite in IPA; affricates and diphthongs are two letters.
IPA = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AX": "ə", "AY": "aɪ", "B": "b",  # noqa: RUF001
    "CH": "tʃ", "D": "d", "DH": "ð", "EH": "ɛ", "ER": "ɜ", "EY": "eɪ", "F": "f", "G": "ɡ",  # noqa: RUF001
    "HH": "h", "IH": "ɪ", "IY": "i", "JH": "dʒ", "K": "k", "L": "l", "M": "m", "N": "n",  # noqa: RUF001
    "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t",
    "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip

# A sentence of the GRID corpus by the six letters of its file name (Cooke et al. 2006, JASA 120).
_DIGITS = "zero one two three four five six seven eight nine"
_GRID_WORDS = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in string.ascii_lowercase if letter != "w"},
    dict(zip("z123456789", _DIGITS.split(), strict=True)),
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)


class AlignmentError(SpeechError):
    """The words cannot be found in the sound."""


def grid_text(code: str) -> str | None:
    """The words of a GRID sentence, such as "bin blue at f two now" for "bbaf2n", if it is one."""
    if len(code) != len(_GRID_WORDS):
        return None
    words = [table.get(letter) for letter, table in zip(code, _GRID_WORDS, strict=True)]
    return " ".join(word for word in words if word) if all(words) else None


def phones_of(path: Path) -> tuple[Phone, ...]:
    """The phones of an English recording; none where they cannot be found.

    The words of a GRID sentence are in its file's name; others are recognised.

    Raises:
        SpeechError: pocketsphinx is not installed, or the file cannot be read.
    """
    speech, text = Speech.open(path), grid_text(path.stem.removeprefix("grid_"))
    text = text or " ".join(word.text.lower() for word in recognise(speech))
    try:
        return align(speech, text)
    except AlignmentError:
        return ()


def align(speech: Speech, text: str) -> tuple[Phone, ...]:
    """Find the phones of a known English text.

    Args:
        speech: the voice that says it, and nothing else.
        text: its words in lower case, without punctuation; all of them in CMUdict.

    Returns:
        The phones in order, with times to 10 ms. What lies between them is silence.

    Raises:
        AlignmentError: a word is not in the dictionary, or the text is not what is said.
        SpeechError: pocketsphinx is not installed.
    """
    decoder = _aligner()
    try:
        decoder.set_align_text(text)
    except RuntimeError:
        raise AlignmentError(f"a word of {text!r} is not in the dictionary") from None
    return _phones_of(decoder, _pcm(speech))


@functools.cache
def _aligner() -> Any:
    """A decoder of 16 kHz English that is told what to hear; it takes a while to load."""
    try:
        module = importlib.import_module("pocketsphinx")
    except ImportError:
        raise SpeechError(INSTALL_HINT) from None
    return module.Decoder(lm=None, loglevel="FATAL")


def _pcm(speech: Speech) -> bytes:
    """The sound as 16-bit samples."""
    samples = np.concatenate(list(speech.blocks()))
    return (samples * 32_767).astype("<i2").tobytes()


def _listen(decoder: Any, sound: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()


def _phones_of(decoder: Any, sound: bytes) -> tuple[Phone, ...]:
    """Two passes: where the words are, then where their phones are."""
    try:
        _listen(decoder, sound)
        decoder.set_alignment()
        _listen(decoder, sound)
        alignment = decoder.get_alignment()
        # The entries live only as long as the alignment: copy them at once.
        entries = [(e.name, e.start, e.start + e.duration) for word in alignment for e in word]
    except (RuntimeError, TypeError):
        raise AlignmentError("the text cannot be found in this sound") from None
    return tuple(
        Phone(IPA[name], start / FRAME_RATE, end / FRAME_RATE)
        for name, start, end in entries
        if name not in PAUSES
    )
