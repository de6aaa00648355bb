"""The command `vasari eval detection`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vasari.errors import InputError, OutputError

if TYPE_CHECKING:
    from vasari.eval.detection import Condition, Sample
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
    "detectors",
    multiple=True,
    default=["vasari"],
    show_default=True,
    help="vasari, FILE.onnx of `vasari train detector`, or module:function of your own, which "
    "takes a path and gives the probability, or None. Repeatable: they are set beside each other.",
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
    detectors: tuple[str, ...],
    split: str,
    crf: tuple[float, ...],
    scale: tuple[float, ...],
    output: Path | None,
) -> None:
    """Measure detectors on DATA: a corpus, or a folder that holds real/ and fake/.

    Prints Markdown; the folder gets report.md, report.json and report.html with plots. The
    threshold comes with the detector, or is chosen on the validation people of the corpus; never
    on what is measured.

    \b
    Example:
      vasari eval detection corpus --crf 18,28,38 --scale 1,0.5 -o report
    """
    from vasari.eval.detection import Condition, read_samples

    known = read_samples(data)
    if not any(split in ("all", sample.split) for sample in known):
        raise InputError(f"{data} has no clip in the split {split}")
    conditions = [Condition(round(c), s) for c in crf for s in scale]
    reports = []
    for name in detectors:
        reports.append(_measure(name, data.name, known, split, conditions))
        click.echo(reports[-1].markdown())
    if output:
        _write(output, reports)


def _measure(
    name: str,
    data: str,
    known: Sequence[Sample],
    split: str,
    conditions: Sequence[Condition],
) -> Report:
    """Score one detector on a split, as it is and encoded anew."""
    from vasari.eval.detection import Condition, chosen_threshold, contender, score_all
    from vasari.eval.detection_report import Report
    from vasari.generate.progress import reporting

    tested = contender(name)
    samples = [sample for sample in known if split in ("all", sample.split)]
    with reporting("clips") as progress:
        scores = score_all(tested, samples, Condition(), progress)
        changed = {each: score_all(tested, samples, each, progress) for each in conditions}
    return Report.of(
        detector=tested.name,
        data=data,
        threshold=chosen_threshold(tested, known),
        parameters=tested.parameters,
        scores=scores,
        conditions=changed,
    )


def _write(folder: Path, reports: Sequence[Report]) -> None:
    from vasari.eval.detection_report import as_json, page

    markdown = "\n".join(report.markdown() for report in reports)
    texts = {"md": markdown, "json": as_json(reports), "html": page(reports)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for suffix, text in texts.items():
            draft = folder / f".report.{suffix}.{os.getpid()}.draft"
            draft.write_text(text, encoding="utf-8")
            os.replace(draft, folder / f"report.{suffix}")
    except OSError as error:
        raise OutputError(f"cannot write to {folder}: {error.strerror or error}") from error
