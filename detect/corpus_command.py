"""The commands `vasari corpus`."""

from __future__ import annotations

from pathlib import Path

import click

from vasari.errors import InputError, VasariError

_folder = click.Path(path_type=Path, file_okay=False)


@click.group(no_args_is_help=True)
def corpus() -> None:
    """Make benchmark corpora for detectors."""


@corpus.command(no_args_is_help=True)
@click.option("--portraits", type=_folder, required=True, help="Folder of pictures of faces.")
@click.option("--speech", type=_folder, required=True, help="Folder of sound files.")
@click.option("--real", type=_folder, required=True, help="Folder of real videos of faces.")
@click.option("-o", "--output", type=_folder, required=True, help="Folder for the corpus.")
@click.option(
    "--people",
    type=click.Path(path_type=Path, dir_okay=False),
    help="CSV with columns file, person, source; else each file shows a person of its own.",
)
@click.option(
    "--test-source", "test_sources", multiple=True, help="Source kept for the test; repeatable."
)
@click.option("--seconds", default=6.0, show_default=True, help="Length of each clip.")
@click.option("--parts", default=2, show_default=True, help="Pairs made of each real video.")
@click.option(
    "--crf",
    nargs=2,
    type=click.IntRange(0, 51),
    default=(18, 32),
    show_default=True,
    help="Best and worst quality, as constant rate factors.",
)
@click.option(
    "--smallest",
    type=click.IntRange(64, 512),
    default=256,
    show_default=True,
    help="Side of the smallest frames, pixels.",
)
@click.option("--limit", type=int, help="Pairs in all; without it, all that can be made.")
@click.option("--seed", default=0, show_default=True, help="Draws settings and splits.")
def build(
    *,
    portraits: Path,
    speech: Path,
    real: Path,
    output: Path,
    people: Path | None,
    test_sources: tuple[str, ...],
    seconds: float,
    parts: int,
    crf: tuple[int, int],
    smallest: int,
    limit: int | None,
    seed: int,
) -> None:
    """Make pairs of generated and real clips from the same people.

    The two clips of a pair share source, framing, camera path, frame rate, length and encoder.
    A run that was stopped goes on where it ended. At the end a random forest tries to tell the
    classes apart by metadata alone and by borders alone: above an AUC of 0.6 the build fails.

    \b
    Example:
      vasari corpus build --portraits stills --speech voices --real clips -o corpus

    Exit codes: 0 made, 1 leaks, 2 bad input.
    """
    from vasari.detect import corpus as corpora
    from vasari.detect.leaks import check_leaks
    from vasari.generate.progress import reporting

    if crf[0] > crf[1]:
        raise InputError(f"--crf {crf[0]} {crf[1]}: give the better quality, the lower, first")
    plan = corpora.Plan(
        portraits=corpora.files_in(portraits, corpora.IMAGE_SUFFIXES),
        speech=corpora.files_in(speech, corpora.SOUND_SUFFIXES),
        real=corpora.files_in(real, corpora.VIDEO_SUFFIXES),
        seconds=seconds,
        parts=parts,
        crf=crf,
        smallest=smallest,
        limit=limit,
        seed=seed,
        people=corpora.read_people(people) if people else {},
        test_sources=test_sources,
    )
    with reporting("pairs") as progress:
        failures = corpora.build(plan, output, progress)
    for line in failures:
        click.echo(f"left out: {line}", err=True)
    clips = corpora.read_manifest(output)
    click.echo(f"{output}: {len(clips)} clips of {len({clip.person for clip in clips})} people")
    leaks = check_leaks(output)
    for leak in leaks:
        click.echo(str(leak))
    if any(leak.fails for leak in leaks):
        raise VasariError(
            f"{output}: the classes differ by more than the faces; see the lines above"
        )


@corpus.command(no_args_is_help=True)
@click.option("--portraits", type=_folder, required=True, help="Folder of pictures of faces.")
@click.option("--speech", type=_folder, required=True, help="Folder of sound files.")
@click.option("--limit", default=20, show_default=True, help="Clips to render.")
def marks(portraits: Path, speech: Path, limit: int) -> None:
    """Compare the scores of marked and unmarked renderings of the same clips.

    The unmarked ones exist in memory only.
    """
    from vasari.detect import corpus as corpora
    from vasari.detect.marks import mark_effects
    from vasari.detect.scoring import Detector
    from vasari.generate.progress import reporting

    plan = corpora.Plan(
        portraits=corpora.files_in(portraits, corpora.IMAGE_SUFFIXES),
        speech=corpora.files_in(speech, corpora.SOUND_SUFFIXES),
        real=(),
        limit=limit,
    )
    with reporting("clips") as progress:
        effects = list(mark_effects(plan, Detector.shipped(), progress))
    if not effects:
        raise VasariError("no clip showed a face; give other portraits")
    differences = [effect.marked - effect.unmarked for effect in effects]
    largest = max(differences, key=abs)
    click.echo(
        f"{len(effects)} clips, probability marked minus unmarked: mean "
        f"{sum(differences) / len(differences):+.4f}, mean size "
        f"{sum(map(abs, differences)) / len(differences):.4f}, largest {largest:+.4f}"
    )
