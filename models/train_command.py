"""The commands `vasari train`: one for each network that comes with Vasari."""

from __future__ import annotations

import importlib

import click

from vasari.errors import VasariError

# Command -> "module:attribute". Each loads PyTorch, so it is imported when it is called.
TRAININGS = {
    "detector": "vasari.models.train_detector_command:detector",
    "motion": "vasari.models.train_motion:motion",
    "touch-up": "vasari.models.train_touchup:touch_up",
}


class TrainingGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the table."""
        return list(TRAININGS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command, or None if the table has no such name."""
        if cmd_name not in TRAININGS:
            return None
        module, _, attribute = TRAININGS[cmd_name].partition(":")
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise VasariError(
                f"training needs {error.name}: pip install 'vasari[train]'"
            ) from error
        return command


@click.group(cls=TrainingGroup, no_args_is_help=True)
def train() -> None:
    """Train the networks that come with Vasari, or your own."""
