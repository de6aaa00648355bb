"""Speech whose sounds are known at every moment, to teach the speech encoder its phones.

Three synthesisers say rows of words: espeak-ng in many languages and voices, flite in English, and
festival in Czech, Finnish, Italian and Catalan. Real speech is aligned with its text.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.errors import SpeechError
from vasari.eval.alignment import IPA, PAUSES, phones_of
from vasari.generate.spectrum import FRAME_RATE, decibels, mel_matrix, power_spectra
from vasari.generate.speech import Phone, Speech
from vasari.generate.synthesis import speak
from vasari.models import festival
from vasari.models.speech_encoder import MEL_RANGE, MELS, SILENCE, SOUNDS
from vasari.models.vocabulary import WORDS

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

ENGLISHES = ("en", "en-us", "en-gb-x-rp", "en-gb-scotland", "en-029")
LANGUAGES = (*ENGLISHES * 2, *(code for code in WORDS if code != "en"))
# Languages without a vocabulary say numbers, which every language has words for.
COUNTING = (
    "af", "ar", "bg", "bn", "ca", "cs", "cy", "da", "el", "et", "eu", "fa", "fi", "ga", "gu", "he",
    "hi", "hr", "hu", "hy", "id", "is", "ka", "kk", "ko", "lt", "lv", "mk", "ms", "mt", "nb", "ne",
    "nl", "pl", "ro", "sk", "sl", "sq", "sr", "sv", "sw", "ta", "te", "tr", "uk", "ur", "uz", "vi",
    "yue",
)  # fmt: skip
# The voices of espeak-ng that sound like people: no robots, no whispers.
VOICES = (
    "default", "f1", "f2", "f3", "f4", "m1", "m2", "m3", "m4", "m5", "m6", "m8",
    "Alex", "Andrea", "Andy", "Annie", "belinda", "benjamin", "boris", "caleb",
    "david", "Denis", "Diogo", "ed", "edward", "Gene", "Gene2", "Henrique", "ian",
    "iven", "iven2", "Jacky", "john", "klatt", "klatt2", "klatt3", "Lee", "Marco",
    "Mario", "max", "Michael", "michel", "miguel", "norbert", "pablo", "paul",
    "pedro", "quincy", "Reed", "rob", "robert", "sandro", "shelby", "steph", "steph2",
    "travis", "victor", "zac", "adam", "anika", "antonio", "aunty", "grandma", "grandpa",
)  # fmt: skip
# Voices that nothing is trained on, so that closures can be measured on them.
UNHEARD_VOICES = ("f5", "m7", "Alicia", "Hugo", "linda", "Mike")
UNHEARD_FESTIVAL = ("lp_diphone", "msu_ru_nsh_clunits")
FLITE_VOICES = ("awb", "kal16", "rms", "slt")
FESTIVAL_VOICES = tuple(voice for voice in festival.VOICES if voice not in UNHEARD_FESTIVAL)
FLITE_SHARE, FESTIVAL_SHARE = 0.22, 0.25  # of the synthesised sentences
COUNTING_SHARE = 0.25  # of those of espeak-ng
PAUSE_SHARE = 0.12  # of the words are followed by a pause
# A voice played faster or slower is a smaller or larger person, who speaks faster or slower.
SIZES = (0.84, 1.2)

ASPIRATION = next(group for group, letters in enumerate(SOUNDS) if "h" in letters)
# espeak-ng counts the closure of a voiceless stop to the sound before it.
STOP_CLOSURE = 4.5  # spectra


@dataclass(frozen=True)
class Utterance:
    """Speech of n spectra whose sounds are known."""

    levels: FloatArray  # (n, MELS) dB re the loud level
    sounds: IntArray  # (n,) index into SOUNDS
    certain: FloatArray  # (n,) 1 where the sound is known, else 0


def mel_levels(speech: Speech) -> FloatArray:
    """Mel levels of a speech, (n, MELS) dB re its loud level."""
    matrix = mel_matrix(MELS, *MEL_RANGE)
    levels = [decibels(spectra @ matrix) for spectra in power_spectra(speech.blocks())]
    return np.concatenate(levels) - np.float32(speech.level.loud)


def synthesise(seed: int) -> Utterance:
    """Let a random voice say a random row of words."""
    chance = random.Random(seed)  # noqa: S311  no secret depends on it
    engine = chance.random()
    if engine < FLITE_SHARE:
        return _say_with_flite(chance)
    if engine < FLITE_SHARE + FESTIVAL_SHARE:
        return _say_with_festival(chance)
    return _say_with_espeak(chance)


def _say_with_espeak(chance: random.Random) -> Utterance:
    if chance.random() < COUNTING_SHARE:
        language, words = chance.choice(COUNTING), [str(chance.randint(0, 999)) for _ in range(9)]
        text = _row(chance, words, 3, 6)
    else:
        language = chance.choice(LANGUAGES)
        text = _row(chance, WORDS[language.split("-")[0]], 5, 14)
    voice, rate = chance.choice(VOICES), chance.randint(110, 230)
    speech = _resized(speak(text, language=language, voice=voice, rate=rate), chance)
    levels = mel_levels(speech)
    return Utterance(levels, *label(speech.phones, len(levels), closures_shown=False))


def _say_with_flite(chance: random.Random) -> Utterance:
    words = _row(chance, WORDS["en"], 5, 14)
    stretch = chance.uniform(0.8, 1.3)
    speech = _resized(_flite(words, chance.choice(FLITE_VOICES), stretch), chance)
    levels = mel_levels(speech)
    return Utterance(levels, *label(speech.phones, len(levels), closures_shown=True))


def _say_with_festival(chance: random.Random) -> Utterance:
    voice = chance.choice(FESTIVAL_VOICES)
    words = _row(chance, WORDS[festival.VOICES[voice]], 5, 14)
    speech = _resized(festival.say(words, voice, chance.uniform(0.8, 1.3)), chance)
    levels = mel_levels(speech)
    return Utterance(levels, *label(speech.phones, len(levels), closures_shown=True))


def _row(chance: random.Random, words: Sequence[str], least: int, most: int) -> str:
    """Random words with a few pauses between them."""
    picked = [chance.choice(words) for _ in range(chance.randint(least, most))]
    return " ".join(word + "," * (chance.random() < PAUSE_SHARE) for word in picked)


def _resized(speech: Speech, chance: random.Random) -> Speech:
    """The same words by a smaller or larger person: pitch, formants and pace together."""
    return resize(speech, chance.uniform(*SIZES))


def resize(speech: Speech, size: float) -> Speech:
    """A speech played so many times as fast."""
    samples = np.concatenate(list(speech.blocks())) if speech.samples is None else speech.samples.T
    original = 16_000 if speech.samples is None else speech.rate
    phones = [replace(p, start=p.start / size, end=p.end / size) for p in speech.phones]
    return Speech.from_samples(samples, round(original * size), phones=tuple(phones))


def _flite(text: str, voice: str, stretch: float) -> Speech:
    """Speak with flite, with the times of phones."""
    program = shutil.which("flite")
    if program is None:
        raise SpeechError("training needs the program flite (Debian package flite)")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "row.wav")
        options = ["-voice", voice, "--setf", f"duration_stretch={stretch:.2f}"]
        printed = subprocess.run(  # noqa: S603  our own words to a program of Debian's
            [program, *options, "-psdur", "-t", text, "-o", str(file)],
            capture_output=True, check=True, timeout=60, text=True,
        ).stdout  # fmt: skip
        sound = Speech.open(file)
        samples = np.concatenate(list(sound.blocks()))
    ends = [(name, float(end)) for name, end in re.findall(r"(\w+):([\d.]+)", printed)]
    starts = [0.0, *(end for _, end in ends)]
    phones = [
        Phone(IPA[name.upper()], start, end)
        for (name, end), start in zip(ends, starts, strict=False)
        if name not in PAUSES
    ]
    return Speech.from_samples(samples, 16_000, phones=tuple(phones))


def listen(path: Path) -> Utterance:
    """A real recording in English with its sounds; where they cannot be found, none is certain."""
    levels = mel_levels(Speech.open(path))
    sounds, certain = label(phones_of(path), len(levels), closures_shown=True)
    return Utterance(levels, sounds, certain * (sounds != SILENCE).any())


def listen_resized(path: Path, heard: Utterance, size: float) -> Utterance:
    """What `listen` made of a recording, of a person of another size."""
    levels = mel_levels(resize(Speech.open(path), size))
    index = np.minimum((np.arange(len(levels)) * size).round().astype(int), len(heard.sounds) - 1)
    return Utterance(levels, heard.sounds[index], heard.certain[index])


def label(
    phones: Sequence[Phone], length: int, *, closures_shown: bool
) -> tuple[IntArray, FloatArray]:
    """The group of sounds at each spectrum, and whether it is known.

    Args:
        phones: in order; between them is silence.
        length: number of spectra.
        closures_shown: whether a voiceless stop's time includes its closure. That of espeak-ng
            begins with the burst.
    """
    sounds, certain = np.full(length, SILENCE, np.int64), np.ones(length, np.float32)
    groups = [_groups(phone.symbol) for phone in phones]
    for index, (phone, group) in enumerate(zip(phones, groups, strict=True)):
        start, end = phone.start * FRAME_RATE, phone.end * FRAME_RATE
        if not group:
            certain[round(start) : round(end)] = 0
        elif phone.symbol[0] in "ptk" and not closures_shown:
            follower = (group[1:] + [item for later in groups[index + 1 :] for item in later])[:1]
            sounds[max(0, round(start - STOP_CLOSURE)) : round(start)] = group[0]
            sounds[round(start) : round(end)] = (follower or [ASPIRATION])[0]
        else:
            middle = start + (end - start) / min(len(group), 2)
            sounds[round(start) : round(middle)] = group[0]
            sounds[round(middle) : round(end)] = group[-1]
    return sounds, certain


def _groups(symbol: str) -> list[int]:
    """The groups of sounds in a phone's IPA symbol, two for a diphthong or affricate."""
    return [group for letter in symbol for group, letters in enumerate(SOUNDS) if letter in letters]
