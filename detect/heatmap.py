"""What a score rests on, drawn over the frames: warm where the picture looks generated.

The map is the network's own evidence before the mean is taken, so nothing is estimated: what the
map shows adds up to the score.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.detect.crops import open_media
from vasari.detect.scoring import Detection, FrameScore
from vasari.errors import InputError, OutputError

ImageArray = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

FULL_HEAT = 6.0  # log odds that are drawn in the strongest colour
OPACITY = 0.55
IMAGE_SUFFIXES, VIDEO_SUFFIXES = frozenset({".png"}), frozenset({".mp4"})


def draw(frame: ImageArray, score: FrameScore) -> ImageArray:
    """Lay the heat of one frame over it, (H, W, 3) uint8: red speaks for generated, blue against.

    What speaks neither way is left as it is.
    """
    import cv2

    box = score.box
    heat = cv2.resize(score.heat, (box.side, box.side), interpolation=cv2.INTER_CUBIC)
    share = np.clip(heat / FULL_HEAT, -1, 1)[..., None].astype(np.float32)
    colour = np.where(share > 0, np.float32([255, 40, 0]), np.float32([0, 90, 255]))
    drawn = frame.copy()
    area = np.s_[box.top : box.top + box.side, box.left : box.left + box.side]
    strength = OPACITY * np.abs(share)
    drawn[area] = np.clip(drawn[area] * (1 - strength) + colour * strength, 0, 255)
    corner = (box.left + box.side - 1, box.top + box.side - 1)
    cv2.rectangle(drawn, (box.left, box.top), corner, (255, 255, 255), 1)
    return drawn


def write(detection: Detection, output: Path) -> None:
    """Draw a detection: the most suspicious frame as a PNG, or all sampled frames as an MP4.

    Args:
        detection: what `score` gave.
        output: a name that ends in .png or .mp4.

    Raises:
        InputError: there was nothing to score, the suffix is another, or the scored file changed.
        OutputError: the output cannot be written.
    """
    suffix = output.suffix.lower()
    if suffix not in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
        raise InputError(f"{output}: a heat map ends in .png or .mp4")
    if not detection.frames:
        raise InputError(f"{detection.path}: no heat map, as {detection.reason}")
    draft = output.with_name(f".{output.stem}.{os.getpid()}.draft{suffix}")
    try:
        if suffix in IMAGE_SUFFIXES:
            _write_picture(detection, draft)
        else:
            _write_video(detection, draft)
        os.replace(draft, output)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def _write_picture(detection: Detection, path: Path) -> None:
    from PIL import Image

    worst = max(detection.frames, key=lambda frame: frame.score)
    for time, frame in open_media(detection.path).samples():
        if time == worst.time:
            Image.fromarray(draw(frame, worst)).save(path, "PNG")
            return
    raise InputError(f"{detection.path} has changed since it was scored")


def _write_video(detection: Detection, path: Path) -> None:
    """One second of the video for each second of the clip, a picture for each sample."""
    import av

    scores = {frame.time: frame for frame in detection.frames}
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=2, options={"crf": "20"})
        stream.pix_fmt = "yuv420p"
        for time, frame in open_media(detection.path).samples():
            shown = draw(frame, scores[time]) if time in scores else frame
            even = shown[: len(shown) // 2 * 2, : shown.shape[1] // 2 * 2]
            stream.height, stream.width = even.shape[:2]
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
