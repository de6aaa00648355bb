"""Figures of merit, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from vasari.eval.detection_metrics import (
    average_precision,
    bootstrap,
    calibration_error,
    confusion,
    equal_error_rate,
    precision_recall,
    reliability,
    roc_auc,
    roc_curve,
    tpr_at,
)


@pytest.fixture(params=["smooth", "ties", "one wrong"])
def answers(request):
    """Labels and probabilities."""
    random = np.random.default_rng(3)
    labels = random.random(200) < 0.4
    scores = np.clip(0.5 * labels + random.normal(0.25, 0.25, 200), 0, 1)
    if request.param == "ties":
        scores = np.round(scores, 1)
    if request.param == "one wrong":
        scores = labels.astype(float)
        scores[np.flatnonzero(labels)[0]] = 0.0
    return labels, scores


def test_areas(answers):
    assert roc_auc(*answers) == pytest.approx(metrics.roc_auc_score(*answers))
    assert average_precision(*answers) == pytest.approx(metrics.average_precision_score(*answers))


def test_curves(answers):
    false_rates, true_rates, _ = metrics.roc_curve(*answers, drop_intermediate=False)
    for ours, theirs in zip(roc_curve(*answers), (false_rates, true_rates), strict=True):
        assert np.allclose(ours, theirs)
    precision, recall, _ = metrics.precision_recall_curve(*answers)
    ours = precision_recall(*answers)
    for k, theirs in enumerate((precision, recall)):
        # Theirs begins with the lowest threshold and ends with a point of its own.
        assert np.allclose(ours[k], theirs[-2::-1])


def test_decisions(answers):
    labels, scores = answers
    decided = scores >= 0.6
    found = confusion(labels, decided)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(labels, decided))
    assert found.precision == pytest.approx(metrics.precision_score(labels, decided))
    assert found.recall == pytest.approx(metrics.recall_score(labels, decided))
    assert found.f1 == pytest.approx(metrics.f1_score(labels, decided))
    matrix = metrics.confusion_matrix(labels, decided)
    assert matrix.ravel().tolist() == [
        found.true_negatives,
        found.false_positives,
        found.false_negatives,
        found.true_positives,
    ]


def test_equal_error_rate():
    labels = np.repeat([False, True], 100)
    scores = np.concatenate([np.arange(100), np.arange(100) + 80]).astype(float)
    assert equal_error_rate(labels, scores) == pytest.approx(0.1, abs=0.01)
    assert equal_error_rate(labels, labels.astype(float)) == 0
    assert equal_error_rate(labels, 1 - labels.astype(float)) == 1


def test_true_positive_rate_at_few_false_alarms():
    labels = np.array([False] * 100 + [True] * 10)
    scores = np.concatenate([np.linspace(0, 0.9, 100), np.linspace(0.82, 1, 10)])
    assert tpr_at(labels, scores, 0.01) == pytest.approx((scores[100:] > scores[98]).mean())
    assert tpr_at(labels, scores, 0.0) == pytest.approx((scores[100:] > scores[99]).mean())


def test_calibration():
    random = np.random.default_rng(0)
    probabilities = random.random(20_000)
    labels = random.random(20_000) < probabilities
    assert calibration_error(labels, probabilities) < 0.02
    assert calibration_error(labels, np.full(20_000, 0.9)) == pytest.approx(0.4, abs=0.02)
    assert sum(each.count for each in reliability(labels, probabilities)) == 20_000


def test_bootstrap_draws_people_not_clips():
    values = np.repeat(np.random.default_rng(1).normal(size=20), 50)
    people = [str(index // 50) for index in range(1000)]
    by_person = bootstrap(lambda chosen: float(values[chosen].mean()), people)
    by_clip = bootstrap(lambda chosen: float(values[chosen].mean()), list(map(str, range(1000))))
    assert by_person.value == pytest.approx(values.mean())
    assert by_person.high - by_person.low > 4 * (by_clip.high - by_clip.low)
    expected = 2 * 1.96 * values.std() / np.sqrt(20)
    assert by_person.high - by_person.low == pytest.approx(expected, rel=0.15)
