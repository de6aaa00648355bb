"""The luma planes of a video file, as many as a reader needs and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from vasari.errors import VideoError

if TYPE_CHECKING:
    import av

LumaArray = npt.NDArray[np.uint8]

WHOLE = 12.0  # seconds; a longer video is read in windows
WINDOWS = 4  # spread evenly over the video
WINDOW = 3.0  # seconds
SAMPLES = 96  # frames that are read of a video, about
MAX_PIXELS = 8192 * 8192  # of a frame: more is a decompression bomb, not a video
# Formats whose first plane is 8-bit luma; others are converted.
_PLANAR = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"}


class TimedLuma(NamedTuple):
    """A luma plane and when it is shown."""

    seconds: float  # from the start of the video
    luma: LumaArray  # (H, W) uint8


def sampled_frames(path: str | Path) -> Iterator[TimedLuma]:
    """Luma planes from all over a video or image, in their order, about 96.

    Raises:
        VideoError: The file is missing, is no video, or holds no frame that can be decoded.
    """
    import av

    count = 0
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(container, path)
            for frame in _spread_frames(container, stream):
                count += 1
                yield TimedLuma(frame.time or 0.0, luma_of(frame))
    except (av.FFmpegError, OSError, ValueError) as error:
        if count == 0:
            raise VideoError(f"{path}: not a readable video ({_reason(error)})") from error
        # The intact beginning of a truncated file is evidence all the same.
    if count == 0:
        raise VideoError(f"{path}: no frame can be decoded; a video or an image is expected")


def shown_pictures(path: str | Path) -> Iterator[npt.NDArray[np.uint8]]:
    """The first pictures of a video or image as they are shown, (H, W, 3) uint8 sRGB.

    Raises:
        VideoError: The file is missing, is no video, or its first frame cannot be decoded.
    """
    import av

    try:
        with av.open(str(path)) as container:
            for frame in container.decode(_video_stream(container, path)):
                yield np.rot90(
                    np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), quarter_turns(frame)
                )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{path}: not a readable video ({_reason(error)})") from error


def luma_of(frame: av.VideoFrame) -> LumaArray:
    """The luma of a decoded frame as it is shown, (H, W) uint8, a view where that is possible."""
    if frame.format.name not in _PLANAR:
        frame = frame.reformat(format="yuv420p")
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    return np.rot90(rows[: frame.height, : frame.width], quarter_turns(frame))


def quarter_turns(frame: av.VideoFrame) -> int:
    """How often a player turns a decoded frame by 90 degrees, anticlockwise, to show it upright."""
    return round(frame.rotation / 90) % 4


def _video_stream(
    container: av.container.InputContainer, path: str | Path
) -> av.video.stream.VideoStream:
    if not container.streams.video:
        raise VideoError(f"{path}: no video stream; a video or an image is expected")
    stream = container.streams.video[0]
    context = stream.codec_context
    if context.width * context.height > MAX_PIXELS:
        raise VideoError(f"{path}: frames of {context.width}x{context.height} are too large")
    stream.thread_type = "AUTO"
    return stream


def _spread_frames(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> Iterator[av.VideoFrame]:
    """Frames of the whole video if it is short, else of windows spread over it."""
    rate = float(stream.average_rate or 25)
    duration = _duration(container, stream)
    if duration <= WHOLE:
        step = max(int(duration * rate / SAMPLES), 1)
        yield from _every(container, stream, step, None)
        return
    step = max(int(WINDOWS * WINDOW * rate / SAMPLES), 1)
    for window in range(WINDOWS):
        start = window * (duration - WINDOW) / (WINDOWS - 1)
        container.seek(int(start * 1_000_000))  # microseconds, to the key frame before
        yield from _every(container, stream, step, int(WINDOW * rate))


def _every(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    step: int,
    limit: int | None,
) -> Iterator[av.VideoFrame]:
    """Every ``step``-th frame from here on, among the next ``limit``."""
    for index, frame in enumerate(container.decode(stream)):
        if limit is not None and index >= limit:
            return
        if index % step == 0:
            yield frame


def _duration(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> float:
    """Seconds, by the file's own account; 0 where it gives none."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1_000_000


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
