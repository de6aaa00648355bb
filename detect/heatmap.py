"""What a score rests on, drawn over the frames: warm where the picture looks generated.

The map is the network's own evidence before the mean is taken, so nothing is estimated: what the
map shows adds up to the score.
"""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.detect.crops import SAMPLE_STEP, open_media
from vasari.detect.encoding import Encoding, encode
from vasari.detect.scoring import Detection, FrameScore
from vasari.errors import InputError, OutputError
from vasari.generate.colour import to_i420

ImageArray = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

FULL_HEAT = 6.0  # log odds that are drawn in the strongest colour
OPACITY = 0.55
HEAT_CRF = 20  # of the video
IMAGE_SUFFIXES, VIDEO_SUFFIXES = frozenset({".png"}), frozenset({".mp4"})


def draw(frame: ImageArray, score: FrameScore) -> ImageArray:
    """Lay the heat of one frame over it, (H, W, 3) uint8: red speaks for generated, blue against.

    What speaks neither way is left as it is.
    """
    import cv2

    box = score.box
    heat = cv2.resize(score.heat, (box.side, box.side), interpolation=cv2.INTER_CUBIC)
    share = np.clip(heat / FULL_HEAT, -1, 1)[..., None].astype(np.float32)
    colour = np.where(share > 0, np.array([255, 40, 0]), np.array([0, 90, 255]))
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
    """A picture for each sample, as long as the sample stands for."""
    scores = {frame.time: frame for frame in detection.frames}
    pictures = (
        to_i420(_even(draw(frame, scores[time]) if time in scores else frame))
        for time, frame in open_media(detection.path).samples()
    )
    first = next(pictures)
    size = Encoding(first.shape[1], first.shape[0] * 2 // 3, HEAT_CRF)
    path.write_bytes(encode(chain([first], pictures), size, 1 / SAMPLE_STEP))


def _even(frame: ImageArray) -> ImageArray:
    """A frame without its last row or column, where their number is odd: 4:2:0 has none."""
    height, width = frame.shape[:2]
    return np.ascontiguousarray(frame[: height // 2 * 2, : width // 2 * 2])
