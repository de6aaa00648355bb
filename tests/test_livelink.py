"""Live Link Face CSV: what is written is read again, and what the app writes is understood."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from vasari.errors import MotionError, OutputError
from vasari.generate.livelink import COLUMNS, read_livelink, write_livelink
from vasari.generate.motion import ARKIT_INDEX, Motion


def _motion(frames: int, fps: float) -> Motion:
    rng = np.random.default_rng(1)
    return Motion(
        fps,
        rng.random((frames, 52)).astype(np.float32),
        rng.normal(0, 10, (frames, 3)).astype(np.float32),
        np.zeros((frames, 3), np.float32),
        rng.normal(0, 10, (frames, 2)).astype(np.float32),
    )


@pytest.mark.parametrize("fps", [24.0, 25.0, 29.97, 30.0, 59.94, 60.0])
def test_round_trip(tmp_path: Path, fps: float) -> None:
    motion = _motion(150, fps)
    write_livelink(motion, tmp_path / "face.csv")
    again = read_livelink(tmp_path / "face.csv")
    assert again.fps == pytest.approx(fps, abs=0.011)
    for field in ("expression", "rotation", "gaze"):
        np.testing.assert_allclose(getattr(again, field), getattr(motion, field), atol=1e-5)


def test_the_columns_are_the_apps(tmp_path: Path) -> None:
    write_livelink(_motion(30, 25.0), tmp_path / "face.csv")
    with (tmp_path / "face.csv").open() as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows[0]) == 63
    assert rows[0][:3] == ["Timecode", "BlendShapeCount", "EyeBlinkLeft"]
    assert rows[1][:2] == ["00:00:00:00.000", "61"]
    assert rows[27][0] == "00:00:01:01.000"


def test_a_recording_of_the_app(tmp_path: Path) -> None:
    """Starts at the time of day, with fractions of frames, sixty to the second."""
    file = tmp_path / "app.csv"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for frame in range(90):
            second, rest = divmod(frame + 28, 60)
            values = [0.0] * 61
            values[COLUMNS.index("JawOpen") - 2] = 0.5
            values[COLUMNS.index("HeadPitch") - 2] = -np.pi / 18
            writer.writerow([f"11:44:{30 + second}:{rest:02}.605", 61, *values])
    motion = read_livelink(file)
    assert motion.fps == 60
    assert motion.expression[3, ARKIT_INDEX["jawOpen"]] == pytest.approx(0.5)
    assert motion.rotation[3] == pytest.approx([0, 10, 0], abs=1e-4)


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", ",".join(COLUMNS) + "\n", ",".join(COLUMNS) + "\nnow,61\n"]
)
def test_what_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(MotionError, match=r"bad\.csv"):
        read_livelink(tmp_path / "bad.csv")


def test_missing_and_unwritable(tmp_path: Path) -> None:
    with pytest.raises(MotionError, match="cannot read"):
        read_livelink(tmp_path / "none.csv")
    with pytest.raises(OutputError):
        write_livelink(_motion(2, 25.0), tmp_path / "no" / "face.csv")
