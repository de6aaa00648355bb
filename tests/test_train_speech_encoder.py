"""The training of the speech encoder: what it learns from, and that what it writes is the same."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vasari.errors import VasariError  # noqa: E402
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
    Committee,
    Example,
    Network,
    Run,
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
def teachers(clip: Example) -> Teachers:
    return Teachers([clip], [], {"someone": [clip]})


@pytest.fixture(scope="module")
def batches(teachers: Teachers) -> Batches:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "PIECES", 5)
        return Batches(teachers, seed=0)


def test_batches_have_the_shapes_that_are_learned_from(batches: Batches) -> None:
    inputs, sounds, *others = batches.draw()
    examples = training.SPOKEN + training.LONE_CLIPS
    assert inputs.shape[:2] == (examples, MELS)
    for kind in (FILES, LIVE):
        expected = kind.before + training.TARGETS + kind.ahead
        assert training.view(inputs, kind).shape[2] == expected
    assert torch.isfinite(inputs).all()
    assert all(track.shape == (examples, training.TARGETS) for track in (sounds, *others))


def test_training_lowers_the_loss(batches: Batches, tmp_path) -> None:
    torch.manual_seed(0)
    network = Network(FILES)
    inputs, *targets = batches.draw()
    seen = training.view(inputs, FILES)
    before = training.loss_of(network(seen), targets).item()
    Run(network, batches, 8, training.PEAK_RATE, tmp_path / "run.pt").train()
    assert training.loss_of(network(seen), targets).item() < before


def test_a_network_learns_from_its_teachers(batches: Batches, tmp_path) -> None:
    torch.manual_seed(0)
    teacher, pupil = Committee([Network(FILES).eval(), Network(FILES).eval()]), Network(LIVE)
    inputs, *_ = batches.draw()
    taught = teacher(training.view(inputs, FILES)).detach()
    assert training.disagreement(taught, taught).item() == pytest.approx(0, abs=1e-4)
    before = training.disagreement(pupil(training.view(inputs, LIVE)), taught).item()
    Run(pupil, batches, 12, training.TAUGHT_RATE, tmp_path / "run.pt").train(teacher)
    pupil.train()  # so few steps give the normalisation no history
    after = training.disagreement(pupil(training.view(inputs, LIVE)), taught).item()
    assert after < before


def test_a_committee_says_the_mean_of_its_members(batches: Batches) -> None:
    torch.manual_seed(0)
    members = [Network(FILES).eval() for _ in range(3)]
    inputs = training.view(batches.draw()[0], FILES)
    together = Committee(members)(inputs)
    chances = [torch.softmax(one(inputs)[:, :-2], 1) for one in members]
    assert torch.allclose(together[:, :-2].exp(), sum(chances) / 3, atol=1e-6)
    assert torch.allclose(together[:, -2:], sum(one(inputs)[:, -2:] for one in members) / 3)


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(
    teachers: Teachers, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(training, "KEPT", 3)
    monkeypatch.setattr(training, "PIECES", 2)

    def run(folder: str, stop: int = 9) -> Network:
        torch.manual_seed(0)
        network = Network(FILES)
        (tmp_path / folder).mkdir(exist_ok=True)
        again = Batches(teachers, seed=0)
        Stopped(network, again, 6, 1e-3, tmp_path / folder / "run.pt", stop).train()
        return network

    class Stopped(Run):
        def __init__(self, network, batches, steps, rate, checkpoint, stop) -> None:
            super().__init__(network, batches, steps, rate, checkpoint)
            self._stop = stop

        def _learn_once(self, teacher) -> float:
            if self._step == self._stop:
                raise KeyboardInterrupt
            return super()._learn_once(teacher)

    expected = run("whole").arrays()
    with pytest.raises(KeyboardInterrupt):
        run("stopped", stop=5)
    for name, array in run("stopped").arrays().items():
        assert np.array_equal(array, expected[name])


def test_a_network_begins_with_weights_that_were_written(batches: Batches, tmp_path) -> None:
    torch.manual_seed(0)
    network = Network(FILES)
    inputs, *_ = batches.draw()
    seen = training.view(inputs, FILES)
    network(seen)  # gives the normalisation a history
    training.write(network, tmp_path / "weights.npz")
    again = training.read(FILES, tmp_path / "weights.npz")
    expected = network.eval()(seen)
    assert again(seen).detach() == pytest.approx(expected.detach(), abs=0.02)
    again.train()
    again.dropout.p = 0.0
    assert again(seen).detach() == pytest.approx(expected.detach(), abs=0.02)


def test_a_run_of_another_length_is_not_gone_on_with(batches: Batches, tmp_path) -> None:
    Run(Network(LIVE), batches, 1, 1e-3, tmp_path / "run.pt").train()
    with pytest.raises(VasariError, match="1 steps, not 2"):
        Run(Network(LIVE), batches, 2, 1e-3, tmp_path / "run.pt")


def test_other_sound_in_a_pause_is_silence(batches: Batches, monkeypatch) -> None:
    monkeypatch.setattr(training, "PAUSE_SHARE", 1.0)
    monkeypatch.setattr(training, "FILLED_SHARE", 1.0)
    monkeypatch.setattr(training, "PAUSE", (2000, 2001))
    inputs, sounds, certain, _, _, counts = batches.draw()
    late = counts[:, -1] == 0
    assert (sounds[late, -1] == 0).all()
    assert (certain[late, -1] == 1).all()
    assert inputs[late, :, -training.AHEAD :].max() > inputs[late].min()


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


def test_the_judge_sees_how_well_openings_fit(clip: Example) -> None:
    class Perfect(Network):
        def forward(self, levels: torch.Tensor) -> torch.Tensor:
            heard = levels[:, :1, self.kind.before : levels.shape[2] - self.kind.ahead]
            return heard.repeat(1, len(SOUNDS) + 2, 1)

    assert training.judge(Perfect(FILES), {"someone": [clip, clip]}) == {
        "someone": pytest.approx(1, abs=1e-3)
    }


def test_teachers_can_be_chosen(clip: Example) -> None:
    found = Teachers([clip], [clip], {"someone": [clip]})
    assert training.chosen(found, "both") is found
    assert not training.chosen(found, "real").spoken
    assert not training.chosen(found, "synthesis").people
    lips = training.chosen(found, "lips")
    assert not lips.spoken
    assert not lips.people["someone"][0].utterance.certain.any()


def test_correlation_counts_only_what_is_known() -> None:
    rows = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    counts = torch.ones_like(rows)
    counts[:, 2000:] = 0
    other = rows.clone()
    other[:, 2000:] = 9
    assert training.correlation(rows, other, counts).item() == pytest.approx(1, abs=0.01)
