"""The network in NumPy, against an independent convolution; its weights; what it makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.errors import VasariError
from vasari.generate.articulation import articulate, lip_weights
from vasari.generate.motion import ARKIT_INDEX
from vasari.generate.spectrum import mel_matrix
from vasari.models import articulator
from vasari.models.articulator import (
    DILATIONS,
    LEVEL_CENTRE,
    LEVEL_LIMITS,
    LEVEL_SCALE,
    MELS,
    OUTPUTS,
    REACH,
    SOUNDS,
    Articulator,
    load_articulator,
)

WIDTH = 6


def random_weights() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0).normal
    inputs = [MELS, *[WIDTH] * 7]
    taps = [*[3] * 7, 1]
    outputs = [*[WIDTH] * 7, OUTPUTS]
    weights = {"opening": draw(size=len(SOUNDS))}
    for layer, (tap, channels, out) in enumerate(zip(taps, inputs, outputs, strict=True)):
        weights[f"kernel_{layer}"] = draw(0, 0.3, (tap, channels, out))
        weights[f"bias_{layer}"] = draw(0, 0.3, out)
    return {name: array.astype(np.float32) for name, array in weights.items()}


def slow_convolution(values, kernel, bias, dilation):
    """np.convolve, channel by channel."""
    spread = np.zeros((2 * dilation + 1, *kernel.shape[1:]))
    spread[::dilation] = kernel
    columns = [
        sum(np.convolve(values[:, i], spread[::-1, i, o], "same") for i in range(values.shape[1]))
        for o in range(kernel.shape[2])
    ]
    return np.stack(columns, axis=1) + bias


def test_network_matches_an_independent_one():
    weights = random_weights()
    levels = np.random.default_rng(1).uniform(-90, 20, (80, MELS)).astype(np.float32)
    hidden = np.clip((levels - LEVEL_CENTRE) / LEVEL_SCALE, *LEVEL_LIMITS)
    hidden = np.maximum(slow_convolution(hidden, weights["kernel_0"], weights["bias_0"], 1), 0)
    for layer, dilation in enumerate(DILATIONS, 1):
        kernel, bias = weights[f"kernel_{layer}"], weights[f"bias_{layer}"]
        hidden = hidden + np.maximum(slow_convolution(hidden, kernel, bias, dilation), 0)
    outputs = hidden @ weights["kernel_7"][0] + weights["bias_7"]
    odds = np.exp(outputs[:, : len(SOUNDS)])
    chances, opening = Articulator(weights)(levels)
    assert chances == pytest.approx(odds / odds.sum(axis=1, keepdims=True), abs=1e-4)
    assert opening == pytest.approx(outputs[:, len(SOUNDS)], abs=1e-3)


def test_reach_is_the_field_of_view():
    network = Articulator(random_weights())
    levels = np.full((4 * REACH, MELS), -40, np.float32)
    changed = levels.copy()
    changed[2 * REACH] += 30
    seen = np.flatnonzero(network(levels)[1] != network(changed)[1])
    assert 2 * REACH - REACH <= seen[0] <= seen[-1] <= 2 * REACH + REACH
    assert seen[-1] - seen[0] > REACH


def test_every_letter_belongs_to_one_group():
    letters = "".join(SOUNDS)
    assert len(letters) == len(set(letters))


def test_weights_are_checked(monkeypatch):
    network = load_articulator()
    assert network.opening.shape == (len(SOUNDS),)
    load_articulator.cache_clear()
    monkeypatch.setattr(articulator, "SHA256", "0" * 64)
    with pytest.raises(VasariError, match="damaged"):
        load_articulator()


def test_mel_bands_cover_their_range():
    matrix = mel_matrix(MELS, 80, 7600)
    covered = np.flatnonzero(matrix.sum(axis=1)) * 16_000 / 512
    assert 80 <= covered[0] < 130
    assert 7500 < covered[-1] <= 7600
    assert (matrix.sum(axis=0) > 0).all()
    assert 0.5 < matrix.max(axis=0).min() <= matrix.max() <= 1


class Hearing:
    """A stand-in for the network that is sure of one group of sounds."""

    opening = np.full(len(SOUNDS), 0.8, np.float32)

    def __init__(self, group: int) -> None:
        self.group = group

    def __call__(self, levels):
        chances = np.zeros((len(levels), len(SOUNDS)), np.float32)
        chances[:, self.group] = 1
        return chances, np.full(len(levels), 0.8, np.float32)


def weights_for(letter: str, monkeypatch) -> dict[str, float]:
    group = SOUNDS.index("") if not letter else next(i for i, s in enumerate(SOUNDS) if letter in s)
    monkeypatch.setattr("vasari.generate.articulation.load_articulator", lambda: Hearing(group))
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
