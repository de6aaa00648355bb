"""The training of the speech encoder: what it learns from, and that what it writes is the same."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vasari.models import train_speech_encoder as training  # noqa: E402
from vasari.models.speech_encoder import (  # noqa: E402
    FILES,
    LIVE,
    MELS,
    SOUNDS,
    Kind,
    SpeechEncoder,
)
from vasari.models.train_speech_encoder import (  # noqa: E402
    Batches,
    Coarticulation,
    Example,
    Network,
    Teachers,
)
from vasari.models.utterances import Utterance  # noqa: E402

OPEN = next(group for group, letters in enumerate(SOUNDS) if "a" in letters)


@pytest.fixture(scope="module")
def clip() -> Example:
    """A voice that is loud in some bands when it says "a", and lips that follow it."""
    spoken = np.repeat(np.random.default_rng(0).random(60) < 0.5, 10)
    levels = np.where(spoken[:, None] & (np.arange(MELS) < 20), 0, -70).astype(np.float32)
    utterance = Utterance(levels, spoken * OPEN, np.ones(600, np.float32))
    return Example(utterance, spoken.astype(np.float32), levels[:, 0], np.ones(600, np.float32))


@pytest.fixture(scope="module")
def batches(clip: Example) -> Batches:
    return Batches(Teachers([clip], [], {"someone": [clip]}), FILES, seed=0)


def test_batches_have_the_shapes_that_are_learned_from(batches: Batches) -> None:
    inputs, sounds, *others = batches.draw()
    examples = training.SPOKEN + training.LONE_CLIPS
    assert inputs.shape == (examples, MELS, FILES.before + training.TARGETS + FILES.ahead)
    assert torch.isfinite(inputs).all()
    assert all(track.shape == (examples, training.TARGETS) for track in (sounds, *others))


def test_training_lowers_the_loss(batches: Batches, clip: Example) -> None:
    torch.manual_seed(0)
    network = Network(FILES)
    inputs, *targets = batches.draw()
    before = training.loss_of(network(inputs), targets).item()
    training.train(network, batches, 8)
    assert training.loss_of(network(inputs), targets).item() < before


@pytest.mark.parametrize("kind", [FILES, LIVE])
def test_numpy_hears_what_was_trained(kind: Kind, tmp_path) -> None:
    torch.manual_seed(1)
    network = Network(kind).train()
    levels = np.random.default_rng(0).uniform(-90, 20, (kind.before + 40 + kind.ahead, MELS))
    inputs = training.scale_levels(levels.astype(np.float32))
    network(torch.tensor(inputs).T[None].repeat(2, 1, 1))  # gives the normalisation a history
    expected = network.eval()(torch.tensor(inputs).T[None])[0].detach().numpy().T
    training.write(network, tmp_path / "weights.npz")
    with np.load(tmp_path / "weights.npz") as archive:
        weights = {name: archive[name].astype(np.float32) for name in archive.files}
    heard = SpeechEncoder(kind, weights)(levels.astype(np.float32))
    inner = heard.opening[kind.before : len(levels) - kind.ahead]
    assert inner == pytest.approx(expected[:, len(SOUNDS)], abs=0.02)


def test_coarticulation_gives_lips_to_known_sounds(clip: Example) -> None:
    lips = Coarticulation({"someone": [clip]})
    told = lips(clip.utterance)
    assert np.corrcoef(told.opening, clip.opening)[0, 1] > 0.95
    assert told.counts[clip.utterance.sounds == 0].max() == 0


def test_correlation_counts_only_what_is_known() -> None:
    rows = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    counts = torch.ones_like(rows)
    counts[:, 2000:] = 0
    other = rows.clone()
    other[:, 2000:] = 9
    assert training.correlation(rows, other, counts).item() == pytest.approx(1, abs=0.01)
