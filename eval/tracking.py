"""How much of a face's motion do the 52 shapes explain? ``vasari eval tracking VIDEO...``.

Head pose and identity are taken out of the tracked mesh; of what is left around the mouth, the
share of the variance that the fitted blendshapes show is printed for each clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from vasari.errors import VasariError, VideoError
from vasari.eval.lips import interval
from vasari.generate.blendshapes import face_shapes, skin_distance
from vasari.generate.perform import Tracker, read_frames, resting, track_meshes
from vasari.generate.topology import (
    LOWER_LIP_INNER,
    LOWER_LIP_OUTER,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)

Float32Array = npt.NDArray[np.float32]

LIPS = UPPER_LIP_INNER + LOWER_LIP_INNER + UPPER_LIP_OUTER + LOWER_LIP_OUTER
REGION = 1.5  # cm of skin around the lips that count as the region of the mouth
MAX_FRAMES = 500  # of a clip
REST_FRAMES = 25  # in which the resting face is looked for


@dataclass(frozen=True)
class Explained:
    """Shares of the variance of a clip's mesh, in 0..1, seen from the front."""

    clip: str
    region: float  # of the points around the mouth
    lips: float  # of the points of the lips alone


def explained(video: Path) -> Explained:
    """Measure one clip.

    Raises:
        VideoError: it cannot be read, or shows no face.
    """
    _, frames = read_frames(video)
    meshes = [mesh for mesh in track_meshes(islice(frames, MAX_FRAMES)) if mesh is not None]
    if not meshes:
        raise VideoError(f"no face found in {video}; give a video that shows one face")
    tracker = Tracker(resting(meshes[:REST_FRAMES]))
    poses = [tracker.pose(mesh) for mesh in meshes]
    faces = np.stack([tracker.face(mesh) for mesh in meshes]) - tracker.rest
    weights = np.stack([pose.expression for pose in poses])
    fitted = np.tensordot(weights, face_shapes(tracker.rest), 1)
    region = np.flatnonzero(skin_distance(LIPS) < REGION)
    return Explained(
        video.stem,
        _share(faces[:, region], fitted[:, region]),
        _share(faces[:, list(LIPS)], fitted[:, list(LIPS)]),
    )


def _share(moved: Float32Array, fitted: Float32Array) -> float:
    """The share of the variance of (T, N, 3) points that a fit explains; depth is a guess."""
    seen, left = moved[..., :2], (moved - fitted)[..., :2]
    return float(1 - left.var(axis=0).sum() / seen.var(axis=0).sum())


@click.command("tracking")
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
def tracking(videos: tuple[Path, ...]) -> None:
    """Print how much of the motion around the mouth in VIDEOS the blendshapes explain.

    \b
    Example:
      vasari eval tracking interviews/*.mp4
    """
    rows = []
    click.echo(f"{'clip':44} {'around mouth':>12} {'lips':>6}")
    for video in videos:
        try:
            row = explained(video)
        except VasariError as error:
            click.echo(f"{video.stem[:44]:44} {error}", err=True)
            continue
        rows.append(row)
        click.echo(f"{row.clip[:44]:44} {row.region:12.3f} {row.lips:6.3f}")
    if not rows:
        raise VideoError("none of the videos could be tracked")
    for name, values in (
        ("around the mouth", [row.region for row in rows]),
        ("lips", [row.lips for row in rows]),
    ):
        mean, low, high = interval(values)
        click.echo(f"{name:34} {mean:6.3f}  [{low:.3f}, {high:.3f}]  n={len(values)}")
