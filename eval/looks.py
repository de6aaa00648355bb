"""Looks: portraits in the poses that go wrong first, at full size, to be judged by eye.

``vasari eval looks PORTRAIT... -o FOLDER`` writes a PNG for each portrait. No figure replaces this:
what a viewer notices at once, a stair on a cheek or a grey tooth, hardly moves a mean.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from vasari.errors import OutputError
from vasari.generate.marking import Marker
from vasari.generate.motion import ARKIT_INDEX
from vasari.generate.portrait import DEFAULT_SIZE, SIZES, Portrait
from vasari.generate.render import Pose, Renderer
from vasari.generate.touchup import TouchUp
from vasari.watermark.payload import new_identifier

Float32Array = npt.NDArray[np.float32]

COLUMNS = 4
INK, PAPER = (40, 40, 40), (255, 255, 255)


def posed(
    shapes: Mapping[str, float] | None = None,
    *,
    yaw: float = 0,
    pitch: float = 0,
    nearer: float = 0,
    gaze: tuple[float, float] = (0, 0),
) -> Pose:
    """A pose by what is not at rest.

    Args:
        shapes: the weights, 0..1, of ARKit's blendshapes; the rest are 0.
        yaw: of the head, degrees.
        pitch: of the head, degrees.
        nearer: cm toward the viewer.
        gaze: yaw and pitch, degrees.
    """
    expression = np.zeros(len(ARKIT_INDEX), np.float32)
    for name, weight in (shapes or {}).items():
        expression[ARKIT_INDEX[name]] = weight
    return Pose(
        expression,
        np.array([yaw, pitch, 0], np.float32),
        np.array([0, 0, nearer], np.float32),
        np.array(gaze, np.float32),
    )


LOOKS = {
    "rest": posed(),
    "big mouth": posed({"jawOpen": 0.8, "mouthLowerDownLeft": 0.3, "mouthLowerDownRight": 0.3}),
    "blink": posed({"eyeBlinkLeft": 1, "eyeBlinkRight": 1}),
    "smile": posed(
        {"mouthSmileLeft": 0.7, "mouthSmileRight": 0.7, "cheekSquintLeft": 0.4}
        | {"cheekSquintRight": 0.4, "jawOpen": 0.08}
    ),
    "look left": posed(gaze=(-25, 0)),
    "turn right": posed(yaw=22),
    "turn left, nod": posed({"jawOpen": 0.15}, yaw=-18, pitch=-8),
    "lean in": posed({"mouthPucker": 0.5, "jawOpen": 0.2}, nearer=16, pitch=4),
}


def draw_looks(portrait: Portrait, identifier: int, *, touch_up: bool = True) -> Image.Image:
    """A portrait in all LOOKS, each at the portrait's own size, marked, with their names."""
    renderer = Renderer(portrait, TouchUp(portrait) if touch_up else None)
    rows = -(-len(LOOKS) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * portrait.size, rows * portrait.size), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (name, pose) in enumerate(LOOKS.items()):
        row, column = divmod(index, COLUMNS)
        corner = (column * portrait.size, row * portrait.size)
        marked = Marker(identifier, portrait.size, portrait.size).mark(renderer.frame(pose))
        sheet.paste(Image.fromarray(marked.rgb()), corner)
        draw.text((corner[0] + 4, corner[1] + 4), name, fill=PAPER, stroke_width=1, stroke_fill=INK)
    return sheet


@click.command()
@click.argument("portraits", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder to fill."
)
@click.option(
    "--size", default=str(DEFAULT_SIZE), show_default=True, type=click.Choice(list(map(str, SIZES)))
)
@click.option("--touch-up", type=click.Choice(["on", "off"]), default="on", show_default=True)
def looks(portraits: Sequence[Path], output: Path, size: str, touch_up: str) -> None:
    """Draw each of PORTRAITS in the poses that go wrong first, as a PNG to look at.

    \b
    Example:
      vasari eval looks portraits/*.jpg -o looks/
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {output}: {error.strerror or error}") from error
    for path in portraits:
        portrait = Portrait.open(path, size=int(size))
        sheet = draw_looks(portrait, new_identifier(), touch_up=touch_up == "on")
        target = output / f"{path.stem}.png"
        _save(sheet, target)
        click.echo(f"{target}: {len(LOOKS)} looks of {path}")


def _save(sheet: Image.Image, target: Path) -> None:
    """Write a PNG that is there whole or not at all."""
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    try:
        sheet.save(draft, "PNG")
        os.replace(draft, target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
