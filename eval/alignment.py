"""When is each sound of a known text spoken? Forced alignment of real English speech.

Needs ``vasari[align]``: pocketsphinx carries an acoustic model and a dictionary of English.

Example:
    >>> phones = align(Speech.open("talk.wav"), "good morning")  # doctest: +SKIP
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np

from vasari.errors import SpeechError
from vasari.generate.spectrum import FRAME_RATE
from vasari.generate.speech import Phone, Speech

INSTALL_HINT = 'aligning speech needs pocketsphinx: pip install "vasari[align]"'
PAUSES = ("SIL", "+SPN+", "+NSN+", "pau")

# The phones of CMUdict and flite in IPA; affricates and diphthongs are two letters.
IPA = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AX": "ə", "AY": "aɪ", "B": "b",
    "CH": "tʃ", "D": "d", "DH": "ð", "EH": "ɛ", "ER": "ɜ", "EY": "eɪ", "F": "f", "G": "ɡ",  # noqa: RUF001
    "HH": "h", "IH": "ɪ", "IY": "i", "JH": "dʒ", "K": "k", "L": "l", "M": "m", "N": "n",  # noqa: RUF001
    "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t",  # noqa: RUF001
    "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",  # noqa: RUF001
}  # fmt: skip

# A sentence of the GRID corpus by the six letters of its file name (Cooke et al. 2006, JASA 120(5)).
_GRID_WORDS = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    None,  # the letter itself
    dict(zip("z123456789", "zero one two three four five six seven eight nine".split(), strict=True)),
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)


def grid_text(code: str) -> str | None:
    """The words of a GRID sentence, such as "bin blue at f two now" for "bbaf2n", if it is one."""
    if len(code) != len(_GRID_WORDS):
        return None
    words = [
        table.get(letter, "") if table else letter
        for letter, table in zip(code, _GRID_WORDS, strict=True)
    ]
    return " ".join(words) if all(words) and code[3].isalpha() else None


def align(speech: Speech, text: str) -> tuple[Phone, ...]:
    """Find the phones of a known English text.

    Args:
        speech: the voice that says it, and nothing else.
        text: its words in lower case, without punctuation; all of them in CMUdict.

    Returns:
        The phones in order, with times to 10 ms. What lies between them is silence.

    Raises:
        SpeechError: pocketsphinx is not installed, knows a word not, or finds no alignment.
    """
    decoder = _aligner()
    try:
        decoder.set_align_text(text)
    except RuntimeError:
        raise SpeechError(f"a word of {text!r} is not in the dictionary") from None
    return _phones_of(decoder, _pcm(speech))


def recognise(speech: Speech) -> tuple[Phone, ...]:
    """Find the phones of unknown English speech: its likeliest words, aligned.

    Raises:
        SpeechError: pocketsphinx is not installed, or hears no words.
    """
    decoder, sound = _decoder(), _pcm(speech)
    _listen(decoder, sound)
    words = [part.word for part in decoder.seg() or () if part.word[0] not in "<[+"]
    return align(speech, " ".join(word.partition("(")[0] for word in words))


@functools.cache
def _aligner() -> Any:
    """A recogniser that is told what to hear; it takes a while to load."""
    return _decoder(lm=None)


def _decoder(**options: Any) -> Any:
    """A recogniser of 16 kHz English."""
    try:
        module = importlib.import_module("pocketsphinx")
    except ImportError:
        raise SpeechError(INSTALL_HINT) from None
    return module.Decoder(loglevel="FATAL", **options)


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
        raise SpeechError("the text cannot be found in this sound") from None
    return tuple(
        Phone(IPA[name], start / FRAME_RATE, end / FRAME_RATE)
        for name, start, end in entries
        if name not in PAUSES
    )
