"""The marks of the package invisible-watermark: dwtDct, dwtDctSvd and rivaGan.

They carry bits without any check: whatever is read from a picture, marked or not, is some bits.

>>> from vasari.watermark.peers import Peer
>>> Peer("dwtDct").read("picture.png")  # doctest: +SKIP
'00c0ffee1234'
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vasari.errors import WatermarkError

Picture = npt.NDArray[np.uint8]

# Name -> how many bits it carries if not told otherwise: what Stable Diffusion XL uses, and the
# only length that rivaGan knows.
METHODS = {"dwtDct": 48, "dwtDctSvd": 48, "rivaGan": 32}
MIN_PIXELS = 256 * 256  # the package refuses smaller pictures
MAX_FRAMES = 25  # that are read of a video, from its beginning
INSTALL = (
    "pip install 'vasari[peers]' && pip install --no-deps invisible-watermark==0.2.0 "
    "(by itself it would replace OpenCV)"
)


class Peer:
    """One method of invisible-watermark, with a number of bits."""

    def __init__(self, method: str, bits: int | None = None) -> None:
        """Prepare the method.

        Args:
            method: dwtDct, dwtDctSvd or rivaGan.
            bits: How many it carries, a multiple of 8; by default 48, and for rivaGan always 32.

        Raises:
            WatermarkError: The method or the number is not known, or the package is missing.
        """
        if method not in METHODS:
            raise WatermarkError(f"method {method!r}: one of {', '.join(METHODS)} is expected")
        self.method, self.bits = method, bits or METHODS[method]
        if self.bits % 8 or not 8 <= self.bits <= 512 or (method == "rivaGan" and self.bits != 32):
            raise WatermarkError(
                f"{self.bits} bits: multiples of 8 up to 512 are expected, for rivaGan 32"
            )
        self._package = _package()
        if method == "rivaGan":
            self._package.WatermarkEncoder.loadModel()

    def mark(self, picture: Picture, payload: str) -> Picture:
        """A marked copy of a picture (H, W, 3) uint8 sRGB.

        Args:
            picture: Of at least 65536 pixels.
            payload: Hexadecimal digits, four bits each.

        Raises:
            WatermarkError: The picture is too small, or the payload has another length.
        """
        self._check(picture)
        encoder = self._package.WatermarkEncoder()
        encoder.set_watermark("bytes", self._bytes(payload))
        blue_first = encoder.encode(np.ascontiguousarray(picture[..., ::-1]), self.method)
        return np.asarray(blue_first, np.uint8)[..., ::-1]

    def received(self, pictures: Iterable[Picture]) -> str:
        """What most of the pictures (H, W, 3) uint8 sRGB say, bit by bit, in hexadecimal digits."""
        decoder = self._package.WatermarkDecoder("bits", self.bits)
        votes = [self._decoded(decoder, picture) for picture in islice(pictures, MAX_FRAMES)]
        bits = np.mean(votes, axis=0) > 0.5
        return np.packbits(bits).tobytes().hex()

    def read(self, path: str | Path) -> str:
        """What a video or image says; see `received`.

        Raises:
            VideoError: The file is missing, is no video, or holds no frame that can be decoded.
            WatermarkError: The pictures are too small.
        """
        from vasari.watermark.frames import shown_pictures

        return self.received(shown_pictures(path))

    def mark_file(self, source: str | Path, output: str | Path, payload: str) -> None:
        """Write a marked copy of a video or an image; raises as `change_file` and `mark` do."""
        from vasari.watermark.media import change_file

        self._bytes(payload)
        change_file(source, output, lambda picture: self.mark(picture, payload))

    def _decoded(self, decoder: Any, picture: Picture) -> npt.NDArray[np.float64]:
        self._check(picture)
        blue_first = np.ascontiguousarray(picture[..., ::-1])
        return np.asarray(decoder.decode(blue_first, self.method), np.float64)

    def _bytes(self, payload: str) -> bytes:
        try:
            content = bytes.fromhex(payload)
        except ValueError:
            content = b""
        if len(content) * 8 != self.bits:
            raise WatermarkError(
                f"payload {payload!r}: {self.bits // 4} hexadecimal digits are expected"
            )
        return content

    @staticmethod
    def _check(picture: Picture) -> None:
        height, width = picture.shape[:2]
        if height * width < MIN_PIXELS:
            raise WatermarkError(f"pictures of {width}x{height}: 65536 pixels are the least")


def _package() -> Any:
    """The package, which imports torch."""
    try:
        import imwatermark
    except ImportError as error:
        raise WatermarkError(f"invisible-watermark is not installed: {INSTALL}") from error
    return imwatermark
