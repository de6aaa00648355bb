"""Frames in the form that encoders want, in PyTorch: what `vasari.generate.colour` does to one."""

from __future__ import annotations

import torch

from vasari.generate.colour import BLACK, BLUE, CHROMA_BITS, LUMA, LUMA_BITS, MIDDLE, RED


def to_i420(frames: torch.Tensor) -> torch.Tensor:
    """Frames, (B, S, S, 3) uint8 sRGB, as I420, (B, 3 S / 2, S) uint8, as `colour.to_i420`."""
    side = frames.shape[1]
    whole = frames.to(torch.int32)
    squares = whole.view(-1, side // 2, 2, side // 2, 2, 3)
    half = (squares.sum((2, 4), dtype=torch.int32) + 2) >> 2
    planes = [
        _weighed(whole, LUMA, LUMA_BITS, BLACK),
        *(_weighed(half, weights, CHROMA_BITS, MIDDLE) for weights in (BLUE, RED)),
    ]
    flat = [plane.flatten(1).view(len(frames), -1, side) for plane in planes]
    return torch.cat(flat, 1).to(torch.uint8)


def _weighed(
    colours: torch.Tensor, weights: tuple[int, int, int], bits: int, middle: int
) -> torch.Tensor:
    """The sum of colours, (..., 3) int32, with weights of so many bits, rounded, about a middle."""
    red, green, blue = (colours[..., channel] * weight for channel, weight in enumerate(weights))
    return (red + green + blue + (middle << bits) + (1 << bits - 1)) >> bits
