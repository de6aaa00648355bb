"""Commands that look at results."""

from __future__ import annotations

import os
from pathlib import Path

import click

from vasari.errors import OutputError


@click.command("contact-sheet")
@click.argument("video", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The PNG to write."
)
@click.option("--columns", default=8, show_default=True, help="Frames in a row, 1-64.")
@click.option("--rows", default=4, show_default=True, help="Rows, 1-64.")
@click.option("--width", default=224, show_default=True, help="Pixels of one frame, 16-1024.")
def contact_sheet(video: Path, output: Path, columns: int, rows: int, width: int) -> None:
    """Draw frames of VIDEO beside each other, each with its time in seconds.

    \b
    Example:
      vasari contact-sheet talking.mp4 -o talking.png
    """
    from vasari.eval.contactsheet import contact_sheet as draw

    sheet = draw(video, columns=columns, rows=rows, width=width)
    draft = output.with_name(f".{output.name}.{os.getpid()}.draft")
    try:
        sheet.save(draft, "PNG")
        os.replace(draft, output)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error
    click.echo(f"{output}: {columns} x {rows} frames of {video}")
