"""Smooth random tracks that can be read at any time: the unrest of a living head."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

PAGE = 64  # knots that are drawn together
# A cubic B-spline with independent knots of variance 1 has this variance on average over time:
# the sum of its squared weights, integrated over one interval (151/315).
_SPLINE_VARIANCE = 151 / 315


def smooth_noise(
    times: Float64Array, *, rate: float, seed: int, stream: int, channels: int = 1
) -> Float64Array:
    """Gaussian noise of mean 0 and variance 1 as a cubic B-spline over random knots.

    It has two continuous derivatives and next to nothing above ``rate`` Hz. The value at a time
    depends on nothing but the arguments, so a long track can be made in pieces.

    Args:
        times: (T,) seconds, 0 or later.
        rate: knots per second.
        seed: the user's seed.
        stream: tells the tracks of one seed apart.
        channels: how many independent tracks.

    Returns:
        (T, channels) float64.
    """
    position = times * rate
    interval = np.floor(position).astype(np.int64)
    first = int(interval.min(initial=0))
    knots = _knots(first, int(interval.max(initial=0)) + 4, seed, stream, channels)
    fraction = (position - interval)[:, None]
    neighbours = [knots[interval - first + offset] for offset in range(4)]
    weights = _basis(fraction)
    total = sum(weight * knot for weight, knot in zip(weights, neighbours, strict=True))
    return np.asarray(total / np.sqrt(_SPLINE_VARIANCE), np.float64)


def _basis(u: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """The four cubic B-spline weights at fraction u of an interval."""
    return (
        (1 - u) ** 3 / 6,
        (3 * u**3 - 6 * u**2 + 4) / 6,
        (-3 * u**3 + 3 * u**2 + 3 * u + 1) / 6,
        u**3 / 6,
    )


def _knots(first: int, end: int, seed: int, stream: int, channels: int) -> Float64Array:
    """Knots first <= i < end, drawn page by page so that each has one value for ever."""
    pages = range(first // PAGE, (end - 1) // PAGE + 1)
    drawn = [_page(seed, stream, page, channels) for page in pages]
    start = first - pages[0] * PAGE
    return np.asarray(np.concatenate(drawn)[start : start + end - first], np.float64)


@functools.lru_cache(maxsize=128)  # a live avatar reads the same few pages frame by frame
def _page(seed: int, stream: int, page: int, channels: int) -> Float64Array:
    """The knots of one page, (PAGE, channels)."""
    return np.random.default_rng([seed, stream, page]).standard_normal((PAGE, channels))
