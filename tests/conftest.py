"""Inputs that the tests make for themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from vasari.generate.portrait import Portrait
    from vasari.generate.render import Renderer

RATE = 16_000  # samples per second


@pytest.fixture(autouse=True)
def config_folder(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A configuration folder of the test's own, so that no test touches the user's credential."""
    folder = tmp_path_factory.mktemp("config")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    return folder


@pytest.fixture(scope="session")
def portrait_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The public-domain portrait of the astronaut Eileen Collins, by NASA, as a PNG."""
    import skimage.data
    from PIL import Image

    path = tmp_path_factory.mktemp("portrait") / "astronaut.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    return path


@pytest.fixture(scope="session")
def astronaut() -> Portrait:
    """That portrait, framed at 512 pixels."""
    import skimage.data

    from vasari.generate.portrait import Portrait

    return Portrait.from_image(skimage.data.astronaut())


@pytest.fixture(scope="session")
def astronaut_renderer(astronaut: Portrait) -> Renderer:
    """A renderer of that portrait; the frames that it gives are its own buffer."""
    from vasari.generate.render import Renderer

    return Renderer(astronaut)


@pytest.fixture(scope="session")
def speech_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.2 s of syllables: bursts of a buzz at 120 Hz, as a 16 kHz mono WAV."""
    path = tmp_path_factory.mktemp("speech") / "syllables.wav"
    write_wav(path, syllables(1.2), RATE)
    return path


def syllables(seconds: float) -> np.ndarray:
    """(N,) float32 at RATE: four bursts a second of a buzz at 120 Hz."""
    time = np.arange(round(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 25))
    return (0.2 * buzz * np.clip(np.sin(2 * np.pi * 4 * time), 0, 1)).astype(np.float32)


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    """Write samples, (N,) or (N, channels) in -1..1, as 16-bit PCM."""
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
