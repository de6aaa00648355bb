from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

import vasari
from vasari.errors import InputError, MotionError, OutputError, PortraitError, SpeechError
from vasari.generate.controls import Controls
from vasari.generate.motion import ARKIT_INDEX, Motion
from vasari.generate.pipeline import SILENT_WARNING, STAGES, Result, frames, generate
from vasari.generate.portrait import Portrait
from vasari.generate.speech import Speech
from vasari.provenance.fingerprint import (
    MAX_LOOKUP_DISTANCE,
    Fingerprint,
    fingerprint_of,
    whole_distance,
)
from vasari.provenance.store import ManifestStore
from vasari.provenance.verdict import verify
from vasari.watermark.reading import read_video

SIZE = 256


@pytest.fixture(scope="module")
def portrait(portrait_file: Path) -> Portrait:
    return Portrait.open(portrait_file, size=SIZE)


@pytest.fixture(scope="module")
def speech(speech_file: Path) -> Speech:
    return Speech.open(speech_file)


@pytest.fixture(scope="module")
def made(
    portrait_file: Path, speech_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Result:
    """A clip that went through the whole chain, from files."""
    output = tmp_path_factory.mktemp("made") / "out.mp4"
    return generate(portrait_file, speech_file, output, size=SIZE)


def test_the_result_says_what_was_made(made: Result, speech: Speech) -> None:
    assert made.duration == speech.duration
    assert made.frames == 30
    assert made.frames_per_second > 0
    assert made.warnings == ()
    assert set(made.timings) == set(STAGES)
    assert all(spent > 0 for spent in made.timings.values())


def test_the_output_is_a_video_with_the_speech(made: Result, speech: Speech) -> None:
    with av.open(str(made.path)) as container:
        (video,), (audio,) = container.streams.video, container.streams.audio
        assert (video.codec.name, video.width, video.height) == ("h264", SIZE, SIZE)
        assert (video.frames, video.average_rate) == (made.frames, 25)
        assert (audio.codec.name, audio.rate, audio.channels) == ("aac", speech.rate, 1)


def test_the_portrait_moves_and_its_background_does_not(made: Result) -> None:
    with av.open(str(made.path)) as container:
        grey = [frame.to_ndarray(format="gray").astype(int) for frame in container.decode(video=0)]
    change = np.std(grey, axis=0)
    mouth = change[SIZE // 2 : 3 * SIZE // 4, 3 * SIZE // 8 : 5 * SIZE // 8]
    corner = change[: SIZE // 12, : SIZE // 12]
    assert mouth.max() > 10
    assert corner.mean() < 4  # the watermark and the encoder


def test_the_output_is_marked_and_signed(made: Result) -> None:
    assert made.watermark == f"{read_video(made.path).identifier:012x}"
    verdict = verify(made.path)
    assert verdict.exit_code == 0
    assert b"compositeWithTrainedAlgorithmicMedia" in made.path.read_bytes()
    assert made.signer.startswith("Vasari test signer")
    assert "no trust list" in made.standing


def test_the_manifest_is_kept_in_the_store(
    portrait: Portrait, speech: Speech, tmp_path: Path
) -> None:
    with ManifestStore.open(f"sqlite:///{tmp_path / 'store.sqlite'}") as store:
        result = generate(portrait, speech, tmp_path / "out.mp4", store=store)
        (entry,) = store.by_identifier(int(result.watermark, 16))
    assert entry.title == "out.mp4"
    looks = whole_distance(fingerprint_of(result.path), entry.fingerprint)
    assert looks is not None
    assert looks <= MAX_LOOKUP_DISTANCE
    assert entry.manifest in result.path.read_bytes()


def test_a_store_that_fails_keeps_the_output_back(
    portrait: Portrait, speech: Speech, tmp_path: Path
) -> None:
    with ManifestStore.open(f"sqlite:///{tmp_path / 'store.sqlite'}") as store:
        store.add = unable  # type: ignore[method-assign]
        with pytest.raises(OutputError, match="store"):
            generate(portrait, speech, tmp_path / "out.mp4", store=store)
    assert [path.name for path in tmp_path.glob("*.mp4")] == []


def unable(manifest: bytes, *, fingerprint: Fingerprint) -> None:
    raise OutputError("the store is full")


def test_nothing_is_left_beside_the_output(made: Result) -> None:
    assert [path.name for path in made.path.parent.iterdir()] == ["out.mp4"]


def test_frames_are_marked_like_a_file(portrait: Portrait, speech: Speech, tmp_path: Path) -> None:
    from vasari.generate.animator import animate
    from vasari.generate.render import Renderer

    controls = Controls(seed=5)
    shown = list(frames(portrait, speech, controls=controls))
    assert len(shown) == 30
    assert all(frame.shape == (SIZE, SIZE, 3) and frame.dtype == np.uint8 for frame in shown)
    renderer = Renderer(portrait)
    plain = renderer.frames(animate(speech, controls, 25.0))
    for marked, unmarked in zip(shown, plain, strict=True):
        luma_change = (marked.astype(int) - unmarked) @ [0.299, 0.587, 0.114]
        assert 1 < luma_change.std() < 4


def test_the_package_can_be_called(portrait: Portrait, speech: Speech, tmp_path: Path) -> None:
    seen = []
    result = vasari.generate(
        portrait,
        speech,
        tmp_path / "out.MP4",
        fps=30,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert result.path == tmp_path / "out.MP4"
    assert seen == [(done, 36) for done in range(1, 37)]


def test_the_same_seed_gives_the_same_motion(portrait: Portrait, speech: Speech) -> None:
    def picture(seed: int) -> np.ndarray:
        *_, last = frames(portrait, speech, controls=Controls(seed=seed))
        return last.astype(int)

    first, again, other = picture(1), picture(1), picture(2)
    # The watermark's id differs from clip to clip, the picture below it does not.
    assert np.abs(first - again).mean() < np.abs(first - other).mean()


def test_a_given_motion_is_shown(portrait: Portrait, speech: Speech, tmp_path: Path) -> None:
    still, wide = Motion.still(40), Motion.still(40)
    wide.expression[:, ARKIT_INDEX["jawOpen"]] = 0.8
    wide.save(tmp_path / "wide.npz")
    shown = [
        next(iter(vasari.frames(portrait, speech, motion=motion))).astype(int)
        for motion in (still, tmp_path / "wide.npz")
    ]
    assert np.abs(shown[1] - shown[0]).max() > 60


def test_a_motion_shorter_than_the_speech_is_refused(portrait: Portrait, speech: Speech) -> None:
    with pytest.raises(MotionError, match=r"lasts 0\.2 s and the speech 1\.2 s"):
        next(iter(vasari.frames(portrait, speech, motion=Motion.still(5))))


def test_silence_makes_a_video_and_a_warning(portrait: Portrait, tmp_path: Path) -> None:
    silence = Speech.from_samples(np.zeros(8000), 16000)
    result = generate(portrait, silence, tmp_path / "out.mp4")
    assert result.frames == 13
    assert result.warnings == (SILENT_WARNING,)


@pytest.mark.parametrize("fps", [0.0, 23.9, 60.1, float("nan"), float("inf")])
def test_frame_rates_outside_the_range_are_refused(
    portrait: Portrait, speech: Speech, tmp_path: Path, fps: float
) -> None:
    with pytest.raises(InputError, match="give 24 to 60"):
        generate(portrait, speech, tmp_path / "out.mp4", fps=fps)
    with pytest.raises(InputError, match="give 24 to 60"):
        frames(portrait, speech, fps=fps)


def test_a_failure_keeps_the_output_that_was_there(
    portrait: Portrait, speech_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.mp4"
    output.write_bytes(b"the one before")
    with pytest.raises(SpeechError):
        generate(portrait, tmp_path / "missing.wav", output)
    with pytest.raises(PortraitError):
        generate(tmp_path / "missing.png", speech_file, output)
    assert output.read_bytes() == b"the one before"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_an_input_is_not_overwritten(portrait: Portrait, made: Result) -> None:
    before = made.path.read_bytes()
    with pytest.raises(InputError, match="one of the inputs"):
        generate(portrait, made.path, made.path)
    with pytest.raises(InputError, match="one of the inputs"):
        generate(portrait, Speech.open(made.path), made.path)
    assert made.path.read_bytes() == before


# Runs the chain in a process of its own and lets something happen to it on the way.
CHILD = """
import os, pickle, resource, signal, sys
from pathlib import Path
import vasari.provenance.manifest as manifest
from vasari.errors import VasariError
from vasari.generate import draft, pipeline

stop, inputs, output = sys.argv[1], *map(Path, sys.argv[2:])
portrait, speech = pickle.loads(inputs.read_bytes())
kill = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
limit = lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
progress = None
if stop.startswith("frame"):
    progress = lambda done, total: kill() if done == int(stop.removeprefix("frame")) else None
elif stop == "before-signing":
    manifest.sign = kill
elif stop == "after-signing":
    draft.Draft.publish = kill
elif stop == "full-while-encoding":
    progress = lambda done, total: limit(5000)
elif stop == "full-while-signing":
    sign = manifest.sign
    def limited(source, *rest, **options):
        limit(source.stat().st_size)
        return sign(source, *rest, **options)
    manifest.sign = limited
try:
    pipeline.generate(portrait, speech, output, progress=progress)
except VasariError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@pytest.fixture(scope="module")
def inputs(portrait: Portrait, speech: Speech, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inputs for CHILD, opened, so that it starts without MediaPipe."""
    path = tmp_path_factory.mktemp("inputs") / "inputs.pickle"
    path.write_bytes(pickle.dumps((portrait, speech)))
    return path


def in_child(stop: str, inputs: Path, output: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CHILD, stop, str(inputs), str(output)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    "stop", ["frame1", "frame15", "frame30", "before-signing", "after-signing"]
)
def test_a_killed_run_leaves_no_output(
    inputs: Path, tmp_path: Path, portrait: Portrait, speech: Speech, stop: str
) -> None:
    output = tmp_path / "out.mp4"
    assert in_child(stop, inputs, output).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.mp4.")
    if stop == "after-signing":
        generate(portrait, speech, output)
        assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("stop", ["full-while-encoding", "full-while-signing"])
def test_a_full_disk_is_one_line(inputs: Path, tmp_path: Path, stop: str) -> None:
    output = tmp_path / "out.mp4"
    done = in_child(stop, inputs, output)
    assert done.returncode == 1
    assert done.stderr.startswith(f"OutputError: cannot write {output}: ")
    assert "File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(speech_file: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write /proc/out\.mp4: "):
        generate("missing.png", speech_file, "/proc/out.mp4")
