"""The command `vasari detect`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vasari.errors import InputError

if TYPE_CHECKING:
    from vasari.detect.scoring import Detection

COLUMNS = (
    "path", "decision", "probability", "threshold", "clear_below", "reason", "frames", "sampled",
    "frame_rate",
)  # fmt: skip


@click.command(no_args_is_help=True)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a table as CSV.")
@click.option(
    "--heatmap",
    type=click.Path(path_type=Path),
    help="Draw what the score rests on: a .png of the worst frame, or an .mp4. One file only.",
)
def detect(files: tuple[Path, ...], as_json: bool, as_csv: bool, heatmap: Path | None) -> None:
    """Say how likely the faces in FILES (videos, images, folders of them) were generated.

    The probability holds where generated and real are as frequent as each other. The decision is
    made for few false accusations; "cannot say" comes with its reason, most often that the
    evidence is weak. "Not generated" does not show a clip to be real: new generators are missed
    most.

    \b
    Example:
      vasari detect suspect.mp4 --heatmap suspect.png

    Exit codes: 0 scored, 2 a file could not be read.
    """
    from vasari.detect.heatmap import write
    from vasari.detect.scoring import Detector
    from vasari.generate.progress import reporting

    paths = list(_expanded(files))
    if heatmap and len(paths) != 1:
        raise InputError("a heat map shows one file; give one")
    detector = Detector.shipped()
    show = _printer(as_json, as_csv)
    failed = []
    with reporting("files") as progress:
        for done, path in enumerate(paths, 1):
            try:
                detection = detector.score(path)
            except InputError as error:
                failed.append(str(error))
                continue
            show(detection)
            if heatmap:
                write(detection, heatmap)
            if len(paths) > 1:
                progress(done, len(paths))
    for line in failed[:-1]:
        click.echo(f"vasari: {line}", err=True)
    if failed:
        raise InputError(failed[-1])


def _expanded(files: tuple[Path, ...]) -> Iterator[Path]:
    """The files, and what folders hold of videos and images."""
    from vasari.detect.corpus import IMAGE_SUFFIXES, VIDEO_SUFFIXES, files_in

    for file in files:
        if file.is_dir():
            yield from files_in(file, IMAGE_SUFFIXES | VIDEO_SUFFIXES)
        else:
            yield file


class _Lines:
    """Prints a few lines for each file."""

    def __call__(self, detection: Detection) -> None:
        click.echo(f"{detection.path}: {words(detection)}")
        for interval in detection.suspicious[:3]:
            click.echo(f"  suspicious from {interval.start:.1f} to {interval.end:.1f} s")
        if detection.frames:
            face = sorted(frame.face for frame in detection.frames)[len(detection.frames) // 2]
            rate = f", {detection.frame_rate:g} frames/s" if detection.frame_rate else ""
            click.echo(
                f"  a face of {face:.0f} pixels in {len(detection.frames)} of "
                f"{detection.sampled} sampled frames{rate}, judged by {_grounds(detection)}"
            )


def _grounds(detection: Detection) -> str:
    """What a detection rests on, in words."""
    if detection.movement is not None:
        return "how it changes while it moves"
    return "single frames" if detection.frame_rate else "this picture alone"


class _Json:
    """Prints one object a line."""

    def __call__(self, detection: Detection) -> None:
        click.echo(json.dumps(detection.to_dict()))


class _Csv:
    """Prints a table."""

    def __init__(self) -> None:
        self._writer = csv.DictWriter(sys.stdout, COLUMNS, extrasaction="ignore")
        self._writer.writeheader()

    def __call__(self, detection: Detection) -> None:
        row = {**detection.to_dict(), "frames": len(detection.frames)}
        self._writer.writerow(row)


def _printer(as_json: bool, as_csv: bool) -> _Lines | _Json | _Csv:
    if as_json and as_csv:
        raise InputError("--json and --csv exclude each other")
    return _Json() if as_json else _Csv() if as_csv else _Lines()


def words(detection: Detection) -> str:
    """The result in one line."""
    from vasari.detect.scoring import AT_REST, WEAK

    decision, reason = detection.decision.value, detection.reason
    said = f"{decision}: {reason}" if reason else decision
    if reason == AT_REST:
        return f"{said} (probability {detection.probability:.2f})"
    if reason not in ("", WEAK):
        return said
    return (
        f"{said} (probability {detection.probability:.2f}; generated from "
        f"{detection.threshold:.2f}, where {detection.false_alarm_rate:.1%} of real validation "
        f"clips lay and {detection.miss_rate:.1%} of generated ones did not; not generated below "
        f"{detection.clear_below:.2f}, where {detection.clear_miss_rate:.1%} of generated ones lay)"
    )
