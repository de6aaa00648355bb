"""The measurement of the renderer tells better from worse."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import scipy.stats
import skimage.data
from click.testing import CliRunner

from vasari.errors import VideoError
from vasari.eval.reenactment import (
    MEASURES,
    OFF,
    ON,
    STILL,
    interval,
    reenact,
    reenactment,
)
from vasari.generate.motion import ARKIT_INDEX
from vasari.generate.render import Pose, Renderer


@pytest.fixture(scope="module")
def nodding(tmp_path_factory: pytest.TempPathFactory, astronaut_renderer: Renderer) -> Path:
    """A clip in which the astronaut turns her head and opens her mouth."""
    path = tmp_path_factory.mktemp("clips") / "nodding.mp4"
    jaw = np.eye(52, dtype=np.float32)[ARKIT_INDEX["jawOpen"]]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": "15"})
        stream.width = stream.height = 512
        stream.pix_fmt = "yuv420p"
        for way in np.linspace(0, 1, 16, dtype=np.float32):
            turn = np.array([10 * way, 4 * way, 0], np.float32)
            rest = (np.zeros(3, np.float32), np.zeros(2, np.float32))
            shown = astronaut_renderer.frame(Pose(0.4 * way * jaw, turn, *rest))
            file.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        file.mux(stream.encode())
    return path


def test_moving_beats_standing_still(nodding: Path) -> None:
    result = dict(zip(MEASURES, reenact(nodding), strict=True))
    for shown in (ON, OFF):
        face = result["face PSNR, dB"]
        assert face[shown] > face[STILL] + 2
        assert result["face SSIM"][shown] > result["face SSIM"][STILL] + 0.03
        error = result["expression error, % of the face"]
        assert error[shown] < error[STILL] - 0.1
        tracked, moved = (
            result[f"static skin SSIM, {found}"] for found in ("tracked", "as it was moved")
        )
        assert 0.7 < tracked[shown] < tracked[STILL]
        assert 0.95 < moved[shown] < moved[STILL]
    assert tracked[STILL] > 0.99


def test_the_command_prints_a_row_a_clip_and_the_means(nodding: Path) -> None:
    lines = CliRunner().invoke(reenactment, [str(nodding)]).output.splitlines()
    assert lines[2].startswith("nodding")
    assert lines[3] == "mean of 1 clips, 95 % interval"
    assert [line.split("  ")[0] for line in lines[5:]] == list(MEASURES)


def test_the_interval_is_the_bootstrap_percentile() -> None:
    values = np.random.default_rng(1).normal(3, 2, 12)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", random_state=0
    ).confidence_interval
    assert interval(values) == pytest.approx((expected.low, expected.high), abs=0.05)


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
