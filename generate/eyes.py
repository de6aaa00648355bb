"""The eyes: the ball behind the lids stays round and turns with the gaze."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.generate.patch import Window, fit_affine, outline, paint
from vasari.generate.portrait import Portrait
from vasari.generate.topology import (
    LEFT_IRIS,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    RIGHT_IRIS,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
)

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

BALL_RADIUS = 1.2  # cm, of an adult's eye
IRIS_RIM = 1.15  # of the iris' radius: what moves as one disc
WHITE_STRETCH = 1.6  # of the iris' radius beyond the rim: where the white gives way
LID_MARGIN = 0.035  # cm of the rim that the skin keeps: the lids' edges and the roots of the lashes
LID_SHADE = 0.25  # how far a lid that comes down darkens the ball under it
MIN_OPENING = 0.1  # cm: an eye that is shut in the portrait has no ball to show

EYES = (
    (RIGHT_UPPER_LID + RIGHT_LOWER_LID[-2:0:-1], RIGHT_IRIS),
    (LEFT_UPPER_LID + LEFT_LOWER_LID[-2:0:-1], LEFT_IRIS),
)


@dataclass(frozen=True)
class Eye:
    """One eye of a portrait."""

    rim: tuple[int, ...]  # indices of the opening's points, around it
    ball: ImageArray  # (S, S, 3) the picture, the white continued under the lids
    iris: Float32Array  # (2,) pixels
    radius: float  # pixels
    reach: float  # pixels by which the iris can move before it touches the rim's end
    margin: float  # pixels of the rim left to the skin


def find_eyes(portrait: Portrait) -> list[Eye]:
    """The eyes of a portrait that are open."""
    return [
        _eye(portrait, rim, iris) for rim, iris in EYES if _opening(portrait, rim) > MIN_OPENING
    ]


def paint_eye(
    eye: Eye, frame: ImageArray, lids: Float32Array, ball: Float32Array, home: Float32Array,
    shift: Float32Array,
) -> None:  # fmt: skip
    """Paint one eye between its lids.

    Args:
        eye: which.
        frame: (S, S, 3), changed.
        lids: (16, 2) pixels, the rim as the lids now stand.
        ball: (16, 2) pixels, the rim as it would stand had no lid moved: where the ball is.
        home: (16, 2) pixels, the rim in the portrait.
        shift: (2,) pixels by which the iris leaves its place in the portrait.
    """
    import cv2

    window = Window.around(lids, 2, len(frame))
    if window.empty:
        return
    mask = outline(_shrink(lids, eye.margin), window)
    back = fit_affine(ball, home)
    map_x, map_y = _look_up(eye, window, back, shift)
    pixels = cv2.remap(eye.ball, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shade = _lid_shade(lids, ball, window)
    paint(frame, window, np.asarray(pixels * shade, np.uint8), mask)


def gaze_shift(eye: Eye, gaze: Float32Array, scale: float) -> Float32Array:
    """By how much the iris moves, (2,) pixels, for a gaze (yaw, pitch) in degrees."""
    yaw, pitch = np.radians(gaze)
    shift = BALL_RADIUS * scale * np.array([np.sin(yaw), -np.sin(pitch)], np.float32)
    shift[0] = eye.reach * np.tanh(shift[0] / eye.reach)
    return shift


def _opening(portrait: Portrait, rim: tuple[int, ...]) -> float:
    """How far the lids stand apart in the middle of the eye, cm."""
    upper, lower = portrait.mesh[rim[4]], portrait.mesh[rim[12]]
    return float(np.linalg.norm(lower - upper)) / portrait.placement.scale


def _eye(portrait: Portrait, rim: tuple[int, ...], iris: tuple[int, ...]) -> Eye:
    points = portrait.mesh[:, :2]
    centre = points[iris[0]]
    radius = float(np.linalg.norm(points[list(iris[1:])] - centre, axis=1).mean())
    corners = points[[rim[0], rim[8]]]
    reach = float(np.linalg.norm(corners - centre, axis=1).min())
    margin = LID_MARGIN * portrait.placement.scale
    ball = _ball(portrait.image, points[list(rim)], radius, margin)
    return Eye(rim, ball, centre, radius, max(reach, radius * 0.5), margin)


def _ball(picture: ImageArray, rim: Float32Array, radius: float, margin: float) -> ImageArray:
    """The picture with the ball continued a little under the lids around it."""
    import cv2

    window = Window.around(rim, round(1.5 * radius), len(picture))
    inside = outline(_shrink(rim, margin), window) > 0.99
    area = np.s_[window.top : window.top + window.height, window.left : window.left + window.width]
    ball = picture.copy()
    hidden = (~inside).astype(np.uint8)
    ball[area] = cv2.inpaint(np.ascontiguousarray(picture[area]), hidden, 3, cv2.INPAINT_TELEA)
    # Between the lids' edges and the shrunken rim the picture itself is right.
    shown = outline(rim, window)[..., None] > 0.5
    ball[area] = np.where(shown, picture[area], ball[area])
    return ball


def _shrink(rim: Float32Array, margin: float) -> Float32Array:
    """The rim moved inward by a margin in pixels, its corners more."""
    middle = (rim[1:8] + rim[15:8:-1]) / 2
    shrunk = rim.copy()
    for row, others in ((slice(1, 8), middle), (slice(15, 8, -1), middle)):
        inward = others - rim[row]
        length = np.linalg.norm(inward, axis=1, keepdims=True)
        shrunk[row] += inward * np.minimum(margin / np.maximum(length, 1e-6), 1)
    shrunk[0], shrunk[8] = (rim[0] + middle[0]) / 2, (rim[8] + middle[-1]) / 2
    return shrunk


def _look_up(
    eye: Eye, window: Window, back: Float32Array, shift: Float32Array
) -> tuple[Float32Array, Float32Array]:
    """Where in the picture each pixel of a window comes from when the iris is moved."""
    x = np.arange(window.left, window.left + window.width, dtype=np.float32)
    y = np.arange(window.top, window.top + window.height, dtype=np.float32)[:, None]
    map_x = back[0, 0] * x + back[0, 1] * y + back[0, 2]
    map_y = back[1, 0] * x + back[1, 1] * y + back[1, 2]
    apart = np.hypot(map_x - eye.iris[0] - shift[0], map_y - eye.iris[1] - shift[1]) / eye.radius
    share = 1 - np.clip((apart - IRIS_RIM) / WHITE_STRETCH, 0, 1)
    return map_x - shift[0] * share, map_y - shift[1] * share


def _lid_shade(lids: Float32Array, ball: Float32Array, window: Window) -> Float32Array:
    """The shade, (h, 1, 1) 0..1, of an upper lid that stands lower than in the portrait."""
    top = float(lids[1:8, 1].mean())
    lowered = top - float(ball[1:8, 1].mean())
    height = max(float(ball[9:16, 1].mean() - ball[1:8, 1].mean()), 1.0)
    depth = np.clip(lowered / height, 0, 1)
    below = (np.arange(window.height, dtype=np.float32) + window.top - top) / height
    shade = 1 - LID_SHADE * depth * np.exp(-np.maximum(below, 0) / 0.35)
    return np.asarray(shade[:, None, None], np.float32)
