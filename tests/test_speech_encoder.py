"""The network in NumPy, against an independent convolution; its weights; what it makes of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vasari.errors import VasariError
from vasari.generate.articulation import ANTICIPATED, articulate, lip_weights, move_mouth
from vasari.generate.motion import ARKIT_INDEX
from vasari.generate.spectrum import mel_matrix
from vasari.models.speech_encoder import (
    BILABIAL,
    FILES,
    LEVEL_CENTRE,
    LEVEL_LIMITS,
    LEVEL_SCALE,
    LIVE,
    MELS,
    OUTPUTS,
    SILENCE,
    SOUNDS,
    Heard,
    SpeechEncoder,
    load_speech_encoder,
)

CHANNELS = 6


def random_weights() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0).normal
    weights = {
        "kernel_last": draw(0, 0.3, (CHANNELS, OUTPUTS)),
        "bias_last": draw(0, 0.3, OUTPUTS),
    }
    for layer in range(len(FILES.taps)):
        weights[f"kernel_{layer}"] = draw(0, 0.3, (3, CHANNELS if layer else MELS, CHANNELS))
        weights[f"bias_{layer}"] = draw(0, 0.3, CHANNELS)
    return {name: array.astype(np.float32) for name, array in weights.items()}


def random_levels(count: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-90, 20, (count, MELS)).astype(np.float32)


def slow_convolution(values, kernel, bias, taps):
    """Output by output, silence (what it was scaled to) around."""
    rows = []
    for index in range(-taps[0], len(values) - taps[-1]):
        row = bias.astype(np.float64)
        for tap, matrix in zip(taps, kernel, strict=True):
            row = row + values[index + tap] @ matrix
        rows.append(row)
    return np.array(rows)


KINDS = pytest.mark.parametrize("kind", [FILES, LIVE], ids=["files", "live"])


@KINDS
def test_network_matches_an_independent_one(kind):
    weights, levels = random_weights(), random_levels(30)
    silence = [np.full((count, MELS), -200.0) for count in (kind.before, kind.ahead)]
    hidden = np.concatenate([silence[0], levels, silence[1]])
    hidden = np.clip((hidden - LEVEL_CENTRE) / LEVEL_SCALE, *LEVEL_LIMITS)
    for layer, taps in enumerate(kind.taps):
        kernel, bias = weights[f"kernel_{layer}"], weights[f"bias_{layer}"]
        changed = np.maximum(slow_convolution(hidden, kernel, bias, taps), 0)
        own = hidden[-taps[0] :][: len(changed)]
        hidden = own + changed if layer else changed
    outputs = hidden @ weights["kernel_last"] + weights["bias_last"]
    odds = np.exp(outputs[:, : len(SOUNDS)])
    chances = odds / odds.sum(axis=1, keepdims=True)
    heard = SpeechEncoder(kind, weights)(levels)
    assert heard.chances == pytest.approx(chances, abs=1e-4)
    assert heard.features == pytest.approx(hidden, rel=1e-3, abs=1e-2)
    assert heard.opening == pytest.approx(outputs[:, len(SOUNDS)], rel=1e-3, abs=1e-2)


@KINDS
def test_a_stream_hears_the_same_a_little_later(kind):
    network, levels = SpeechEncoder(kind, random_weights()), random_levels(50)
    stream = network.stream()
    parts = [stream.hear(part) for part in np.split(levels, [1, 2, 17, 17, 40])]
    late = np.concatenate([part.features for part in parts])
    assert late.shape == (50, CHANNELS)
    assert late[kind.ahead :] == pytest.approx(
        network(levels).features[: -kind.ahead], rel=1e-4, abs=1e-3
    )


@KINDS
def test_an_output_depends_on_its_field_of_view(kind):
    network = SpeechEncoder(kind, random_weights())
    levels = random_levels(200)
    changed = levels.copy()
    changed[100] += 30
    differs = (network(levels).features != network(changed).features).any(axis=1)
    seen = np.flatnonzero(differs) - 100
    assert -kind.ahead <= seen[0] < 0 < kind.before / 2 < seen[-1] <= kind.before


def test_live_sound_is_heard_within_a_tenth_of_a_second():
    assert LIVE.ahead <= 10


def test_every_letter_belongs_to_one_group():
    letters = "".join(SOUNDS)
    assert len(letters) == len(set(letters))


@KINDS
def test_weights_are_checked(kind):
    assert load_speech_encoder(kind).kind == kind
    with pytest.raises(VasariError, match="damaged"):
        load_speech_encoder(dataclasses.replace(kind, sha256="0" * 64))


def test_mel_bands_cover_their_range():
    matrix = mel_matrix(MELS, 80, 7600)
    covered = np.flatnonzero(matrix.sum(axis=1)) * 16_000 / 512
    assert 80 <= covered[0] < 130
    assert 7500 < covered[-1] <= 7600
    assert (matrix.sum(axis=0) > 0).all()
    assert 0.5 < matrix.max(axis=0).min() <= matrix.max() <= 1


class Hearing:
    """A stand-in for the network that is sure of one group of sounds."""

    def __init__(self, group: int) -> None:
        self.group = group

    def __call__(self, levels):
        chances = np.zeros((len(levels), len(SOUNDS)), np.float32)
        chances[:, self.group] = 1
        return Heard(chances, np.full(len(levels), 0.8, np.float32), chances)


def weights_for(letter: str, monkeypatch) -> dict[str, float]:
    group = SOUNDS.index("") if not letter else next(i for i, s in enumerate(SOUNDS) if letter in s)
    monkeypatch.setattr("vasari.generate.articulation.load_speech_encoder", lambda: Hearing(group))
    row = lip_weights(articulate(np.zeros((100, MELS), np.float32)))[50]
    return {name: float(row[index]) for name, index in ARKIT_INDEX.items()}


def test_sounds_look_like_themselves(monkeypatch):
    looks = {letter: weights_for(letter, monkeypatch) for letter in ["", *"mfsuiak"]}
    assert not any(looks[""].values())
    assert looks["m"]["jawOpen"] == looks["m"]["mouthLowerDownLeft"] == 0
    assert looks["m"]["mouthPressLeft"] > 0.1
    assert looks["f"]["mouthRollLower"] > 0.3
    assert looks["u"]["mouthPucker"] > 0.3 > looks["i"]["mouthPucker"]
    assert looks["i"]["mouthStretchLeft"] > looks["u"]["mouthStretchLeft"]
    assert looks["s"]["jawOpen"] < looks["a"]["jawOpen"]
    assert 0.25 < looks["a"]["jawOpen"] <= 0.55
    for look in looks.values():
        assert look["mouthLowerDownLeft"] == look["mouthLowerDownRight"]


def test_weights_stay_in_range():
    levels = np.random.default_rng(0).uniform(-60, 20, (500, MELS)).astype(np.float32)
    weights = lip_weights(articulate(levels))
    assert weights.min() >= 0
    assert weights.max() <= 1


VOWEL = next(group for group, letters in enumerate(SOUNDS) if "a" in letters)


def told(**chances: np.ndarray) -> Heard:
    """What would be heard if wide open vowels were all there is but for some groups."""
    groups = {"bilabial": BILABIAL, "silence": SILENCE}
    count = len(next(iter(chances.values())))
    table = np.zeros((count, len(SOUNDS)), np.float32)
    for name, track in chances.items():
        table[:, groups[name]] = track
    table[:, VOWEL] = 1 - table.sum(axis=1)
    return Heard(table, np.full(count, 0.8, np.float32), table)


@pytest.mark.parametrize("sure", [0.35, 0.6, 1.0])
def test_lips_seal_in_every_bilabial_that_is_heard(sure):
    chance = np.zeros(300, np.float32)
    chance[150:154] = sure
    opening = move_mouth(told(bilabial=chance)).opening
    assert opening[151:153].max() < 0.02
    assert (opening[148:156] < 0.5 * opening[100]).sum() >= 6  # a frame at 25 per second sees it
    assert opening[140] == pytest.approx(opening[100], rel=0.02)
    assert np.abs(np.diff(opening)).max() < 0.35 * opening[100]  # no pop


def test_an_unlikely_bilabial_leaves_the_lips_alone():
    chance = np.zeros(300, np.float32)
    chance[150:154] = 0.12
    opening = move_mouth(told(bilabial=chance)).opening
    assert opening[150] == pytest.approx(opening[100], rel=0.02)


def test_lips_rest_in_a_pause_with_noise_that_sounds_like_speech_at_times():
    silence = np.zeros(600, np.float32)
    silence[200:500] = np.random.default_rng(0).uniform(0.55, 1, 300)
    silence[340:344] = 0
    opening = move_mouth(told(silence=silence)).opening
    assert opening[260:440].max() < 0.02
    assert opening[:130].min() > 0.5
    assert opening[570:].min() > 0.5


def test_a_short_silence_does_not_close_the_lips():
    silence = np.zeros(300, np.float32)
    silence[150:156] = 1
    assert move_mouth(told(silence=silence)).opening.min() > 0.5


def test_lips_part_a_little_before_speech():
    silence = np.ones(500, np.float32)
    silence[250:] = 0  # of a network that expects wide lips all the time
    opening = move_mouth(told(silence=silence)).opening
    assert opening[:180].max() < 0.01
    assert 0.5 * ANTICIPATED < opening[245] / opening[400] < 1
    assert np.diff(opening[180:300]).min() > -1e-3
    assert move_mouth(told(silence=silence[::-1])).opening[300:].max() < 0.01  # none lingers
