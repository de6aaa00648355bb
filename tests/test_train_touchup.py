"""The training of the touch-up: what it learns from, and that what it writes is what it trained."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from vasari.errors import VasariError  # noqa: E402
from vasari.generate.touchup import PATCH_HEIGHT, PATCH_WIDTH, REGIONS, RIGHT_EYE, Patch, change  # noqa: E402
from vasari.models import train_touchup as training  # noqa: E402
from vasari.models.touchup import TouchUpNetwork, limits, load_touch_up  # noqa: E402
from vasari.models.touchup_network import Network  # noqa: E402

SHAPE = (PATCH_HEIGHT, PATCH_WIDTH)


@pytest.fixture
def stack() -> np.ndarray:
    """Examples in which the truth is what is shown, a little darker."""
    noise = np.random.default_rng(0).integers(0, 255, (40, 10, 10, 12), np.uint8)
    stack = noise.repeat(4, axis=2).repeat(4, axis=3)
    stack[:, 7:] = stack[:, :3] * 0.7
    return stack


def test_clips_without_a_face_end_in_one_line(
    stack: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clip.mp4").touch()
    monkeypatch.setattr(training, "examples", lambda paths, cache: (stack, stack[:0]))
    with pytest.raises(VasariError, match="no face"):
        training.touch_up.main(
            [str(tmp_path), "-o", str(tmp_path / "network.onnx")], standalone_mode=False
        )
    assert not (tmp_path / "network.onnx").exists()


def test_training_lowers_the_loss(
    stack: np.ndarray, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training, "REPORTED", 4)
    list(training.train(stack, stack, 12, seed=0))
    losses = [float(line.rsplit(" ", 1)[1]) for line in capsys.readouterr().out.splitlines()]
    assert len(losses) == 6  # three of the eyes, three of the mouth
    assert losses[2] < losses[0]
    assert losses[5] < losses[3]


# OpenCV reads what the older exporter writes, of which PyTorch warns in several ways.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_written_is_what_was_trained(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Network(*SHAPE)
    for part in (network.eyes, network.mouth):
        torch.nn.init.normal_(part.last.weight, std=0.1)
    training.write(network, tmp_path / "network.onnx")
    looks = np.random.default_rng(0).random((len(REGIONS), 7, *SHAPE), np.float32)
    with torch.no_grad():
        expected = network.fields(torch.from_numpy(looks)).numpy()
    found = TouchUpNetwork((tmp_path / "network.onnx").read_bytes())(looks)
    assert np.abs(expected).max() > 0.1
    assert np.allclose(found, expected, atol=1e-4)


def test_the_shipped_weights_answer_alike_in_opencv_and_in_pytorch() -> None:
    looks = np.random.default_rng(0).random((len(REGIONS), 7, *SHAPE), np.float32)
    with torch.no_grad():
        found = Network.shipped(*SHAPE).fields(torch.from_numpy(looks)).numpy()
    expected = load_touch_up()(looks)
    assert np.abs(expected).max() > 0.01
    assert np.allclose(found, expected, atol=1e-4)


def test_training_changes_patches_as_rendering_changes_frames() -> None:
    smooth = cv2.GaussianBlur(np.random.default_rng(0).random((*SHAPE, 3), np.float32), (0, 0), 4)
    frame = np.rint(255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)
    fields = np.array([0.5, -0.3, 0.2, 0, -0.2], np.float32)[:, None, None] * limits(*SHAPE)
    shown = torch.from_numpy(frame.transpose(2, 0, 1)[None] / np.float32(255))
    expected = training.apply_fields(shown, torch.from_numpy(fields[None]))[0].numpy()
    square = np.pad(frame, ((0, SHAPE[1] - SHAPE[0]), (0, 0), (0, 0)))
    change(square, Patch.at(RIGHT_EYE, np.eye(2, 3, dtype=np.float32), len(square)), fields)
    made = square[: SHAPE[0]].transpose(2, 0, 1)
    # The one is cubic and rounds, the other is linear.
    assert np.abs(made - 255 * expected.clip(0, 1))[:, 2:-2, 2:-2].max() < 4


def test_the_truth_is_laid_on_what_is_shown() -> None:
    noise = np.random.default_rng(0).random((80, 96, 3))
    shown = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)
    shown = shown.astype(np.uint8)
    slip = np.array([[1, 0, 2], [0, 1, -1]], np.float32)
    truth = cv2.warpAffine(shown, slip, shown.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
    laid = training.lay_on(truth, shown)
    assert laid is not None
    inner = np.s_[5:-5, 5:-5]
    assert np.abs(laid[inner].astype(int) - shown[inner]).mean() < 4
    assert np.abs(truth[inner].astype(int) - shown[inner]).mean() > 8


def test_frame_portrait_and_truth_are_drawn_alike() -> None:
    batch = torch.rand(6, 10, 40, 48, generator=torch.Generator().manual_seed(0))
    batch[:, 3:6] = batch[:, 7:] = batch[:, :3]
    drawn = training.augment(batch, torch.Generator().manual_seed(1))
    assert torch.equal(drawn[:, :3], drawn[:, 3:6])
    assert torch.equal(drawn[:, :3], drawn[:, 7:])
    assert not torch.equal(drawn[:, :3], batch[:, :3])
