"""Where the eyes look: fixations about a point, small saccades, now and then a look aside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

MEAN_FIXATION = 1.1  # seconds
MIN_FIXATION = 0.25  # seconds
FIXATION_SPREAD = 0.7  # sigma of the logarithm
WANDER = (1.3, 0.8)  # degrees, standard deviation of yaw and pitch about the point of regard
ASIDE_CHANCE = 0.04  # of a fixation to be a look aside, as speakers do while they think
ASIDE = (7.0, 4.0)  # degrees, standard deviation of a look aside
ASIDE_TIME = 0.6  # seconds that it lasts
# Main sequence of saccades (Bahill, Clark & Stark 1975): 2.2 ms per degree and 21 ms.
SACCADE_TIME, SACCADE_TIME_PER_DEGREE = 0.021, 0.0022


@dataclass(frozen=True)
class Fixation:
    """A look at one place."""

    start: float  # seconds
    yaw: float  # degrees from the point of regard
    pitch: float  # degrees


class Fixations:
    """A random sequence of fixations, drawn as far as it is asked for.

    Ask for times in rising order: what is past is forgotten.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng([seed, 0x6A7E])
        self._known = [Fixation(-1.0, 0.0, 0.0)]
        self._next_start = 0.6  # seconds; the first frames look where they should

    def until(self, end: float) -> list[Fixation]:
        """The fixations that start before a time, the oldest ones perhaps left out."""
        while self._next_start < end:
            self._known.append(self._draw())
        return [fixation for fixation in self._known if fixation.start < end]

    def forget(self, before: float) -> None:
        """Drop the fixations that are over by a time."""
        current = [fixation for fixation in self._known if fixation.start <= before][-2:]
        self._known = current + [item for item in self._known if item.start > before]

    def directions(self, times: Float64Array) -> Float64Array:
        """Gaze from the point of regard at rising times, (T, 2) degrees."""
        fixations = self.until(times[-1] + 1e-9)
        starts = np.array([fixation.start for fixation in fixations])
        places = np.array([(fixation.yaw, fixation.pitch) for fixation in fixations])
        before = np.concatenate([places[:1], places[:-1]])
        now = np.searchsorted(starts, times, side="right") - 1
        size = np.linalg.norm(places - before, axis=1)
        lasting = SACCADE_TIME + SACCADE_TIME_PER_DEGREE * size
        share = np.clip((times - starts[now]) / lasting[now], 0, 1)
        eased = (share * share * (3 - 2 * share))[:, None]
        return np.asarray(before[now] + eased * (places[now] - before[now]))

    def _draw(self) -> Fixation:
        """Draw the next fixation."""
        start = self._next_start
        aside = self._random.random() < ASIDE_CHANCE
        yaw, pitch = self._random.normal(0, ASIDE if aside else WANDER)
        rest = self._random.lognormal(-(FIXATION_SPREAD**2) / 2, FIXATION_SPREAD)
        mean = ASIDE_TIME if aside else MEAN_FIXATION
        self._next_start = start + MIN_FIXATION + (mean - MIN_FIXATION) * rest
        return Fixation(start, float(np.clip(yaw, -15, 15)), float(np.clip(pitch, -8, 8)))
