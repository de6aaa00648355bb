"""The renderer in PyTorch: many frames of a portrait at once, for graphics processors.

What is worked out once for a portrait is `Figure`, as for the renderer of one frame after another;
it is uploaded once. Poses go up and finished frames come back, nothing between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch

from vasari.errors import InputError
from vasari.generate.figure import DETAIL, Figure
from vasari.generate.motion import Motion
from vasari.generate.portrait import Portrait
from vasari.generate.render import FOLD, Pose, poses
from vasari.generate.torch_colour import to_i420
from vasari.generate.torch_eyes import Eyes
from vasari.generate.torch_geometry import Geometry
from vasari.generate.torch_mouth import Mouths
from vasari.generate.torch_patch import upload
from vasari.generate.torch_raster import find_folds, look_up, rasterise, soften
from vasari.generate.torch_shading import Shadings
from vasari.generate.torch_touchup import TouchUps

ImageArray = npt.NDArray[np.uint8]

# Frames rendered at once: so many pixels keep a large processor busy and take two or three
# gigabytes of its memory.
PIXELS_AT_ONCE = 2**23
MOST_AT_ONCE = 32


class TorchRenderer:
    """Shows a portrait in motion, as `vasari.generate.render.Renderer` does.

    Its frames differ from that one's by rounding; the same device gives the same frames.

    Args:
        portrait: whom it shows.
        device: PyTorch's name of the processor, as ``cuda``.
        touch_up: whether a small network repairs eyes and mouth.
        planes: whether frames come as I420, (3 S / 2, S), which saves the way back and a
            conversion.
    """

    def __init__(
        self, portrait: Portrait, device: str, *, touch_up: bool = True, planes: bool = False
    ) -> None:
        self.batch = min(max(PIXELS_AT_ONCE // portrait.size**2, 1), MOST_AT_ONCE)
        self._side, self._device, self._planes = portrait.size, torch.device(device), planes
        side, device = self._side, self._device
        figure = Figure.of(portrait)
        self._faces = torch.from_numpy(figure.sheet.faces).to(device).long()
        self._sources = upload(figure.sources, device)[None]
        self._texture = upload(figure.texture, device)
        self._background = torch.from_numpy(portrait.layers.background).to(device)
        self._touch_up = TouchUps(portrait, device) if touch_up else None
        skull = self._touch_up.anchors if self._touch_up else np.empty((0, 3), np.float32)
        self._geometry = Geometry(portrait, figure, skull, device)
        self._eyes = Eyes(figure.eyes, side, device)
        self._mouth = Mouths(figure.mouth, side, device)
        self._shading = Shadings(figure.shading, side, device)

    def frames(self, blocks: Iterable[Motion]) -> Iterator[ImageArray]:
        """Render motions one after the other.

        Yields:
            (S, S, 3) uint8 sRGB, or planes, one for each frame of the motions.
        """
        waiting = poses(blocks)
        while batch := list(islice(waiting, self.batch)):
            yield from self._fetch(batch)

    def _fetch(self, batch: list[Pose]) -> Iterator[ImageArray]:
        """Some frames; fewer are rendered at once from now on if the device's memory is short."""
        # A batch is always full, so that a frame does not depend on how many come with it.
        full = batch + batch[-1:] * (self.batch - len(batch))
        try:
            rendered = self._render(full).cpu().numpy()
        except torch.OutOfMemoryError as error:
            if self.batch == 1:
                raise InputError(
                    f"the memory of {self._device} is too small for one frame of {self._side} "
                    "pixels; give device cpu, or a smaller size"
                ) from error
        else:
            yield from rendered[: len(batch)]
            return
        self.batch //= 2
        while batch:
            part, batch = batch[: self.batch], batch[self.batch :]
            yield from self._fetch(part)

    def _render(self, batch: Sequence[Pose]) -> torch.Tensor:
        """Some frames, (B, S, S, 3) uint8, or their planes."""
        stand = self._geometry.stand(batch)
        frames = self._draw_sheet(stand.sheet)
        mesh = stand.mesh[..., :2]
        self._eyes.paint(frames, mesh, [ball[..., :2] for ball in stand.balls], batch)
        self._mouth.paint(frames, stand)
        self._shading.apply(frames, stand.sheet, stand.turned)
        if self._touch_up:
            self._touch_up.apply(frames, stand.skull[..., :2], mesh, batch)
        return to_i420(frames) if self._planes else frames

    def _draw_sheet(self, points: torch.Tensor) -> torch.Tensor:
        """The person at the sheet's points, (B, N, 3), over the background."""
        drawn = rasterise(self._faces, points, self._sources, self._side)
        layer = look_up(self._texture, *drawn.values.unbind(1)).to(torch.int32)
        frames = self._background.repeat(len(points), 1, 1, 1)
        flat = frames.view(-1, 3)
        colours, alpha = layer[:, :3], layer[:, 3:]
        mixed = colours * alpha + flat[drawn.pixels] * (255 - alpha) + 127
        flat[drawn.pixels] = torch.div(mixed, 255, rounding_mode="floor").to(torch.uint8)
        maps = torch.zeros((*frames.shape[:3], 2), device=self._device)
        maps.view(-1, 2)[drawn.pixels] = drawn.values
        shown = torch.zeros(frames.shape[:3], dtype=torch.bool, device=self._device)
        shown.view(-1)[drawn.pixels] = alpha[:, 0] > 0
        return soften(frames, find_folds(maps, shown, FOLD * DETAIL))
