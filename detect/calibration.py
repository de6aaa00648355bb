"""From evidence to probability, and from probability to a decision, on validation people."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vasari.models.detector import Calibration, Operating, look_of

FloatArray = npt.NDArray[Any]  # of any precision
ImageArray = npt.NDArray[np.uint8]

# Aimed at on validation people, for "generated" and for "not generated".
FALSE_ALARMS = 0.01  # of real ones called generated: the worse mistake
FALSE_CLEARANCES = 0.05  # of generated ones called not generated
NEWTON_STEPS = 50
RIDGE = 1e-3  # keeps the slope finite where the classes do not overlap
# Of the validation crops' contrast and sharpness: what lies farther out was not validated.
LOOK_QUANTILES, LOOK_SLACK = (0.002, 0.998), 1.5


def calibrate(
    *, real: FloatArray, generated: FloatArray, clips: npt.NDArray[np.int64], crops: ImageArray
) -> Calibration:
    """Fit probabilities and thresholds.

    Args:
        real: (n,) evidence of real crops.
        generated: (n,) evidence of generated crops of the same clips.
        clips: (n,) which clip each crop belongs to.
        crops: (n, side, side, 3) the real crops.
    """
    contrast, sharpness = range_of(np.array([look_of(crop) for crop in crops]))
    return Calibration(
        clip=operating_point(_means(real, clips), _means(generated, clips)),
        frame=operating_point(real, generated),
        contrast=contrast,
        sharpness=sharpness,
        side=crops.shape[1],
    )


def range_of(looks: FloatArray) -> tuple[tuple[float, float], tuple[float, float]]:
    """Between which contrasts and which sharpnesses, (n, 2) of `look_of`, validation was."""
    low, high = np.quantile(looks, LOOK_QUANTILES, axis=0)
    contrast, sharpness = zip(low / LOOK_SLACK, high * LOOK_SLACK, strict=True)
    return (float(contrast[0]), float(contrast[1])), (float(sharpness[0]), float(sharpness[1]))


def operating_point(
    real: FloatArray,
    generated: FloatArray,
    false_alarms: float = FALSE_ALARMS,
    scale: tuple[float, float] | None = None,
) -> Operating:
    """Scale evidence to probabilities, and draw the two lines.

    The upper is the lowest probability at which at most false_alarms of the real ones are called
    generated, but never below even odds. The lower is the highest below which at most
    FALSE_CLEARANCES of the generated ones lie, but never above even odds.

    Args:
        real: evidence of real ones, by which the lines are drawn.
        generated: evidence of generated ones, likewise.
        false_alarms: a share.
        scale: slope and offset of the probabilities; if not given, those of `platt`.
    """
    slope, offset = scale or platt(real, generated)
    plain = Operating(slope, offset, 0.5, 0.0, 0.0, 0.5, 0.0)
    p_real = np.array([plain.probability(value) for value in real])
    p_generated = np.array([plain.probability(value) for value in generated])
    highest = np.sort(p_real)[::-1][int(false_alarms * len(real))]
    threshold = max(float(np.nextafter(highest, 1)), 0.5)
    lowest = np.sort(p_generated)[int(FALSE_CLEARANCES * len(generated))]
    clear_below = min(float(lowest), 0.5)
    return Operating(
        slope,
        offset,
        threshold,
        float((p_real >= threshold).mean()),
        float((p_generated < threshold).mean()),
        clear_below,
        float((p_generated < clear_below).mean()),
    )


def platt(real: FloatArray, generated: FloatArray, *, even: bool = True) -> tuple[float, float]:
    """Slope and offset of Platt's scaling (1999), by Newton's method, with his soft targets.

    Args:
        real: evidence of real ones.
        generated: evidence of generated ones.
        even: whether both classes weigh the same, or are as frequent as they are given.
    """
    scores = np.concatenate([real, generated]).astype(np.float64)
    targets = np.concatenate(
        [
            np.full(len(real), 1 / (len(real) + 2)),
            np.full(len(generated), 1 - 1 / (len(generated) + 2)),
        ]
    )
    weights = np.full(len(scores), 2 / len(scores))
    if even:
        weights = np.concatenate([np.full(len(each), 1 / len(each)) for each in (real, generated)])
    slope, offset = logistic(scores[:, None], targets, weights)
    return float(slope), float(offset)


def logistic(
    samples: FloatArray, targets: FloatArray, weights: FloatArray, ridge: float = RIDGE
) -> FloatArray:
    """Logistic regression by Newton's method.

    Args:
        samples: (n, k).
        targets: (n,) 0..1.
        weights: (n,) of the samples.
        ridge: on all coefficients.

    Returns:
        (k + 1,): the slopes, then the offset.
    """
    design = np.column_stack([samples, np.ones(len(samples))])
    values = np.zeros(design.shape[1])
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(design @ values, -30, 30)))
        slope = design.T @ (weights * (p - targets)) + ridge * values
        bend = (design * (weights * p * (1 - p))[:, None]).T @ design
        step = np.linalg.solve(bend + ridge * np.eye(len(values)), slope)
        values -= step
        if np.abs(step).max() < 1e-8:
            break
    return values


def auc(real: FloatArray, generated: FloatArray) -> float:
    """The share of pairs in which the generated one has the higher score; ties count half."""
    order = np.sort(real)
    below = np.searchsorted(order, generated, side="left")
    through = np.searchsorted(order, generated, side="right")
    return float((below + through).mean() / 2 / len(real))


def _means(values: FloatArray, groups: npt.NDArray[np.int64]) -> FloatArray:
    """The mean of each group."""
    _, index = np.unique(groups, return_inverse=True)
    return np.asarray(np.bincount(index, values) / np.bincount(index))
