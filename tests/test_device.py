"""The choice of where frames are rendered."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vasari.cli import run
from vasari.errors import InputError
from vasari.generate import device


def test_an_unknown_device_is_refused_with_the_choices() -> None:
    with pytest.raises(InputError, match="device is 'tpu'; give one of cpu, cuda, auto"):
        device.check_device("tpu")


def test_without_pytorch_cuda_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"PyTorch is not installed; install vasari\[gpu\], or"):
        device.check_device("cuda")
    assert device.check_device("auto") == "cpu"


@pytest.mark.parametrize(
    ("version", "found", "message"),
    [(None, False, "built without CUDA"), ("12.4", False, "finds no CUDA device")],
)
def test_without_a_device_cuda_says_so(
    monkeypatch: pytest.MonkeyPatch, version: str | None, found: bool, message: str
) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.version, "cuda", version)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found)
    with pytest.raises(InputError, match=message):
        device.check_device("cuda")
    assert device.check_device("auto") == "cpu"


def test_a_pytorch_that_cannot_be_loaded_is_an_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"PyTorch cannot be loaded \(.*\); install vasari\[gpu\]"):
        device.check_device("cuda")
    assert device.check_device("auto") == "cpu"


def test_with_a_device_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.version, "cuda", "12.4")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.check_device("auto") == device.check_device("cuda") == "cuda"
    assert device.check_device("cpu") == "cpu"


def test_the_command_says_it_before_it_works(
    tmp_path: Path,
    portrait_file: Path,
    speech_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    files = [str(portrait_file), "--speech", str(speech_file), "-o", str(tmp_path / "out.mp4")]
    assert run(["generate", *files, "--device", "cuda"]) == 2
    assert capsys.readouterr().err == (
        "vasari: device cuda cannot be used: PyTorch is not installed; install vasari[gpu], "
        "or give cpu\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["cpu:0", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_the_chain_renders_on_a_device(
    tmp_path: Path,
    portrait_file: Path,
    speech_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    pytest.importorskip("torch")
    from vasari.generate import pipeline
    from vasari.generate.captions import Cue

    # PyTorch's other name of the processor takes the way of a device that is none.
    monkeypatch.setattr(pipeline, "check_device", lambda wish: name)
    cue = Cue("Good morning", 0.0, 1.2)
    for captions in ((), (cue,)):
        result = pipeline.generate(
            portrait_file, speech_file, tmp_path / "out.mp4", size=256, captions=captions
        )
        assert result.frames == 30
        assert (tmp_path / "out.mp4").stat().st_size > 10_000
