"""The CSV of Epic's Live Link Face app: a `Motion` to and from other animation tools.

Columns: Timecode (HH:MM:SS:FF.mmm, thousandths of a frame after the point), BlendShapeCount (61),
the 52 ARKit weights with a capital first letter, then yaw, pitch and roll of the head, of the left
and of the right eye, in radians. Angles are taken to follow ARKit's right-handed axes: yaw is
positive toward the person's left, pitch downward, roll toward the person's left shoulder. The
place of the head has no column.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.errors import MotionError, OutputError
from vasari.generate.motion import ARKIT_NAMES, Motion

Float64Array = npt.NDArray[np.float64]

WEIGHTS = tuple(name[0].upper() + name[1:] for name in ARKIT_NAMES)
ANGLES = tuple(
    f"{part}{axis}" for part in ("Head", "LeftEye", "RightEye") for axis in ("Yaw", "Pitch", "Roll")
)
VALUES = WEIGHTS + ANGLES
COLUMNS = ("Timecode", "BlendShapeCount", *VALUES)
# From the app's signs to those of `Motion`: yaw + to the viewer's right is the person's left.
SIGNS = np.array([1.0, -1.0, -1.0])
MAX_ROWS = 6 * 3600 * 120  # six hours at 120 per second: a row takes half a kilobyte of memory
APP_RATE = 60.0  # frames per second at which the app records, where timecodes tell nothing
COUNTED_RATES = (24, 25, 30, 48, 50, 60, 120)  # frames to which a timecode's second counts
_TIMECODE = re.compile(r"(\d+):(\d\d):(\d\d):(\d+(?:\.\d+)?)")


def write_livelink(motion: Motion, path: str | Path) -> None:
    """Write a motion as a Live Link Face CSV.

    Raises:
        OutputError: the file cannot be written.
    """
    file = Path(path)
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with draft.open("x", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            writer.writerows(_rows(motion))
        os.replace(draft, file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OutputError(f"cannot write {file}: {error.strerror or error}") from None


def read_livelink(path: str | Path) -> Motion:
    """Read a Live Link Face CSV; its frame rate follows from the timecodes.

    Raises:
        MotionError: the file is missing or is no such CSV.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as stream:
            return _parse(csv.DictReader(stream))
    except OSError as error:
        raise MotionError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise MotionError(f"{path} is no Live Link Face CSV: {error}") from None


def _rows(motion: Motion) -> Iterator[list[str]]:
    """The rows of the table."""
    head = np.radians(motion.rotation * SIGNS)
    gaze = np.radians(np.pad(motion.gaze, ((0, 0), (0, 1))) * SIGNS)
    for frame, row in enumerate(np.hstack([motion.expression, head, gaze, gaze])):
        numbers = [f"{value:.8f}" for value in row]
        yield [_timecode(frame, motion.fps), str(len(VALUES)), *numbers]


def _timecode(frame: int, fps: float) -> str:
    """Hours, minutes, seconds and frames of a frame number."""
    counted = next((rate for rate in COUNTED_RATES if rate >= fps - 1e-6), COUNTED_RATES[-1])
    thousandths = round(frame / fps * counted * 1000)
    seconds, rest = divmod(thousandths, counted * 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}:{rest // 1000:02}.{rest % 1000:03}"


def _parse(rows: csv.DictReader[str]) -> Motion:
    """The motion in the rows of a table."""
    timecodes, lines = [], []
    for number, row in enumerate(rows):
        if number >= MAX_ROWS:
            raise ValueError(f"more than {MAX_ROWS} rows")
        timecodes.append(row["Timecode"])
        lines.append([float(row[name]) for name in VALUES])
    if not lines:
        raise ValueError("no rows")
    values = np.array(lines, np.float64)
    weights, angles = np.split(values, [len(WEIGHTS)], axis=1)
    head, left, right = (np.degrees(part) * SIGNS for part in np.split(angles, 3, axis=1))
    return Motion(
        _rate(timecodes),
        np.clip(weights, 0, 1).astype(np.float32),
        head.astype(np.float32),
        np.zeros_like(head, np.float32),
        ((left + right)[:, :2] / 2).astype(np.float32),
    )


def _rate(timecodes: list[str]) -> float:
    """Frames per second, from the timecodes of the rows."""
    parts = np.array([_fields(code) for code in timecodes])
    most = parts[:, 3].max()
    crossed = np.ptp(parts[:, 2]) > 0  # else the frames may not have counted up to a second
    counted = next((rate for rate in COUNTED_RATES if rate > most), None)
    if counted is None or not crossed:
        return APP_RATE
    times = parts @ [3600, 60, 1, 1 / counted]
    if times[-1] <= times[0]:
        raise ValueError("timecodes do not rise")
    rate = (len(times) - 1) / (times[-1] - times[0])
    return round(float(rate), 2)


def _fields(timecode: str) -> tuple[float, ...]:
    """Hours, minutes, seconds, frames."""
    match = _TIMECODE.fullmatch(timecode.strip())
    if match is None:
        raise ValueError(f"timecode '{timecode}' is not HH:MM:SS:FF.mmm")
    return tuple(float(part) for part in match.groups())
