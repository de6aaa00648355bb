"""Videos become motion files: once, all of them, and with their sound."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import skimage.data
from click.testing import CliRunner

from vasari.errors import InputError
from vasari.generate.motion import ARKIT_INDEX, Motion
from vasari.generate.portrait import Portrait
from vasari.generate.render import Pose, Renderer
from vasari.generate.track_command import track as command
from vasari.generate.tracking import track

FRAMES = 12


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The astronaut opens her mouth in the second half of the clip; half a second of sound."""
    path = tmp_path_factory.mktemp("videos") / "astronaut.mp4"
    renderer = Renderer(Portrait.from_image(skimage.data.astronaut(), size=256))
    zeros = (np.zeros(size, np.float32) for size in (3, 3, 2))
    rest = Pose(np.zeros(52, np.float32), *zeros)
    wide = Pose(np.eye(52, dtype=np.float32)[ARKIT_INDEX["jawOpen"]] * 0.6, *rest_fields(rest))
    with av.open(str(path), "w") as file:
        picture = file.add_stream("libx264", rate=25)
        picture.width = picture.height = 256
        picture.pix_fmt = "yuv420p"
        sound = file.add_stream("aac", rate=16000, layout="mono")
        for number in range(FRAMES):
            shown = renderer.frame(rest if number < FRAMES // 2 else wide)
            file.mux(picture.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        tone = np.sin(np.arange(8000) / 10, dtype=np.float32)[None] * 0.3
        samples = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        samples.sample_rate = 16000
        file.mux(sound.encode(samples))
        for stream in (picture, sound):
            file.mux(stream.encode())
    return path


def rest_fields(pose: Pose) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return pose.rotation, pose.translation, pose.gaze


def test_a_video_becomes_motion_and_sound(video: Path, tmp_path: Path) -> None:
    done = track(video, tmp_path)
    motion = Motion.load(done.motion)
    assert done.frames == len(motion) == FRAMES
    assert motion.fps == 25
    jaw = motion.expression[:, ARKIT_INDEX["jawOpen"]]
    assert jaw[-3:].mean() > jaw[:3].mean() + 0.15
    assert done.sound is not None
    assert done.sound.stat().st_size > 8000


def test_a_table_for_other_tools(video: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(video), "--csv", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    table, motion = (Motion.load(tmp_path / f"astronaut.{end}") for end in ("csv", "npz"))
    np.testing.assert_allclose(table.expression, motion.expression, atol=1e-4)


def test_what_is_done_is_kept(video: Path, tmp_path: Path) -> None:
    Motion.still(3).save(tmp_path / "astronaut.npz")
    assert track(video, tmp_path).frames == 3


def test_one_that_fails_does_not_stop_the_rest(video: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    result = CliRunner().invoke(command, [str(broken), str(video), "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, InputError)
    assert "1 of 2" in str(result.exception)
    assert "broken.mp4: failed" in result.output
    assert (tmp_path / "out" / "astronaut.npz").exists()


def test_names_that_would_overwrite_each_other(video: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, [str(video), str(video), "-o", str(tmp_path)])
    assert "same name" in str(result.exception)


def test_the_command_ends(video: Path, tmp_path: Path) -> None:
    """Worker processes hold stderr open; the filter of native chatter must not wait for them."""
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            "from vasari.cli import main; main()",
            "track",
            str(video),
            "-o",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert f"{FRAMES} frames" in run.stdout
