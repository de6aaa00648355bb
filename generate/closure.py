"""Blinks in a track: where lids close beyond what is usual around them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]

USUAL_SPAN = 1.0  # seconds to each side over which the usual closure is taken
BLINKING = 0.08  # of the closure above its usual value
MARGIN = 0.1  # seconds before and after for which lids still move


def excess_closure(closure: npt.NDArray[np.floating[Any]], rate: float) -> Float32Array:
    """How far lids are closed beyond their usual closure, (T,).

    Args:
        closure: (T,) of both lids, 0..1.
        rate: frames per second.
    """
    reach = round(USUAL_SPAN * rate)
    padded = np.pad(closure, reach, mode="reflect" if len(closure) > reach else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    return np.asarray(closure - np.median(windows, axis=1), np.float32)


def without_blinks(
    track: npt.NDArray[np.floating[Any]], closure: npt.NDArray[np.floating[Any]], rate: float
) -> Float32Array:
    """A track with a straight way across each blink, (T, D).

    Trackers see a blink in the cheeks and brows, too, which do not move.

    Args:
        track: (T, D).
        closure: (T,) of both lids, 0..1.
        rate: frames per second.
    """
    shut = excess_closure(closure, rate) > BLINKING
    around = np.ones(2 * round(MARGIN * rate) + 1)
    still = np.flatnonzero(np.convolve(shut, around, "same") < 0.5)
    if not len(still):
        return np.asarray(track, np.float32)
    frames = np.arange(len(track))
    bridged = [np.interp(frames, still, column[still]) for column in np.asarray(track).T]
    return np.stack(bridged, axis=1).astype(np.float32)
