"""The command `vasari track`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from vasari.errors import InputError


@click.command(no_args_is_help=True)
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the results.",
)
@click.option("--jobs", default=os.cpu_count() or 1, show_default=True, help="Videos at a time.")
@click.option("--csv", "tables", is_flag=True, help="Write tables of Live Link Face, too.")
def track(videos: tuple[Path, ...], output: Path, jobs: int, tables: bool) -> None:
    """Turn the face in each of VIDEOS into motion: expression, head pose and gaze.

    For talk.mp4 the folder gets talk.npz, which `vasari.Motion.load` reads, and talk.wav where
    the video has sound; with --csv talk.csv, too, as the Live Link Face app writes it. What is
    there already is kept, so that a run that was stopped goes on where it ended. Each video must
    show one face.

    \b
    Example:
      vasari track interviews/*.mp4 -o motion

    Exit codes: 0 all tracked, 2 at least one could not be.
    """
    from vasari.generate.progress import reporting
    from vasari.generate.tracking import track_all

    if jobs < 1:
        raise InputError(f"--jobs is {jobs}; give 1 or more")
    stems = [video.stem for video in videos]
    if len(set(stems)) < len(stems):
        raise InputError("two of the videos have the same name; track them into different folders")
    failed = 0
    with reporting("videos") as progress:
        for number, done in enumerate(track_all(videos, output, jobs=jobs, tables=tables), 1):
            failed += done.error is not None
            word = f"{done.frames} frames" if done.error is None else f"failed: {done.error}"
            click.echo(f"[{number}/{len(videos)}] {done.video}: {word}")
            progress(number, len(videos))
    if failed:
        raise InputError(f"{failed} of {len(videos)} videos could not be tracked")
