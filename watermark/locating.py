"""When in a clip and where in its frames a watermark that was read can be seen."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vasari.watermark.evidence import smoothed
from vasari.watermark.geometry import Geometry
from vasari.watermark.pattern import Pattern, filtered, shape
from vasari.watermark.tiles import (
    CHIP,
    PERIOD,
    SPECTRUM_REACH,
    ComplexArray,
    Float32Array,
    FloatArray,
    LumaArray,
    fold,
    power,
    resized,
    spectrum_of,
)

SEEN = 3.0  # z-score of the known pattern, averaged over five frames, in a frame that carries it
BLOCK = 12 * CHIP  # pixels; blocks in which the pattern is looked for
SEEN_AROUND = 0.8  # z-score of the pattern, averaged over five by five blocks that show it
ELSEWHERE = (20, 36, 52, 68)  # pixels by which the tile is moved to where chance alone fits it
SEEN_IN_BLOCK = 1.2  # z-score, averaged over a block and its neighbours


class Interval(NamedTuple):
    """A stretch of a clip."""

    start: float  # seconds
    end: float  # seconds


class Region(NamedTuple):
    """A rectangle of the frame, in shares of its width and height: 0 is left or top."""

    left: float
    top: float
    right: float
    bottom: float


def polarities(folded: Float32Array, tile: FloatArray) -> FloatArray:
    """For each frame (T,) +1 or -1, the polarity of its mark, or 0 if it carries none.

    Args:
        folded: The frames folded to tiles, (T, 96, 96).
        tile: The chips (48, 48) that were read.
    """
    scores = _scores(folded, tile)
    signs = np.where(smoothed(scores) < 0, -1.0, 1.0)
    return np.where(smoothed(scores * signs) > SEEN, signs, 0.0)


def _scores(folded: Float32Array, tile: FloatArray) -> FloatArray:
    """The z-scores (T,) of a tile in folded frames, against the same tile in all other places."""
    spectra = np.fft.fft2(folded)
    mean = np.sqrt(np.mean(np.abs(spectra) ** 2, axis=0)).astype(np.complex128)
    correlations = np.real(np.fft.ifft2(spectra * np.conj(_matched(tile, mean))))
    scores: FloatArray = correlations[:, 0, 0] / (correlations[:, 8:-8, 8:-8].std((1, 2)) + 1e-12)
    return scores


def _matched(tile: FloatArray, spectrum: ComplexArray) -> ComplexArray:
    """The spectrum (96, 96) of the filter that finds a tile (48, 48) in noise of a spectrum."""
    inside = shape(PERIOD) > 0
    return np.where(inside, spectrum_of(tile) / power(spectrum, (SPECTRUM_REACH,) * 2), 0)


def intervals(times: list[float], marked: npt.NDArray[np.bool_]) -> tuple[Interval, ...]:
    """The stretches in which frames shown at ``times`` (seconds) are marked (T,)."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    ends = [*times[1:], times[-1] + step]
    found: list[Interval] = []
    for start, end, seen in zip(times, ends, marked, strict=True):
        if not seen:
            continue
        if found and found[-1].end == start:
            found[-1] = Interval(found[-1].start, end)
        else:
            found.append(Interval(start, end))
    return tuple(found)


def part(total: Float32Array, geometry: Geometry, pattern: Pattern) -> Float32Array:
    """1 where a sum of flattened frames (H, W) shows the synchronisation pattern, else 0."""
    import cv2

    upright = geometry.put_upright(total)
    scores = _block_scores(upright, filtered(pattern.sync))
    around = cv2.blur(scores * np.sign(scores.sum()), (5, 5))
    seen = np.kron(around > SEEN_AROUND, np.ones((BLOCK, BLOCK), np.float32))
    height, width = total.shape
    inside: Float32Array = cv2.warpAffine(
        seen[: upright.shape[0], : upright.shape[1]].astype(np.float32),
        geometry.canvas(total.shape),
        (width, height),
        flags=cv2.INTER_NEAREST,
    )
    return inside


def region(
    frames: list[LumaArray], weights: FloatArray, geometry: Geometry, tile: FloatArray
) -> Region:
    """The part of the frame that carries the tile (48, 48); all of it if that cannot be told."""
    import cv2

    height, width = resized(frames[0], geometry.side).shape
    total = np.zeros((height, width), np.float32)
    for flat, weight in zip(geometry.flattened(frames), weights, strict=True):
        total += np.float32(weight) * flat
    scores = _block_scores(geometry.put_upright(total), tile)
    around = cv2.blur(scores, (3, 3), borderType=cv2.BORDER_REPLICATE)
    seen = around > SEEN_IN_BLOCK
    _, _, boxes, _ = cv2.connectedComponentsWithStats(seen.astype(np.uint8), connectivity=4)
    if len(boxes) < 2:
        return Region(0.0, 0.0, 1.0, 1.0)
    left, top, across, down = BLOCK * boxes[1 + int(np.argmax(boxes[1:, cv2.CC_STAT_AREA]))][:4]
    corners = np.array([[left, left + across] * 2, [top] * 2 + [top + down] * 2], np.float64)
    placed = geometry.canvas((height, width)) @ np.vstack([corners, np.ones(4)])
    shares = np.clip(placed / [[width], [height]], 0, 1)
    return Region(*(float(share) for share in (*shares.min(1), *shares.max(1))))


def _block_scores(upright: Float32Array, tile: FloatArray) -> FloatArray:
    """How well each block of an upright picture fits the tile: z-scores.

    Beside the same tile in other places, so that stripes and edges, which are not independent from
    pixel to pixel, are not taken for it.
    """
    wanted = np.real(np.fft.ifft2(_matched(tile, np.fft.fft2(fold(upright)))))
    elsewhere = [np.roll(wanted, place, (0, 1)) for place in product(ELSEWHERE, ELSEWHERE)]
    chance = np.sqrt(np.mean([_block_sums(upright, other) ** 2 for other in elsewhere], axis=0))
    scores: FloatArray = _block_sums(upright, wanted) / (chance + 1e-9)
    return scores


def _block_sums(upright: Float32Array, wanted: FloatArray) -> FloatArray:
    """The correlation of each block with the repeated tile (96, 96)."""
    rows, columns = -(-upright.shape[0] // BLOCK), -(-upright.shape[1] // BLOCK)
    padded = np.zeros((rows * BLOCK, columns * BLOCK))
    padded[: upright.shape[0], : upright.shape[1]] = upright
    repeats = (-(-padded.shape[0] // PERIOD), -(-padded.shape[1] // PERIOD))
    matched = padded * np.tile(wanted, repeats)[: padded.shape[0], : padded.shape[1]]
    sums: FloatArray = matched.reshape(rows, BLOCK, columns, BLOCK).sum((1, 3))
    return sums
