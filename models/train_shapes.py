"""The refinement of the blendshapes on real clips: ``vasari train shapes CLIPS -o shapes.npz``.

Frames of real clips are moved as the clips move. Where the skin really is, beside where the
renderer put it, is seen by optical flow; what part of that goes with the expression, in all people
the same way, is what the shapes lack.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from vasari.errors import VasariError, VideoError
from vasari.eval.refinement import displacements, skin_points
from vasari.eval.replay import replay
from vasari.generate.blendshapes import PARTNERS
from vasari.generate.motion import ARKIT_INDEX
from vasari.generate.pose import turn
from vasari.generate.render import Renderer
from vasari.generate.template import mirror
from vasari.generate.topology import MESH_POINTS, RIGID_POINTS
from vasari.models.replayed_clips import LIMIT, STARTS, usable
from vasari.models.shapes import learned_shapes

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

EVERY = 5  # of the frames that follow a portrait every so many is used
MOST_KNOWN = 8.0  # per squared pixel: no point counts more
FARTHEST = 1.0  # cm: what lies farther off was not seen, but mistaken
RIDGE = 0.015  # of a shape's full weight, squared: keeps rival shapes from fighting


@dataclass(frozen=True)
class Example:
    """How one frame differs from what was rendered."""

    expression: Float32Array  # (52,) 0..1
    offsets: Float32Array  # (468, 2) cm right and down in the face: from the rendered to the real
    known: Float32Array  # (468,) how well, per squared pixel


def collect(clip: Path, start: int) -> Iterator[Example]:
    """Examples from one replay of a clip."""
    portrait, moments = replay(clip, start=start, limit=LIMIT, every=EVERY)
    renderer = Renderer(portrait)
    placement, rigid = portrait.placement, list(RIGID_POINTS)
    for moment in moments:
        points = skin_points(renderer, moment.pose)
        flow, precision = displacements(renderer.frame(moment.pose), moment.truth, points)
        known = np.clip(np.trace(precision, axis1=1, axis2=2) / 2, 0, MOST_KNOWN)
        turned = turn(moment.pose.rotation) @ placement.rotation
        offsets = np.column_stack([flow, np.zeros(len(flow))]) / placement.scale @ turned
        # The head may have slipped; what the expression hardly moves tells by how much.
        offsets -= np.average(offsets[rigid], axis=0, weights=known[rigid] + 1e-6)
        known[np.abs(offsets).max(axis=1) > FARTHEST] = 0
        yield Example(
            moment.pose.expression, offsets[:, :2].astype(np.float32), known.astype(np.float32)
        )


def fit(replays: Sequence[Sequence[Example]]) -> Float32Array:
    """What the shapes lack by clips, each a sequence of examples: (52, 468, 2) cm.

    Ridge regression at each point, without a constant: a face at rest stays as it is. Each example
    is seen in a mirror, too; a clip counts by the root of its length.
    """
    examples = [example for each in replays for example in each]
    share = np.concatenate([np.full(len(each), len(each) ** -0.5) for each in replays if each])
    weights = np.stack([example.expression for example in examples]).astype(np.float64)
    offsets = np.stack([example.offsets for example in examples])
    known = np.stack([example.known for example in examples]) * share[:, None]
    other = mirror()[:MESH_POINTS]
    weights = np.concatenate([weights, weights[:, _other_side()]])
    offsets = np.concatenate([offsets, offsets[:, other] * np.array([-1, 1], np.float32)])
    known = np.concatenate([known, known[:, other]])
    ridge = RIDGE * known.mean() * len(weights) * np.eye(weights.shape[1])
    found = [
        np.linalg.solve((weights.T * sure) @ weights + ridge, (weights.T * sure) @ seen)
        for sure, seen in zip(known.T, offsets.transpose(1, 0, 2), strict=True)
    ]
    return _together(np.stack(found, axis=1))


def _together(table: Float64Array) -> Float32Array:
    """A table, (52, 468, 2), in which lips and lids that meet still do: partners move alike."""
    upper, lower = (list(points) for points in zip(*PARTNERS, strict=True))
    table[:, upper] = table[:, lower] = (table[:, upper] + table[:, lower]) / 2
    return table.astype(np.float32)


@lru_cache(maxsize=1)
def _other_side() -> list[int]:
    """For each blendshape that of the other side of the face."""
    swap = {"Left": "Right", "Right": "Left"}
    ends = [
        (name, next((side for side in swap if name.endswith(side)), "")) for name in ARKIT_INDEX
    ]
    return [ARKIT_INDEX[name.removesuffix(end) + swap.get(end, "")] for name, end in ends]


def write(offsets: Float32Array, file: Path) -> None:
    """Write a table as .npz, whole or not at all."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp.npz")
    np.savez_compressed(draft, offsets=offsets.astype(np.float16))
    os.replace(draft, file)


@click.command("shapes", no_args_is_help=True)
@click.argument("clips", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .npz.")
@click.option("--held-out", multiple=True, help="Pattern of clip names to leave out.")
def shapes(*, clips: Path, output: Path, held_out: tuple[str, ...]) -> None:
    """Refine the blendshapes on the clips of faces in the folder CLIPS and below.

    What is found is added to what comes with Vasari, and written.

    \b
    Example:
      vasari train shapes clips -o shapes.npz --held-out 'ada_*'
    """
    paths = usable(clips, held_out)
    if not paths:
        raise VasariError(f"no .mp4 to train on in {clips}")
    output.parent.mkdir(parents=True, exist_ok=True)
    replays = []
    for number, path in enumerate(paths, 1):
        replays.append([example for start in STARTS for example in _replayed(path, start)])
        click.echo(f"{number}/{len(paths)} {path.stem}: {len(replays[-1])} frames")
    if not any(replays):
        raise VasariError(f"no clip in {clips} shows a face")
    write(learned_shapes() + fit(replays), output)


def _replayed(clip: Path, start: int) -> list[Example]:
    try:
        return list(collect(clip, start))
    except VideoError:
        return []  # it ends before this start, or hides the face there
