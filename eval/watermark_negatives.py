"""How often chance looks like the watermark: many keys on unmarked clips."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.eval.watermark_clips import load, luma
from vasari.watermark.correction import CODE_BITS
from vasari.watermark.evidence import Evidence, fit, weigh
from vasari.watermark.geometry import UPRIGHT, tried
from vasari.watermark.pattern import Pattern
from vasari.watermark.reading import HALVES, SIGNIFICANCE, read_frames
from vasari.watermark.tiles import LumaArray

FloatArray = npt.NDArray[np.float64]

SECONDS = 1.0  # of each clip
FRAME_STEP = 5  # between the frames that are looked at
LEAST_SIDE = 0.6  # of a crop, as a share of the clip's


@dataclass(frozen=True)
class Scores:
    """What keys gave on unmarked clips, (N,) each."""

    sync: FloatArray  # z-scores of the synchronisation pattern
    cosine: FloatArray  # of the nearest payload
    p_values: FloatArray  # bounds on the chance of as good a fit


def try_keys(paths: tuple[Path, ...], keys: int, crops: int) -> Scores:
    """Try ``keys`` keys on each of ``crops`` random crops of each clip.

    What does not depend on the key is done once for each crop.
    """
    rng = np.random.default_rng(0)
    found: list[tuple[Evidence, Evidence]] = []
    for number, path in enumerate(paths):
        frames = luma(load(path, SECONDS))[::FRAME_STEP]
        for crop, cropped in enumerate(_crops(frames, crops, rng)):
            folded = UPRIGHT.folded(cropped)
            for index in range(keys):
                pattern = Pattern.from_key(b"negative %d %d %d" % (number, crop, index))
                found.append((fit(folded, np.ones(len(folded)), pattern), weigh(folded, pattern)))
    return Scores(
        np.array([plain.sync_score for plain, _ in found]),
        np.array([plain.correlation for plain, _ in found]),
        np.array([HALVES * weighed.p_value() for _, weighed in found]),
    )


def _crops(
    frames: list[LumaArray], count: int, rng: np.random.Generator
) -> Iterator[list[LumaArray]]:
    """Random rectangles of the frames; the first is the whole frame."""
    yield frames
    height, width = frames[0].shape
    for _ in range(count - 1):
        rows, columns = (round(side * rng.uniform(LEAST_SIDE, 1)) for side in (height, width))
        top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
        yield [frame[top : top + rows, left : left + columns] for frame in frames]


def report(scores: Scores) -> list[str]:
    """The false reads, and shares of scores beside those that are derived."""
    false = int(np.count_nonzero(scores.p_values <= SIGNIFICANCE))
    lines = [
        f"{len(scores.p_values)} trials: {false} false reads",
        f"smallest p-value {min(1.0, scores.p_values.min()):.2g}",
        "pattern, |z| above   observed   if normal   Hoeffding's bound",
    ]
    for limit in (1.0, 2.0, 3.0, 4.0):
        observed, normal = np.mean(np.abs(scores.sync) > limit), math.erfc(limit / math.sqrt(2))
        bound = min(1.0, 2 * math.exp(-(limit**2) / 2))
        lines.append(f"{limit:18.0f} {observed:10.5f} {normal:11.5f} {bound:19.5f}")
    median, high, most = np.quantile(scores.cosine, [0.5, 0.99, 1.0])
    lines.append(f"payload, cosine      median {median:.3f}, 99 % {high:.3f}, most {most:.3f}")
    return lines


def search(paths: tuple[Path, ...], count: int) -> str:
    """Search so many random crops for geometries, each with a key of its own; tells the reads."""
    rng = np.random.default_rng(1)
    reads = 0
    for number in range(count):
        path = paths[number % len(paths)]
        *_, cropped = _crops(luma(load(path, SECONDS))[::FRAME_STEP], 2, rng)
        reads += read_frames(cropped, key=b"negative search %d" % number) is not None
    return f"{count} full searches of {tried():.1e} places: {reads} false reads"


def cosine_bound(cosine: FloatArray) -> FloatArray:
    """The derived bound on the chance that some payload's cosine is higher than these."""
    bound: FloatArray = 2.0**47 * (1 - cosine**2) ** ((CODE_BITS - 1) / 2)
    return np.minimum(1.0, bound)


def draw(scores: Scores, path: Path) -> None:
    """Write a PNG: shares of trials above each score, observed and derived."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), constrained_layout=True)
    size = len(scores.sync)
    shares = 1 - np.arange(size) / size
    limits = np.linspace(0, 6, 100)
    left.step(np.sort(np.abs(scores.sync)), shares, label="observed")
    left.plot(limits, [math.erfc(z / math.sqrt(2)) for z in limits], label="normal")
    left.plot(limits, np.minimum(1, 2 * np.exp(-(limits**2) / 2)), label="bound (Hoeffding)")
    left.set(xlabel="|z| of the synchronisation pattern", ylabel="share of trials above")
    cosines = np.linspace(0.4, 0.9, 200)
    right.step(np.sort(scores.cosine), shares, label="observed")
    right.plot(cosines, cosine_bound(cosines), label="bound, 2^48 payloads")
    right.set(xlabel="cosine of the nearest payload")
    for axes in (left, right):
        axes.set_yscale("log")
        axes.set_ylim(0.3 / size, 1.5)
        axes.legend()
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    figure.savefig(draft, format="png", dpi=110)
    plt.close(figure)
    os.replace(draft, path)
