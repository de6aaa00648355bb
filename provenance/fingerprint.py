"""Perceptual fingerprints: whether a clip looks like one that is kept, and which one it looks like.

Each of a few frames is hashed as a whole and in windows cut out of it, so that a crop of the
original is still known. A hash is the signs of the lowest frequencies about their median: 256 bits
of the discrete cosine transform of 32 by 32 pixels (C. Zauner, Implementation and Benchmarking of
Perceptual Image Hash Functions, 2010, section 3.2.1, with four times the bits: portraits resemble
each other in the lowest). Two videos of the same portrait look alike.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vasari.errors import ProvenanceError
from vasari.provenance.pictures import duration, spread_frames

if TYPE_CHECKING:
    from PIL.Image import Image

HashArray = npt.NDArray[np.uint8]  # (N, HASH_BYTES)
LumaArray = npt.NDArray[np.uint8]

ALGORITHM = "org.vasari.fingerprint.1"  # not on the C2PA list: a reverse-domain name
HASH_BITS = 256
HASH_BYTES = HASH_BITS // 8
FRAMES = 6  # spread over the clip
SIDE = 32  # pixels of the picture that is transformed
FREQUENCIES = 17  # of each direction, from which the HASH_BITS lowest are taken, without the mean
WORKING_WIDTH = 160  # pixels in which windows are cut: plenty for 32
STRIP_HEIGHT = 144  # pixels of the frames that are kept to be looked at
STRIP_QUALITY = 70  # of JPEG
MAX_RATIO = 16  # of a picture's sides; one that is longer is squeezed

# (share of each side, place from left and from top in 0..1): the whole, and nine windows each.
_PLACES = tuple((x, y) for y in (0.0, 0.5, 1.0) for x in (0.0, 0.5, 1.0))
WINDOWS = ((1.0, 0.0, 0.0), *((share, *place) for share in (0.9, 0.8, 0.7) for place in _PLACES))

# Bits in which hashes of the same picture differ at most: against all windows, and against whole
# frames only. Of portraits of different people in the same pose, one pair in a thousand comes
# nearer than 62 and 68; compression and scaling change 16 at most.
MAX_DISTANCE = 52
MAX_LOOKUP_DISTANCE = 26

# Whole frames are found in an index by bands of their lowest bits (multi-index hashing: M. Norouzi
# et al., Fast Exact Search in Hamming Space, 2014): two that are near agree in one of them.
BANDS = 4
BAND_BITS = 16
INDEXED_BITS = BANDS * BAND_BITS


@dataclass(frozen=True)
class Fingerprint:
    """What a video or picture looks like."""

    hashes: bytes = b""  # of each frame: of the whole, then of each window, HASH_BYTES each
    strip: bytes = b""  # the frames beside each other as JPEG, to be looked at
    seconds: float = 0.0  # of the clip; 0 for a picture
    width: int = 0  # pixels; 0 if they are not known
    height: int = 0

    def __post_init__(self) -> None:
        if len(self.hashes) % (HASH_BYTES * len(WINDOWS)):
            raise ProvenanceError(f"a fingerprint of {len(self.hashes)} bytes is none")

    @property
    def wholes(self) -> HashArray:
        """The hashes of whole frames (N, HASH_BYTES)."""
        return _rows(self.hashes)[:: len(WINDOWS)]

    def to_json(self) -> bytes:
        """The fingerprint as a file can hold it."""
        told = {
            "algorithm": ALGORITHM,
            "hashes": base64.b64encode(self.hashes).decode(),
            "strip": base64.b64encode(self.strip).decode(),
            "seconds": self.seconds,
            "width": self.width,
            "height": self.height,
        }
        return json.dumps(told).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Fingerprint:
        """Read what `to_json` wrote.

        Raises:
            ProvenanceError: it is none, or of another algorithm.
        """
        try:
            told = json.loads(content)
            if told["algorithm"] != ALGORITHM:
                raise ProvenanceError(f"a fingerprint by {told['algorithm']} is not known")
            hashes, strip = (base64.b64decode(told[name]) for name in ("hashes", "strip"))
            size = int(told["width"]), int(told["height"])
            return cls(hashes, strip, float(told["seconds"]), *size)
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise ProvenanceError(f"this is no fingerprint: {error!r}") from error


def fingerprint_of(path: Path) -> Fingerprint:
    """The fingerprint of a video or picture; an empty one if nothing in it can be decoded."""
    import av

    try:
        return fingerprint_of_images(spread_frames(path, FRAMES), duration(path))
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return Fingerprint()


def fingerprint_of_images(images: Iterable[Image], seconds: float) -> Fingerprint:
    """The fingerprint of a clip by its frames at `moments`, in order; empty if there are none."""
    hashes, size = b"", (0, 0)
    small: list[Image] = []
    for image in images:  # one at a time, for they may be large
        hashes += _hashes(_luma(image), WINDOWS).tobytes()
        size = size if small else image.size
        width = _scaled(STRIP_HEIGHT, size[0] / size[1])
        small.append(image.convert("RGB").resize((width, STRIP_HEIGHT)))
    return Fingerprint(hashes, _strip(small), seconds, *size) if small else Fingerprint()


def moments(count: int) -> list[int]:
    """Which of a clip's frames its fingerprint is taken of, each once."""
    return sorted({int((part + 0.5) / FRAMES * count) for part in range(FRAMES)})


