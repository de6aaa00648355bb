"""Small pictures for a report: thumbnails kept in a manifest store, and key frames of a clip.

All come from strangers: each is decoded and encoded again, so that nothing but pixels gets out.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from vasari.provenance.evidence import reader_settings
from vasari.provenance.media import MediaKind, media_kind

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream
    from PIL.Image import Image

EDGE = 320  # pixels, the longer side
MAX_THUMBNAIL_BYTES = 4 << 20  # C2PA recommends a few hundred kilobytes
MAX_PIXELS = 40_000_000  # of a thumbnail: more is a decompression bomb
MAX_FRAME_PIXELS = 2048 * 2048  # of a frame that becomes a picture
JPEG_QUALITY = 80
# A moment further away is sought; one nearer is decoded up to, for key frames are seconds apart.
SEEK_SECONDS = 12.0
MAX_DECODED = 1000  # frames from a key frame to a moment: a stranger's may never come


def thumbnails(source: Path | bytes, addresses: Iterable[str]) -> dict[str, bytes]:
    """Fetch thumbnails from a file's manifest store, or from one that was kept apart.

    Args:
        source: a file, or a manifest store (JUMBF).
        addresses: as `Manifest.thumbnail` and `Origin.thumbnail` give them.

    Returns:
        Address -> JPEG; what cannot be had or decoded is left out.
    """
    import c2pa

    found = {}
    try:
        with (
            source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as stream,
            c2pa.Context.from_dict(reader_settings()) as context,
            c2pa.Reader(_format(source), stream, context=context) as reader,
        ):
            for address in addresses:
                picture = _fetch(reader, address)
                if picture is not None:
                    found[address] = picture
    except (c2pa.C2paError, OSError):
        return found
    return found


def key_frames(path: Path, count: int) -> list[bytes]:
    """Frames evenly spread over a video, or the one picture that there is, as JPEG."""
    if media_kind(path) not in (MediaKind.VIDEO, MediaKind.IMAGE):
        return []
    return [small_jpeg(image) for image in spread_frames(path, count)]


def duration(path: Path) -> float:
    """Seconds that a video or sound lasts; 0 for pictures and for what cannot be read."""
    import av

    if media_kind(path) is MediaKind.IMAGE:
        return 0.0  # FFmpeg gives some the length of a frame
    try:
        with av.open(str(path.absolute()), options={"protocol_whitelist": "file"}) as container:
            return (container.duration or 0) / av.time_base
    except (av.FFmpegError, OSError, ValueError):
        return 0.0


def spread_frames(path: Path, count: int) -> Iterator[Image]:
    """Decode one frame at each of ``count`` moments in the middle of equal parts of a video."""
    import av

    with av.open(str(path.absolute()), options={"protocol_whitelist": "file"}) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        seconds = duration(path)
        parts = count if seconds else 1
        yield from _frames_at(
            container, stream, [(n + 0.5) / parts * seconds for n in range(parts)]
        )


def _frames_at(
    container: InputContainer, stream: VideoStream, moments: list[float]
) -> Iterator[Image]:
    """The frames that are shown at moments, in seconds; what cannot be decoded is left out."""
    import av

    position, shown = 0.0, None
    for moment in moments:
        try:
            if moment - position > SEEK_SECONDS:
                container.seek(int(moment * av.time_base))
            for frame in itertools.islice(container.decode(stream), MAX_DECODED):
                shown, position = frame, frame.time or position
                if position >= moment:
                    break
        except av.FFmpegError:
            pass  # the rest may still be whole
        if shown is not None:
            yield _image(shown)


def _image(frame: VideoFrame) -> Image:
    """A frame as a picture; an enormous one is reduced first, or it would take a gigabyte."""
    sides, pixels = [frame.width, frame.height], frame.width * frame.height
    if pixels > MAX_FRAME_PIXELS:
        shrink = (MAX_FRAME_PIXELS / pixels) ** 0.5
        sides = [max(round(shrink * side), 1) for side in sides]
    image: Image = frame.to_image(width=sides[0], height=sides[1])
    return image


def small_jpeg(image: Image) -> bytes:
    """A picture at the size of a report's."""
    output = io.BytesIO()
    image.thumbnail((EDGE, EDGE))
    image.convert("RGB").save(output, "JPEG", quality=JPEG_QUALITY)
    return output.getvalue()


def _format(source: Path | bytes) -> str | None:
    return None if isinstance(source, Path) else "application/c2pa"


def _fetch(reader: object, address: str) -> bytes | None:
    import c2pa
    from PIL import Image

    assert isinstance(reader, c2pa.Reader)
    content = io.BytesIO()
    try:
        if not address or reader.resource_to_stream(address, content) > MAX_THUMBNAIL_BYTES:
            return None
        image: Image.Image = Image.open(content, formats=("JPEG", "PNG", "WEBP"))
        return small_jpeg(image) if image.width * image.height <= MAX_PIXELS else None
    except (c2pa.C2paError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
