"""The touch-up's network in PyTorch, for training and for graphics processors."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from vasari.models.touchup import limits, shipped_model

WIDTHS = (16, 32, 48)  # channels at a half, a quarter and an eighth of a patch's size


class Part(nn.Module):  # type: ignore[misc]  # without PyTorch its base is unknown
    """A small U-Net (Ronneberger et al. 2015) from looks at eyes or mouths to what to change.

    Args:
        height: of a patch, pixels.
        width: of a patch, pixels.
    """

    limits: torch.Tensor

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        wide, wider, widest = WIDTHS
        self.down1 = nn.ModuleList([_convolution(7, wide, 2), _convolution(wide, wide)])
        self.down2 = nn.ModuleList([_convolution(wide, wider, 2), _convolution(wider, wider)])
        self.down3 = nn.ModuleList([_convolution(wider, widest, 2), _convolution(widest, widest)])
        self.up3 = nn.ModuleList([_convolution(widest, widest), _convolution(widest, wider)])
        self.up2 = nn.ModuleList([_convolution(wider, wider), _convolution(wider, wide)])
        self.up1 = _convolution(wide, wide)
        self.last = _convolution(wide, 4 * 5)
        nn.init.zeros_(self.last.weight)
        self.register_buffer("limits", torch.from_numpy(limits(height, width)), persistent=False)

    def forward(self, looks: torch.Tensor) -> torch.Tensor:
        """From (n, 7, h, w) looks to answers, (n, 20, h / 2, w / 2)."""
        tone = looks[:, 3:6].mean((2, 3), keepdim=True)
        seen = torch.cat([looks[:, :3] - tone, looks[:, 3:6] - tone, looks[:, 6:]], dim=1)
        first = _chain(self.down1, seen)
        second = _chain(self.down2, first)
        deep = _chain(self.up3, _chain(self.down3, second))
        middle = _chain(self.up2, _double(deep) + second)
        return self.last(functional.relu(self.up1(_double(middle) + first)))

    def fields(self, looks: torch.Tensor) -> torch.Tensor:
        """From (n, 7, h, w) looks to (n, 5, h, w) shifts and added colours."""
        return torch.tanh(functional.pixel_shuffle(self(looks), 2)) * self.limits


class Network(nn.Module):  # type: ignore[misc]
    """A part for the eyes and a part for the mouth.

    Looks are in the order of `vasari.generate.touchup.REGIONS`: the first two thirds are at eyes.

    Args:
        height: of a patch, pixels.
        width: of a patch, pixels.
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.eyes, self.mouth = Part(height, width), Part(height, width)

    @classmethod
    def shipped(cls, height: int, width: int) -> Network:
        """The network with the weights that come with Vasari.

        Raises:
            VasariError: the weights are damaged.
        """
        import cv2

        network: Network = cls(height, width).requires_grad_(False).eval()
        # OpenCV reads ONNX, so that PyTorch alone is enough to use the weights.
        model = cv2.dnn.readNetFromONNX(np.frombuffer(shipped_model(), np.uint8))
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Conv2d):
                kernel, bias = model.getLayer(_node(name)).blobs
                layer.weight.copy_(torch.from_numpy(kernel))
                layer.bias.copy_(torch.from_numpy(bias.ravel()))
        return network

    def forward(self, looks: torch.Tensor) -> torch.Tensor:
        """From (n, 7, h, w) looks to answers, (n, 20, h / 2, w / 2)."""
        eyes = 2 * looks.shape[0] // 3
        return torch.cat([self.eyes(looks[:eyes]), self.mouth(looks[eyes:])])

    def fields(self, looks: torch.Tensor) -> torch.Tensor:
        """From (n, 7, h, w) looks to (n, 5, h, w) shifts and added colours."""
        eyes = 2 * looks.shape[0] // 3
        return torch.cat([self.eyes.fields(looks[:eyes]), self.mouth.fields(looks[eyes:])])


def _node(name: str) -> str:
    """What OpenCV calls a convolution that PyTorch calls eyes.down1.0."""
    return f"onnx_node!/{name.replace('.', '/', 1)}/Conv"


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1)


def _chain(layers: nn.ModuleList, values: torch.Tensor) -> torch.Tensor:
    for layer in layers:
        values = functional.relu(layer(values))
    return values


def _double(values: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(values, scale_factor=2, mode="nearest")