def fingerprint_of_picture(content: bytes) -> Fingerprint:
    """The fingerprint of one picture, for instance the thumbnail that a manifest carries."""
    from PIL import Image

    return fingerprint_of_images([Image.open(io.BytesIO(content))], 0.0)


def frames_of(fingerprint: Fingerprint) -> list[bytes]:
    """The frames that a fingerprint keeps to be looked at, as JPEG."""
    from PIL import Image

    if not fingerprint.strip:
        return []
    strip = Image.open(io.BytesIO(fingerprint.strip))
    width = strip.width // max(len(fingerprint.wholes), 1)
    cuts = (strip.crop((left, 0, left + width, strip.height))
            for left in range(0, strip.width - width + 1, width))  # fmt: skip
    return [_jpeg(cut) for cut in cuts]


def distance(clip: Fingerprint, original: Fingerprint) -> float | None:
    """How far the frames of a clip are from an original, of which it may be a crop.

    Returns:
        The median over its frames of the bits, 0 to 256, by which each differs from the nearest
        frame or window of the original; None if there is nothing to compare.
    """
    return _median(clip.wholes, _rows(original.hashes))


def whole_distance(clip: Fingerprint, original: Fingerprint) -> float | None:
    """How far the frames of a clip are from the whole frames of an original, as in `distance`."""
    return _median(clip.wholes, original.wholes)


def index_keys(fingerprint: Fingerprint) -> dict[int, int]:
    """What a fingerprint is found by: key -> the indexed bits of the frame, as a signed integer.

    A key is the number of a band, and the bits of the frame in that band.
    """
    return {
        (band << BAND_BITS) | (bits >> (BAND_BITS * band)) & ((1 << BAND_BITS) - 1): _signed(bits)
        for bits in _indexed_bits(fingerprint.wholes)
        for band in range(BANDS)
    }


def _indexed_bits(wholes: HashArray) -> Iterator[int]:
    """The lowest bits of each frame, so that neighbouring frequencies fall into different bands."""
    lowest = np.unpackbits(wholes[:, : INDEXED_BITS // 8], axis=1)
    spread = lowest.reshape(-1, BAND_BITS, BANDS).transpose(0, 2, 1).reshape(-1, INDEXED_BITS)
    for row in np.packbits(spread, axis=1):
        yield int.from_bytes(row.tobytes(), "big")


def _signed(bits: int) -> int:
    """64 bits as a database holds them."""
    return bits - (1 << INDEXED_BITS) if bits >> (INDEXED_BITS - 1) else bits


def _median(frames: HashArray, known: HashArray) -> float | None:
    if len(frames) == 0 or len(known) == 0:
        return None
    differing = np.unpackbits(frames[:, None] ^ known[None], axis=2).sum(2)
    return float(np.median(differing.min(1)))


def _rows(hashes: bytes) -> HashArray:
    return np.frombuffer(hashes, np.uint8).reshape(-1, HASH_BYTES)


def _scaled(side: int, ratio: float) -> int:
    """The other side of a picture, in pixels; a stranger's line of pixels stays small."""
    return min(max(round(side * ratio), 1), MAX_RATIO * side)


def _strip(images: list[Image]) -> bytes:
    """Pictures of one size beside each other as JPEG."""
    from PIL import Image

    width = images[0].width
    strip = Image.new("RGB", (width * len(images), STRIP_HEIGHT))
    for index, image in enumerate(images):
        strip.paste(image, (index * width, 0))
    return _jpeg(strip)


def _jpeg(image: Image) -> bytes:
    output = io.BytesIO()
    image.save(output, "JPEG", quality=STRIP_QUALITY)
    return output.getvalue()


def _hashes(luma: LumaArray, windows: tuple[tuple[float, float, float], ...]) -> HashArray:
    """Hashes (N, HASH_BYTES) uint8 of windows of a luma plane (H, W)."""
    height, width = luma.shape
    cut = []
    for share, x, y in windows:
        rows, columns = max(round(share * height), 1), max(round(share * width), 1)
        top, left = round(y * (height - rows)), round(x * (width - columns))
        cut.append(_hash(luma[top : top + rows, left : left + columns]))
    return np.stack(cut)


def _hash(luma: LumaArray) -> HashArray:
    """The bits (HASH_BYTES,) uint8 of one picture, from the lowest frequency up."""
    import cv2

    small = cv2.resize(luma, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:FREQUENCIES, :FREQUENCIES].ravel()[_ORDER]
    return np.packbits(low > np.median(low))


_ORDER = (
    np.add.outer(np.arange(FREQUENCIES), np.arange(FREQUENCIES))
    .ravel()
    .argsort(kind="stable")[1 : HASH_BITS + 1]
)


def _luma(image: Image) -> LumaArray:
    """The luma plane of a picture, (H, W) uint8, at the size in which windows are cut."""
    from PIL import Image as Pillow

    height = _scaled(WORKING_WIDTH, image.height / image.width)
    small = image.convert("L").resize((WORKING_WIDTH, height), Pillow.Resampling.BOX)
    return np.asarray(small, np.uint8)
