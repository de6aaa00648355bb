"""Alignment of real speech: GRID's code, the phones' alphabet, and a synthesised sentence."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from vasari.errors import SpeechError
from vasari.eval import alignment
from vasari.eval.alignment import IPA, align, grid_text
from vasari.generate.speech import Speech
from vasari.models.speech_encoder import SOUNDS


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("bbaf2n", "bin blue at f two now"),
        ("swwzzp", "set white with z zero please"),
        ("bbaw2n", None),  # GRID has no w
        ("xbaf2n", None),
        ("bbaf2", None),
        ("sailor", None),
    ],
)
def test_the_code_of_grid(code, text):
    assert grid_text(code) == text


def test_every_phone_has_a_group_of_sounds():
    assert all(any(letter in group for group in SOUNDS) for ipa in IPA.values() for letter in ipa)


def test_without_pocketsphinx(monkeypatch):
    def refuse(name):
        raise ImportError(name)

    alignment._aligner.cache_clear()
    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(SpeechError, match=r"vasari\[captions\]"):
        align(Speech.from_samples(np.zeros(1600), 16_000), "hello")


def test_phones_are_found_where_they_are():
    pytest.importorskip("pocketsphinx")
    pytest.importorskip("espeakng_loader")
    from vasari.generate.synthesis import speak

    spoken = speak("please open the window", language="en-us")
    found = align(spoken, "please open the window")
    window = next(phone.start for phone in found if phone.symbol == "w")
    truth = next(phone.start for phone in spoken.phones if phone.symbol.lstrip("ˈˌ") == "w")
    assert window == pytest.approx(truth, abs=0.1)
    with pytest.raises(alignment.AlignmentError, match="dictionary"):
        align(spoken, "please open the qwrtz")
