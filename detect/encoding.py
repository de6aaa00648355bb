"""One way through H.264 for all clips of a benchmark, in memory."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

ImageArray = npt.NDArray[np.uint8]

# How a size is sought: to within this share of it, in so many tries, given how much more of the
# constant rate factor halves the size, about.
CLOSE, TRIES, HALVING = 0.01, 5, 6.0


@dataclass(frozen=True)
class Encoding:
    """How a clip is encoded."""

    width: int  # pixels, even
    height: int
    crf: float  # constant rate factor of x264: 18 is taken for lossless, 40 is ugly
    preset: str = "veryfast"


def encode(planes: Iterable[ImageArray], encoding: Encoding, fps: float) -> bytes:
    """Encode I420 frames, (3 H / 2, W) uint8 each, as MP4 without sound, scaled as asked."""
    import av

    memory = io.BytesIO()
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(memory, "w", format="mp4") as container:
        options = {"preset": encoding.preset, "crf": str(encoding.crf)}
        stream = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height = encoding.width, encoding.height
        stream.pix_fmt = "yuv420p"
        # One thread: with more, the same frames give other bytes on another machine.
        stream.codec_context.thread_count = 1
        for index, frame in enumerate(planes):
            picture = av.VideoFrame.from_ndarray(frame, format="yuv420p")
            if (picture.width, picture.height) != (encoding.width, encoding.height):
                picture = picture.reformat(encoding.width, encoding.height, interpolation="AREA")
            picture.pts, picture.time_base = index, 1 / rate
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return memory.getvalue()


def encode_to_size(
    planes: Sequence[ImageArray], encoding: Encoding, fps: float, size: int
) -> bytes:
    """Encode as `encode` does, with the constant rate factor that gives about so many bytes.

    Args:
        planes: I420 frames, (3 H / 2, W) uint8 each.
        encoding: whose factor is tried first.
        fps: frames per second.
        size: wanted, in bytes.
    """
    best = b""
    crf = encoding.crf
    for _ in range(TRIES):
        encoded = encode(planes, replace(encoding, crf=crf), fps)
        if not best or abs(len(encoded) - size) < abs(len(best) - size):
            best = encoded
        excess = math.log(len(encoded) / size)
        if abs(excess) < CLOSE:
            break
        crf = min(max(crf + HALVING * excess / math.log(2), 0.0), 51.0)
    return best


def decode(clip: bytes) -> Iterator[ImageArray]:
    """The frames of an encoded clip, (H, W, 3) uint8 sRGB."""
    import av

    with av.open(io.BytesIO(clip)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")
