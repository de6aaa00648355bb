"""Make the portraits that `vasari live` offers: one by NASA, two that are drawn here.

    python examples/sample_portraits.py generate

Needs scikit-image, which carries the photograph of the astronaut Eileen Collins (NASA, public
domain). Whoever the other two look like, it is by chance.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import skimage.data
from PIL import Image, ImageDraw, ImageFilter

SIZE, SCALE = 512, 3  # pixels, and how much larger it is drawn
QUALITY = 86  # of the JPEG

Colour = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Face:
    """What a drawn face looks like."""

    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    coat: Colour
    ground: tuple[Colour, Colour]  # top and bottom
    bun: bool  # whether the hair is tied up
    width: float  # of the face, pixels


FACES = {
    "sample_ada.jpg": Face(
        (236, 190, 160), (72, 44, 30), (86, 120, 72), (186, 84, 84), (52, 74, 110),
        ((212, 220, 226), (150, 166, 178)), True, 104,
    ),
    "sample_noor.jpg": Face(
        (156, 104, 74), (28, 22, 22), (72, 44, 26), (140, 70, 66), (176, 118, 52),
        ((226, 214, 196), (186, 164, 140)), False, 108,
    ),
}  # fmt: skip


class Canvas:
    """A picture that is drawn in pixels of the final one."""

    def __init__(self, top: Colour, bottom: Colour) -> None:
        side = SIZE * SCALE
        ramp = Image.linear_gradient("L").resize((side, side))
        self.image = Image.composite(
            Image.new("RGB", (side, side), bottom), Image.new("RGB", (side, side), top), ramp
        )

    def blob(
        self, box: tuple[float, ...], colour: Colour, *, blur: float = 0.6, alpha: int = 255
    ) -> None:
        """An ellipse."""
        self._lay(lambda draw: draw.ellipse([SCALE * x for x in box], fill=alpha), colour, blur)

    def shape(
        self, points: list[Point], colour: Colour, *, blur: float = 0.6, alpha: int = 255
    ) -> None:
        """A polygon with a smooth outline through the points."""
        curve = [(SCALE * x, SCALE * y) for x, y in smooth(points)]
        self._lay(lambda draw: draw.polygon(curve, fill=alpha), colour, blur)

    def _lay(
        self, paint: Callable[[ImageDraw.ImageDraw], None], colour: Colour, blur: float
    ) -> None:
        """Put a colour where a mask is painted."""
        mask = Image.new("L", self.image.size)
        paint(ImageDraw.Draw(mask))
        mask = mask.filter(ImageFilter.GaussianBlur(blur * SCALE))
        self.image.paste(Image.new("RGB", self.image.size, colour), mask=mask)


def smooth(points: list[Point], steps: int = 12) -> list[Point]:
    """A closed Catmull-Rom curve through points."""
    count, curve = len(points), []
    for index in range(count):
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = (points[(index + k) % count] for k in range(-1, 3))
        for step in range(steps):
            t = step / steps
            weights = (
                -t / 2 + t * t - t**3 / 2, 1 - 2.5 * t * t + 1.5 * t**3,
                t / 2 + 2 * t * t - 1.5 * t**3, -t * t / 2 + t**3 / 2,
            )  # fmt: skip
            curve.append(
                (
                    sum(w * x for w, x in zip(weights, (ax, bx, cx, dx), strict=True)),
                    sum(w * y for w, y in zip(weights, (ay, by, cy, dy), strict=True)),
                )
            )
    return curve


def shade(colour: Colour, gain: float) -> Colour:
    """A colour made darker or lighter."""
    return tuple(min(255, round(gain * each)) for each in colour)  # type: ignore[return-value]


def draw(face: Face) -> Image.Image:
    """A face from the front, lit from the upper left."""
    canvas, x, y, w = Canvas(*face.ground), 256.0, 236.0, face.width
    dark, light = shade(face.skin, 0.8), shade(face.skin, 1.1)
    if face.bun:
        canvas.blob((x - 44, y - 214, x + 52, y - 128), shade(face.hair, 0.85), blur=1.5)
    canvas.shape(
        [(20, 540), (60, 448), (190, 408), (322, 408), (452, 448), (492, 540)], face.coat, blur=1.5
    )
    canvas.shape(
        [
            (x - 52, y + 80),
            (x + 52, y + 80),
            (x + 56, 404),
            (x + 84, 424),
            (x, 470),
            (x - 84, 424),
            (x - 56, 404),
        ],
        shade(face.skin, 0.86),
        blur=1.5,
    )
    canvas.blob((x - 50, y + 104, x + 50, y + 164), shade(face.skin, 0.68), blur=7, alpha=190)
    for side in (-1, 1):
        canvas.blob((x + side * (w + 4) - 15, y - 14, x + side * (w + 4) + 15, y + 50), dark)
    canvas.shape(
        [
            (x, y - 138),
            (x + 0.78 * w, y - 106),
            (x + w, y - 12),
            (x + 0.93 * w, y + 60),
            (x + 0.6 * w, y + 122),
            (x, y + 152),
            (x - 0.6 * w, y + 122),
            (x - 0.93 * w, y + 60),
            (x - w, y - 12),
            (x - 0.78 * w, y - 106),
        ],
        face.skin,
        blur=1,
    )
    canvas.blob((x + 0.4 * w, y - 60, x + 0.94 * w, y + 100), dark, blur=12, alpha=110)
    canvas.blob((x - 0.62 * w, y - 110, x + 0.34 * w, y - 50), light, blur=18, alpha=120)
    for side in (-1, 1):
        canvas.blob(
            (x + side * 0.56 * w - 26, y + 22, x + side * 0.56 * w + 26, y + 62),
            shade(face.lips, 1.15),
            blur=12,
            alpha=70,
        )
        eye(canvas, x + side * 45, y - 8, side, face)
    nose(canvas, x, y, face)
    mouth(canvas, x, y + 92, face)
    hair(canvas, x, y, w, face)
    return canvas.image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def eye(canvas: Canvas, x: float, y: float, side: int, face: Face) -> None:
    """An eye with its brow; `side` is 1 on the right of the picture."""
    dark = shade(face.skin, 0.62)
    canvas.blob((x - 34, y - 26, x + 34, y + 20), shade(face.skin, 0.8), blur=7, alpha=150)
    opening = [
        (x - 27 * side, y + 3),
        (x - 12 * side, y - 10),
        (x + 8 * side, y - 12),
        (x + 28 * side, y - 1),
        (x + 10 * side, y + 10),
        (x - 10 * side, y + 10),
    ]
    canvas.shape(opening, (244, 240, 236))
    canvas.blob((x - 12, y - 13, x + 12, y + 11), shade(face.iris, 0.7))
    canvas.blob((x - 10, y - 11, x + 10, y + 9), face.iris, blur=1.5)
    canvas.blob((x - 5, y - 6, x + 5, y + 4), (16, 12, 12))
    canvas.blob((x - 6, y - 8, x - 1, y - 3), (255, 255, 255))
    lid = [
        (x - 29 * side, y + 4),
        (x - 13 * side, y - 12),
        (x + 8 * side, y - 15),
        (x + 31 * side, y - 3),
        (x + 8 * side, y - 10),
        (x - 12 * side, y - 7),
    ]
    canvas.shape(lid, shade(face.hair, 0.5))
    canvas.shape(
        [(x - 24 * side, y + 8), (x, y + 13), (x + 26 * side, y + 2), (x, y + 11)], dark, alpha=160
    )
    canvas.shape(
        [(x - 24 * side, y - 20), (x + 8 * side, y - 27), (x + 26 * side, y - 17), (x, y - 22)],
        dark,
        blur=1.2,
        alpha=130,
    )
    canvas.shape(
        [
            (x - 28 * side, y - 37),
            (x, y - 43),
            (x + 34 * side, y - 30),
            (x + 4 * side, y - 36),
            (x - 26 * side, y - 31),
        ],
        shade(face.hair, 0.9),
        blur=1.5,
    )


def nose(canvas: Canvas, x: float, y: float, face: Face) -> None:
    """Ridge, tip and nostrils."""
    dark, light = shade(face.skin, 0.74), shade(face.skin, 1.14)
    canvas.shape(
        [(x + 8, y - 12), (x + 15, y + 26), (x + 22, y + 48), (x + 8, y + 40)],
        dark,
        blur=5,
        alpha=150,
    )
    canvas.shape(
        [(x - 6, y - 10), (x + 3, y - 10), (x + 5, y + 40), (x - 8, y + 40)],
        light,
        blur=4,
        alpha=140,
    )
    canvas.blob((x - 22, y + 32, x + 22, y + 62), shade(face.skin, 0.95), blur=4, alpha=160)
    canvas.blob((x - 10, y + 34, x + 8, y + 52), light, blur=4, alpha=150)
    for side in (-1, 1):
        canvas.blob(
            (x + side * 13 - 7, y + 51, x + side * 13 + 7, y + 60),
            shade(face.skin, 0.42),
            blur=1.2,
            alpha=220,
        )
    canvas.blob((x - 16, y + 58, x + 16, y + 68), dark, blur=4, alpha=150)


def mouth(canvas: Canvas, x: float, y: float, face: Face) -> None:
    """Closed lips that smile a little."""
    canvas.shape(
        [
            (x - 40, y - 2),
            (x - 14, y - 12),
            (x, y - 8),
            (x + 14, y - 12),
            (x + 40, y - 2),
            (x, y + 2),
        ],
        shade(face.lips, 0.86),
    )
    canvas.shape(
        [
            (x - 40, y - 2),
            (x, y + 1),
            (x + 40, y - 2),
            (x + 20, y + 14),
            (x, y + 17),
            (x - 20, y + 14),
        ],
        face.lips,
    )
    canvas.shape([(x - 42, y - 4), (x, y + 1), (x + 42, y - 4), (x, y + 3)], shade(face.lips, 0.45))
    canvas.blob((x - 14, y + 5, x + 10, y + 12), shade(face.lips, 1.3), blur=3, alpha=120)
    canvas.blob((x - 24, y + 20, x + 24, y + 30), shade(face.skin, 0.78), blur=4, alpha=140)


def hair(canvas: Canvas, x: float, y: float, w: float, face: Face) -> None:
    """What frames the forehead."""
    drop = 6 if face.bun else -20
    canvas.shape(
        [
            (x - w - 10, y + drop),
            (x - w - 12, y - 70),
            (x - 60, y - 168),
            (x + 20, y - 178),
            (x + 90, y - 150),
            (x + w + 14, y - 60),
            (x + w + 10, y + drop),
            (x + w - 8, y - 40),
            (x + 70, y - 96),
            (x + 10, y - 112),
            (x - 50, y - 92),
            (x - w + 12, y - 30),
        ],
        face.hair,
        blur=1.5,
    )
    canvas.shape(
        [
            (x - 80, y - 118),
            (x - 30, y - 160),
            (x + 30, y - 162),
            (x - 20, y - 142),
            (x - 60, y - 112),
        ],
        shade(face.hair, 1.6),
        blur=6,
        alpha=110,
    )


def main() -> None:
    """Write the pictures into the folder that is named."""
    folder = Path(sys.argv[1])
    photo = Image.fromarray(skimage.data.astronaut())
    photo.save(folder / "sample_astronaut.jpg", quality=QUALITY)
    for name, face in FACES.items():
        draw(face).save(folder / name, quality=QUALITY)


if __name__ == "__main__":
    main()
