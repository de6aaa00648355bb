"""What a user may ask of a talking portrait: gaze, distance, emotion, liveliness, seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from vasari.errors import ControlsError

EMOTIONS = ("angry", "contempt", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")

# The renderer has no texture for what the portrait does not show: past these it would tear.
MAX_GAZE_YAW = 30.0  # degrees
MAX_GAZE_PITCH = 20.0  # degrees
MIN_DISTANCE, MAX_DISTANCE = 0.7, 1.4  # ratio to the portrait's own distance
MAX_GAIN = 2.0
MAX_BLINK_RATE = 60.0  # per minute


@dataclass(frozen=True)
class Controls:
    """Wishes that hold for a whole clip.

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

    def __post_init__(self) -> None:
        _require("gaze yaw", self.gaze[0], -MAX_GAZE_YAW, MAX_GAZE_YAW)
        _require("gaze pitch", self.gaze[1], -MAX_GAZE_PITCH, MAX_GAZE_PITCH)
        _require("distance", self.distance, MIN_DISTANCE, MAX_DISTANCE)
        _require("head motion", self.head_motion, 0.0, MAX_GAIN)
        _require("expression", self.expression, 0.0, MAX_GAIN)
        _require("blink rate", self.blink_rate, 0.0, MAX_BLINK_RATE)
        _require("seed", self.seed, 0, 2**63 - 1)
        for name, weight in self.emotion.items():
            if name not in EMOTIONS:
                raise ControlsError(f"unknown emotion '{name}'; known are {', '.join(EMOTIONS)}")
            _require(f"emotion {name}", weight, 0.0, 1.0)
        object.__setattr__(self, "emotion", MappingProxyType(dict(self.emotion)))


def _require(name: str, value: float, low: float, high: float) -> None:
    """Refuse a value outside [low, high]; NaN is outside of everything."""
    if not low <= value <= high:
        raise ControlsError(f"{name} is {value:g}; give a value from {low:g} to {high:g}")
