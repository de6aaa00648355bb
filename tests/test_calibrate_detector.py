"""Calibrating a detector on whole clips."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vasari.detect.calibration import logistic
from vasari.detect.scoring import FrameScore
from vasari.errors import InputError
from vasari.models import calibrate_detector as c
from vasari.models.detector import Calibration, Operating

POINT = Operating(1.0, 0.0, 0.8, 0.01, 0.1, 0.3, 0.05)


def looked(
    person: str, generated: bool, movement, *, evidence: float = 0.0, video: bool = True
) -> c.Looked:
    frame = FrameScore(0.0, evidence, 100.0, None, (1.0, 1.0), np.zeros((1, 1)))  # type: ignore[arg-type]
    return c.Looked(person, generated, video, (frame,), movement)


@pytest.fixture
def seen():
    """Twenty people, both classes, two clips each; the first feature tells them apart."""
    random = np.random.default_rng(4)
    return [
        looked(f"p{k}", generated, np.array([2.0 * generated, 0.0]) + random.normal(0, 1, 2))
        for k in range(20)
        for generated in (False, True)
        for _ in range(2)
    ]


def test_logistic_against_scikit_learn():
    random = np.random.default_rng(1)
    samples = random.normal(size=(200, 3))
    labels = samples[:, 0] + random.normal(size=200) > 0.3
    weights = random.uniform(0.5, 1.5, 200)
    values = logistic(samples, labels.astype(float), weights)
    reference = LogisticRegression(C=1e6).fit(samples, labels, sample_weight=weights)
    assert values[:3] == pytest.approx(reference.coef_[0], rel=0.02, abs=0.01)
    assert values[3] == pytest.approx(reference.intercept_[0], rel=0.02, abs=0.01)


def test_movement_is_learned(seen):
    head = c._movement(seen)
    assert head.weights[0] > 3 * abs(head.weights[1])
    assert head.log_odds([2.0, 0.0]) > 1
    assert head.log_odds([0.0, 0.0]) < -1
    assert 0 < head.operating.miss_rate < 1


def test_stills_teach_no_movement(seen):
    """Only their animated clips move: they would teach what stills look like."""
    still = [looked(f"s{k}", True, np.array([-9.0, 9.0]), video=False) for k in range(50)]
    taught, alone = c._movement([*seen, *still]), c._movement(seen)
    assert taught.weights == alone.weights
    assert taught.operating != alone.operating  # but are judged
    assert c._movement(still) is None


def test_nobody_is_judged_by_his_own_clips(seen):
    """One person's mislabelled clips do not hide themselves."""
    odd = [looked("odd", False, np.array([9.0, 9.0])) for _ in range(200)]
    head = c._movement([*seen, *odd])
    assert head.operating.false_alarm_rate <= c.MOVING_FALSE_ALARMS
    assert head.operating.miss_rate > 0.5


def test_clips_in_which_nobody_speaks_are_as_seldom_generated_as_they_are():
    random = np.random.default_rng(2)
    quiet = [looked("q", k < 5, None, evidence=random.normal(k < 5)) for k in range(100)]
    speaking = [looked("s", True, np.zeros(2), evidence=5.0) for _ in range(100)]
    slope, offset = c._scale_of_frames([*quiet, *speaking])
    mean = np.mean([1 / (1 + np.exp(-slope * each.evidence - offset)) for each in quiet])
    assert mean == pytest.approx(0.05, abs=0.02)
    assert c._scale_of_frames(speaking) is None


def test_every_person_weighs_the_same(seen):
    many = [*seen, *[each for each in seen if each.person == "p0"] * 50]
    once, often = c._regression(seen), c._regression(many)
    for point in ([0.0, 0.0], [2.0, 0.0]):
        assert often.log_odds(point) == pytest.approx(once.log_odds(point), abs=0.7)


def test_a_calibration_with_movement_survives_its_file(seen, tmp_path):
    head = c._regression(seen)
    made = Calibration(POINT, POINT, (1.0, 2.0), (3.0, 4.0), 112, head)
    c.write_calibration(made, tmp_path / "a.onnx")
    assert c.read_calibration(tmp_path / "a.onnx") == made
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_no_calibration(tmp_path):
    with pytest.raises(InputError, match=r"a\.json cannot be read"):
        c.read_calibration(tmp_path / "a.onnx")
