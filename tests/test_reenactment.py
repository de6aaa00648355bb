"""The measurement of the renderer tells better from worse."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import skimage.data
from click.testing import CliRunner

from vasari.errors import VideoError
from vasari.eval.reenactment import reenact, reenactment
from vasari.generate.motion import ARKIT_INDEX
from vasari.generate.portrait import Portrait
from vasari.generate.render import Pose, Renderer


@pytest.fixture(scope="module")
def nodding(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip in which the astronaut turns her head and opens her mouth."""
    path = tmp_path_factory.mktemp("clips") / "nodding.mp4"
    renderer = Renderer(Portrait.from_image(skimage.data.astronaut(), size=512))
    jaw = np.eye(52, dtype=np.float32)[ARKIT_INDEX["jawOpen"]]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": "15"})
        stream.width = stream.height = 512
        stream.pix_fmt = "yuv420p"
        for way in np.linspace(0, 1, 16, dtype=np.float32):
            turn = np.array([10 * way, 4 * way, 0], np.float32)
            rest = (np.zeros(3, np.float32), np.zeros(2, np.float32))
            shown = renderer.frame(Pose(0.4 * way * jaw, turn, *rest))
            file.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        file.mux(stream.encode())
    return path


def test_moving_beats_standing_still(nodding: Path) -> None:
    result = reenact(nodding)
    assert result.psnr > result.still_psnr + 2
    assert result.ssim > result.still_ssim + 0.03


def test_the_command_prints_a_row_a_clip_and_the_mean(nodding: Path) -> None:
    printed = CliRunner().invoke(reenactment, [str(nodding)]).output
    assert printed.splitlines()[1].startswith("nodding")
    assert "mean gain of 1 clips: +" in printed


def test_a_clip_without_a_face(tmp_path: Path) -> None:
    path = tmp_path / "grass.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width = stream.height = 256
        stream.pix_fmt = "yuv420p"
        grass = np.repeat(skimage.data.grass()[:256, :256, None], 3, axis=2)
        file.mux(stream.encode(av.VideoFrame.from_ndarray(grass, format="rgb24")))
        file.mux(stream.encode())
    with pytest.raises(VideoError, match="no face"):
        reenact(path)
