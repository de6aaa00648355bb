"""The commands `vasari train`: one for each network that comes with Vasari."""

from __future__ import annotations

import click

from vasari.errors import VasariError
from vasari.lazy import Entry, LazyGroup

TRAININGS = {
    "calibration": Entry(
        "vasari.models.calibrate_detector_command:calibration",
        "Calibrate a trained detector on whole clips.",
    ),
    "detector": Entry(
        "vasari.models.train_detector_command:detector", "Train a detector on a corpus."
    ),
    "motion": Entry(
        "vasari.models.train_motion:motion", "Train the motion of head and face on tracks."
    ),
    "shapes": Entry("vasari.models.train_shapes:shapes", "Refine the blendshapes on clips."),
    "speech-encoder": Entry(
        "vasari.models.train_speech_encoder:speech_encoder", "Train what hears for the lips."
    ),
    "touch-up": Entry(
        "vasari.models.train_touchup:touch_up", "Train the touch-up of eyes and mouth on clips."
    ),
}


class TrainingGroup(LazyGroup):
    """A group whose commands load PyTorch, which comes as an extra."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command, or say what to install."""
        try:
            return super().get_command(ctx, cmd_name)
        except ModuleNotFoundError as error:
            raise VasariError(
                f"training needs {error.name}: pip install 'vasari[train]'"
            ) from error


@click.group(cls=TrainingGroup, entries=TRAININGS, no_args_is_help=True)
def train() -> None:
    """Train the networks that come with Vasari, or your own."""
