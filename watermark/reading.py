"""Reading the watermark back from frames that may have been encoded, scaled and recoloured.

>>> from vasari.watermark.reading import read_video
>>> reading = read_video("talking.mp4")  # doctest: +SKIP
>>> f"{reading.identifier:012x}"  # doctest: +SKIP
'00c0ffee1234'

Each frame is brought to a size at which a chip is two pixels wide, flattened (its own texture
and lighting removed), and its tiles are summed. The frames are summed with the polarity that the
synchronisation pattern shows in each; the spectrum of the sum is whitened; then the chips of each
coded bit are added up and the nearest payload is decoded. docs/watermark.md derives the p-value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vasari.errors import WatermarkError
from vasari.watermark.evidence import Evidence, shown_polarity, weigh
from vasari.watermark.frames import TimedLuma, sampled_frames
from vasari.watermark.geometry import (
    CLEAR_SCORE,
    LOOKS,
    MOST_CANDIDATES,
    UPRIGHT,
    Geometry,
    candidates,
    tried,
)
from vasari.watermark.locating import Interval, Region, intervals, part, polarities, region
from vasari.watermark.pattern import Pattern
from vasari.watermark.payload import PUBLIC_KEY
from vasari.watermark.tiles import SIDE, Float32Array, LumaArray, resized

# A clip counts as marked if chance alone gives such a fit in fewer than one of 10^9 unmarked clips.
SIGNIFICANCE = 1e-9
MAX_FRAMES = 128  # frames held in memory; of a longer sequence every second is dropped
MIN_SIDE = 32  # pixels; nothing is left of the chips in a smaller frame
# Frames, spread over the clip, in which geometries that chance may have found are looked at: a
# search without result has to be short.
FEW_FRAMES = 32
HALVES = 2  # of the significance: one for the upright picture, one for all geometries
# Pixels of the short side to which frames are reduced: enough for a picture in a picture.
SEARCH_SIDE = 2 * SIDE


@dataclass(frozen=True)
class Reading:
    """A watermark that was found."""

    identifier: int  # 48 bits
    p_value: float  # bound on the chance of such a reading in a clip without the watermark
    frames: int  # frames that were looked at
    bit_errors: int  # of the 127 coded bits, how many were received wrong
    geometry: Geometry  # how the marked picture lies in the frame
    region: Region  # where in the frame the mark is seen
    intervals: tuple[Interval, ...]  # when it is seen, as far as frames were looked at


def read_video(
    path: str | Path, *, key: bytes = PUBLIC_KEY, transformed: bool = True
) -> Reading | None:
    """Read the watermark of a video or image file, or None if there is none with this key.

    Args:
        path: Anything that PyAV can decode.
        key: The key with which it was embedded.
        transformed: Look also for a picture that was cropped, rotated by up to 16 degrees,
            mirrored, stretched or set into a larger one. It takes seconds.

    Raises:
        VideoError: The file is missing, is no video, or holds no frame that can be decoded.
    """
    return _read(sampled_frames(path), key, transformed)


def read_frames(
    frames: Iterable[LumaArray],
    *,
    key: bytes = PUBLIC_KEY,
    transformed: bool = True,
    fps: float = 25.0,
) -> Reading | None:
    """Read the watermark of luma planes (H, W) uint8 in their order, or None if there is none.

    Args:
        frames: All of the same size.
        key: The key with which it was embedded.
        transformed: As in `read_video`.
        fps: Frames per second, by which intervals are told.

    Raises:
        WatermarkError: The planes are smaller than 32 pixels.
    """
    timed = (TimedLuma(index / fps, luma) for index, luma in enumerate(frames))
    return _read(timed, key, transformed)


def _read(frames: Iterable[TimedLuma], key: bytes, transformed: bool) -> Reading | None:
    """Read the watermark of a picture that was scaled at most, or else of one that was changed."""
    kept = _reduced(frames)
    if not kept:
        return None
    pattern = Pattern.from_key(key)
    folded = UPRIGHT.folded([frame.luma for frame in kept])
    evidence = weigh(folded, pattern)
    p_value = HALVES * evidence.p_value()
    if p_value <= SIGNIFICANCE:
        return _reading(kept, UPRIGHT, folded, evidence, p_value)
    return _searched(kept, pattern) if transformed else None


def _searched(frames: list[TimedLuma], pattern: Pattern) -> Reading | None:
    """Read the watermark of a picture that was transformed."""
    lumas = [frame.luma for frame in frames]
    step = -(-len(frames) // FEW_FRAMES)
    for candidate in candidates(lumas, pattern):
        looked_at = frames if candidate.score >= CLEAR_SCORE else frames[::step]
        reading = _placed(looked_at, candidate, pattern)
        if reading is not None:
            return reading
    return None


def _placed(frames: list[TimedLuma], candidate: Geometry, pattern: Pattern) -> Reading | None:
    """Read the watermark of a picture that fills the frame, or else a part of it."""
    flats = np.stack(list(candidate.flattened([frame.luma for frame in frames])))
    total = _sum(flats, candidate, pattern)
    geometry = candidate.polished(total, pattern)
    whole = weigh(geometry.folded_flats(flats), pattern)
    reading = _found(frames, geometry, flats, whole)
    if reading is not None:
        return reading
    if straight := geometry.nearly_straight:
        geometry = geometry.straightened(total.shape).polished(total, pattern, straight=True)
        evidence = weigh(geometry.folded_flats(flats), pattern)
        reading = _found(frames, geometry, flats, evidence)
        if reading is not None:
            return reading
    total = _sum(flats, geometry, pattern)
    inside = part(total, geometry, pattern)
    geometry = geometry.polished(total * inside, pattern, straight=straight)
    # The synchronisation pattern chose the part, so that its fit there proves nothing.
    seen = replace(
        weigh(geometry.folded_flats(flats * inside), pattern), sync_chance=whole.sync_chance
    )
    return _found(frames, geometry, flats * inside, seen)


def _sum(flats: Float32Array, geometry: Geometry, pattern: Pattern) -> Float32Array:
    """The sum of flattened frames (T, H, W) with the polarity that the pattern shows."""
    weights = shown_polarity(geometry.folded_flats(flats), pattern)
    total: Float32Array = np.tensordot(weights.astype(np.float32), flats, 1)
    return total


def _found(
    frames: list[TimedLuma],
    geometry: Geometry,
    flats: Float32Array,
    evidence: Evidence,
) -> Reading | None:
    """The reading of flattened frames (T, H, W) that were found by a search, if it says enough."""
    p_value = HALVES * evidence.p_value(places=tried(), decodings=LOOKS * MOST_CANDIDATES)
    if p_value > SIGNIFICANCE:
        return None
    return _reading(frames, geometry, geometry.folded_flats(flats), evidence, p_value)


def _reading(
    frames: list[TimedLuma],
    geometry: Geometry,
    folded: Float32Array,
    evidence: Evidence,
    p_value: float,
) -> Reading:
    """What evidence says."""
    tile = evidence.tile()
    lumas = [frame.luma for frame in frames]
    weights = polarities(folded, tile)
    return Reading(
        evidence.identifier,
        p_value,
        len(frames),
        evidence.bit_errors,
        geometry,
        region(lumas, weights, geometry, tile),
        intervals([frame.seconds for frame in frames], weights != 0),
    )


def _reduced(frames: Iterable[TimedLuma]) -> list[TimedLuma]:
    """Copies of the frames at the size of the search: all, or every 2nd, 4th or 8th of them."""
    kept: list[TimedLuma] = []
    step = 1
    for index, (seconds, luma) in enumerate(frames):
        if min(luma.shape) < MIN_SIDE:
            height, width = luma.shape
            raise WatermarkError(f"frames of {width}x{height} pixels: {MIN_SIDE} are the least")
        if index % step:
            continue
        large = min(luma.shape) > SEARCH_SIDE
        kept.append(TimedLuma(seconds, resized(luma, SEARCH_SIDE) if large else luma.copy()))
        if len(kept) > MAX_FRAMES:
            kept, step = kept[::2], step * 2
    return kept
