"""Probabilities and thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from vasari.detect.calibration import (
    FALSE_ALARMS,
    FALSE_CLEARANCES,
    auc,
    calibrate,
    operating_point,
    platt,
)
from vasari.errors import VasariError
from vasari.models.detector import Calibration


@pytest.fixture
def evidence():
    """Evidence of 2000 real and 500 generated samples; the log odds are half of it."""
    random = np.random.default_rng(5)
    return random.normal(-2, 2, 2000), random.normal(2, 2, 500)


def test_platt_against_scikit_learn(evidence):
    real, generated = evidence
    scores = np.concatenate(evidence)[:, None]
    labels = np.repeat([0, 1], [len(real), len(generated)])
    reference = LogisticRegression(C=1e9, class_weight="balanced").fit(scores, labels)
    slope, offset = platt(real, generated)
    assert slope == pytest.approx(reference.coef_[0, 0], rel=0.02)
    assert offset == pytest.approx(reference.intercept_[0], abs=0.03)
    assert slope == pytest.approx(1, rel=0.1)  # difference of the means over the variance


def test_separated_classes_keep_a_finite_slope():
    slope, _ = platt(np.linspace(-3, -2, 50), np.linspace(2, 3, 50))
    assert 0.5 < slope < 10


def test_the_threshold_keeps_false_alarms_few(evidence):
    real, generated = evidence
    point = operating_point(real, generated)
    assert point.false_alarm_rate <= FALSE_ALARMS
    assert point.false_alarm_rate == pytest.approx(FALSE_ALARMS, abs=0.002)
    assert point.threshold > 0.5
    fresh = np.random.default_rng(6).normal(-2, 2, 5000)
    called = np.mean([point.probability(value) >= point.threshold for value in fresh])
    assert called == pytest.approx(FALSE_ALARMS, abs=0.007)
    missed = np.mean([point.probability(value) < point.threshold for value in generated])
    assert missed == point.miss_rate


def test_the_lower_threshold_keeps_false_clearances_few(evidence):
    point = operating_point(*evidence)
    assert 0 < point.clear_below <= 0.5 <= point.threshold
    fresh = np.random.default_rng(7).normal(2, 2, 5000)
    cleared = np.mean([point.probability(value) < point.clear_below for value in fresh])
    assert cleared == pytest.approx(FALSE_CLEARANCES, abs=0.02)
    assert point.clear_miss_rate == pytest.approx(FALSE_CLEARANCES, abs=0.003)


def test_where_the_classes_are_far_apart_the_thresholds_meet_in_the_middle():
    point = operating_point(np.linspace(-3, -2, 50), np.linspace(2, 3, 50))
    assert point.clear_below == point.threshold == 0.5


def test_auc_with_ties():
    random = np.random.default_rng(2)
    real, generated = np.round(random.normal(0, 1, 80), 1), np.round(random.normal(1, 1, 60), 1)
    labels = np.repeat([0, 1], [80, 60])
    assert auc(real, generated) == pytest.approx(
        roc_auc_score(labels, np.concatenate([real, generated]))
    )


def test_a_calibration_survives_its_file():
    random = np.random.default_rng(0)
    crops = random.integers(0, 255, (12, 16, 16, 3), dtype=np.uint8)
    made = calibrate(
        real=random.normal(-1, 1, 12),
        generated=random.normal(1, 1, 12),
        clips=np.repeat(np.arange(3), 4),
        crops=crops,
    )
    assert made.side == 16
    assert Calibration.from_json(made.to_json()) == made


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"clip": 3}'])
def test_a_damaged_calibration(text):
    with pytest.raises(VasariError, match="damaged"):
        Calibration.from_json(text)
