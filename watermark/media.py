"""Marking video and image files that other programs made.

>>> from vasari.watermark.media import mark_file
>>> mark_file("holiday.mp4", "marked.mp4")  # doctest: +SKIP
182736450912
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vasari.errors import OutputError, VideoError, WatermarkError
from vasari.watermark.embedding import PSNR, Embedder
from vasari.watermark.frames import quarter_turns
from vasari.watermark.payload import PUBLIC_KEY, new_identifier

if TYPE_CHECKING:
    import av
    from av.container import InputContainer, OutputContainer

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}
VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".m4v"}
# The quality of what is written is high, so that one more encoding costs little.
VIDEO_OPTIONS = {"crf": "18", "preset": "veryfast"}
QUALITY = 95  # of JPEG and WebP
LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601

Picture = npt.NDArray[np.uint8]
Change = Callable[[Picture], Picture]  # of pictures of one kind and size


def mark_file(
    source: str | Path, output: str | Path, *, key: bytes = PUBLIC_KEY, psnr: float = PSNR
) -> int:
    """Write a marked copy of a video (H.264, its sound as it is) or an image.

    Args:
        source: The video or image.
        output: Where the copy goes; its suffix tells the format.
        key: Who has it can read the watermark.
        psnr: Of the marked luma against the unmarked one, in dB.

    Returns:
        The identifier that the copy carries: a new one.

    Raises:
        VideoError: The video cannot be read.
        WatermarkError: The image cannot be read, is too small, or the suffix is not known.
        OutputError: The copy cannot be written.
    """
    identifier = new_identifier()
    with _unfinished(output) as (draft, is_image):
        if is_image:
            picture = read_image(source)
            embedder = Embedder(identifier, *picture.shape[:2], key=key, psnr=psnr)
            _write_image(draft, marked_rgb(picture, embedder))
        else:
            _transcode(source, draft, _PlaneMarker(identifier, key, psnr))
    return identifier


def change_file(source: str | Path, output: str | Path, change: Change) -> None:
    """Write a copy of a video or an image, each picture of which was changed.

    Args:
        source: The video or image.
        output: Where the copy goes; its suffix tells the format.
        change: Gives the new picture for each, both (H, W, 3) uint8 sRGB of the same size.

    Raises:
        VideoError: The video cannot be read.
        WatermarkError: The image cannot be read, or the suffix is not known.
        OutputError: The copy cannot be written.
    """
    with _unfinished(output) as (draft, is_image):
        if is_image:
            _write_image(draft, change(read_image(source)))
        else:
            _transcode(source, draft, lambda planes: _changed_planes(planes, change))


@contextmanager
def _unfinished(output: str | Path) -> Iterator[tuple[Path, bool]]:
    """A draft of an output, which takes its place at the end, and whether it is an image."""
    suffix = Path(output).suffix.lower()
    if suffix not in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
        known = " ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
        raise WatermarkError(f"{output}: the name should end in one of {known}")
    with _replacing(Path(output)) as draft:
        yield draft, suffix in IMAGE_SUFFIXES


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place when all went well."""
    try:
        handle, name = tempfile.mkstemp(
            suffix=path.suffix, prefix=".vasari-watermark-", dir=path.parent
        )
        os.close(handle)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        yield Path(name)
        os.replace(name, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        Path(name).unlink(missing_ok=True)


def read_image(source: str | Path) -> Picture:
    """An image as it is shown, (H, W, 3) uint8 sRGB; raises WatermarkError if it is none."""
    from PIL import Image, ImageOps

    try:
        with Image.open(source) as opened:
            return np.array(ImageOps.exif_transpose(opened).convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise WatermarkError(f"{source}: not a readable image ({error})") from error


def _write_image(path: Path, picture: Picture) -> None:
    from PIL import Image

    # PNG, TIFF and BMP have no quality and pass over it.
    Image.fromarray(picture).save(path, quality=QUALITY)


def marked_rgb(picture: Picture, embedder: Embedder) -> Picture:
    """A marked copy of an image (H, W, 3) uint8: its luma changes, its colours do not."""
    luma = np.rint(picture @ LUMA_WEIGHTS).astype(np.uint8)
    marked = luma.copy()
    embedder.mark(marked)
    change = marked.astype(np.int16) - luma
    copy: Picture = np.clip(picture + change[..., None], 0, 255).astype(np.uint8)
    return copy


class _PlaneMarker:
    """Marks I420 pictures, the first of which tells the size."""

    def __init__(self, identifier: int, key: bytes, psnr: float) -> None:
        self._identifier, self._key, self._psnr = identifier, key, psnr
        self._embedder: Embedder | None = None

    def __call__(self, planes: Picture) -> Picture:
        height, width = planes.shape[0] * 2 // 3, planes.shape[1]
        if self._embedder is None:
            self._embedder = Embedder(
                self._identifier, height, width, key=self._key, psnr=self._psnr
            )
        chroma = planes[height:].reshape(2, height // 2, width // 2)
        self._embedder.mark(planes[:height], chroma)
        return planes


def _changed_planes(planes: Picture, change: Change) -> Picture:
    """An I420 picture whose colours were changed."""
    import cv2

    changed = change(np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420), np.uint8))
    return np.asarray(cv2.cvtColor(changed, cv2.COLOR_RGB2YUV_I420), np.uint8)


def _transcode(source: str | Path, output: Path, change: Change) -> None:
    """Encode the changed I420 pictures (3 H / 2, W); copy the packets of the sound."""
    import av

    try:
        reader = av.open(str(source))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{source}: not a readable video ({error})") from error
    with reader, av.open(str(output), "w") as writer:
        if not reader.streams.video:
            raise VideoError(f"{source}: no video stream")
        try:
            _copy_streams(reader, writer, change)
        except av.FFmpegError as error:
            raise VideoError(f"{source}: cannot be decoded or written ({error})") from error


def _copy_streams(reader: InputContainer, writer: OutputContainer, change: Change) -> None:
    """Encode the changed pictures of the first video stream, and copy all streams of sound."""
    import av

    picture = reader.streams.video[0]
    picture.thread_type = "AUTO"
    stream = writer.add_stream("libx264", rate=picture.average_rate, options=dict(VIDEO_OPTIONS))
    stream.pix_fmt = "yuv420p"
    if picture.time_base is not None:
        stream.codec_context.time_base = picture.time_base
    copies = {sound: writer.add_stream_from_template(sound) for sound in reader.streams.audio}
    sounds: list[av.Packet[Any]] = []  # that come before the first picture, which tells the size
    for packet in reader.demux(picture, *copies):
        if isinstance(packet.stream, av.AudioStream):
            if packet.dts is not None:  # the last packet of each stream is empty
                packet.stream = copies[packet.stream]
                sounds.append(packet)
        else:
            for frame in packet.decode():
                if isinstance(frame, av.VideoFrame):
                    writer.mux(stream.encode(_changed(frame, change, stream)))
        if stream.codec_context.is_open:
            writer.mux(sounds)
            sounds.clear()
    writer.mux(stream.encode(None))
    writer.mux(sounds)


def _changed(
    frame: av.VideoFrame, change: Change, stream: av.video.stream.VideoStream
) -> av.VideoFrame:
    """A changed copy of a frame, upright, shown at the same time."""
    import av

    planes = change(_upright_planes(frame))
    if not stream.codec_context.is_open:
        stream.height, stream.width = planes.shape[0] * 2 // 3, planes.shape[1]
    changed = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    changed.pts, changed.time_base = frame.pts, frame.time_base
    changed.colorspace, changed.color_range = frame.colorspace, frame.color_range
    return changed


def _upright_planes(frame: av.VideoFrame) -> Picture:
    """A frame as a player shows it, I420 (3 H / 2, W); 4:2:0 needs even sides."""
    height, width = frame.height // 2 * 2, frame.width // 2 * 2
    planes = np.asarray(frame.reformat(width, height, "yuv420p").to_ndarray(), np.uint8)
    turns = quarter_turns(frame)
    if turns == 0:
        return planes
    luma = np.rot90(planes[:height], turns)
    chroma = np.rot90(planes[height:].reshape(2, height // 2, width // 2), turns, axes=(1, 2))
    return np.vstack([luma, chroma.reshape(-1, luma.shape[1])])
