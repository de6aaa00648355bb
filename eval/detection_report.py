"""The report of a detection benchmark: figures, Markdown, JSON, and an HTML page with plots."""

from __future__ import annotations

import html
import io
import itertools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from vasari.detect.scoring import Decision
from vasari.eval.detection import Condition, Score
from vasari.eval.detection_metrics import (
    Bin,
    Confusion,
    Estimate,
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

FloatArray = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

UNANSWERED = 0.5  # the probability that stands for "cannot say" where an answer must be given
COVERAGES = (1.0, 0.9, 0.8, 0.6, 0.4)
FACES = (64, 96, 160)  # pixels of a face, between which clips are told apart by size


@dataclass(frozen=True)
class Answers:
    """Scores as arrays."""

    labels: npt.NDArray[np.bool_]  # True is generated
    probabilities: FloatArray  # UNANSWERED where the detector could not say
    answered: npt.NDArray[np.bool_]
    thresholds: FloatArray  # from which probability each is called generated
    people: tuple[str, ...]
    generators: tuple[str, ...]
    sources: tuple[str, ...]
    faces: FloatArray  # pixels, 0 where not known

    @classmethod
    def of(cls, scores: Sequence[Score], threshold: float) -> Answers:
        """Gather scores; the threshold holds where a score has none of its own."""
        return cls(
            np.array([score.sample.generated for score in scores], bool),
            np.array([_or_unanswered(score.probability) for score in scores]),
            np.array([score.probability is not None for score in scores], bool),
            np.array([threshold if s.threshold is None else s.threshold for s in scores]),
            tuple(score.sample.person for score in scores),
            tuple(score.sample.generator for score in scores),
            tuple(score.sample.source for score in scores),
            np.array([score.face for score in scores]),
        )

    @property
    def called(self) -> npt.NDArray[np.bool_]:
        """Which are called generated."""
        return self.probabilities >= self.thresholds

    def take(self, chosen: Index) -> Answers:
        """Those of some indices."""
        return Answers(
            self.labels[chosen],
            self.probabilities[chosen],
            self.answered[chosen],
            self.thresholds[chosen],
            tuple(self.people[index] for index in chosen),
            tuple(self.generators[index] for index in chosen),
            tuple(self.sources[index] for index in chosen),
            self.faces[chosen],
        )

    def frames(self, scores: Sequence[Score]) -> Answers:
        """Each frame of the scores as an answer of its own."""
        index = np.repeat(np.arange(len(scores)), [len(score.frames) for score in scores])
        every = self.take(index)
        values = np.array([value for score in scores for value in score.frames])
        return replace(every, probabilities=values, answered=np.ones(len(values), bool))


def _or_unanswered(probability: float | None) -> float:
    return UNANSWERED if probability is None else probability


@dataclass(frozen=True)
class Figures:
    """Everything that is said about one set of answers."""

    clips: int
    people: int
    accuracy: Estimate
    precision: Estimate
    recall: Estimate
    f1: Estimate
    false_alarm_rate: Estimate  # of real ones called generated
    auc: Estimate
    average_precision: Estimate
    equal_error_rate: float
    tpr_at_1_percent: float  # true positive rate with at most 1 % false alarms
    tpr_at_01_percent: float
    calibration_error: Estimate
    confusion: Confusion
    answered: float  # share

    @classmethod
    def of(cls, answers: Answers) -> Figures:
        """Measure answers; decisions leave out what was not answered."""
        a = answers

        def decided(part: str) -> Callable[[Index], float]:
            def figure(chosen: Index) -> float:
                kept = chosen[a.answered[chosen]]
                counts = confusion(a.labels[kept], a.called[kept])
                value: float = getattr(counts, part)
                return value

            return figure

        def ranked(
            measure: Callable[[npt.NDArray[np.bool_], FloatArray], float],
        ) -> Callable[[Index], float]:
            return lambda chosen: measure(a.labels[chosen], a.probabilities[chosen])

        def estimate(figure: Callable[[Index], float]) -> Estimate:
            return bootstrap(figure, a.people)

        kept = a.answered
        return cls(
            clips=len(a.labels),
            people=len(set(a.people)),
            accuracy=estimate(decided("accuracy")),
            precision=estimate(decided("precision")),
            recall=estimate(decided("recall")),
            f1=estimate(decided("f1")),
            false_alarm_rate=estimate(decided("false_alarm_rate")),
            auc=estimate(ranked(roc_auc)),
            average_precision=estimate(ranked(average_precision)),
            equal_error_rate=equal_error_rate(a.labels, a.probabilities),
            tpr_at_1_percent=tpr_at(a.labels, a.probabilities, 0.01),
            tpr_at_01_percent=tpr_at(a.labels, a.probabilities, 0.001),
            calibration_error=estimate(ranked(calibration_error)),
            confusion=confusion(a.labels[kept], a.called[kept]),
            answered=float(kept.mean()),
        )


@dataclass(frozen=True)
class Report:
    """A benchmark of one detector."""

    detector: str
    data: str
    threshold: float
    parameters: int | None
    clip: Figures
    frame: Figures | None
    generators: Mapping[str, Figures]  # each against all real ones
    sources: Mapping[str, Figures]  # each collection's real and generated ones
    conditions: Mapping[str, Figures]  # encoded anew
    sizes: Mapping[str, Figures]  # by the face's, of clips as they are and encoded anew together
    # The detector's own, "cannot say" among them: real or generator -> decision -> clips.
    decisions: Mapping[str, Mapping[str, int]]
    coverage: tuple[tuple[float, float], ...]  # share answered, accuracy
    no_face: float  # share of clips
    frames_per_second: float  # of the processor's time, decoding and face search included
    real_time: float  # seconds of video in a second by the clock; 0 where not known
    reliability: tuple[Bin, ...]
    roc: tuple[list[float], list[float]]
    precision_recall: tuple[list[float], list[float]]

    @classmethod
    def of(
        cls,
        *,
        detector: str,
        data: str,
        threshold: float,
        parameters: int | None,
        scores: Sequence[Score],
        conditions: Mapping[Condition, Sequence[Score]],
    ) -> Report:
        """Measure scores."""
        answers = Answers.of(scores, threshold)
        labels, values = answers.labels, answers.probabilities
        has_frames = any(score.frames for score in scores)
        seconds = sum(score.seconds for score in scores)
        elapsed = sum(score.elapsed for score in scores)
        frames = answers.frames(scores) if has_frames else None
        return cls(
            detector=detector,
            data=data,
            threshold=threshold,
            parameters=parameters,
            clip=Figures.of(answers),
            frame=Figures.of(frames) if frames else None,
            generators=_by_generator(answers),
            sources=_by_source(answers),
            conditions={
                str(condition): Figures.of(Answers.of(each, threshold))
                for condition, each in conditions.items()
            },
            sizes=_by_size(
                Answers.of([*scores, *itertools.chain(*conditions.values())], threshold)
            ),
            decisions=_decisions(scores),
            coverage=_coverage(answers),
            no_face=float(np.mean([score.reason == "no face was found" for score in scores])),
            frames_per_second=sum(score.looked_at for score in scores) / max(seconds, 1e-9),
            real_time=sum(score.duration for score in scores) / max(elapsed, 1e-9),
            reliability=tuple(reliability(labels, values)),
            roc=_lists(roc_curve(labels, values)),
            precision_recall=_lists(precision_recall(labels, values)),
        )

    def _pace(self) -> str:
        return f", {self.real_time:.1f} times real time by the clock" if self.real_time else ""

    def markdown(self) -> str:
        """The tables; "generated" is the positive class."""
        count = "unknown" if self.parameters is None else f"{self.parameters:,}"
        counts = self.clip.confusion
        parts = [
            f"# {self.detector} on {self.data}",
            f"Positive is *generated*. Threshold {self.threshold:.3f}, or the detector's own for "
            f"each kind of clip; chosen on validation people. Parameters: {count}. "
            f"{self.frames_per_second:.0f} sampled frames a second of processor time"
            f"{self._pace()}. No face: {self.no_face:.1%} of the clips. Intervals: 95 %, by "
            "bootstrap over people; with few people they are too narrow.",
            _table({"clips": self.clip, **({"frames": self.frame} if self.frame else {})}),
            "| | called generated | not called so |\n|---|---|---|\n"
            f"| generated | {counts.true_positives} | {counts.false_negatives} |\n"
            f"| real | {counts.false_positives} | {counts.true_negatives} |",
            "## By generator, each against all real clips",
            _table(self.generators),
        ]
        if self.sources:
            parts += ["## By source, its real and its generated clips", _table(self.sources)]
        if self.decisions:
            parts += ["## What the detector says", _decision_table(self.decisions)]
        if self.conditions:
            parts += ["## Encoded anew", _table(self.conditions)]
        if self.sizes:
            title = "## By size of the face, all encodings together"
            parts += [title, _table(self.sizes)]
        rows = "\n".join(f"| {share:.0%} | {right:.3f} |" for share, right in self.coverage)
        parts += ["## Answering only where sure", f"| answered | accuracy |\n|---|---|\n{rows}"]
        return "\n\n".join(parts) + "\n"


def as_json(reports: Sequence[Report]) -> str:
    """All figures, a list."""
    return json.dumps([asdict(report) for report in reports], indent=2) + "\n"


def page(reports: Sequence[Report]) -> str:
    """A page with the tables of all reports and their curves in the same plots."""
    title = html.escape(f"{', '.join(each.detector for each in reports)} on {reports[0].data}")
    tables = "".join(_as_html(each.markdown()) for each in reports)
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
        "<style>body{font:16px sans-serif;max-width:75em;margin:2em auto;padding:0 1em}"
        "div{overflow-x:auto}table{border-collapse:collapse;font-size:13px}"
        "th,td{border-bottom:1px solid #ddd;padding:.3em .6em;text-align:left;vertical-align:top}"
        f"svg{{max-width:100%;height:auto}}</style><h1>{title}</h1>{_plots(reports)}{tables}"
    )


