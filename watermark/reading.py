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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vasari.errors import WatermarkError
from vasari.watermark.evidence import weigh
from vasari.watermark.frames import LumaArray, sampled_luma
from vasari.watermark.geometry import UPRIGHT, Geometry, candidates, tried
from vasari.watermark.pattern import Pattern
from vasari.watermark.payload import PUBLIC_KEY
from vasari.watermark.tiles import SIDE, flatten, fold, resized

# A clip counts as marked if chance alone gives such a fit in fewer than one of 10^9 unmarked clips.
SIGNIFICANCE = 1e-9
MAX_FRAMES = 128  # frames held in memory; of a longer sequence every second is dropped
MIN_SIDE = 32  # pixels; nothing is left of the chips in a smaller frame
# Pixels of the short side to which frames are reduced: enough for a picture in a picture.
SEARCH_SIDE = 2 * SIDE


@dataclass(frozen=True)
class Reading:
    """A watermark that was found."""

    identifier: int  # 48 bits
    p_value: float  # bound on the chance of such a reading in a clip without the watermark
    frames: int  # frames from which it was read
    bit_errors: int  # of the 127 coded bits, how many were received wrong
    geometry: Geometry  # how the marked picture lies in the frame


def read_video(
    path: str | Path, *, key: bytes = PUBLIC_KEY, transformed: bool = True
) -> Reading | None:
    """Read the watermark of a video or image file, or None if there is none with this key.

    Args:
        path: Anything that PyAV can decode.
        key: The key with which it was embedded.
        transformed: Look also for a picture that was cropped, rotated by up to 15 degrees,
            mirrored, stretched or set into a larger one. It takes seconds.

    Raises:
        VideoError: The file is missing, is no video, or holds no frame that can be decoded.
    """
    return read_frames(sampled_luma(path), key=key, transformed=transformed)


def read_frames(
    frames: Iterable[LumaArray], *, key: bytes = PUBLIC_KEY, transformed: bool = True
) -> Reading | None:
    """Read the watermark of luma planes (H, W) uint8 in their order, or None if there is none.

    Raises:
        WatermarkError: The planes are smaller than 32 pixels.
    """
    kept = _reduced(frames)
    if not kept:
        return None
    pattern = Pattern.from_key(key)
    folded = np.stack([fold(flatten(resized(luma, SIDE))) for luma in kept])
    evidence = weigh(folded, pattern)
    if evidence.p_value <= SIGNIFICANCE / 2:  # the other half is for the search
        p_value = 2 * evidence.p_value
        return Reading(evidence.identifier, p_value, len(kept), evidence.bit_errors, UPRIGHT)
    return _searched(kept, pattern) if transformed else None


def _searched(frames: list[LumaArray], pattern: Pattern) -> Reading | None:
    """Read the watermark of a picture that was transformed."""
    for geometry in candidates(frames, pattern):
        evidence = weigh(geometry.folded(frames), pattern)
        p_value = min(1.0, 2 * tried() * evidence.p_value)
        if p_value <= SIGNIFICANCE:
            return Reading(evidence.identifier, p_value, len(frames), evidence.bit_errors, geometry)
    return None


def _reduced(frames: Iterable[LumaArray]) -> list[LumaArray]:
    """Copies of the frames at the size of the search: all, or every 2nd, 4th or 8th of them."""
    kept: list[LumaArray] = []
    step = 1
    for index, luma in enumerate(frames):
        if min(luma.shape) < MIN_SIDE:
            height, width = luma.shape
            raise WatermarkError(f"frames of {width}x{height} pixels: {MIN_SIDE} are the least")
        if index % step:
            continue
        kept.append(resized(luma, SEARCH_SIDE) if min(luma.shape) > SEARCH_SIDE else luma.copy())
        if len(kept) > MAX_FRAMES:
            kept, step = kept[::2], step * 2
    return kept
