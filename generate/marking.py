"""The gate that frames leave through: what comes out is marked, and only that can be shown.

`VideoWriter` and `vasari.frames` take `MarkedFrame`, and only a `Marker` makes one. Frames are
marked in the form that the encoder wants, so that no conversion stands between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.generate.colour import to_i420
from vasari.watermark.embedding import Embedder

ImageArray = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class MarkedFrame:
    """A picture that carries the watermark."""

    planes: (
        ImageArray  # (3 H / 2, W) uint8: Y, then Cb, then Cr at half size (I420, BT.601 limited)
    )

    def rgb(self) -> ImageArray:
        """The picture as (H, W, 3) uint8 sRGB."""
        import cv2

        return np.asarray(cv2.cvtColor(self.planes, cv2.COLOR_YUV2RGB_I420), np.uint8)


class Marker:
    """Turns rendered pictures of one clip into marked frames."""

    def __init__(self, identifier: int, height: int, width: int) -> None:
        """Prepare the mark.

        Args:
            identifier: the clip's watermark id.
            height: pixels, even.
            width: pixels, even.
        """
        self._embedder = Embedder(identifier, height, width)

    def mark(self, frame: ImageArray) -> MarkedFrame:
        """Convert and mark one picture.

        Args:
            frame: (H, W, 3) uint8 sRGB, left as it was, or I420, (3 H / 2, W) uint8, changed.
        """
        planes = frame if frame.ndim == 2 else to_i420(frame)
        width = frame.shape[1]
        height = len(planes) * 2 // 3
        chroma = planes[height:].reshape(2, height // 2, width // 2)
        self._embedder.mark(planes[:height], chroma)
        return MarkedFrame(planes)
