"""The clips that the watermark is measured on, and how they are encoded.

A still is brought to life. With a voice it speaks, by our own renderer; its frames carry no mark
and so never leave memory. Without one its middle sways. In both, the background stays, which is the
hard case, because the errors of a background that stays do not average out.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]  # (H, W, 3), blue first
Clip = list[Picture]

FPS = 25
SIZE = 512  # pixels of the short side
STILLS = {".jpg", ".jpeg", ".png", ".webp"}


def load(path: Path, seconds: float, voice: Path | None = None) -> Clip:
    """A clip, or a still that was brought to life, 512 pixels high or wide.

    A clip that is too short is played back and forth.
    """
    count = round(seconds * FPS)
    if path.suffix.lower() in STILLS:
        if voice is not None:
            return _repeated(list(islice(_speaking(path, voice), count)), count)
        return list(swayed(_sized(cv2.imread(str(path))), count))
    import av

    with av.open(str(path)) as container:
        frames = islice(container.decode(video=0), count)
        clip = [_sized(frame.to_ndarray(format="bgr24")) for frame in frames]
    return _repeated(clip, count)


def _repeated(clip: Clip, count: int) -> Clip:
    """So many frames of a clip that is played back and forth."""
    last = len(clip) - 1
    return [clip[last - abs(last - index % (2 * last or 1))] for index in range(count)]


def _speaking(portrait: Path, voice: Path) -> Iterator[Picture]:
    """The frames of a portrait that speaks, as they are before they are marked."""
    from vasari.generate.animator import animate
    from vasari.generate.controls import Controls
    from vasari.generate.portrait import Portrait
    from vasari.generate.render import Renderer
    from vasari.generate.speech import Speech
    from vasari.generate.touchup import TouchUp

    head = Portrait.open(portrait, size=SIZE)
    motions = animate(Speech.open(voice), Controls(), float(FPS))
    for picture in Renderer(head, TouchUp(head)).frames(motions):
        yield np.ascontiguousarray(picture[..., ::-1])


def _sized(picture: npt.NDArray[Any]) -> Picture:
    """The picture with a short side of 512 pixels and even sides."""
    scale = SIZE / min(picture.shape[:2])
    width, height = (round(side * scale / 2) * 2 for side in picture.shape[1::-1])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)


def swayed(still: Picture, count: int) -> Iterator[Picture]:
    """Frames of a still whose middle sways over a background that stays."""
    height, width = still.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = np.hypot((columns / width - 0.5) / 0.28, (rows / height - 0.45) / 0.36)
    share = np.clip(1.6 - radius, 0, 1) ** 2
    for index in range(count):
        second = index / FPS
        right = share * width * (0.012 * math.sin(3.1 * second) + 0.004 * math.sin(10.7 * second))
        down = share * height * (0.008 * math.sin(2.5 * second) + 0.003 * math.sin(13.2 * second))
        yield cv2.remap(
            still, columns - right, rows - down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )


def planes_of(picture: Picture) -> Picture:
    """A picture of even sides as I420, (3 H / 2, W)."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)


def picture_of(planes: Picture) -> Picture:
    """The picture of I420 planes."""
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8)


def luma(clip: Clip) -> list[Picture]:
    """The luma planes of a clip."""
    return [planes_of(picture)[: picture.shape[0]] for picture in clip]


def encoded(clip: Clip, crf: int, codec: str = "libx264", fps: int = FPS) -> bytes:
    """The clip as a file."""
    import av

    buffer = io.BytesIO()
    container_format = "webm" if codec.startswith("libvpx") else "mp4"
    with av.open(buffer, "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=fps, options=_options(codec, crf))
        height, width = (side // 2 * 2 for side in clip[0].shape[:2])
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in clip:
            planes = planes_of(np.ascontiguousarray(picture[:height, :width]))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _options(codec: str, crf: int) -> dict[str, str]:
    if codec == "libvpx-vp9":
        return {"crf": str(crf), "b": "0", "deadline": "realtime", "cpu-used": "6"}
    if codec == "libsvtav1":
        return {"crf": str(crf), "preset": "10"}
    options = {"crf": str(crf), "preset": "veryfast"}
    return options | ({"x265-params": "log-level=error"} if codec == "libx265" else {})


def decoded(data: bytes) -> Clip:
    """The pictures of a file."""
    import av

    with av.open(io.BytesIO(data)) as container:
        return [
            picture_of(np.asarray(frame.to_ndarray(), np.uint8))
            for frame in container.decode(video=0)
        ]
