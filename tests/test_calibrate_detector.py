"""Calibrating a detector on whole clips."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vasari.detect.calibration import logistic
from vasari.detect.constancy import CHANGE, FEATURES, JAW, MOUTH
from vasari.detect.corpus import Clip
from vasari.detect.scoring import FrameScore, log_odds
from vasari.errors import InputError
from vasari.models import calibrate_detector as c
from vasari.models.detector import Calibration, Operating

POINT = Operating(1.0, 0.0, 0.8, 0.01, 0.1, 0.3, 0.05)


def looked(
    person: str, generated: bool, features, *, evidence: float = 0.0, video: bool = True
) -> c.Looked:
    frame = FrameScore(0.0, evidence, 100.0, None, (1.0, 1.0), np.zeros((1, 1)))  # type: ignore[arg-type]
    return c.Looked(person, generated, video, True, (frame,), features)


@pytest.fixture
def seen():
    """Twenty people, both classes, two clips each; the skin's change tells them apart.

    Ten more are stills, and tell themselves by the lids.
    """
    random = np.random.default_rng(4)
    moving = [
        looked(f"p{k}", generated, features(2.0 * generated, 0.0) + random.normal(0, 1, 9))
        for k in range(20)
        for generated in (False, True)
        for _ in range(2)
    ]
    return moving + [
        looked(f"s{k}", False, features(2.0, -6.0) + random.normal(0, 1, 9), video=False)
        for k in range(10)
    ]


def features(change: float, lids: float) -> np.ndarray:
    """Of a face that speaks."""
    values = np.zeros(len(FEATURES))
    values[FEATURES.index("change")], values[FEATURES.index("lids")] = change, lids
    values[[MOUTH, JAW]] = 5.0
    return values


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
    change, *others = np.abs(head.change.weights)
    assert len(others) == CHANGE - 1
    assert change > 3 * max(others)
    assert log_odds(features(2.0, 0.0), head) > 1
    assert log_odds(features(0.0, 0.0), head) < -1
    assert log_odds(features(2.0, -6.0), head) is None
    assert 0 < head.operating.miss_rate < 1


def test_stills_teach_no_change(seen):
    """Only their animated clips move: they would teach what stills look like."""
    clips = [looked(f"s{k}", True, features(-9.0, 1.0), video=False) for k in range(50)]
    taught, alone = c._movement([*seen, *clips]), c._movement(seen)
    for point in (features(0.0, 0.0), features(2.0, 0.0)):
        assert log_odds(point, taught) == pytest.approx(log_odds(point, alone), abs=0.2)
    assert taught.operating != alone.operating  # but are judged
    assert c._movement(clips) is None


def test_without_stills_every_face_counts_as_moving(seen):
    head = c._movement([each for each in seen if not each.still])
    assert log_odds(features(2.0, -6.0), head) is not None


def test_nobody_is_judged_by_his_own_clips(seen):
    """One person's mislabelled clips do not hide themselves."""
    odd = [looked("odd", False, features(9.0, 9.0)) for _ in range(200)]
    head = c._movement([*seen, *odd])
    assert head.operating.false_alarm_rate <= c.MOVING_FALSE_ALARMS
    assert head.operating.miss_rate > 0.5


def test_clips_at_rest_are_as_seldom_generated_as_they_are():
    random = np.random.default_rng(2)
    resting = [looked("q", k < 5, None, evidence=random.normal(k < 5)) for k in range(100)]
    scale = c._scale_at_rest(resting)
    assert probability(resting, scale) == pytest.approx(0.05, abs=0.02)
    real = [each for each in resting if not each.generated]
    assert probability(real, c._scale_at_rest(real)) == pytest.approx(0.01, abs=0.005)
    assert c._scale_at_rest([]) is None


def probability(clips: list[c.Looked], scale: tuple[float, float] | None) -> float:
    """The mean of their probabilities."""
    assert scale is not None
    slope, offset = scale
    return float(np.mean([1 / (1 + np.exp(-slope * each.evidence - offset)) for each in clips]))


def test_every_person_weighs_the_same(seen):
    many = [*seen, *[each for each in seen if each.person == "p0"] * 50]
    once, often = c._taught(seen), c._taught(many)
    for point in (features(0.0, 0.0), features(2.0, 0.0)):
        assert log_odds(point, often) == pytest.approx(log_odds(point, once), abs=0.7)


def test_a_calibration_with_movement_survives_its_file(seen, tmp_path):
    head = c._taught(seen)
    made = Calibration(POINT, POINT, (1.0, 2.0), (3.0, 4.0), 112, head)
    c.write_calibration(made, tmp_path / "a.onnx")
    assert c.read_calibration(tmp_path / "a.onnx") == made
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_nobody_is_in_two_splits():
    empty = dict.fromkeys((f.name for f in dataclasses.fields(Clip)), "")
    one, same, other = (
        Clip(**{**empty, "person": "ada", "split": split})  # type: ignore[arg-type]
        for split in ("train", "train", "test")
    )
    c._check_splits([one, same])
    with pytest.raises(InputError, match="ada is in both train and test"):
        c._check_splits([one, same, other])


def test_a_clip_that_is_gone_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"gone\.mp4 cannot be read: No such file"):
        c._read(tmp_path / "gone.mp4")


def test_no_calibration(tmp_path):
    with pytest.raises(InputError, match=r"a\.json cannot be read"):
        c.read_calibration(tmp_path / "a.onnx")
