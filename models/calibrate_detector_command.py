"""The command `vasari train calibration`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(no_args_is_help=True)
@click.argument(
    "corpora", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False)
)
@click.argument("network", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--movement/--frames-only",
    default=True,
    show_default=True,
    help="Count how a face moves and changes, or look at single frames alone.",
)
def calibration(*, corpora: tuple[Path, ...], network: Path, movement: bool) -> None:
    """Calibrate NETWORK, an .onnx of `vasari train detector`, on the whole clips of CORPORA.

    Probabilities and thresholds come from validation people. Replaces the .json beside the
    network. Test people are never looked at. Several corpora must show the same people in the same
    splits, as those of one --seed do.

    \b
    Examples:
      vasari train calibration corpus detector.onnx
      vasari train calibration corpus hard detector.onnx
    """
    from vasari.generate.progress import reporting
    from vasari.models.calibrate_detector import calibrate_clips, write_calibration

    with reporting("clips") as progress:
        made = calibrate_clips(corpora, network, movement=movement, progress=progress)
    write_calibration(made, network)
    points = {"clips": made.clip, "pictures": made.frame}
    if made.movement is not None:
        points["moving faces"] = made.movement.operating
    for name, point in points.items():
        click.echo(
            f"{name}: generated from {point.threshold:.3f} ({point.false_alarm_rate:.1%} of real "
            f"ones, {point.miss_rate:.1%} of generated ones missed); not generated below "
            f"{point.clear_below:.3f} ({point.clear_miss_rate:.1%} of generated ones)"
        )
