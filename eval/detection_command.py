"""The command `vasari eval detection`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vasari.errors import InputError, OutputError

if TYPE_CHECKING:
    from vasari.eval.detection_report import Report


def _numbers(context: click.Context, option: click.Parameter, value: str) -> tuple[float, ...]:
    """Read numbers separated by commas."""
    try:
        return tuple(float(part) for part in value.split(",") if part)
    except ValueError:
        raise InputError(f"'{value}' is no list of numbers; give them as 18,28,38") from None


@click.command(no_args_is_help=True)
@click.argument("data", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--detector",
    default="vasari",
    show_default=True,
    help="vasari, FILE.onnx of `vasari train detector`, or module:function of your own, which "
    "takes a path and gives the probability, or None.",
)
@click.option("--split", default="test", show_default=True, help="Of a corpus; all for every one.")
@click.option(
    "--crf", default="", callback=_numbers, help="Also encoded anew at these, such as 18,28,38."
)
@click.option(
    "--scale", default="1", show_default=True, callback=_numbers, help="Each at these scales."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for reports."
)
def detection(
    *,
    data: Path,
    detector: str,
    split: str,
    crf: tuple[float, ...],
    scale: tuple[float, ...],
    output: Path | None,
) -> None:
    """Measure a detector on DATA: a corpus, or a folder that holds real/ and fake/.

    Prints Markdown; the folder gets report.md, report.json and report.html with plots. The
    threshold comes with the detector, or is chosen on the validation people of the corpus; never
    on what is measured.

    \b
    Example:
      vasari eval detection corpus --crf 18,28,38 --scale 1,0.5 -o report
    """
    from vasari.eval.detection import (
        Condition,
        chosen_threshold,
        contender,
        read_samples,
        score_all,
    )
    from vasari.eval.detection_report import Report
    from vasari.generate.progress import reporting

    tested = contender(detector)
    known = read_samples(data)
    samples = [sample for sample in known if split in ("all", sample.split)]
    if not samples:
        raise InputError(f"{data} has no clip in the split {split}")
    threshold = chosen_threshold(tested, known)
    conditions = [Condition(round(c), s) for c in crf for s in scale]
    with reporting("clips") as progress:
        scores = score_all(tested, samples, Condition(), progress)
    changed = {each: score_all(tested, samples, each) for each in conditions}
    report = Report.of(
        detector=tested.name,
        data=data.name,
        threshold=threshold,
        parameters=tested.parameters,
        scores=scores,
        conditions=changed,
    )
    click.echo(report.markdown())
    if output:
        _write(output, report)


def _write(folder: Path, report: Report) -> None:
    texts = {"md": report.markdown(), "json": report.json(), "html": report.page()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for suffix, text in texts.items():
            draft = folder / f".report.{suffix}.{os.getpid()}.draft"
            draft.write_text(text, encoding="utf-8")
            os.replace(draft, folder / f"report.{suffix}")
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error
