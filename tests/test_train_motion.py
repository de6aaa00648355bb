"""Training of the motion model: the same network, the same run after a stop, early stopping."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("accelerate")

import torch

from vasari.errors import InputError
from vasari.generate.channels import CHANNELS
from vasari.models.motion_data import Take, liveliness_of
from vasari.models.motion_transformer import SOUND, WINDOW, MotionTransformer
from vasari.models.train_motion import Config, Network, Run, Windows, exported

TINY = Config(width=16, layers=2, heads=2, batch=4, steps=6, warm_up=2, check_every=2,
              held_out=("b",), patience=9)  # fmt: skip


def _takes() -> list[Take]:
    rng = np.random.default_rng(0)
    steps = rng.standard_normal((4, 90, len(CHANNELS))).astype(np.float32) / 5
    takes = [np.cumsum(each, axis=0) for each in steps]
    sound = rng.random((90, SOUND)).astype(np.float32)
    return [
        Take(person, motion, sound, True, liveliness_of(motion))
        for person, motion in zip("aabc", takes, strict=True)
    ]


def test_numpy_and_torch_agree() -> None:
    torch.manual_seed(0)
    network = Network(TINY).eval()
    for value in network.parameters():
        torch.nn.init.normal_(value, std=0.2)
    scale = np.ones(len(CHANNELS), np.float32)
    weights = exported(network) | {"channel_scale": scale}
    motion, given = Windows(_takes(), scale, augment=True).draw(3, np.random.default_rng(1))
    made = MotionTransformer(weights)(motion, 0.4, given)
    tensors = [torch.from_numpy(array) for array in vars(given).values()]
    with torch.no_grad():
        wanted = network(torch.from_numpy(motion), torch.full((3,), 0.4), tensors)
    np.testing.assert_allclose(made, wanted.numpy(), atol=2e-3)
    assert made.shape == (3, WINDOW, len(CHANNELS))


@pytest.mark.parametrize(("objective", "hears_noise"), [("diffusion", True), ("regression", False)])
def test_only_diffusion_goes_by_noise(objective: str, hears_noise: bool, tmp_path: Path) -> None:
    Run(_takes(), dataclasses.replace(TINY, objective=objective), tmp_path).train()
    network, rng = MotionTransformer.load(tmp_path / "motion.npz"), np.random.default_rng(1)
    noisy, given = Windows(_takes(), network.channel_scale, augment=True).draw(2, rng)
    gap = np.abs(network(noisy, 0.3, given) - network(np.zeros_like(noisy), 1.0, given)).max()
    assert (gap > 0) == hears_noise


def test_a_regression_is_asked_as_it_was_taught() -> None:
    torch.manual_seed(0)
    network = Network(TINY).eval()
    weights = exported(network) | {"regression": np.array(True)}
    scale = np.ones(len(CHANNELS), np.float32)
    motion, given = Windows(_takes(), scale, augment=True).draw(3, np.random.default_rng(1))
    made = MotionTransformer(weights | {"channel_scale": scale})(motion, 0.4, given)
    tensors = [torch.from_numpy(array) for array in vars(given).values()]
    with torch.no_grad():
        wanted = network(torch.zeros(motion.shape), torch.ones(3), tensors)
    np.testing.assert_allclose(made, wanted.numpy(), atol=2e-3)


def test_a_stopped_run_goes_on_exactly(tmp_path: Path) -> None:
    results = []
    for name, stops in (("whole", [6]), ("parts", [2, 6])):
        folder = tmp_path / name
        folder.mkdir()
        for stop in stops:
            run = Run(_takes(), TINY, folder)
            run.train(until=stop)
        results.append(np.load(folder / "motion.npz")["last_matrix"])
    np.testing.assert_array_equal(*results)


def test_config_files(tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text('width = 32\nheld_out = ["b"]\n')
    assert Config.load(tmp_path / "good.toml").width == 32
    (tmp_path / "bad.toml").write_text("wide = 32\n")
    with pytest.raises(InputError, match="unknown 'wide'"):
        Config.load(tmp_path / "bad.toml")
    (tmp_path / "bad.toml").write_text('objective = "gan"\n')
    with pytest.raises(InputError, match="'gan'; there are diffusion, regression"):
        Config.load(tmp_path / "bad.toml")


def test_nobody_held_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="held_out"):
        Run(_takes(), Config(width=16, heads=2), tmp_path)
