from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import RATE, syllables, write_wav
from PIL import Image

from vasari.cli import run
from vasari.generate import progress
from vasari.generate.synthesis import MAX_TEXT
from vasari.provenance.credentials import Credential


def generate(portrait: Path, speech: Path, output: Path, *options: str) -> int:
    files = [str(portrait), "--speech", str(speech), "-o", str(output)]
    return run(["generate", *files, "--size", "256", *options])


def assert_one_line(capsys: pytest.CaptureFixture[str], pattern: str) -> None:
    stderr = capsys.readouterr().err
    assert re.fullmatch(r"vasari: [^\n]+\n", stderr), stderr
    assert re.search(pattern, stderr), stderr


def test_a_closing_line_says_what_was_made(
    portrait_file: Path, speech_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.mp4"
    options = ("--gaze", "10,-5", "--distance", "0.9", "--emotion", "happy=0.6,surprised=0.1")
    assert generate(portrait_file, speech_file, output, *options, "--head-motion", "0.5") == 0
    line = capsys.readouterr().out
    assert re.fullmatch(
        rf"{re.escape(str(output))}: 1\.2 s, 30 frames at [\d.]+ frames/s, "
        r"watermark [0-9a-f]{12}, signed by Vasari test signer \w+ \(on no trust list: [^\n]+\)\n",
        line,
    )
    assert run(["verify", str(output)]) == 0


def test_json_is_one_object(
    portrait_file: Path, speech_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.mp4"
    assert generate(portrait_file, speech_file, output, "--json", "--fps", "30") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["path"] == str(output)
    assert result["frames"] == 36
    assert re.fullmatch("[0-9a-f]{12}", result["watermark"])
    assert set(result) == {
        "path", "duration", "frames", "frames_per_second", "watermark", "signer", "standing",
        "warnings", "timings",
    }  # fmt: skip


def test_ctrl_c_leaves_nothing(
    portrait_file: Path,
    speech_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(progress, "reporting", lambda: contextlib.nullcontext(interrupt))
    assert generate(portrait_file, speech_file, tmp_path / "out.mp4") == 130
    assert "vasari: interrupted" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_silence_is_a_warning(
    portrait_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silence = tmp_path / "silence.wav"
    write_wav(silence, np.zeros(RATE // 2), RATE)
    assert generate(portrait_file, silence, tmp_path / "out.mp4") == 0
    assert_one_line(capsys, "warning: the speech is silent")


def test_the_users_own_credential_signs(
    portrait_file: Path,
    speech_file: Path,
    tmp_path: Path,
    config_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Credential.default()
    own = config_folder / "vasari" / "credentials" / "default" / "signer.pem"
    output = tmp_path / "out.mp4"
    assert generate(portrait_file, speech_file, output, "--credential", str(own), str(own)) == 0
    assert "trusted by those who trust the root" in capsys.readouterr().out


def test_a_text_is_spoken(
    portrait_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("espeakng_loader")
    output = tmp_path / "out.mp4"
    options = ["--text", "Guten Tag!", "--language", "de", "--size", "256", "-o", str(output)]
    assert run(["generate", str(portrait_file), *options]) == 0
    assert output.is_file()


def blank(path: Path) -> Path:
    Image.new("RGB", (400, 400), (90, 120, 150)).save(path)
    return path


def with_content(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def shrunk(portrait: Path, path: Path) -> Path:
    """The portrait as a small part of a large picture: a face of some 30 pixels."""
    with Image.open(portrait) as image:
        small = image.resize((128, 128))
    canvas = Image.new("RGB", (300, 300), (200, 200, 200))
    canvas.paste(small, (80, 80))
    canvas.save(path)
    return path


@pytest.mark.parametrize(
    ("make", "pattern"),
    [
        (lambda folder, good: folder / "missing.png", r"missing\.png"),
        (lambda folder, good: folder, "folder|directory"),
        (lambda folder, good: with_content(folder / "empty.png", b""), "empty"),
        (lambda folder, good: with_content(folder / "text.png", b"no picture"), r"text\.png"),
        (
            lambda folder, good: with_content(folder / "cut.png", good.read_bytes()[:90_000]),
            r"cut\.png",
        ),
        (
            lambda folder, good: with_content(
                folder / "bad.png", good.read_bytes()[:50_000] + bytes(200_000)
            ),
            r"bad\.png",
        ),
        (lambda folder, good: blank(folder / "blank.png"), "no face"),
        (lambda folder, good: shrunk(good, folder / "small.png"), "face.*(small|pixels|found)"),
    ],
    ids=["missing", "folder", "empty", "text", "truncated", "corrupt", "no face", "small face"],
)
def test_bad_portraits(
    make: object,
    pattern: str,
    portrait_file: Path,
    speech_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    portrait = make(tmp_path, portrait_file)
    assert generate(portrait, speech_file, tmp_path / "out.mp4") == 2
    assert_one_line(capsys, pattern)
    assert not list(tmp_path.glob("*.mp4"))


def cut_wav(path: Path) -> Path:
    write_wav(path, syllables(3.0), RATE)
    return with_content(path, path.read_bytes()[:40_000])


def mute_video(path: Path) -> Path:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("make", "pattern"),
    [
        (lambda folder: folder / "missing.wav", "no such file"),
        (lambda folder: folder, "folder"),
        (lambda folder: with_content(folder / "empty.wav", b""), "empty"),
        (lambda folder: with_content(folder / "text.mp3", b"no sound" * 99), r"text\.mp3"),
        (lambda folder: cut_wav(folder / "cut.wav"), "truncated"),
        (lambda folder: mute_video(folder / "mute.mkv"), "no sound"),
    ],
    ids=["missing", "folder", "empty", "text", "truncated", "mute video"],
)
def test_bad_speech(
    make: object,
    pattern: str,
    portrait_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert generate(portrait_file, make(tmp_path), tmp_path / "out.mp4") == 2
    assert_one_line(capsys, pattern)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        (["--emotion", "joyful=0.5"], "unknown emotion 'joyful'; known are angry, .*surprised"),
        (["--emotion", "happy=2"], "emotion happy is 2; give a value from 0 to 1"),
        (["--emotion", "happy"], "NAME=WEIGHT"),
        (["--gaze", "10"], "YAW,PITCH"),
        (["--gaze", "90,0"], "gaze yaw is 90"),
        (["--distance", "9"], "distance is 9"),
        (["--head-motion", "-1"], "head motion is -1"),
        (["--seed", "-1"], "seed is -1"),
        (["--fps", "10"], "fps is 10; give 24 to 60"),
        (["--size", "300"], "'300' is not one of '256', '512', '1024'"),
        (["--face", "2"], "no face 2"),
        (["--text", "both"], "either as --speech FILE or as --text TEXT"),
        (["--voice", "f3"], "--language and --voice say how --text is spoken"),
        (["--credential", "missing.pem", "missing.pem"], r"missing\.pem"),
        (["--motion", "missing.npz"], r"cannot read missing\.npz"),
        (["--motion", "missing.npz", "--gaze", "5,0"], "leave out the options that shape one"),
        (["--nonsense"], "--nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_options(
    options: list[str],
    pattern: str,
    portrait_file: Path,
    speech_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert generate(portrait_file, speech_file, tmp_path / "out.mp4", *options) == 2
    assert_one_line(capsys, pattern)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ([], "either as --speech FILE or as --text TEXT"),
        (["--text", ""], "text"),
        (["--text", "a" * (MAX_TEXT + 1)], "10001 characters; 10000 is the most"),
        (["--text", "Hello", "--voice", "nobody"], "voice 'nobody'"),
        (["--text", "Hello", "--language", "xx"], "language 'xx'"),
    ],
    ids=["none", "empty", "long", "voice", "language"],
)
def test_bad_text(
    options: list[str],
    pattern: str,
    portrait_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("espeakng_loader")
    arguments = ["generate", str(portrait_file), "-o", str(tmp_path / "out.mp4"), *options]
    assert run(arguments) == 2
    assert_one_line(capsys, pattern)


@pytest.mark.parametrize(
    ("output", "code", "pattern"),
    [
        ("out.avi", 2, r"ends in \.mp4"),
        ("folder.mp4", 1, "it is a folder"),
        ("missing/out.mp4", 1, "there is no folder"),
    ],
)
def test_bad_outputs(
    output: str,
    code: int,
    pattern: str,
    portrait_file: Path,
    speech_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    assert generate(portrait_file, speech_file, tmp_path / output) == code
    assert_one_line(capsys, pattern)
