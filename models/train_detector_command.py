"""The command `vasari train detector`."""

from __future__ import annotations

from pathlib import Path

import click

from vasari.errors import InputError

DATA = ("original", "augmented", "pseudo")


@click.command(no_args_is_help=True)
@click.argument("corpus", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The .onnx to write; its calibration goes beside it as .json.",
)
@click.option(
    "--network",
    default="vasari",
    show_default=True,
    help="vasari, vgg19, densenet121 (torchvision), or the name of a timm model.",
)
@click.option(
    "--data",
    default="pseudo",
    show_default=True,
    type=click.Choice(DATA),
    help="Clips as they are; also encoded, scaled and coloured anew; also fakes of other kinds.",
)
@click.option("--steps", default=8000, show_default=True, help="Batches of 10 pairs.")
@click.option("--minutes", type=float, help="Of processor time, instead of a number of steps.")
@click.option("--rate", default=2e-3, show_default=True, help="Highest learning rate.")
@click.option("--seed", default=0, show_default=True, help="Draws pairs and changes.")
@click.option("--bfloat16", is_flag=True, help="Faster on processors that know it.")
@click.option("--threads", default=1, show_default=True, help="Of the processor.")
def detector(
    *,
    corpus: Path,
    output: Path,
    network: str,
    data: str,
    steps: int,
    minutes: float | None,
    rate: float,
    seed: int,
    bfloat16: bool,
    threads: int,
) -> None:
    """Train a detector on CORPUS, which `vasari corpus build` made.

    The network that tells validation people's crops apart best is written as it is found, so that
    training can be stopped at any time. Test people are never looked at.

    \b
    Example:
      vasari train detector corpus -o detector.onnx
    """
    try:
        import onnx  # noqa: F401  (torch needs it, and says so only after the training)
        import torch
    except ImportError as error:
        raise InputError(f"training needs {error.name}: pip install 'vasari[train]'") from error

    from vasari.models.train_detector import Options, train

    torch.set_num_threads(threads)
    if output.suffix != ".onnx":
        raise InputError(f"{output}: the name of the network ends in .onnx")
    options = Options(
        network=network,
        changed=data != "original",
        pseudo=data == "pseudo",
        steps=steps,
        minutes=minutes,
        rate=rate,
        seed=seed,
        bfloat16=bfloat16,
    )
    train(corpus, output, options, click.echo)
