"""Marking video and image files that other programs made.

>>> from vasari.watermark.media import mark_file
>>> mark_file("holiday.mp4", "marked.mp4")  # doctest: +SKIP
182736450912
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vasari.errors import OutputError, VideoError, WatermarkError
from vasari.watermark.embedding import PSNR, Embedder
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
    suffix = Path(output).suffix.lower()
    if suffix not in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
        known = " ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
        raise WatermarkError(f"{output}: the name should end in one of {known}")
    with _replacing(Path(output)) as unfinished:
        if suffix in IMAGE_SUFFIXES:
            _mark_image(source, unfinished, identifier, key, psnr)
        else:
            _mark_video(source, unfinished, identifier, key, psnr)
    return identifier


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


def _mark_image(source: str | Path, output: Path, identifier: int, key: bytes, psnr: float) -> None:
    from PIL import Image, ImageOps

    try:
        with Image.open(source) as opened:
            upright = ImageOps.exif_transpose(opened)
            picture = np.array(upright.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise WatermarkError(f"{source}: not a readable image ({error})") from error
    embedder = Embedder(identifier, *picture.shape[:2], key=key, psnr=psnr)
    # PNG, TIFF and BMP have no quality and pass over it.
    Image.fromarray(marked_rgb(picture, embedder)).save(output, quality=QUALITY)


def marked_rgb(picture: npt.NDArray[np.uint8], embedder: Embedder) -> npt.NDArray[np.uint8]:
    """A marked copy of an image (H, W, 3) uint8: its luma changes, its colours do not."""
    luma = np.rint(picture @ LUMA_WEIGHTS).astype(np.uint8)
    marked = luma.copy()
    embedder.mark(marked)
    change = marked.astype(np.int16) - luma
    copy: npt.NDArray[np.uint8] = np.clip(picture + change[..., None], 0, 255).astype(np.uint8)
    return copy


def _mark_video(source: str | Path, output: Path, identifier: int, key: bytes, psnr: float) -> None:
    import av

    try:
        reader = av.open(str(source))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{source}: not a readable video ({error})") from error
    with reader, av.open(str(output), "w") as writer:
        if not reader.streams.video:
            raise VideoError(f"{source}: no video stream")
        try:
            _transcode(reader, writer, identifier, key, psnr)
        except av.FFmpegError as error:
            raise VideoError(f"{source}: cannot be decoded or written ({error})") from error


def _transcode(
    reader: InputContainer, writer: OutputContainer, identifier: int, key: bytes, psnr: float
) -> None:
    """Encode the marked frames; copy the packets of the sound."""
    import av

    picture = reader.streams.video[0]
    picture.thread_type = "AUTO"
    stream = writer.add_stream("libx264", rate=picture.average_rate, options=dict(VIDEO_OPTIONS))
    # 4:2:0 needs even sides.
    stream.width, stream.height = picture.width // 2 * 2, picture.height // 2 * 2
    stream.pix_fmt = "yuv420p"
    if picture.time_base is not None:
        stream.codec_context.time_base = picture.time_base
    copies = {sound: writer.add_stream_from_template(sound) for sound in reader.streams.audio}
    embedder = Embedder(identifier, stream.height, stream.width, key=key, psnr=psnr)
    for packet in reader.demux(picture, *copies):
        if isinstance(packet.stream, av.AudioStream):
            if packet.dts is not None:  # the last packet of each stream is empty
                packet.stream = copies[packet.stream]
                writer.mux(packet)
            continue
        for frame in packet.decode():
            if isinstance(frame, av.VideoFrame):
                writer.mux(stream.encode(_marked(frame, embedder, stream)))
    writer.mux(stream.encode(None))


def _marked(
    frame: av.VideoFrame, embedder: Embedder, stream: av.video.stream.VideoStream
) -> av.VideoFrame:
    """A marked copy of a frame, shown at the same time."""
    import av

    planes = np.asarray(
        frame.reformat(stream.width, stream.height, "yuv420p").to_ndarray(), np.uint8
    )
    embedder.mark(planes[: stream.height])
    marked = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    marked.pts, marked.time_base = frame.pts, frame.time_base
    marked.colorspace, marked.color_range = frame.colorspace, frame.color_range
    return marked
