"""Contact sheets: frames of a video beside each other, to judge a clip at a glance.

Example:
    >>> from vasari.eval.contactsheet import contact_sheet
    >>> contact_sheet("talking.mp4", columns=8, rows=4).save("talking.png")  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import av.error
from PIL import Image, ImageDraw

from vasari.errors import InputError, VideoError

MAX_SIDE = 64  # frames in a row or a column: more would not fit any screen
MARGIN = 4  # pixels
INK, PAPER = (40, 40, 40), (255, 255, 255)


def contact_sheet(
    video: Path | str, *, columns: int = 8, rows: int = 4, width: int = 224
) -> Image.Image:
    """Draw frames at equal distances in time, each with its time in seconds.

    Args:
        video: a video file.
        columns: frames in a row, 1..64.
        rows: rows of frames, 1..64.
        width: of one frame, pixels, 16..1024.

    Raises:
        VideoError: the file is no video that can be read.
        InputError: a number is out of its range.
    """
    if not (1 <= columns <= MAX_SIDE and 1 <= rows <= MAX_SIDE and 16 <= width <= 1024):
        raise InputError(
            f"a sheet of {columns} x {rows} frames of {width} pixels: give 1 to {MAX_SIDE} columns "
            "and rows, and a width of 16 to 1024"
        )
    pictures = list(_pictures(Path(video), columns * rows, width))
    height = max(picture.height for _, picture in pictures)
    sheet = Image.new(
        "RGB", (MARGIN + columns * (width + MARGIN), MARGIN + rows * (height + MARGIN)), PAPER
    )
    draw = ImageDraw.Draw(sheet)
    for index, (time, picture) in enumerate(pictures):
        row, column = divmod(index, columns)
        corner = (MARGIN + column * (width + MARGIN), MARGIN + row * (height + MARGIN))
        sheet.paste(picture, corner)
        _label(draw, corner, f"{time:.2f}")
    return sheet


def _pictures(video: Path, count: int, width: int) -> Iterator[tuple[float, Image.Image]]:
    """Up to count frames with their times, scaled to a width."""
    try:
        with av.open(str(video)) as container:
            if not container.streams.video:
                raise VideoError(f"{video} has no picture; give a video file")
            yield from _sampled(container, count, width)
    except (OSError, ValueError, av.error.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(f"cannot read {video} as a video: {reason}") from error


def _sampled(
    container: av.container.InputContainer, count: int, width: int
) -> Iterator[tuple[float, Image.Image]]:
    """The first frame at or after each of count times at equal distances."""
    step = (container.duration or 0) / av.time_base / count
    wanted = 0
    for frame in container.decode(video=0):
        time = frame.time or 0.0
        if wanted < count and time + 1e-6 >= wanted * step:
            height = max(1, round(frame.height * width / frame.width))
            yield time, frame.to_image(width=width, height=height)
            wanted += 1
    if wanted == 0:
        raise VideoError(f"{container.name} holds no frame; give a whole video file")


def _label(draw: ImageDraw.ImageDraw, corner: tuple[int, int], text: str) -> None:
    """Write on a dark ground in the corner of a frame."""
    left, top, right, bottom = draw.textbbox(corner, text)
    draw.rectangle((left - 2, top - 2, right + 2, bottom + 2), fill=INK)
    draw.text(corner, text, fill=PAPER)
