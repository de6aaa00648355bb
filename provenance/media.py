"""What kind of media a stranger's file is, found without following anything that it points to."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING

from vasari.errors import InputError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

# The containers of FFmpeg that are looked into. Others are lists of files or addresses, which would
# be opened in turn (hls, concat, dash), or take any text for a picture (tty).
STILLS = frozenset({"apng", "gif", "ico", "image2", "tiff", "webp"})  # and all named *_pipe
CONTAINERS = STILLS | {
    "3gp", "aac", "ac3", "aiff", "amr", "asf", "au", "avi", "caf", "dv", "flac", "flv", "h264",
    "hevc", "ivf", "m4a", "m4v", "matroska", "mov", "mp3", "mp4", "mpeg", "mpegts", "mpegvideo",
    "mxf", "nut", "obu", "ogg", "rm", "w64", "wav", "webm", "wv", "yuv4mpegpipe",
}  # fmt: skip
MAX_PIXELS = 8192 * 8192  # of a frame: decoding a larger one takes gigabytes
MAX_STREAMS = 64
# Of a file, for its bytes are hashed. How long it lasts has no limit: of what is longer than
# `vasari.watermark.frames.WHOLE` parts are decoded.
MAX_BYTES = 64 << 30


class MediaKind(enum.Enum):
    """What there is to look at or listen to."""

    VIDEO = "video"
    IMAGE = "image"
    SOUND = "sound"
    UNKNOWN = "unknown"  # nothing that can be decoded


def check_file(path: Path) -> None:
    """Refuse what cannot be a media file before anything opens it.

    Raises:
        InputError: it is missing, a folder, a device, empty, or too large.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; give a file")
        if not path.exists():
            raise InputError(f"{path} does not exist")
        if not path.is_file():
            raise InputError(f"{path} is no ordinary file")
        size = path.stat().st_size
        if size == 0:
            raise InputError(f"{path} is empty")
        if size > MAX_BYTES:
            raise InputError(f"{path} has {size} bytes; at most {MAX_BYTES} are read")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read: {reason}") from error


def media_kind(path: Path) -> MediaKind:
    """Find out by opening a file, not from its name."""
    import av

    try:
        # Only files, and by an absolute path: a name such as "http:x" must not be an address.
        with av.open(
            str(path.absolute()), options={"protocol_whitelist": "file"}, metadata_errors="replace"
        ) as container:
            return _kind(container)
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return MediaKind.UNKNOWN


def _kind(container: InputContainer) -> MediaKind:
    names = set(container.format.name.split(","))
    still = names & STILLS or any(name.endswith("_pipe") for name in names)
    if not (names & CONTAINERS or still) or len(container.streams) > MAX_STREAMS:
        return MediaKind.UNKNOWN
    for stream in container.streams.video:
        codec = stream.codec_context  # None if no decoder knows the stream
        cover = stream.disposition & stream.disposition.attached_pic
        if codec is None or cover or codec.width * codec.height > MAX_PIXELS:
            continue
        if _decodes(container, stream):
            return MediaKind.IMAGE if still else MediaKind.VIDEO
    sounds = any(_decodes(container, stream) for stream in container.streams.audio)
    return MediaKind.SOUND if sounds else MediaKind.UNKNOWN


def _decodes(container: InputContainer, stream: VideoStream | AudioStream) -> bool:
    """Whether a first frame comes out of a stream."""
    import av

    codec: object = stream.codec_context
    if codec is None:
        return False
    try:
        if len(container.streams) > 1:  # a stream before may have been read; stills cannot seek
            container.seek(0)
        return next(container.decode(stream), None) is not None
    except (av.FFmpegError, ValueError):
        return False
