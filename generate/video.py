"""The video file: marked frames as H.264, the speech as AAC, written as they come.

Example:
    >>> with VideoWriter("out.mp4", size=512, fps=25, speech=speech) as writer:  # doctest: +SKIP
    ...     for frame in marked_frames:
    ...         writer.write(frame)
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import av
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from vasari.generate.marking import MarkedFrame

if TYPE_CHECKING:
    from vasari.generate.speech import Speech

# veryfast costs a third of medium for a tenth more bits; 18 is taken for visually lossless.
# Chroma location 1 is the middle of 2 x 2 pixels (H.264, table E-1).
VIDEO_OPTIONS = {"preset": "veryfast", "crf": "18", "x264-params": "chromaloc=1"}
# The index goes to the front, so that a player can begin before it has the whole file.
CONTAINER_OPTIONS = {"movflags": "+faststart"}
YIELDING = 10  # how much nicer than others the encoder's threads are

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
AAC_LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1")
AAC_BITS_PER_SAMPLE = 3.0  # per channel: 144 kbit/s at 48 kHz, transparent for speech
MAX_AAC_CHANNEL_RATE = 256_000  # bit/s; the format allows 6 bits a sample


class VideoWriter:
    """An MP4 file that grows frame by frame; memory does not.

    The sound is taken from the speech as the picture advances, and is written to its end.
    """

    def __init__(self, path: Path | str, *, size: int, fps: float, speech: Speech) -> None:
        """Open the file.

        Args:
            path: the file, replaced if it is there.
            size: side of the square frames, pixels, even.
            fps: frames per second.
            speech: the sound, kept at its own rate and channels where AAC has them.

        Raises:
            OSError: the file cannot be written; `write` and the end of the context likewise.
        """
        self._container = av.open(str(path), "w", format="mp4", options=CONTAINER_OPTIONS)
        self._rate = Fraction(fps).limit_denominator(1001)
        self._video = self._container.add_stream(
            "libx264", rate=self._rate, options=dict(VIDEO_OPTIONS)
        )
        self._video.width = self._video.height = size
        self._video.pix_fmt = "yuv420p"
        # Several frames at once, instead of slices of one that do not know of each other: that is
        # quicker and takes 1 % fewer bits.
        self._video.thread_type = "FRAME"
        tag_colours(self._video.codec_context)
        _open_yielding(self._video.codec_context)
        self._audio = self._container.add_stream(
            "aac", rate=_aac_rate(speech.rate), layout=_aac_layout(speech.layout)
        )
        self._audio.bit_rate = _aac_bit_rate(self._audio)
        self._sound = _converted(speech.original(), self._audio)
        self._sound_end = 0.0  # seconds
        self._count = 0

    def __enter__(self) -> VideoWriter:
        return self

    def write(self, frame: MarkedFrame) -> None:
        """Append one frame, and the sound up to its time."""
        picture = av.VideoFrame.from_numpy_buffer(frame.planes, format="yuv420p")
        picture.pts, picture.time_base = self._count, 1 / self._rate
        self._container.mux(self._video.encode(picture))
        self._count += 1
        self._write_sound(float(self._count / self._rate))

    def _write_sound(self, until: float) -> None:
        """Append sound up to a time in seconds, or to its end."""
        while self._sound_end < until:
            frame = next(self._sound, None)
            if frame is None:
                return
            self._container.mux(self._audio.encode(frame))
            self._sound_end += frame.samples / frame.sample_rate

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what the encoders hold and the index; after an error, only let go of the file."""
        try:
            if error is None:
                self._write_sound(float("inf"))
                self._container.mux(self._video.encode(None))
                self._container.mux(self._audio.encode(None))
        finally:
            self._container.close()


def _open_yielding(context: av.VideoCodecContext) -> None:
    """Open an encoder whose threads let others go first, where a thread has a priority of its own.

    They catch up whenever a core is idle; frames, which are made one after the other, cannot.
    """
    if sys.platform != "linux":
        context.open()
        return

    def open_here() -> None:
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):  # which a sandbox may forbid
            usual = os.getpriority(os.PRIO_PROCESS, thread)
            os.setpriority(os.PRIO_PROCESS, thread, usual + YIELDING)
        context.open()  # its threads take the priority of the one that starts them

    with ThreadPoolExecutor(1, "encoder") as starter:
        starter.submit(open_here).result()


def tag_colours(context: av.VideoCodecContext) -> None:
    """Say in the stream how the planes of a `MarkedFrame` were made."""
    context.colorspace = Colorspace.ITU601
    context.color_range = ColorRange.MPEG
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.IEC61966_2_1


def _aac_rate(rate: int) -> int:
    """The lowest sample rate of AAC that loses nothing, or its highest."""
    return next((known for known in AAC_RATES if known >= rate), AAC_RATES[-1])


def _aac_layout(layout: str) -> str:
    """The layout itself where the encoder has it, otherwise stereo."""
    return layout if layout in AAC_LAYOUTS else "stereo"


def _aac_bit_rate(stream: av.AudioStream) -> int:
    """Bits per second that keep speech and music transparent."""
    channel = min(round(AAC_BITS_PER_SAMPLE * stream.rate), MAX_AAC_CHANNEL_RATE)
    return channel * stream.codec_context.layout.nb_channels


def _converted(frames: Iterable[av.AudioFrame], stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    """Frames of any kind as the encoder's kind, their stamps counting its samples from 0."""
    count = 0
    for frame in _resampled(frames, stream):
        frame.pts, frame.time_base = count, Fraction(1, stream.rate)
        count += frame.samples
        yield frame


def _resampled(frames: Iterable[av.AudioFrame], stream: av.AudioStream) -> Iterator[av.AudioFrame]:
    """Frames in the encoder's format, layout and rate; a file may change its own half-way."""
    resampler, kind = None, None
    for frame in frames:
        if kind != (frame.format.name, frame.layout.name, frame.sample_rate):
            if resampler is not None:
                yield from resampler.resample(None)
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            context = stream.codec_context
            resampler = av.AudioResampler("fltp", context.layout, context.sample_rate)
        assert resampler is not None
        yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)
