"""Utterances: which sound is labelled when."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from vasari.generate.speech import Phone
from vasari.models import utterances
from vasari.models.speech_encoder import BILABIAL, MELS, SILENCE, SOUNDS
from vasari.models.utterances import ASPIRATION, label


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


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_synthesisers_say_known_sounds(monkeypatch, share):
    pytest.importorskip("espeakng_loader")
    if share and not shutil.which("flite"):
        pytest.skip("flite is not installed")
    monkeypatch.setattr(utterances, "FLITE_SHARE", share)
    spoken = utterances.synthesise(3)
    assert spoken.levels.shape == (len(spoken.sounds), MELS)
    loud = spoken.levels.max(axis=1) > -20
    assert (spoken.sounds[loud & (spoken.certain > 0)] != SILENCE).mean() > 0.9
    assert len(set(spoken.sounds)) > 5