def _as_html(markdown: str) -> str:
    """Headings, tables and paragraphs of a report."""
    parts = []
    for block in markdown.strip().split("\n\n"):
        text = re.sub(r"\*(\w+)\*", r"<em>\1</em>", html.escape(block))
        level = len(text) - len(text.lstrip("#"))
        if level:
            parts.append(f"<h{level + 1}>{text[level:].strip()}</h{level + 1}>")
        elif text.startswith("|"):
            parts.append(_html_table(text.splitlines()))
        else:
            parts.append(f"<p>{text}</p>")
    return "".join(parts)


def _html_table(lines: list[str]) -> str:
    """A table of Markdown, whose second line parts the head from the rows."""
    rows = []
    for index, line in enumerate(lines[:1] + lines[2:]):
        cell = "td" if index else "th"
        cells = (f"<{cell}>{each.strip()}</{cell}>" for each in line.strip("|").split("|"))
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<div><table>{''.join(rows)}</table></div>"


def _plots(reports: Sequence[Report]) -> str:
    """The three plots beside each other, as SVG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.6), layout="constrained")
    roc, precision, bins = figure.subplots(1, 3)
    for each in reports:
        label = f"{each.detector}, AUC {each.clip.auc.value:.3f}"
        roc.step(*each.roc, where="post", label=label)
        precision.step(each.precision_recall[1], each.precision_recall[0])
        points = [(one.probability, one.frequency) for one in each.reliability]
        bins.plot(*zip(*points, strict=True), "o-")
    for plot in (roc, bins):
        plot.plot([0, 1], [0, 1], ":", color="grey")
    roc.set(xlabel="false alarms", ylabel="generated clips found", title="ROC")
    roc.legend(loc="lower right", fontsize="small")
    precision.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02), title="Precision-recall")
    bins.set(xlabel="probability", ylabel="share generated", title="Reliability")
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg")
    text = drawn.getvalue()
    return text[text.index("<svg") :]


def _lists(curve: tuple[FloatArray, FloatArray]) -> tuple[list[float], list[float]]:
    return curve[0].tolist(), curve[1].tolist()


def _by_generator(answers: Answers) -> dict[str, Figures]:
    real = np.flatnonzero(~answers.labels)
    names = np.array(answers.generators)
    return {
        name: Figures.of(answers.take(np.concatenate([real, np.flatnonzero(names == name)])))
        for name in sorted(set(answers.generators) - {""})
    }


def _by_source(answers: Answers) -> dict[str, Figures]:
    """Nothing of folders, whose sources are not known."""
    names = np.array(answers.sources)
    return {
        name: Figures.of(answers.take(np.flatnonzero(names == name)))
        for name in sorted(set(answers.sources) - {""})
    }


def _by_size(answers: Answers) -> dict[str, Figures]:
    """Nothing of detectors that do not tell; sizes of which both classes are there."""
    sizes = {}
    for low, high in itertools.pairwise((1, *FACES, math.inf)):
        chosen = np.flatnonzero((answers.faces >= low) & (answers.faces < high))
        if len(set(answers.labels[chosen])) == 2:
            name = f"{low} to {high} pixels" if high < math.inf else f"from {low} pixels"
            sizes[f"below {high} pixels" if low == 1 else name] = Figures.of(answers.take(chosen))
    return sizes


def _decisions(scores: Sequence[Score]) -> dict[str, dict[str, int]]:
    """How often each decision was given, by generator; nothing of detectors that give none."""
    counts: dict[str, dict[str, int]] = {}
    for score in scores:
        if score.decision is not None:
            row = counts.setdefault(
                score.sample.generator or "real", dict.fromkeys((d.value for d in Decision), 0)
            )
            row[score.decision.value] += 1
    return counts


def _decision_table(decisions: Mapping[str, Mapping[str, int]]) -> str:
    names = [decision.value for decision in Decision]
    lines = ["| clips | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1)]
    for generator, row in sorted(decisions.items()):
        lines.append(f"| {generator} | " + " | ".join(str(row[name]) for name in names) + " |")
    return "\n".join(lines)


def _coverage(answers: Answers) -> tuple[tuple[float, float], ...]:
    """Accuracy when only the clips farthest from their thresholds are answered."""
    distance = np.abs(_log_odds(answers.probabilities) - _log_odds(answers.thresholds))
    order = np.argsort(-np.where(answers.answered, distance, -1.0))
    right = answers.called == answers.labels
    most = int(answers.answered.sum())
    counts = [max(round(share * most), 1) for share in COVERAGES]
    total = len(answers.labels)
    return tuple((count / total, float(right[order[:count]].mean())) for count in counts)


def _log_odds(p: FloatArray) -> FloatArray:
    inside = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inside / (1 - inside)), np.float64)


def _table(rows: Mapping[str, Figures]) -> str:
    head = (
        "| | clips | people | accuracy | precision | recall | F1 | real called generated | AUC | "
        "AP | EER | TPR at 1 % | at 0.1 % | ECE | answered |"
    )
    lines = [head, "|" + "---|" * 15]
    for name, f in rows.items():
        cells = (
            name, f.clips, f.people, f.accuracy, f.precision, f.recall, f.f1, f.false_alarm_rate,
            f.auc, f.average_precision, f"{f.equal_error_rate:.3f}", f"{f.tpr_at_1_percent:.3f}",
            f"{f.tpr_at_01_percent:.3f}", f.calibration_error, f"{f.answered:.1%}",
        )  # fmt: skip
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)
