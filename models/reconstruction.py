"""Small autoencoders whose reconstructions of real crops carry the traces of generators.

Nearly every neural generator ends in the same few ways to make a picture larger: transposed
convolutions, enlarged maps, shuffled channels. A detector that has seen each on real faces need
not have seen the generator.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

ImageArray = npt.NDArray[np.uint8]

UPSAMPLERS = ("transposed", "nearest", "shuffle")
WIDTH = 24
LATENT = 12  # channels at a quarter of the side
BATCH = 8
RATE = 2e-3


class Autoencoder(nn.Module):
    """Pictures to a quarter of their side and back.

    Args:
        upsampler: one of UPSAMPLERS.
    """

    def __init__(self, upsampler: str) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, WIDTH, 4, 2, 1),
            nn.SiLU(),
            nn.Conv2d(WIDTH, WIDTH, 4, 2, 1),
            nn.SiLU(),
            nn.Conv2d(WIDTH, LATENT, 3, 1, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(LATENT, WIDTH, 3, 1, 1),
            nn.SiLU(),
            _larger(upsampler, WIDTH, WIDTH),
            nn.SiLU(),
            _larger(upsampler, WIDTH, 3),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(n, 3, h, w) in 0..1 to about the same."""
        shown: torch.Tensor = self.decoder(self.encoder(images - 0.5)) + 0.5
        return shown


def _larger(upsampler: str, inputs: int, outputs: int) -> nn.Module:
    """A layer that doubles the side."""
    if upsampler == "transposed":
        return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)
    if upsampler == "nearest":
        return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, 1, 1))
    return nn.Sequential(nn.Conv2d(inputs, 4 * outputs, 3, 1, 1), nn.PixelShuffle(2))


def train_autoencoder(
    crops: npt.NDArray[np.uint8], upsampler: str, steps: int, random: np.random.Generator
) -> Autoencoder:
    """Train one on crops, (n, side, side, 3) uint8, for the mean error and that of the edges."""
    network = Autoencoder(upsampler)
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    for _ in range(steps):
        images = as_images(crops[random.integers(len(crops), size=BATCH)])
        shown = network(images)
        loss = functional.l1_loss(shown, images) + sum(
            functional.l1_loss(shown.diff(dim=axis), images.diff(dim=axis)) for axis in (2, 3)
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


@torch.no_grad()
def reconstructed(network: Autoencoder, crops: npt.NDArray[np.uint8]) -> Iterator[ImageArray]:
    """What an autoencoder makes of each crop, (side, side, 3) uint8."""
    for start in range(0, len(crops), BATCH):
        shown = network(as_images(crops[start : start + BATCH])).clamp(0, 1)
        yield from (shown.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()


def as_images(crops: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Crops, (n, side, side, 3) uint8, as (n, 3, side, side) float32 in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).float() / 255
