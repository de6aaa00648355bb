"""The commands `vasari eval`: one for each question about quality."""

from __future__ import annotations

import click

from vasari.eval.detection_command import detection
from vasari.eval.lips import main as lips
from vasari.eval.looks import looks
from vasari.eval.motion import motion
from vasari.eval.reenactment import reenactment
from vasari.eval.tracking import tracking
from vasari.eval.watermark import watermark


@click.group("eval")
def evaluate() -> None:
    """Measure how good the results are; each command prints its own table.

    Give clips that nothing was tuned on: figures of the others flatter.
    """


evaluate.add_command(detection)
evaluate.add_command(lips, "lips")
evaluate.add_command(looks)
evaluate.add_command(motion)
evaluate.add_command(reenactment)
evaluate.add_command(tracking)
evaluate.add_command(watermark)
