from __future__ import annotations

import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vasari.generate.colour import to_i420
from vasari.generate.marking import MarkedFrame, Marker
from vasari.generate.speech import Speech
from vasari.generate.video import VideoWriter

SIZE = 256
SYNC = 0.010  # seconds


def grey(level: int) -> MarkedFrame:
    return MarkedFrame(to_i420(np.full((SIZE, SIZE, 3), level, np.uint8)))


def click(rate: int, channels: int = 1, seconds: float = 3.0) -> Speech:
    """Silence with a 20 ms tone that starts at 1 s."""
    samples = np.zeros((round(rate * seconds), channels), np.float32)
    tone = 0.8 * np.sin(np.arange(rate // 50) * 2 * np.pi * 1000 / rate)
    samples[rate : rate + rate // 50] = tone[: len(samples[rate:]), None]
    return Speech.from_samples(samples, rate)


def write(path: Path, speech: Speech, fps: float, lit: Callable[[float], bool]) -> None:
    """A black video as long as the speech, white while lit."""
    with VideoWriter(path, size=SIZE, fps=fps, speech=speech) as writer:
        for index in range(round(speech.duration * fps)):
            writer.write(grey(235 if lit(index / fps) else 16))


def flash_time(path: Path) -> float:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.to_ndarray(format="gray").mean() > 100:
                return float(frame.time)
    raise AssertionError("no flash")


def sound_of(path: Path) -> tuple[np.ndarray, int, float]:
    """Samples (channels, N), rate and the time of the first."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
    return samples, frames[0].sample_rate, float(frames[0].time)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("fps", [24.0, 25.0, 29.97, 60.0])
def test_sound_and_picture_are_in_sync(tmp_path: Path, rate: int, fps: float) -> None:
    path = tmp_path / "sync.mp4"
    write(path, click(rate), fps, lambda time: time >= 1.0)
    samples, decoded_rate, start = sound_of(path)
    clicked = start + np.flatnonzero(np.abs(samples[0]) > 0.3)[0] / decoded_rate
    flashed = flash_time(path)
    assert decoded_rate == rate
    assert abs(clicked - 1.0) < SYNC
    # The first frame at or after 1 s: at 29.97 fps it comes a millisecond late.
    assert 1.0 - 1e-3 <= flashed < 1.0 + 1 / fps
    assert abs(flashed - np.ceil(fps - 1e-6) / fps) < 1e-3


def test_picture_and_sound_last_as_long_as_the_speech(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    write(path, click(16000, seconds=2.0), 25.0, lambda time: False)
    with av.open(str(path)) as container:
        (video,), (audio,) = container.streams.video, container.streams.audio
        assert video.frames == 50
        assert video.duration * video.time_base == Fraction(2)
        assert abs(audio.duration * audio.time_base - 2) < SYNC
        assert [frame.time for frame in container.decode(video)] == pytest.approx(
            [index / 25 for index in range(50)]
        )


def test_the_stream_says_how_its_colours_were_made(tmp_path: Path) -> None:
    path = tmp_path / "colour.mp4"
    write(path, click(16000, seconds=0.4), 25.0, lambda time: False)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.width, context.height, context.pix_fmt) == (SIZE, SIZE, "yuv420p")
        assert context.color_range == 1  # limited
        assert context.colorspace == 5  # BT.470BG, whose matrix is that of BT.601
        assert context.color_primaries == 1  # BT.709, those of sRGB
        assert context.color_trc == 13  # IEC 61966-2-1, sRGB


def test_colours_come_back(tmp_path: Path) -> None:
    path = tmp_path / "colour.mp4"
    rng = np.random.default_rng(1)
    colours = rng.integers(0, 256, (4, 4, 3), np.uint8)
    image = np.ascontiguousarray(np.repeat(np.repeat(colours, 64, 0), 64, 1))
    with VideoWriter(path, size=SIZE, fps=25, speech=click(16000, seconds=0.2)) as writer:
        writer.write(MarkedFrame(to_i420(image)))
    with av.open(str(path)) as container:
        decoded = next(container.decode(video=0)).to_ndarray(format="rgb24")
    difference = decoded[32::64, 32::64].astype(int) - colours
    assert np.abs(difference).max() <= 6


@pytest.mark.parametrize(
    ("rate", "channels", "expected_rate", "expected_channels"),
    [
        (48000, 2, 48000, 2),
        (44100, 6, 44100, 6),
        (44100, 7, 44100, 2),
        (192000, 1, 96000, 1),
        (6000, 1, 8000, 1),
    ],
)
def test_sound_that_aac_lacks_is_converted(
    tmp_path: Path, rate: int, channels: int, expected_rate: int, expected_channels: int
) -> None:
    path = tmp_path / "sound.mp4"
    write(path, click(rate, channels), 25.0, lambda time: False)
    samples, decoded_rate, start = sound_of(path)
    assert (len(samples), decoded_rate) == (expected_channels, expected_rate)
    clicked = start + np.flatnonzero(np.abs(samples[0]) > 0.2)[0] / decoded_rate
    assert abs(clicked - 1.0) < SYNC


def test_sound_keeps_its_quality(tmp_path: Path) -> None:
    rate = 48000
    time = np.arange(rate) / rate
    tones = sum(np.sin(2 * np.pi * f * time) for f in (220, 1500, 6000, 11000)) / 8
    path = tmp_path / "tones.mp4"
    write(path, Speech.from_samples(tones, rate), 25.0, lambda at: False)
    samples, _, start = sound_of(path)
    assert start == 0
    middle = slice(rate // 4, 3 * rate // 4)
    error = samples[0][middle] - tones[middle]
    assert 10 * np.log10((tones[middle] ** 2).mean() / (error**2).mean()) > 30  # dB


def test_a_marker_changes_luma_little_and_leaves_its_input(tmp_path: Path) -> None:
    image = np.random.default_rng(3).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    before = image.copy()
    marked = Marker(0x1234, SIZE, SIZE).mark(image)
    plain = to_i420(image)
    assert np.array_equal(image, before)
    assert not np.array_equal(marked.planes[:SIZE], plain[:SIZE])
    assert np.array_equal(marked.planes[SIZE:], plain[SIZE:])
    assert marked.rgb().shape == image.shape


def test_a_full_disk_is_an_os_error() -> None:
    with pytest.raises(OSError, match="No space left"):
        write_to_full_disk()


def write_to_full_disk() -> None:
    rng = np.random.default_rng(4)
    with VideoWriter("/dev/full", size=SIZE, fps=25, speech=click(16000)) as writer:
        for _ in range(60):
            image = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
            writer.write(MarkedFrame(to_i420(image)))


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a priority of its own on Linux")
def test_the_encoder_lets_others_go_first(tmp_path):
    if len(os.sched_getaffinity(0)) == 1:
        pytest.skip("on one core the encoder has no threads of its own")

    def nicest() -> int:
        threads = (int(task.name) for task in Path("/proc/self/task").iterdir())
        return max(os.getpriority(os.PRIO_PROCESS, thread) for thread in threads)

    own = os.getpriority(os.PRIO_PROCESS, 0)
    with VideoWriter(tmp_path / "a.mp4", size=SIZE, fps=25, speech=click(16_000)) as writer:
        writer.write(grey(100))
        assert nicest() > own
    assert os.getpriority(os.PRIO_PROCESS, 0) == own


def test_a_sandbox_may_forbid_priorities(tmp_path, monkeypatch):
    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    write(tmp_path / "a.mp4", click(16_000), 25, lambda time: time >= 1)
    assert flash_time(tmp_path / "a.mp4") == pytest.approx(1.0, abs=SYNC)
