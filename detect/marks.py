"""Does the detector see generation, or our own mark? The same renderings, marked and not.

The unmarked ones live in memory for as long as they are scored, and are never written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.detect.constancy import RATE
from vasari.detect.corpus import GENERATED, Pair, Plan, marked
from vasari.detect.crops import SAMPLE_STEP, Stretch
from vasari.detect.encoding import decode, encode
from vasari.detect.scoring import Detector, mean_features, weigh
from vasari.errors import VasariError
from vasari.generate.colour import to_i420

ImageArray = npt.NDArray[np.uint8]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class MarkEffect:
    """The probabilities of one rendering."""

    name: str
    marked: float
    unmarked: float


def mark_effects(
    plan: Plan, detector: Detector, progress: Progress | None = None
) -> Iterator[MarkEffect]:
    """Score the generated clips of a plan with and without their mark; others are skipped."""
    origins = plan.origins()
    for done, origin in enumerate(origins, 1):
        try:
            pair = Pair.draw(origin, plan, np.random.default_rng(done))
        except VasariError:
            continue
        frames = list(pair.rendered())
        with_mark = _probability(pair, marked(frames, GENERATED, pair.portrait.size), detector)
        without = _probability(pair, map(to_i420, frames), detector)
        if with_mark is not None and without is not None:
            yield MarkEffect(origin.name, with_mark, without)
        if progress is not None:
            progress(done, len(origins))


def _probability(pair: Pair, planes: Iterable[ImageArray], detector: Detector) -> float | None:
    """The probability of a clip that is encoded and decoded in memory."""
    frames = list(decode(encode(planes, pair.encoding, pair.fps)))
    step = max(round(SAMPLE_STEP * pair.fps), 1)
    sampled = ((index / pair.fps, frames[index]) for index in range(0, len(frames), step))
    scores, _ = detector.look(sampled)
    if not scores:
        return None
    kept = frames[:: max(round(pair.fps / RATE), 1)]
    moved = detector.moved([Stretch(0.0, len(frames) / pair.fps, kept)])
    evidence, operating = weigh(scores, mean_features(moved), detector.calibration)
    return operating.probability(evidence)
