"""Glasses: they stand on the nose, and what lies behind them does not bend them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vasari.generate.portrait import Portrait

Float32Array = npt.NDArray[np.float32]

# Glasses are lines, darker or lighter than skin, across the nose and below both eyes. How far they
# stand out, as parts of the skin's brightness, is added up: more than this and it is glasses.
# Chosen on half of the training portraits, looked at on a quarter that had no part in it.
LEAST_CONTRAST = 0.35
SAMPLE = 0.03  # cm between samples along a profile
LINE_SPAN = 0.9  # cm: what is wider than half of it is no line
DARKEST_SKIN = 20.0  # levels: contrast is not taken of less
# Points of the mesh; from where to where below each, and how wide, cm.
NOSE_ROOT, BRIDGE = 168, (-0.9, 1.6, 0.5)
LOWER_LIDS, LOWER_RIM = (145, 374), (0.5, 2.6, 0.6)

# cm in the face's frame: what moves with the glasses, and where that has faded away.
LENS_TOP, LENS_BOTTOM = (-1.7, -3.0), (2.8, 4.5)
GIVE = 0.1  # of an expression that is left behind glasses


def wears_glasses(portrait: Portrait) -> bool:
    """Whether lines cross the bridge of the nose and pass below the eyes."""
    rims = [_line(_profile(portrait, lid, *LOWER_RIM)) for lid in LOWER_LIDS]
    return _line(_profile(portrait, NOSE_ROOT, *BRIDGE)) + min(rims) > LEAST_CONTRAST


def give(portrait: Portrait, rest: Float32Array) -> Float32Array:
    """How far each point of the mesh follows an expression, (478, 1): little behind glasses.

    Args:
        portrait: whose.
        rest: (478, 3) cm, the face in its own frame.
    """
    if not wears_glasses(portrait):
        return np.ones((len(rest), 1), np.float32)
    y = rest[:, 1]
    behind = np.interp(y, (LENS_TOP[1], LENS_TOP[0], *LENS_BOTTOM), (0, 1, 1, 0))
    return np.asarray(1 - (1 - GIVE) * behind[:, None], np.float32)


def _line(profile: Float32Array) -> float:
    """How far a line stands out in a profile, (N,), as a part of its brightness."""
    half = round(LINE_SPAN / SAMPLE / 2)
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(profile, half, mode="edge"), 2 * half + 1
    )
    contrast = np.abs(profile - np.median(around, axis=1)).max()
    return float(contrast) / max(float(np.median(profile)), DARKEST_SKIN)


def _profile(
    portrait: Portrait, point: int, start: float, end: float, width: float
) -> Float32Array:
    """The brightness down the face, (N,), from start to end below a point, mean over a width."""
    import cv2

    down = portrait.placement.rotation[:2, 1] / np.linalg.norm(portrait.placement.rotation[:2, 1])
    across = np.array([down[1], -down[0]])
    along = np.arange(start, end, SAMPLE)[:, None, None]
    beside = np.linspace(-width / 2, width / 2, 9)[:, None]
    way = portrait.placement.scale * (along * down + beside * across)
    spots = (portrait.mesh[point, :2] + way).astype(np.float32)
    luma = cv2.cvtColor(portrait.image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.remap(luma, spots, None, cv2.INTER_LINEAR).mean(axis=1), np.float32)
