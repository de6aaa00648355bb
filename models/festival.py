"""Festival's voices, each cut from the recordings of a person: speech with the times of its phones.

The program and its voices are packages of Debian (``festival``, ``festvox-…``), needed for training
alone.

Example:
    >>> say("mamma", "lp_diphone").phones[0].symbol  # doctest: +SKIP
    'm'
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vasari.errors import SpeechError
from vasari.generate.speech import Phone, Speech

PAUSES = ("pau", "#", "##", "_")
TIMEOUT = 60  # seconds for a sentence
# What festival's names of phones mean everywhere, in IPA; of some languages, below.
_COMMON = {
    "a": "a", "e": "e", "i": "i", "o": "o", "u": "u", "E": "ɛ", "O": "ɔ", "ax": "ə", "j": "j",
    "w": "w", "p": "p", "b": "b", "t": "t", "d": "d", "k": "k", "g": "ɡ", "f": "f", "v": "v",  # noqa: RUF001
    "s": "s", "z": "z", "S": "ʃ", "Z": "ʒ", "T": "θ", "D": "ð", "m": "m", "n": "n", "N": "ŋ",
    "J": "ɲ", "nf": "ɱ", "l": "l", "L": "ʎ", "r": "r", "rr": "r", "h": "h", "ts": "ts",
    "dz": "dz", "tS": "tʃ", "dZ": "dʒ",
}  # fmt: skip


@dataclass(frozen=True)
class Tongue:
    """A language of festival's."""

    encoding: str  # of the text that its voices read
    names: Mapping[str, str]  # phones that are named unlike elsewhere, in IPA


_TONGUES = {
    "ca": Tongue("latin-1", {}),
    "cs": Tongue(
        "iso8859-2",
        {
            "c": "ts", "c~": "tʃ", "ch": "x", "h": "ɦ", "s~": "ʃ", "z~": "ʒ", "dz~": "dʒ",
            "t~": "c", "d~": "ɟ", "n~": "ɲ", "n*": "ŋ", "r~": "r", "r~*": "r",
        },
    ),
    "fi": Tongue("latin-1", {"y": "y", "@": "æ", "7": "ø"}),
    "it": Tongue("latin-1", {}),
    "ru": Tongue(
        "utf-8",
        {
            "y": "ɨ", "ae": "ə", "ay": "ə", "ur": "ə", "c": "ts", "ch": "tɕ", "sh": "ʃ",
            "sch": "ɕ", "zh": "ʒ",
        },
    ),
}  # fmt: skip
# Voices by the language that they speak.
VOICES = {
    "czech_dita": "cs", "czech_krb": "cs", "czech_machac": "cs", "czech_ph": "cs",
    "suo_fi_lj_diphone": "fi", "hy_fi_mv_diphone": "fi", "lp_diphone": "it", "pc_diphone": "it",
    "upc_ca_ona_hts": "ca", "msu_ru_nsh_clunits": "ru",
}  # fmt: skip


def say(text: str, voice: str, stretch: float = 1.0) -> Speech:
    """Speak with festival.

    Args:
        text: words of the voice's language.
        voice: a name of VOICES.
        stretch: how much longer than usual sounds last; some voices have a pace of their own.

    Raises:
        SpeechError: the program or the voice is missing, or cannot speak this.
    """
    program = shutil.which("festival")
    if program is None:
        raise SpeechError("training needs the program festival (Debian package festival)")
    tongue = _TONGUES[VOICES[voice]]
    with tempfile.TemporaryDirectory() as folder:
        sound, phones = Path(folder, "row.wav"), Path(folder, "row.segs")
        script = Path(folder, "row.scm")
        script.write_bytes(
            f"(voice_{voice}) (Parameter.set 'Duration_Stretch {stretch:.2f})"
            f'(set! row (SynthText "{text}"))'
            f'(utt.save.segs row "{phones}") (utt.save.wave row "{sound}" \'riff)'.encode(
                tongue.encoding, "ignore"
            )
        )
        try:
            subprocess.run(  # noqa: S603  our own words to a program of Debian's
                [program, "--batch", str(script)],
                capture_output=True, check=True, timeout=TIMEOUT,
            )  # fmt: skip
            speech = Speech.open(sound)
            samples = np.concatenate(list(speech.blocks()))
            rows = phones.read_text().splitlines()
        except (OSError, SpeechError, subprocess.SubprocessError):
            raise SpeechError(f"festival cannot speak with {voice} (package festvox-…)") from None
    return Speech.from_samples(samples, 16_000, phones=_phones(rows, VOICES[voice]))


def _phones(rows: list[str], language: str) -> tuple[Phone, ...]:
    """The phones of a label file: lines of an end, a number and a name, after a first line."""
    phones, start = [], 0.0
    for row in rows[1:]:
        end, _, name = row.split()
        if name not in PAUSES:
            phones.append(Phone(_ipa(name, language), start, float(end)))
        start = float(end)
    return tuple(phones)


@functools.cache
def _ipa(name: str, language: str) -> str:
    """The IPA symbol of a phone; an unknown one stands for itself."""
    own = _TONGUES[language].names
    plain = name.rstrip("1:")
    single = plain[0] if len(set(plain)) == 1 else plain  # a doubled letter: long, palatal
    for known in (plain, single):
        if symbol := own.get(known) or _COMMON.get(known):
            return symbol
    return name
