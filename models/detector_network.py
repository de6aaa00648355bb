"""The detector's networks in PyTorch: our own, and the baselines; only training needs them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

WIDTHS = (32, 48, 96, 128)
RESIDUAL_LIMIT = 0.12  # of the range of luma: larger residues are edges of the scene

# High-pass kernels of steganalysis (Fridrich & Kodovsky 2012), which leave what a camera, a codec
# or a generator adds: the second differences across and down, and the square of five.
SECOND_ACROSS = (
    (0, 0, 0, 0, 0),
    (0, 0, 0, 0, 0),
    (0, 1, -2, 1, 0),
    (0, 0, 0, 0, 0),
    (0, 0, 0, 0, 0),
)
SQUARE = (
    (-1, 2, -2, 2, -1),
    (2, -6, 8, -6, 2),
    (-2, 8, -12, 8, -2),
    (2, -6, 8, -6, 2),
    (-1, 2, -2, 2, -1),
)
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Residue(nn.Module):  # type: ignore[misc]  # without PyTorch its base is unknown
    """What is left of luma behind the high-pass kernels: (n, 3, h, w) to (n, 3, h, w), -1..1."""

    kernels: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        across = torch.tensor(SECOND_ACROSS, dtype=torch.float32) / 2
        square = torch.tensor(SQUARE, dtype=torch.float32) / 12
        kernels = torch.stack([across, across.T, square])[:, None]
        self.register_buffer("kernels", kernels * torch.tensor(LUMA)[None, :, None, None])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Filter images in 0..1."""
        residue = functional.conv2d(images, self.kernels, padding=2)
        return residue.clamp(-RESIDUAL_LIMIT, RESIDUAL_LIMIT) / RESIDUAL_LIMIT


def _step(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Block(nn.Module):  # type: ignore[misc]
    """Two convolutions beside the way around them (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _step(width, width, 1)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(n, width, h, w) to the same shape."""
        return functional.relu(maps + self.second(self.first(maps)))


class DetectorNet(nn.Module):  # type: ignore[misc]
    """Crops to a map of evidence whose mean is the log odds of the crop.

    The mean is the whole head, so that the map is exactly the score's own heat map, as class
    activation maps (Zhou et al. 2016) are for a linear head.
    """

    def __init__(self) -> None:
        super().__init__()
        stem, low, middle, high = WIDTHS
        self.residue = Residue()
        self.body = nn.Sequential(
            _step(6, stem, 2),
            _step(stem, low, 2),
            Block(low),
            _step(low, middle, 2),
            Block(middle),
            _step(middle, high, 2),
            Block(high),
            nn.Dropout2d(0.2),
            nn.Conv2d(high, 1, 1),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(n, 3, h, w) in 0..1 to (n, 1, h / 16, w / 16) log odds."""
        maps: torch.Tensor = self.body(torch.cat([images - 0.5, self.residue(images)], dim=1))
        return maps


class Baseline(nn.Module):  # type: ignore[misc]
    """A network of others with a head of global average pooling: logits, (n, 1)."""

    def __init__(self, features: nn.Module, width: int) -> None:
        super().__init__()
        self.features = features
        self.head = nn.Linear(width, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(n, 3, h, w) in 0..1 to (n, 1) log odds."""
        maps = self.features((images - 0.45) / 0.225)  # about the mean and spread of photographs
        logits: torch.Tensor = self.head(functional.relu(maps).mean(dim=(2, 3)))
        return logits


def make_network(name: str) -> tuple[nn.Module, int]:
    """A network and the side of its crops in pixels.

    Args:
        name: "vasari", "vgg19", "densenet121" (torchvision), or the name of a timm model.
    """
    if name == "vasari":
        return DetectorNet(), 112
    if name == "vgg19":
        from torchvision.models import vgg19_bn

        return Baseline(vgg19_bn(weights=None).features, 512), 112
    if name == "densenet121":
        from torchvision.models import densenet121

        return Baseline(densenet121(weights=None).features, 1024), 112
    import timm

    return timm.create_model(name, pretrained=False, num_classes=1), 112
