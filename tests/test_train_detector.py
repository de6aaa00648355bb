"""Training the detector: pairs cut alike, and networks that OpenCV runs as PyTorch does."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from vasari.errors import InputError  # noqa: E402
from vasari.models import train_detector as training  # noqa: E402
from vasari.models.detector import DetectorNetwork  # noqa: E402
from vasari.models.detector_network import make_network  # noqa: E402
from vasari.models.train_detector import (  # noqa: E402
    Clock,
    Faces,
    Options,
    Sampler,
    export,
    ready_network,
    schedule,
    scores,
)


@pytest.fixture
def crops():
    """Six crops of 160 pixels: smooth chance."""
    random = np.random.default_rng(0)
    small = random.integers(0, 255, (6, 20, 20, 3), dtype=np.uint8)
    return small.repeat(8, axis=1).repeat(8, axis=2)


@pytest.mark.filterwarnings("ignore")  # PyTorch's exporter warns of its own ways
def test_opencv_gives_what_pytorch_gives(crops, tmp_path):
    torch.manual_seed(0)
    network, side = make_network("vasari")
    export(network, side, tmp_path / "network.onnx")
    shown = np.ascontiguousarray(crops[:, :side, :side])
    maps = DetectorNetwork((tmp_path / "network.onnx").read_bytes(), side).maps(list(shown))
    assert maps.shape == (6, 7, 7)
    assert np.allclose(maps.mean(axis=(1, 2)), scores(network, shown), atol=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_a_network_that_cannot_be_written_is_refused_before_its_training(monkeypatch):
    odd = torch.nn.AdaptiveAvgPool2d(5)  # 112 is no multiple, which ONNX has no operator for
    monkeypatch.setattr(training, "make_network", lambda name: (odd, 112))
    with pytest.raises(InputError, match=r"odd cannot be trained: .*ONNX"):
        ready_network("odd")


@pytest.mark.filterwarnings("ignore")
def test_a_network_that_nobody_knows_is_refused():
    pytest.importorskip("timm")
    with pytest.raises(InputError, match="no_such_network"):
        ready_network("no_such_network")


def test_original_pairs_are_cut_alike_and_else_unchanged(crops):
    faces = Faces(crops, crops.copy(), np.full(6, 1 / 6), np.arange(6))
    options = Options(changed=False, pseudo=False)
    images, labels = Sampler(faces, 112, options, np.random.default_rng(1)).batch(8)
    assert images.shape == (16, 3, 112, 112)
    assert labels.tolist() == [0, 1] * 8
    assert torch.equal(images[::2], images[1::2])


def test_a_pair_lies_alike_but_loses_differently(crops):
    faces = Faces(crops, crops.copy(), np.full(6, 1 / 6), np.arange(6))
    sampler = Sampler(faces, 112, Options(pseudo=False), np.random.default_rng(1))
    images, _ = sampler.batch(40)
    real, fake = images[::2].mean(dim=1).flatten(1), images[1::2].mean(dim=1).flatten(1)
    likeness = [
        float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in zip(real, fake, strict=True)
    ]
    assert np.mean(likeness) > 0.9
    assert not torch.allclose(real, fake, atol=0.01)


def test_pseudo_fakes_differ_from_their_source(crops):
    faces = Faces(crops, crops.copy(), np.full(6, 1 / 6), np.arange(6))
    sampler = Sampler(faces, 112, Options(changed=False), np.random.default_rng(2))
    images, _ = sampler.batch(30)
    same = [torch.equal(a, b) for a, b in zip(images[::2], images[1::2], strict=True)]
    assert 3 < sum(same) < 27  # here the generator's own crops are the real ones


def test_the_rate_rises_and_falls():
    rates = [schedule(progress) for progress in (0.0, 0.025, 0.05, 0.5, 1.0)]
    assert rates == pytest.approx([0.01, 0.5, 1.0, 0.539, 0.0], abs=0.01)


def test_a_training_ends_by_steps_or_by_minutes():
    clock = Clock(Options(steps=4))
    clock.step = 3
    assert clock.progress() == 0.75
    assert Clock(Options(steps=4, minutes=1e-9)).progress() > 1
