"""Figures of merit of a detector; the positive class is "generated".

Definitions follow Fawcett, "An introduction to ROC analysis" (2006); calibration follows Guo et
al. (ICML 2017) with bins of equal width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

BINS = 10  # of the reliability plot
ROUNDS = 1000  # of the bootstrap
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Confusion:
    """How decisions fell."""

    true_positives: int  # generated, called generated
    false_positives: int  # real, called generated
    true_negatives: int
    false_negatives: int

    @property
    def accuracy(self) -> float:
        """Share of right decisions."""
        right = self.true_positives + self.true_negatives
        return _ratio(right, right + self.false_positives + self.false_negatives)

    @property
    def precision(self) -> float:
        """Share of generated among what is called generated."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the generated that are called so."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        both = 2 * self.true_positives
        return _ratio(both, both + self.false_positives + self.false_negatives)

    @property
    def false_alarm_rate(self) -> float:
        """Share of the real that are called generated."""
        return _ratio(self.false_positives, self.false_positives + self.true_negatives)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def confusion(labels: BoolArray, decisions: BoolArray) -> Confusion:
    """Count decisions, (n,), by labels, (n,); True is generated."""
    return Confusion(
        int((labels & decisions).sum()),
        int((~labels & decisions).sum()),
        int((~labels & ~decisions).sum()),
        int((labels & ~decisions).sum()),
    )


def roc_curve(labels: BoolArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """False and true positive rates at all thresholds, from none called generated to all."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # of equal scores
    positives = np.cumsum(labels[order])[last]
    negatives = last + 1 - positives
    rates = (negatives / max((~labels).sum(), 1), positives / max(labels.sum(), 1))
    return np.concatenate([[0.0], rates[0]]), np.concatenate([[0.0], rates[1]])


def roc_auc(labels: BoolArray, scores: FloatArray) -> float:
    """Area under the ROC curve; NaN with one class only."""
    if labels.all() or not labels.any():
        return float("nan")
    false_rates, true_rates = roc_curve(labels, scores)
    return float(np.sum(np.diff(false_rates) * (true_rates[1:] + true_rates[:-1]) / 2))


def precision_recall(labels: BoolArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Precision and recall at all thresholds that call something generated."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    positives = np.cumsum(labels[order])[last]
    return positives / (last + 1), positives / max(labels.sum(), 1)


def average_precision(labels: BoolArray, scores: FloatArray) -> float:
    """The mean of precision over recall, as steps; NaN without generated ones."""
    if not labels.any():
        return float("nan")
    precision, recall = precision_recall(labels, scores)
    return float(np.sum(np.diff(np.concatenate([[0.0], recall])) * precision))


def equal_error_rate(labels: BoolArray, scores: FloatArray) -> float:
    """Where false alarms are as frequent as misses, on the straight lines of the ROC curve."""
    false_rates, true_rates = roc_curve(labels, scores)
    excess = false_rates - (1 - true_rates)  # rises from -1 to 1
    after = int(np.argmax(excess >= 0))
    before = max(after - 1, 0)
    gap = excess[after] - excess[before]
    share = -excess[before] / gap if gap else 0.0
    return float(false_rates[before] + share * (false_rates[after] - false_rates[before]))


def tpr_at(labels: BoolArray, scores: FloatArray, false_rate: float) -> float:
    """The highest true positive rate with at most so many false alarms."""
    false_rates, true_rates = roc_curve(labels, scores)
    return float(true_rates[false_rates <= false_rate].max())


@dataclass(frozen=True)
class Bin:
    """Clips of similar probability."""

    probability: float  # their mean
    frequency: float  # the share of generated among them
    count: int


def reliability(labels: BoolArray, probabilities: FloatArray) -> list[Bin]:
    """The bins of a reliability plot, empty ones left out."""
    index = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    return [
        Bin(
            float(probabilities[index == k].mean()),
            float(labels[index == k].mean()),
            int((index == k).sum()),
        )
        for k in range(BINS)
        if (index == k).any()
    ]


def calibration_error(labels: BoolArray, probabilities: FloatArray) -> float:
    """Expected calibration error: how far probabilities are from frequencies, on the mean."""
    bins = reliability(labels, probabilities)
    return float(sum(b.count * abs(b.probability - b.frequency) for b in bins) / len(labels))


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(
    statistic: Callable[[npt.NDArray[np.int64]], float], people: Sequence[str], *, seed: int = 0
) -> Estimate:
    """A figure with its interval of CONFIDENCE, people drawn with replacement.

    Clips of one person are alike: drawing clips would make the interval too narrow.

    Args:
        statistic: the figure of the clips of some indices.
        people: who is shown in each clip.
        seed: of the draws.
    """
    _, person = np.unique(np.asarray(people), return_inverse=True)
    clips = [np.flatnonzero(person == k) for k in range(person.max() + 1)]
    random = np.random.default_rng(seed)
    draws = []
    for _ in range(ROUNDS):
        chosen = random.integers(len(clips), size=len(clips))
        draws.append(statistic(np.concatenate([clips[k] for k in chosen])))
    tail = (1 - CONFIDENCE) / 2
    known = np.array(draws)[~np.isnan(draws)]
    low, high = np.quantile(known, [tail, 1 - tail]) if len(known) else (np.nan, np.nan)
    return Estimate(statistic(np.arange(len(person))), float(low), float(high))
