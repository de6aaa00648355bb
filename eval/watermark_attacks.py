"""What is done to marked clips: one table, from plain encoding to attempts to remove the mark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vasari.eval.watermark_clips import FPS, Clip, Picture, decoded, encoded

Change = Callable[[Clip], Clip]
SECONDS = 3.0  # of a clip, where the attack asks for no other length


@dataclass(frozen=True)
class Attack:
    """What is done to a marked clip, and how it is encoded after that."""

    change: Change
    crf: int = 23
    codec: str = "libx264"
    seconds: float = SECONDS  # of the clip that is marked
    fps: int = FPS


def _each(change: Callable[[Picture], npt.NDArray[Any]]) -> Change:
    """An attack on each frame alone."""

    def attack(clip: Clip) -> Clip:
        return [_rounded(change(picture)) for picture in clip]

    return attack


def _rounded(picture: npt.NDArray[Any]) -> Picture:
    """Levels as 8 bits, grey as colour."""
    levels = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2) if levels.ndim == 2 else levels


def _levels(curve: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]) -> Change:
    """The same curve for all levels and colours."""
    table = _rounded(curve(np.arange(256.0)))
    return _each(lambda picture: table[picture])


def _resized(picture: Picture, across: float, down: float) -> Picture:
    shrinks = across * down < 1
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, None, fx=across, fy=down, interpolation=method))


def _scaled(share: float) -> Change:
    """Reduced, and enlarged to the old size."""

    def scale(picture: Picture) -> npt.NDArray[Any]:
        small = _resized(picture, share, share)
        return np.asarray(
            cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8
        )

    return _each(scale)


def _cropped(share: float) -> Change:
    """The middle, a little up and left of it; both sides keep this share."""

    def crop(picture: Picture) -> Picture:
        height, width = (round(side * share) for side in picture.shape[:2])
        top, left = (round(side * (1 - share) * 0.4) for side in picture.shape[:2])
        return picture[top : top + height, left : left + width]

    return _each(crop)


def _turned(picture: Picture, degrees: float) -> Picture:
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(picture, turn, (width, height), borderValue=(16, 16, 16)))


def _rotated(degrees: float) -> Change:
    return _each(lambda picture: _turned(picture, degrees))


def _saturated(share: float) -> Change:
    def change(picture: Picture) -> npt.NDArray[Any]:
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[..., None]
        return np.asarray(grey + share * (picture.astype(np.float32) - grey))

    return _each(change)


def _inset(picture: Picture) -> Picture:
    """The picture at half its size over a larger picture."""
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width]
    around = _rounded(110 + 50 * np.sin(rows / 23) * np.sin(columns / 31))
    small = _resized(picture, 0.5, 0.5)
    top, left = height // 10, width // 3
    around[top : top + small.shape[0], left : left + small.shape[1]] = small
    return around


def _captioned(picture: Picture) -> Picture:
    """The picture inside a border, with a caption over it."""
    grey, white = (20, 20, 20), (235, 235, 235)
    framed = cv2.copyMakeBorder(picture, 40, 60, 30, 30, cv2.BORDER_CONSTANT, value=grey)
    place = (40, framed.shape[0] - 90)
    text = "what they said today"
    return np.asarray(cv2.putText(framed, text, place, cv2.FONT_HERSHEY_DUPLEX, 1.2, white, 2))


def _noisy(levels: float) -> Change:
    rng = np.random.default_rng(0)
    return _each(lambda picture: picture + rng.normal(0, levels, picture.shape))


def _blurred(picture: Picture, pixels: float) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(picture.astype(np.float32), (0, 0), pixels))


def _sharpened(picture: Picture) -> npt.NDArray[Any]:
    return 2.0 * picture - _blurred(picture, 1.0)


def _jpeg(picture: Picture) -> Picture:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 50])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def _retimed(speed: float) -> Change:
    """Frames left out or shown twice."""
    return lambda clip: [clip[int(i * speed)] for i in range(int(len(clip) / speed))]


def _encodings(*crfs: int) -> Change:
    """Encodings before the last."""

    def attack(clip: Clip) -> Clip:
        for crf in crfs:
            clip = decoded(encoded(clip, crf))
        return clip

    return attack


def _social(clip: Clip) -> Clip:
    """Reduced and shown at 30 frames a second."""
    return _each(lambda picture: _resized(picture, 0.7, 0.7))(_retimed(FPS / 30)(clip))


def _filmed(clip: Clip) -> Clip:
    """A screen, captured: turned a little, cropped, with other contrast, softness and noise."""
    rng = np.random.default_rng(1)

    def film(picture: Picture) -> npt.NDArray[Any]:
        seen = _blurred(_turned(_resized(picture, 0.8, 0.8), 1.5), 0.6)
        height, width = seen.shape[:2]
        seen = seen[height // 25 : -height // 25, width // 25 : -width // 25]
        return 255 * (seen / 255) ** 1.15 * 0.92 + 10 + rng.normal(0, 3, seen.shape)

    return _each(film)(clip)


def residue(clip: Clip) -> npt.NDArray[np.float64]:
    """What all frames have in common beyond their shapes: an estimate of what was added to them."""
    return np.asarray(np.mean([picture - _blurred(picture, 8) for picture in clip], 0))


def _averaged(clip: Clip) -> Clip:
    """What 200 frames have in common, taken away from the first 75."""
    common = residue(clip)
    return _each(lambda picture: picture - common)(clip[: round(SECONDS * FPS)])


def _copied(clip: Clip) -> Clip:
    """The same residue, given to pictures that carry no other mark: these upside down, softened."""
    common = residue(clip)
    return _each(lambda picture: _blurred(picture[::-1], 8) + common)(clip)


def _plain(clip: Clip) -> Clip:
    return clip


ATTACKS: dict[str, Attack] = {
    "none": Attack(_plain, 1),
    "H.264 CRF 18": Attack(_plain, 18),
    "H.264 CRF 23": Attack(_plain, 23),
    "H.264 CRF 28": Attack(_plain, 28),
    "H.264 CRF 33": Attack(_plain, 33),
    "H.264 CRF 38": Attack(_plain, 38),
    "H.265 CRF 28": Attack(_plain, 28, "libx265"),
    "VP9 CRF 35": Attack(_plain, 35, "libvpx-vp9"),
    "AV1 CRF 35": Attack(_plain, 35, "libsvtav1"),
    "two encodings": Attack(_encodings(23), 28),
    "three encodings": Attack(_encodings(23, 28), 28),
    "JPEG q50": Attack(_each(_jpeg), 18),
    "scale 0.75 and back": Attack(_scaled(0.75)),
    "scale 0.5 and back": Attack(_scaled(0.5)),
    "scale 0.35 and back": Attack(_scaled(0.35)),
    "crop 80 %": Attack(_cropped(0.8)),
    "crop 60 %": Attack(_cropped(0.6)),
    "crop 40 %": Attack(_cropped(0.4)),
    "rotation 2": Attack(_rotated(2)),
    "rotation 5": Attack(_rotated(5)),
    "rotation 10": Attack(_rotated(10)),
    "mirror": Attack(_each(lambda picture: picture[:, ::-1])),
    "aspect 4:3 to 16:9": Attack(_each(lambda picture: _resized(picture, 4 / 3, 1))),
    "brightness +30": Attack(_levels(lambda level: level + 30)),
    "contrast 1.3": Attack(_levels(lambda level: (level - 128) * 1.3 + 128)),
    "gamma 0.7": Attack(_levels(lambda level: 255 * (level / 255) ** 0.7)),
    "saturation 0.5": Attack(_saturated(0.5)),
    "greyscale": Attack(_saturated(0.0)),
    "noise 8 levels": Attack(_noisy(8)),
    "blur 1.5 pixels": Attack(_each(lambda picture: _blurred(picture, 1.5))),
    "sharpened": Attack(_each(_sharpened)),
    "half frame rate": Attack(lambda clip: clip[::2]),
    "a tenth of frames lost": Attack(
        lambda clip: [picture for index, picture in enumerate(clip) if index % 10 != 7]
    ),
    "speed 0.9": Attack(_retimed(0.9)),
    "speed 1.1": Attack(_retimed(1.1)),
    "picture in picture 50 %": Attack(_each(_inset)),
    "border and caption": Attack(_each(_captioned)),
    "screen capture": Attack(_filmed, 28),
    "social media": Attack(_social, 30, fps=30),
    "average of 200 taken away": Attack(_averaged, seconds=8.0),
    "copied to other pictures": Attack(_copied),
    "1 s at CRF 28": Attack(_plain, 28, seconds=1.0),
    "10 s at CRF 28": Attack(_plain, 28, seconds=10.0),
}
