"""Frames in the form that encoders want, in PyTorch: what `vasari.generate.marking` does to one."""

from __future__ import annotations

import torch

from vasari.generate.marking import CHROMA_MIDDLE, CHROMA_SCALE

# OpenCV's whole-number weights of BT.601: luma of video's range, 20 bits, and of the full one, 14.
VIDEO_BITS, VIDEO_LUMA, VIDEO_BLACK = 20, (269484, 528482, 102760), 16
FULL_BITS, FULL_LUMA = 14, (4899, 9617, 1868)
BLUE_SCALE, RED_SCALE = 9241, 11682  # of chroma's differences from luma, 14 bits


def to_i420(frames: torch.Tensor) -> torch.Tensor:
    """Frames, (B, S, S, 3) uint8 sRGB, as I420, (B, 3 S / 2, S) uint8, as `marking.to_i420`."""
    side = frames.shape[1]
    whole = frames.to(torch.int32)
    luma = _weighed(whole, VIDEO_LUMA, VIDEO_BITS) + VIDEO_BLACK
    squares = whole.view(-1, side // 2, 2, side // 2, 2, 3)
    half = (squares.sum((2, 4), dtype=torch.int32) + 2) >> 2
    grey = _weighed(half, FULL_LUMA, FULL_BITS)
    chroma = [
        _chroma(half[..., channel] - grey, scale)
        for channel, scale in ((2, BLUE_SCALE), (0, RED_SCALE))
    ]
    planes = [plane.flatten(1).view(len(frames), -1, side) for plane in (luma, *chroma)]
    return torch.cat(planes, 1).to(torch.uint8)


def _weighed(colours: torch.Tensor, weights: tuple[int, int, int], bits: int) -> torch.Tensor:
    """The sum of colours, (..., 3) int32, with weights of so many bits, rounded."""
    red, green, blue = (colours[..., channel] * weight for channel, weight in enumerate(weights))
    return (red + green + blue + (1 << bits - 1)) >> bits


def _chroma(difference: torch.Tensor, scale: int) -> torch.Tensor:
    """A plane of chroma, int32, from how far a colour differs from luma, int32."""
    middle = (CHROMA_MIDDLE << FULL_BITS) + (1 << FULL_BITS - 1)
    full = ((difference * scale + middle) >> FULL_BITS).clamp(0, 255)
    video = full * CHROMA_SCALE + CHROMA_MIDDLE * (1 - CHROMA_SCALE)
    return video.round().to(torch.int32)
