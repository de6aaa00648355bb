"""Luma and chroma, as the standard has them."""

from __future__ import annotations

import numpy as np

from vasari.generate.colour import to_i420


def test_i420_is_bt601_with_averaged_chroma() -> None:
    image = np.random.default_rng(2).integers(0, 256, (8, 12, 3), np.uint8)
    red, green, blue = np.moveaxis(image.astype(float), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    pairs = [(blue - luma) / 1.772, (red - luma) / 1.402]
    chroma = [
        (128 + plane * 224 / 255).reshape(4, 2, 6, 2).mean((1, 3)).reshape(-1) for plane in pairs
    ]
    planes = to_i420(image).astype(float)
    assert np.abs(planes[:8] - (16 + luma * 219 / 255)).max() <= 1
    assert np.abs(planes[8:].reshape(2, -1) - chroma).max() <= 2
