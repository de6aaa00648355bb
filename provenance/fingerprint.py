"""Perceptual fingerprints: whether a clip looks like the original that its watermark names.

Each of a few frames is hashed as a whole and in windows cut out of it, so that a crop of the
original is still known. A hash is the signs of low frequencies about their median: 64 bits of the
discrete cosine transform of 32 by 32 pixels (C. Zauner, Implementation and Benchmarking of
Perceptual Image Hash Functions, 2010, section 3.2.1). Two videos of the same portrait look alike.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.provenance.pictures import spread_frames

HashArray = npt.NDArray[np.uint8]  # (N, 8): 64 bits each
LumaArray = npt.NDArray[np.uint8]

HASH_BYTES = 8
FRAMES = 6  # spread over the clip
SIDE = 32  # pixels of the picture that is transformed
FREQUENCIES = 9  # of each direction; the first, the mean, is left out
WORKING_WIDTH = 160  # pixels in which windows are cut: plenty for 32

# (share of each side, place from left and from top in 0..1): the whole, and nine windows each.
_PLACES = tuple((x, y) for y in (0.0, 0.5, 1.0) for x in (0.0, 0.5, 1.0))
WINDOWS = ((1.0, 0.0, 0.0), *((share, *place) for share in (0.9, 0.8, 0.7) for place in _PLACES))

# Bits in which hashes of the same picture differ at most (Zauner finds 10 of 64 customary).
MAX_DISTANCE = 10.0


def fingerprint_of(path: Path) -> bytes:
    """The fingerprint of a video or picture that can be decoded: hashes of frames and windows."""
    hashes = [_hashes(_luma(image), WINDOWS) for image in spread_frames(path, FRAMES)]
    return b"".join(each.tobytes() for each in hashes)


def fingerprint_of_picture(content: bytes) -> bytes:
    """The fingerprint of one picture, for instance the thumbnail that a manifest carries."""
    from PIL import Image

    return _hashes(_luma(Image.open(io.BytesIO(content))), WINDOWS).tobytes()


def distance(path: Path, original: bytes) -> float | None:
    """How far the frames of a file are from an original.

    Args:
        path: a video or picture that can be decoded.
        original: its fingerprint.

    Returns:
        The median over its frames of the bits, 0 to 64, by which each differs from the nearest
        frame or window of the original; None if there is nothing to compare.
    """
    known = np.frombuffer(original, np.uint8).reshape(-1, HASH_BYTES)
    frames = [_hashes(_luma(image), WINDOWS[:1])[0] for image in spread_frames(path, FRAMES)]
    if not frames or len(known) == 0:
        return None
    differing = np.unpackbits(np.stack(frames)[:, None] ^ known[None], axis=2).sum(2)
    return float(np.median(differing.min(1)))


def _hashes(luma: LumaArray, windows: tuple[tuple[float, float, float], ...]) -> HashArray:
    """Hashes (N, 8) uint8 of windows of a luma plane (H, W)."""
    height, width = luma.shape
    cut = []
    for share, x, y in windows:
        rows, columns = max(round(share * height), 1), max(round(share * width), 1)
        top, left = round(y * (height - rows)), round(x * (width - columns))
        cut.append(_hash(luma[top : top + rows, left : left + columns]))
    return np.stack(cut)


def _hash(luma: LumaArray) -> HashArray:
    """The 64 bits (8,) uint8 of one picture."""
    import cv2

    small = cv2.resize(luma, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:FREQUENCIES, :FREQUENCIES].ravel()[1:65]
    return np.packbits(low > np.median(low))


def _luma(image: object) -> LumaArray:
    """The luma plane of a picture, (H, W) uint8, at the size in which windows are cut."""
    from PIL import Image

    assert isinstance(image, Image.Image)
    height = max(round(image.height * WORKING_WIDTH / image.width), 1)
    small = image.convert("L").resize((WORKING_WIDTH, height), Image.Resampling.BOX)
    return np.asarray(small, np.uint8)
