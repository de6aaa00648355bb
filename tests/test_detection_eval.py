"""The benchmark of detectors: samples, conditions, thresholds, the report."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from vasari.detect.encoding import Encoding, encode
from vasari.detect.scoring import Decision
from vasari.errors import InputError
from vasari.eval.detection import (
    Condition,
    Sample,
    Score,
    chosen_threshold,
    contender,
    read_samples,
    score_all,
)
from vasari.eval.detection_command import detection
from vasari.eval.detection_report import Answers, Figures, Report
from vasari.generate.colour import to_i420
from vasari.generate.perform import read_frames

seen: list[tuple[int, int]] = []  # sizes of the frames that `by_brightness` was given


def by_brightness(path: str) -> float | None:
    """A detector of others: bright is generated, and it cannot say of grey."""
    _, frames = read_frames(path)
    frame = next(iter(frames))
    seen.append(frame.shape[:2])
    level = float(frame.mean()) / 255
    return None if abs(level - 0.5) < 0.05 else level


@pytest.fixture
def folders(tmp_path):
    """Dark real clips and bright fakes of three generators, one of them grey."""
    (tmp_path / "real").mkdir()
    for index, level in enumerate((10, 30, 60)):
        write_clip(tmp_path / "real" / f"person{index}__a.mp4", level)
    for name, level in (("one", 250), ("two", 200), ("grey", 128)):
        (tmp_path / "fake" / name).mkdir(parents=True)
        write_clip(tmp_path / "fake" / name / f"{name}__a.mp4", level)
    return tmp_path


def write_clip(path, level):
    frame = np.full((96, 64, 3), level, np.uint8)
    path.write_bytes(encode((to_i420(frame) for _ in range(5)), Encoding(64, 96, 20), 25.0))


def test_samples_of_folders(folders):
    samples = read_samples(folders)
    assert [sample.generated for sample in samples] == [False] * 3 + [True] * 3
    assert [sample.generator for sample in samples] == ["", "", "", "grey", "one", "two"]
    assert samples[0].person == "person0"


def test_what_is_no_benchmark(tmp_path):
    with pytest.raises(InputError, match="neither a corpus"):
        read_samples(tmp_path)


def test_figures_of_a_detector_of_others(folders):
    tested = contender("test_detection_eval:by_brightness")
    scores = score_all(tested, read_samples(folders), Condition())
    figures = Figures.of(Answers.of(scores, 0.5))
    assert figures.auc.value == 1
    assert figures.accuracy.value == 1
    assert figures.answered == pytest.approx(5 / 6)
    assert figures.confusion.true_positives == 2  # the grey one is not decided


def test_conditions_change_the_clip(folders):
    tested = contender("test_detection_eval:by_brightness")
    sample = read_samples(folders)[:1]
    seen.clear()
    score_all(tested, sample, Condition())
    score_all(tested, sample, Condition(crf=30, scale=0.5))
    assert seen == [(96, 64), (48, 32)]


def test_a_threshold_is_chosen_on_validation_people_only():
    class Listed:
        name, parameters, threshold = "listed", None, None

        def score(self, sample, path):
            assert sample.split == "validation"
            return Score(sample, float(sample.person), (), "", 0.0, 0)

    samples = [
        Sample(Path("none.mp4"), generated, str(value), "", split)
        for generated, values in ((False, (0.1, 0.2, 0.3)), (True, (0.6, 0.7, 0.8)))
        for value in values
        for split in ("validation", "test")
    ]
    assert 0.3 < chosen_threshold(Listed(), samples) < 0.6


def test_the_report_counts_what_a_detector_says():
    samples = [
        Sample(Path("none.mp4"), label, "a", "one" if label else "", "test")
        for label in (False, True, True)
    ]
    said = (Decision.CANNOT_SAY, Decision.GENERATED, Decision.CANNOT_SAY)
    scores = [
        Score(sample, 0.5, (), "", 1.0, 1, decision)
        for sample, decision in zip(samples, said, strict=True)
    ]
    report = Report.of(
        detector="said", data="none", threshold=0.5, parameters=None, scores=scores, conditions={}
    )
    assert report.decisions["one"] == {"generated": 1, "not generated": 0, "cannot say": 1}
    assert "| real | 0 | 0 | 1 |" in report.markdown()


def test_clips_are_told_apart_by_the_size_of_their_faces():
    def scored(label: bool, face: float, probability: float) -> Score:
        sample = Sample(Path("none.mp4"), label, "a", "one" if label else "", "test")
        return replace(Score(sample, probability, (), "", 1.0, 1), face=face)

    small = [scored(False, 50, 0.6), scored(True, 63, 0.4)]
    large = [scored(False, 64, 0.2), scored(True, 90, 0.9), scored(True, 0, 0.1)]
    report = Report.of(
        detector="sized",
        data="none",
        threshold=0.5,
        parameters=None,
        scores=large,
        conditions={Condition(crf=38, scale=0.5): small},
    )
    found = {name: each.auc.value for name, each in report.sizes.items()}
    assert found == {"below 64 pixels": 0.0, "64 to 96 pixels": 1.0}
    assert "| 64 to 96 pixels | 2 |" in report.markdown()


@pytest.mark.parametrize("name", ["nothing:here", "json:nothing", "missing.onnx", "plain"])
def test_an_unknown_detector(name):
    with pytest.raises(InputError):
        contender(name)


def test_the_command_writes_its_report(folders, tmp_path):
    output = tmp_path / "report"
    arguments = [str(folders), "--detector", "test_detection_eval:by_brightness", "--crf", "30"]
    result = CliRunner().invoke(detection, [*arguments, "-o", str(output)])
    assert result.exit_code == 0, result.output
    assert "| CRF 30, scale 1 | 6 |" in result.output
    (values,) = json.loads((output / "report.json").read_text())
    assert values["clip"]["auc"]["value"] == 1
    assert values["generators"].keys() == {"one", "two", "grey"}
    page = (output / "report.html").read_text()
    assert "<svg" in page
    assert "Reliability" in page
    assert "<th>accuracy</th>" in page  # tables, not Markdown
    assert "|---" not in page
    assert {path.name for path in output.iterdir()} == {"report.md", "report.json", "report.html"}


def test_detectors_beside_each_other(folders, tmp_path):
    name = "test_detection_eval:by_brightness"
    arguments = [str(folders), "--detector", name, "--detector", name, "-o", str(tmp_path / "both")]
    assert CliRunner().invoke(detection, arguments).exit_code == 0
    assert len(json.loads((tmp_path / "both" / "report.json").read_text())) == 2
    assert (tmp_path / "both" / "report.html").read_text().count("AUC 1.000") == 2


def test_a_detector_may_have_a_threshold_for_each_clip():
    sample = Sample(Path("none.mp4"), True, "a", "one", "test", "here")
    own = [Score(sample, 0.6, (), "", 1.0, 1, None, line) for line in (0.5, 0.7, None)]
    answers = Answers.of(own, 0.9)
    assert answers.called.tolist() == [True, False, False]
    assert Figures.of(answers).recall.value == pytest.approx(1 / 3)
    report = Report.of(
        detector="own", data="none", threshold=0.9, parameters=None, scores=own, conditions={}
    )
    assert report.sources["here"].clips == 3
