"""Utterances: which sound is labelled when."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from vasari.errors import SpeechError
from vasari.generate.speech import Phone, Speech
from vasari.models import festival, utterances
from vasari.models.speech_encoder import BILABIAL, MELS, SILENCE, SOUNDS
from vasari.models.utterances import ASPIRATION, label, resize


def group(letter: str) -> int:
    return next(number for number, letters in enumerate(SOUNDS) if letter in letters)


def test_between_phones_is_silence():
    sounds, certain = label([Phone("a", 0.1, 0.2)], 30, closures_shown=True)
    assert (sounds[:10] == SILENCE).all()
    assert (sounds[10:20] == group("a")).all()
    assert certain.all()


def test_a_diphthong_is_two_sounds():
    sounds, _ = label([Phone("aj", 0.0, 0.2)], 20, closures_shown=True)
    assert sounds.tolist() == [group("a")] * 10 + [group("j")] * 10


def test_a_stop_of_espeak_begins_with_its_burst():
    phones = [Phone("a", 0.0, 0.2), Phone("p", 0.2, 0.25), Phone("i", 0.25, 0.4)]
    sounds, _ = label(phones, 40, closures_shown=False)
    assert (sounds[16:20] == BILABIAL).all()
    assert (sounds[20:40] == group("i")).all()
    shown, _ = label(phones, 40, closures_shown=True)
    assert np.flatnonzero(shown == BILABIAL).tolist() == list(range(20, 25))
    last, _ = label(phones[:2], 40, closures_shown=False)
    assert (last[20:25] == ASPIRATION).all()


def test_strange_symbols_are_uncertain():
    _, certain = label([Phone("(en)", 0.1, 0.2), Phone("‼", 0.2, 0.3)], 40, closures_shown=True)
    assert certain[20:30].max() == 0
    assert certain[30:].all()


@pytest.mark.parametrize("engine", ["espeak", "flite", "festival"])
def test_synthesisers_say_known_sounds(monkeypatch, engine):
    pytest.importorskip("espeakng_loader")
    if engine != "espeak" and not shutil.which(engine):
        pytest.skip(f"{engine} is not installed")
    monkeypatch.setattr(utterances, "FLITE_SHARE", float(engine == "flite"))
    monkeypatch.setattr(utterances, "FESTIVAL_SHARE", float(engine == "festival"))
    try:
        spoken = utterances.synthesise(3)
    except SpeechError:
        if engine != "festival":
            raise
        pytest.skip("a voice of festival is not installed")
    assert spoken.levels.shape == (len(spoken.sounds), MELS)
    loud = spoken.levels.max(axis=1) > -20
    assert (spoken.sounds[loud & (spoken.certain > 0)] != SILENCE).mean() > 0.9
    assert len(set(spoken.sounds)) > 5


def test_nothing_is_trained_on_the_voices_that_closures_are_measured_on():
    assert not {*utterances.VOICES} & {*utterances.UNHEARD_VOICES}
    assert not {*utterances.FESTIVAL_VOICES} & {*utterances.UNHEARD_FESTIVAL}


def test_a_larger_person_speaks_slower_and_lower():
    tone = np.sin(2 * np.pi * 400 * np.arange(16_000) / 16_000)
    speech = Speech.from_samples(tone, 16_000, phones=(Phone("a", 0.2, 0.4),))
    larger = resize(speech, 0.8)
    assert larger.duration == pytest.approx(1.25)
    assert larger.phones[0] == Phone("a", pytest.approx(0.25), pytest.approx(0.5))
    sound = np.concatenate(list(larger.blocks()))
    assert np.abs(np.fft.rfft(sound)).argmax() / larger.duration == pytest.approx(320, abs=2)


@pytest.mark.parametrize("voice", ["lp_diphone", "msu_ru_nsh_clunits"])
def test_festival_tells_its_phones(voice):
    if not shutil.which("festival"):
        pytest.skip("festival is not installed")
    try:
        speech = festival.say("mamma" if voice == "lp_diphone" else "мама", voice)
    except SpeechError:
        pytest.skip(f"{voice} is not installed")
    assert [phone.symbol for phone in speech.phones if phone.symbol == "m"] == ["m"] * 2 + (
        ["m"] * (voice == "lp_diphone")
    )
    assert 0 < speech.phones[0].start < speech.phones[-1].end < speech.duration
