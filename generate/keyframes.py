"""Controls that change over time: keyframes from a file, and what is wished at each moment.

Example of a file:
    [[keyframe]]
    time = 0.0
    emotion = { happy = 0.3 }

    [[keyframe]]
    time = 2.5
    emotion = { surprised = 0.8 }
    gaze = [12, 4]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vasari.errors import ControlsError
from vasari.generate.controls import CHANGING, EMOTIONS, Controls, Keyframe

Float64Array = npt.NDArray[np.float64]

MAX_FILE = 4_000_000  # bytes: no one writes as much by hand, and a parser would need long


@dataclass(frozen=True)
class Wishes:
    """What is wished at each of T moments."""

    gaze: Float64Array  # (T, 2) degrees
    distance: Float64Array  # (T,) ratio
    emotion: Float64Array  # (T, 8) 0..1, in the order of EMOTIONS
    head_motion: Float64Array  # (T,) gain
    expression: Float64Array  # (T,) gain


def read_keyframes(file: Path) -> tuple[Keyframe, ...]:
    """Read a TOML file of keyframes.

    Raises:
        ControlsError: the file cannot be read, or holds something else than keyframes.
    """
    import tomli

    try:
        if file.stat().st_size > MAX_FILE:
            raise ControlsError(f"{file} is larger than {MAX_FILE // 10**6} MB")
        table = tomli.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ControlsError(f"cannot read {file}: {error.strerror or error}") from None
    except (UnicodeDecodeError, tomli.TOMLDecodeError, RecursionError) as error:
        raise ControlsError(f"{file} is no TOML file: {error}") from None
    rows = table.get("keyframe")
    if set(table) != {"keyframe"} or not isinstance(rows, list) or not rows:
        raise ControlsError(f"{file} holds no keyframes; give [[keyframe]] tables with a time")
    return tuple(_keyframe(row, f"{file}, keyframe {n}") for n, row in enumerate(rows, 1))


def _keyframe(row: Any, where: str) -> Keyframe:
    """One keyframe of a file."""
    known = ("time", *CHANGING)
    if not isinstance(row, dict) or "time" not in row:
        raise ControlsError(f"{where} has no time; give it in seconds")
    for name in row:
        if name not in known:
            raise ControlsError(f"{where}: unknown '{name}'; known are {', '.join(known)}")
    try:
        return Keyframe(**{name: _READERS[name](value) for name, value in row.items()})
    except (TypeError, ValueError, AttributeError):
        raise ControlsError(
            f"{where} is malformed; times and gains are numbers, gaze is [YAW, PITCH], emotion is "
            "{ NAME = WEIGHT }"
        ) from None
    except ControlsError as error:
        raise ControlsError(f"{where}: {error}") from None


def _pair(value: Any) -> tuple[float, float]:
    yaw, pitch = value
    return float(yaw), float(pitch)


def _weights(value: Any) -> dict[str, float]:
    return {name: float(weight) for name, weight in value.items()}


_READERS: dict[str, Callable[[Any], Any]] = {
    "time": float,
    "gaze": _pair,
    "distance": float,
    "emotion": _weights,
    "head_motion": float,
    "expression": float,
}


def wishes_at(controls: Controls, times: Float64Array) -> Wishes:
    """What is wished at some times, (T,) seconds.

    From keyframe to keyframe a wish goes over with rest at both ends. Before its first keyframe
    and after its last it holds. A wish that no keyframe names is that of the whole clip.
    """
    return Wishes(**{name: _track(controls, name, times) for name in CHANGING})


def _track(controls: Controls, name: str, times: Float64Array) -> Float64Array:
    """One wish over time, (T,) or (T, values)."""
    named = [key for key in controls.keyframes if getattr(key, name) is not None]
    if not named:
        return np.repeat(_numbers(getattr(controls, name))[None], len(times), axis=0)
    named.sort(key=lambda key: key.time)
    values = np.stack([_numbers(getattr(key, name)) for key in named])
    moments = np.array([key.time for key in named])
    after = np.clip(np.searchsorted(moments, times, side="right"), 1, max(len(named) - 1, 1))
    before, after = after - 1, np.minimum(after, len(named) - 1)
    length = np.maximum(moments[after] - moments[before], 1e-9)
    share = np.clip((times - moments[before]) / length, 0, 1)
    eased = (share * share * (3 - 2 * share)).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(values[before] + eased * (values[after] - values[before]))


def _numbers(wish: Any) -> Float64Array:
    """A wish as an array; emotions in the order of EMOTIONS."""
    if isinstance(wish, float | int | tuple):
        return np.asarray(wish, np.float64)
    return np.array([wish.get(name, 0.0) for name in EMOTIONS], np.float64)
