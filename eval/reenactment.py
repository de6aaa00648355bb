"""How true the renderer is: the first frame of a real clip, moved as the clip moves, against it.

``vasari eval reenactment CLIP...`` prints a row for each clip, then each measure's mean over the
clips with its 95 % interval. It does not show how well motion made from sound is: here the motion
is tracked from the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from vasari.eval.likeness import compare, expression_error, skin_likeness
from vasari.eval.replay import Moment, replay
from vasari.generate.perform import track_meshes
from vasari.generate.portrait import Portrait
from vasari.generate.render import Renderer
from vasari.generate.touchup import TouchUp

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
ImageArray = npt.NDArray[np.uint8]

RESAMPLES = 10_000  # of the clips, for the intervals
# Columns: what is compared with the truth; "still" is the first frame left as it is.
SHOWN = ("touched up", "plain", "still")
ON, OFF, STILL = range(3)
REGIONS = ("face", "mouth", "eyes")
MEASURES = (
    *(
        f"{region} {measure}"
        for region in REGIONS
        for measure in ("PSNR, dB", "SSIM", "sharpness of the truth's")
    ),
    "expression error, % of the face",
    "static skin SSIM, tracked",
    "static skin SSIM, as it was moved",
)


def reenact(clip: Path) -> Float64Array:
    """Measure one clip: the means over its measured frames, (MEASURES, SHOWN).

    Raises:
        VideoError: it cannot be read, or its first frame shows no face.
    """
    portrait, moments = replay(clip)
    plain, touched = Renderer(portrait), Renderer(portrait, TouchUp(portrait))
    kept = list(moments)
    moved = [[renderer.frame(moment.pose) for moment in kept] for renderer in (touched, plain)]
    still = [portrait.image] * len(kept)
    faces = [plain.face(moment.pose) for moment in kept]
    # By the same instrument as the frames: a first look at a face differs from one that follows it.
    (own,) = _track([portrait.image])
    own = portrait.mesh if own is None else own
    columns = [_column(frames, _track(frames), faces, kept, portrait, own=own) for frames in moved]
    resting = [portrait.mesh] * len(kept)
    columns.append(_column(still, [own] * len(kept), resting, kept, portrait, own=own))
    return np.stack(columns, axis=1)


def _column(
    frames: list[ImageArray],
    meshes: Sequence[Float32Array | None],
    faces: Sequence[Float32Array],
    moments: list[Moment],
    portrait: Portrait,
    *,
    own: Float32Array,
) -> Float64Array:
    """The measures of what is shown, (MEASURES,).

    Args:
        frames: (S, S, 3) sRGB each.
        meshes: (478, 3) pixels each, the face as FaceMesh finds it in each frame.
        faces: the same, as it was put there.
        moments: what the frames are to be like.
        portrait: what they are made from.
        own: (478, 3) pixels, the face as FaceMesh finds it there.
    """
    rows = []
    for frame, mesh, face, moment in zip(frames, meshes, faces, moments, strict=True):
        regions = compare(frame, moment.truth, moment.mesh)
        row = [value for name in REGIONS for value in regions[name]]
        if mesh is None:
            row += [np.nan, np.nan]
        else:
            row.append(expression_error(mesh, moment.mesh))
            row.append(skin_likeness(frame, mesh, portrait.image, own))
        row.append(skin_likeness(frame, face, portrait.image, portrait.mesh))
        rows.append(row)
    return np.asarray(np.nanmean(np.array(rows, np.float64), axis=0))


def _track(frames: list[ImageArray]) -> list[Float32Array | None]:
    """The face in each frame; each is shown to the tracker twice, because they are far apart."""
    twice = (frame for frame in frames for _ in range(2))
    return list(islice(track_meshes(twice), 1, None, 2))


def interval(values: Float64Array) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean of values, (n,)."""
    drawn = np.random.default_rng(0).choice(values, (RESAMPLES, len(values)))
    low, high = np.percentile(drawn.mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def reenactment(clips: tuple[Path, ...]) -> None:
    """Compare rendered frames with real ones: each of CLIPS, from its first frame.

    The first frame is moved as the clip moves, with the touch-up and without; both are compared
    with the clip, and so is the first frame left still. Give one clip of each person: the
    intervals are over clips.
    """
    click.echo(f"{'':28} face PSNR, dB       mouth PSNR, dB      eyes PSNR, dB")
    click.echo(f"{'clip':28}" + "    on   off still" * 3)
    results = []
    for clip in clips:
        results.append(reenact(clip))
        psnr = results[-1][[0, 3, 6]].ravel()
        click.echo(f"{clip.stem[-28:]:28}" + "".join(f"{x:6.1f}" for x in psnr))
    for line in summary(np.stack(results)):
        click.echo(line)


def summary(results: Float64Array) -> Sequence[str]:
    """The table of means over clips.

    Args:
        results: (clips, MEASURES, SHOWN).
    """
    lines = [
        f"mean of {len(results)} clips, 95 % interval",
        f"{'measure':32} {'touch-up on':>13} {'off':>8} {'still':>8}"
        f"  {'on over still':24} on over off",
    ]
    for name, values in zip(MEASURES, results.transpose(1, 0, 2), strict=True):
        means = values.mean(axis=0)
        gains = [_gain(values[:, ON] - values[:, other]) for other in (STILL, OFF)]
        lines.append(
            f"{name:32} {means[ON]:13.3f} {means[OFF]:8.3f} {means[STILL]:8.3f}"
            f"  {gains[0]:24} {gains[1]}"
        )
    return lines


def _gain(differences: Float64Array) -> str:
    low, high = interval(differences)
    return f"{differences.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
