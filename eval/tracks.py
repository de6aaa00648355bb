"""What can be read from tracks of motion, real or made: liveliness, blinks, likeness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vasari.generate.channels import CHANNELS, FACE, INDEX, channels_of
from vasari.generate.closure import excess_closure, without_blinks
from vasari.generate.motion import ARKIT_INDEX, Motion

Float64Array = npt.NDArray[np.float64]

RATE = 25.0  # frames per second at which tracks are compared
FACE_CHANNELS = tuple(CHANNELS[index] for index in FACE)
BLINK_RISE = 0.2  # of the closure above its usual value; FaceMesh never sees an eye quite shut
SHORTEST = 0.12  # seconds between two blinks
# Trackers quiver from frame to frame, which no one sees and which tells real tracks at once: a
# Gaussian of this many seconds takes it out before tracks are judged.
QUIVER = 0.08
SPAN = 50  # frames of a piece that the classifier judges
FOLDS = 5
RIDGE = 1.0  # of the classifier: it has few pieces and must not learn them by heart


def at_rate(motion: Motion) -> Motion:
    """The motion at RATE."""
    return motion.resampled(RATE, max(1, int(motion.duration * RATE)))


def head_measures(motion: Motion) -> Float64Array:
    """How a head moves, (4,) degrees: deviation of yaw, pitch and roll, mean change per frame."""
    turns = at_rate(motion).rotation
    change = np.abs(np.diff(turns, axis=0)).mean()
    return np.append(turns.std(axis=0), change).astype(np.float64)


def face_ranges(motion: Motion) -> Float64Array:
    """How far each of FACE_CHANNELS goes, (7,) in its unit: between its 5th and 95th percentile.

    Blinks, which trackers see all over a face, and quiver are left out.
    """
    track = channels_of(at_rate(motion))
    face = without_blinks(track[:, FACE], track[:, INDEX["blink"]], RATE)
    low, high = np.percentile(_calmed(face.astype(np.float64)), (5, 95), axis=0)
    return np.asarray(high - low)


def blink_starts(motion: Motion) -> Float64Array:
    """When the lids close, seconds."""
    track = at_rate(motion).expression[:, [ARKIT_INDEX[f"eyeBlink{s}"] for s in ("Left", "Right")]]
    shut = excess_closure(track.mean(axis=1), RATE) > BLINK_RISE
    starts = np.flatnonzero(shut & ~np.append(False, shut[:-1])) / RATE
    apart = np.append(True, np.diff(starts) > SHORTEST) if len(starts) else np.zeros(0, bool)
    return np.asarray(starts[apart], np.float64)


def pieces_of(motion: Motion) -> Float64Array:
    """What the classifier sees of each SPAN frames of a head's turns, (N, 9).

    Logarithms of the deviation and of the speed of each angle, and how its speed goes on.
    """
    turns = _calmed(at_rate(motion).rotation.astype(np.float64))
    rows = [_piece(turns[at : at + SPAN]) for at in range(0, len(turns) - SPAN + 1, SPAN)]
    return np.array(rows).reshape(-1, 9)


def _calmed(turns: Float64Array) -> Float64Array:
    """The turns without quiver."""
    reach = round(3 * QUIVER * RATE)
    kernel = np.exp(-((np.arange(-reach, reach + 1) / (QUIVER * RATE)) ** 2) / 2)
    padded = np.pad(turns, ((reach, reach), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=0)
    return np.asarray(windows @ (kernel / kernel.sum()))


def _piece(turns: Float64Array) -> Float64Array:
    speed = np.diff(turns, axis=0)
    sizes = [np.log(track.std(axis=0) + 0.01) for track in (turns, speed)]
    goes_on = (speed[5:] * speed[:-5]).mean(axis=0) / (speed**2).mean(axis=0).clip(1e-6)
    return np.concatenate([*sizes, goes_on])


def separability(real: Sequence[Float64Array], made: Sequence[Float64Array]) -> float:
    """How well a classifier tells real from made clips, AUC: 0.5 cannot, 1 always.

    A linear discriminant on `pieces_of` clips and their squares, cross-validated by clip; in each
    fold real and made weigh the same.
    """
    clips = [(rows, 1.0) for rows in real if len(rows)] + [
        (rows, 0.0) for rows in made if len(rows)
    ]
    every = np.concatenate([rows for rows, _ in clips])
    mean, spread = every.mean(axis=0), every.std(axis=0) + 1e-9
    order = np.random.default_rng(0).permutation(len(clips)) % FOLDS
    scores: list[float] = []
    labels: list[float] = []
    for fold in range(FOLDS):
        learn = [clip for clip, place in zip(clips, order, strict=True) if place != fold]
        check = [clip for clip, place in zip(clips, order, strict=True) if place == fold]
        weights = _fit([((_wide((rows - mean) / spread)), label) for rows, label in learn])
        for rows, label in check:
            scores.extend(_wide((rows - mean) / spread) @ weights)
            labels.extend([label] * len(rows))
    return auc(np.array(scores), np.array(labels) > 0.5)


def _wide(rows: Float64Array) -> Float64Array:
    """Features, their squares and a constant."""
    return np.hstack([rows, rows**2, np.ones((len(rows), 1))])


def _fit(clips: Sequence[tuple[Float64Array, float]]) -> Float64Array:
    """Least squares on labels of -1 and 1."""
    rows = np.concatenate([features for features, _ in clips])
    labels = np.concatenate([np.full(len(features), label) for features, label in clips])
    share = np.where(labels > 0.5, 0.5 / (labels > 0.5).mean(), 0.5 / (labels < 0.5).mean())
    gram = (rows * share[:, None]).T @ rows + RIDGE * np.eye(rows.shape[1])
    return np.asarray(np.linalg.solve(gram, (rows * share[:, None]).T @ (2 * labels - 1)))


def auc(scores: Float64Array, positive: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve: how often a positive scores above a negative."""
    above = scores[positive][:, None] - scores[~positive][None]
    return float((above > 0).mean() + (above == 0).mean() / 2)
