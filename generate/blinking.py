"""Spontaneous blinks: irregular, quick to close, slower to open, often with a shift of gaze."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.generate.fixation import Fixations

Float64Array = npt.NDArray[np.float64]

INTERVAL_SPREAD = 0.7  # sigma of the logarithm of the time between blinks
FIRST = 0.5  # seconds; the video begins with open eyes, like the portrait
REFRACTORY = 0.5  # seconds without a blink after one
DOUBLE_CHANCE = 0.08  # of a blink to be followed by another at once
DOUBLE_DELAY = 0.38  # seconds from one start to the other
SHIFT = 5.0  # degrees; such a shift of gaze often carries a blink
SHIFT_CHANCE = 0.5  # that it does, in one who blinks USUAL_RATE times a minute or more
USUAL_RATE = 20.0
# Seconds. Lids close about twice as fast as they open (Caffier, Erdmann & Ullsperger 2003); shut
# for at least a frame at 25 fps, or some blinks would be sampled half closed.
CLOSING, SHUT, OPENING = 0.075, 0.045, 0.14
LONGEST = 2 * (CLOSING + SHUT + OPENING)  # seconds, with room for slow ones


@dataclass(frozen=True)
class Blink:
    """One blink of both eyes."""

    start: float  # seconds
    slowness: float  # factor on its durations
    depth: tuple[float, float]  # how far the left and the right lid close, 0..1


class Blinks:
    """A random sequence of blinks, drawn as far as it is asked for.

    Ask for times in rising order: what is past is forgotten.

    Args:
        rate: mean blinks per minute; 0 never blinks.
        seed: the user's seed.
        fixations: the gaze whose shifts the blinks go with; this may draw it further ahead.
    """

    def __init__(self, rate: float, seed: int, fixations: Fixations) -> None:
        self._random = np.random.default_rng([seed, 0xB11C])
        self._fixations = fixations
        self._mean = 60 / rate * (1 + DOUBLE_CHANCE) if rate else np.inf
        self._shift_chance = SHIFT_CHANCE * min(rate / USUAL_RATE, 1)
        self._known: list[Blink] = []
        # As if the last blink lay somewhere before the start, or short clips would have too few.
        self._next_start = max(FIRST, self._after(-self._mean * self._random.uniform(0.1, 1)))

    def closure(self, times: Float64Array) -> Float64Array:
        """How far the left and the right lid are closed at rising times, (T, 2) in 0..1."""
        self._known = [blink for blink in self._known if blink.start > times[0] - LONGEST]
        while self._next_start <= times[-1]:
            self._draw()
        closed = np.zeros((len(times), 2))
        for blink in self._known:
            closed = np.maximum(closed, _closure(times - blink.start, blink))
        return closed

    def _draw(self) -> None:
        """Draw the blink that is due, which may be a double one, and when the next is due."""
        start = self._next_start
        self._known.append(self._one(start))
        if self._random.random() < DOUBLE_CHANCE:
            start += DOUBLE_DELAY
            self._known.append(self._one(start))
        self._next_start = self._after(start)

    def _one(self, start: float) -> Blink:
        """A blink of random strength."""
        depth = 1 - 0.06 * self._random.random() - 0.02 * self._random.random(2)
        return Blink(start, self._random.uniform(0.85, 1.15), (depth[0], depth[1]))

    def _after(self, last: float) -> float:
        """When the next blink is due: at a shift of gaze, or when the time has come."""
        if not np.isfinite(self._mean):
            return np.inf
        rest = self._random.lognormal(-(INTERVAL_SPREAD**2) / 2, INTERVAL_SPREAD)
        due = last + REFRACTORY + max(self._mean - REFRACTORY, 0.1) * rest
        looks = [look for look in self._fixations.until(due) if look.start > last + REFRACTORY]
        for before, after in itertools.pairwise(looks):
            size = np.hypot(after.yaw - before.yaw, after.pitch - before.pitch)
            if size > SHIFT and self._random.random() < self._shift_chance:
                return after.start
        return due


def _closure(since: Float64Array, blink: Blink) -> Float64Array:
    """The lids' closure at times since the start of a blink, (T, 2)."""
    phase = since / blink.slowness
    falling = np.clip(phase / CLOSING, 0, 1)
    rising = np.clip((phase - CLOSING - SHUT) / OPENING, 0, 1)
    shape = _ease(falling) * (1 - _ease(rising))
    return np.asarray(shape[:, None] * np.array(blink.depth))


def _ease(x: Float64Array) -> Float64Array:
    """From 0 to 1 with rest at both ends."""
    return np.asarray(x * x * (3 - 2 * x))
