"""What a user may ask of a talking portrait: gaze, distance, emotion, liveliness, seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from vasari.errors import ControlsError

EMOTIONS = ("angry", "contempt", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")

# The renderer has no texture for what the portrait does not show: past these it would tear.
MAX_GAZE_YAW = 30.0  # degrees
MAX_GAZE_PITCH = 20.0  # degrees
MIN_DISTANCE, MAX_DISTANCE = 0.7, 1.4  # ratio to the portrait's own distance
MAX_GAIN = 2.0
MAX_BLINK_RATE = 60.0  # per minute
MAX_TIME = 24 * 3600.0  # seconds, far beyond the longest speech


@dataclass(frozen=True)
class Keyframe:
    """Wishes at one moment; None leaves a wish to the keyframes before and after.

    Raises:
        ControlsError: a value is outside its range, or an emotion is unknown.
    """

    time: float  # seconds from the start
    gaze: tuple[float, float] | None = None  # the rest as in Controls
    distance: float | None = None
    emotion: Mapping[str, float] | None = None  # what it leaves out is 0
    head_motion: float | None = None
    expression: float | None = None

    def __post_init__(self) -> None:
        _require("time of a keyframe", self.time, 0.0, MAX_TIME)
        given = {name: value for name, value in vars(self).items() if value is not None}
        del given["time"]
        _check(given)
        if self.emotion is not None:
            object.__setattr__(self, "emotion", MappingProxyType(dict(self.emotion)))


@dataclass(frozen=True)
class Controls:
    """Wishes for a clip. Those of keyframes, where there are any, take the place of the others.

    Raises:
        ControlsError: a value is outside its range, or an emotion is unknown.
    """

    gaze: tuple[float, float] = (0.0, 0.0)  # (yaw, pitch) degrees; + is the viewer's right, up
    distance: float = 1.0  # head to camera, ratio to the portrait's own: 0.8 leans in
    emotion: Mapping[str, float] = field(default_factory=dict)  # name in EMOTIONS -> 0..1
    head_motion: float = 1.0  # gain on head rotation and translation, 0 holds the head still
    expression: float = 1.0  # gain on the face's expression, lips excepted
    blink_rate: float = 18.0  # mean blinks per minute, 0 never blinks
    seed: int = 0  # the same seed gives the same motion
    keyframes: tuple[Keyframe, ...] = ()  # wishes that change over time, in any order

    def __post_init__(self) -> None:
        _check({name: getattr(self, name) for name in CHANGING})
        _require("blink rate", self.blink_rate, 0.0, MAX_BLINK_RATE)
        _require("seed", self.seed, 0, 2**63 - 1)
        object.__setattr__(self, "emotion", MappingProxyType(dict(self.emotion)))


# What may change over time.
CHANGING = ("gaze", "distance", "emotion", "head_motion", "expression")


def _check(wishes: Mapping[str, Any]) -> None:
    """Refuse a wish outside its range, by the names of the fields."""
    if "gaze" in wishes:
        _require("gaze yaw", wishes["gaze"][0], -MAX_GAZE_YAW, MAX_GAZE_YAW)
        _require("gaze pitch", wishes["gaze"][1], -MAX_GAZE_PITCH, MAX_GAZE_PITCH)
    if "distance" in wishes:
        _require("distance", wishes["distance"], MIN_DISTANCE, MAX_DISTANCE)
    for name in ("head_motion", "expression"):
        if name in wishes:
            _require(name.replace("_", " "), wishes[name], 0.0, MAX_GAIN)
    for name, weight in wishes.get("emotion", {}).items():
        if name not in EMOTIONS:
            raise ControlsError(f"unknown emotion '{name}'; known are {', '.join(EMOTIONS)}")
        _require(f"emotion {name}", weight, 0.0, 1.0)


def _require(name: str, value: float, low: float, high: float) -> None:
    """Refuse a value outside [low, high]; NaN is outside of everything."""
    if not low <= value <= high:
        raise ControlsError(f"{name} is {value:g}; give a value from {low:g} to {high:g}")
