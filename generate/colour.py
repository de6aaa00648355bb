"""Pictures in the form that encoders want: luma, and chroma at half the size."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

ImageArray = npt.NDArray[np.uint8]

# Y'CbCr of ITU-R BT.601 in the limited range of video, 8 bits, as whole numbers: weights of red,
# green and blue, and what is added, of so many bits. Luma spans 219 levels from 16 on, chroma 224
# about 128.
LUMA_BITS, LUMA, BLACK = 20, (269484, 528482, 102760), 16
CHROMA_BITS, BLUE, RED, MIDDLE = 16, (-9714, -19070, 28784), (28784, -24103, -4681), 128


def to_i420(frame: ImageArray) -> ImageArray:
    """Convert (H, W, 3) uint8 sRGB to I420, (3 H / 2, W) uint8, BT.601 limited range.

    Chroma is the mean of each 2 by 2 pixels; OpenCV's own conversion takes one of the four,
    which makes fine hair sparkle.
    """
    import cv2

    height, width = frame.shape[:2]
    half = cv2.resize(frame, (width // 2, height // 2), interpolation=cv2.INTER_AREA).reshape(-1)
    planes = np.empty((height * 3 // 2, width), np.uint8)
    _weigh(np.ascontiguousarray(frame).reshape(-1), LUMA, LUMA_BITS, BLACK, planes[:height].ravel())
    for plane, weights in zip(planes[height:].reshape(2, -1), (BLUE, RED), strict=True):
        _weigh(half, weights, CHROMA_BITS, MIDDLE, plane)
    return planes


@numba.njit(cache=True, nogil=True)
def _weigh(colours, weights, bits, middle, plane):  # type: ignore[no-untyped-def]
    """Fill a plane, (N,) uint8, with sums of colours, (3 N,) uint8, with weights of so many bits.

    All in 32 bits, in one row, so that it is vectorised.
    """
    red, green, blue = np.int32(weights[0]), np.int32(weights[1]), np.int32(weights[2])
    shift = np.int32(bits)
    added = np.int32((middle << bits) + (1 << bits - 1))
    for i in range(len(plane)):
        total = red * np.int32(colours[3 * i]) + green * np.int32(colours[3 * i + 1])
        total += blue * np.int32(colours[3 * i + 2]) + added
        plane[i] = total >> shift
