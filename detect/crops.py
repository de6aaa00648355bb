"""Face crops: the squares around faces that the detector looks at, out of videos and images.

Example:
    >>> from vasari.detect.crops import FaceFinder, open_media
    >>> media = open_media("talk.mp4")  # doctest: +SKIP
    >>> with FaceFinder() as finder:  # doctest: +SKIP
    ...     crops = [each.crop() for each in finder.find_all(media.samples())]
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vasari.errors import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

ImageArray = npt.NDArray[np.uint8]

CROP_SIDE = 112  # pixels that the network sees
# The network sees CONTEXT times the side of the box that MediaPipe finds, brows to chin.
CONTEXT = 1.1375
MIN_CONFIDENCE = 0.5
SAMPLE_STEP = 0.25  # seconds from one sampled frame to the next
MAX_SAMPLES = 240  # of a long video, at equal distances
# Seconds to the next stretch that are decoded and not leapt over: encoders begin anew about as
# often, and a leap ends where they did.
SOUGHT_BEYOND = 10.0


@dataclass(frozen=True)
class Box:
    """A square in pixels of a frame, wholly inside it."""

    left: int
    top: int
    side: int

    def cut(self, frame: ImageArray, side: int) -> ImageArray:
        """Cut the square out of a frame, (H, W, 3) uint8, and scale it to (side, side, 3)."""
        import cv2

        cut = frame[self.top : self.top + self.side, self.left : self.left + self.side]
        method = cv2.INTER_AREA if self.side > side else cv2.INTER_CUBIC
        return np.ascontiguousarray(cv2.resize(cut, (side, side), interpolation=method))


@dataclass(frozen=True)
class Sample:
    """One sampled frame."""

    time: float  # seconds
    frame: ImageArray  # (H, W, 3) uint8 sRGB
    face: float  # side of the detected face in pixels, 0 where none is found
    box: Box | None  # around the largest face, None where none is found

    def crop(self, side: int = CROP_SIDE) -> ImageArray | None:
        """What the network sees, (side, side, 3) uint8; None where no face is found."""
        return None if self.box is None else self.box.cut(self.frame, side)


class FaceFinder:
    """Finds the largest face of a frame; a context manager, as the network below holds memory."""

    def __init__(self, *, context: float = CONTEXT) -> None:
        """Load the network.

        Args:
            context: side of the square in sides of the detected face.
        """
        from vasari.generate.mediapipe import solutions

        self._context = context
        self._network: Any = solutions().face_detection.FaceDetection(
            model_selection=1, min_detection_confidence=MIN_CONFIDENCE
        )

    def __enter__(self) -> FaceFinder:
        return self

    def __exit__(self, *error: object) -> None:
        self._network.close()

    def find(self, time: float, frame: ImageArray) -> Sample:
        """Look for a face in a frame, (H, W, 3) uint8 sRGB."""
        height, width = frame.shape[:2]
        found = self._network.process(frame).detections or ()
        boxes = [each.location_data.relative_bounding_box for each in found]
        if not boxes:
            return Sample(time, frame, 0.0, None)
        largest = max(boxes, key=lambda box: box.width * box.height)
        face = max(largest.width * width, largest.height * height)
        side = round(min(self._context * face, width, height))
        left = (largest.xmin + largest.width / 2) * width - side / 2
        top = (largest.ymin + largest.height / 2) * height - side / 2
        box = Box(_inside(left, side, width), _inside(top, side, height), side)
        return Sample(time, frame, face, box if side >= 2 else None)

    def find_all(self, frames: Iterable[tuple[float, ImageArray]]) -> Iterator[Sample]:
        """Look for a face in each of some frames with their times."""
        for time, frame in frames:
            yield self.find(time, frame)


def _inside(start: float, side: int, limit: int) -> int:
    """The start of a span of a side, moved into 0..limit."""
    return round(min(max(start, 0), limit - side))


@dataclass(frozen=True)
class Stretch:
    """A part of a video."""

    start: float  # seconds
    end: float
    frames: list[ImageArray]  # (H, W, 3) uint8 sRGB each


@dataclass(frozen=True)
class Media:
    """A video or an image that can be looked at."""

    path: Path
    rate: float | None  # frames per second, None of an image
    duration: float  # seconds of the picture, 0 of an image

    def samples(self) -> Iterator[tuple[float, ImageArray]]:
        """Frames with their times, SAMPLE_STEP apart, at most about MAX_SAMPLES.

        Raises:
            InputError: the file is damaged.
        """
        if self.rate is None:
            from vasari.generate.picture import read_picture

            return iter([(0.0, read_picture(self.path))])
        return _sampled(self.path, max(SAMPLE_STEP, self.duration / MAX_SAMPLES))

    def stretches(self, seconds: float, rate: float, most: int) -> Iterator[Stretch]:
        """Stretches of a video at equal distances, their frames at no more than a rate.

        Args:
            seconds: of each.
            rate: frames per second.
            most: stretches.

        Raises:
            InputError: the file is damaged.
        """
        import av

        if self.rate is None:
            return
        count = min(max(int(self.duration / seconds), 1), most)
        room = max(self.duration - seconds, 0.0)
        with _opened(self.path) as (container, stream):
            pictures, place = container.decode(stream), 0.0
            for index in range(count):
                start = room * (index + 0.5) / count
                if not place <= start <= place + SOUGHT_BEYOND:
                    container.seek(int(start * av.time_base))
                    pictures = container.decode(stream)
                kept = [frame for _, frame in _paced(pictures, 1 / rate, start, seconds)]
                place = start + seconds + 2 / self.rate  # no frame has been taken from beyond
                yield Stretch(start, min(start + seconds, self.duration), kept)


def open_media(path: Path | str) -> Media:
    """Look at what a file is.

    Raises:
        InputError: the file is missing, neither a video nor an image, or too large.
    """
    import av
    import av.error

    from vasari.provenance.media import MediaKind, check_file, media_kind

    path = Path(path)
    check_file(path)
    kind = media_kind(path)
    if kind is MediaKind.IMAGE:
        return Media(path, None, 0.0)
    if kind is not MediaKind.VIDEO:
        raise VideoError(f"{path} is neither a video nor an image that can be read")
    try:
        with av.open(str(path)) as container:
            stream = _pictures(container, path)
            rate = float(stream.average_rate or 25)
            if stream.duration is not None and stream.time_base is not None:
                return Media(path, rate, float(stream.duration * stream.time_base))
            return Media(path, rate, (container.duration or 0) / av.time_base)
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{path} cannot be read as a video: {error}") from error


def _pictures(container: InputContainer, path: Path) -> VideoStream:
    """The stream of pictures of a video.

    Raises:
        VideoError: there is none, or its pictures are too large.
    """
    from vasari.provenance.media import MAX_PIXELS

    if not container.streams.video:
        raise VideoError(f"{path} has no picture; give a video")
    stream = container.streams.video[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_PIXELS:
        raise VideoError(
            f"{path}: a frame has {width} x {height} pixels; at most {MAX_PIXELS:,} can be read"
        )
    return stream


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A video and its pictures, to be decoded.

    Raises:
        VideoError: it is damaged.
    """
    import av
    import av.error

    try:
        with av.open(str(path)) as container:
            stream = _pictures(container, path)
            stream.thread_type = "AUTO"
            yield container, stream
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{path} is damaged: {error}") from error


def _sampled(path: Path, step: float) -> Iterator[tuple[float, ImageArray]]:
    """Every frame of a video that is the first at or after a multiple of step seconds."""
    with _opened(path) as (container, stream):
        yield from _paced(container.decode(stream), step)


def _paced(
    pictures: Iterator[VideoFrame], step: float, start: float = 0.0, seconds: float = math.inf
) -> Iterator[tuple[float, ImageArray]]:
    """Every picture that is the first at or after a multiple of step seconds, for so many seconds.

    Times are counted from the first picture at or after start, in seconds of the video.
    """
    due, first = 0.0, None
    for picture in pictures:
        time = float(picture.time or 0.0)
        if time + 1e-6 < start:
            continue
        first = time if first is None else first
        if time - first >= seconds:
            return
        if time - first + 1e-6 >= due:
            yield time - first, np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
            due += step
