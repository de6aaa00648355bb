"""Where frames are rendered: on this machine's processor, or on a CUDA device through PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from vasari.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from vasari.generate.motion import Motion
    from vasari.generate.portrait import Portrait

DEVICES = ("cpu", "cuda", "auto")
DEFAULT_DEVICE = "cpu"


class FrameMaker(Protocol):
    """What turns motions of a portrait into frames."""

    batch: int  # frames that are made at once

    def frames(self, blocks: Iterable[Motion]) -> Iterator[npt.NDArray[np.uint8]]:
        """Render motions one after the other."""


def check_device(device: str) -> str:
    """The device, ``cpu`` or ``cuda``, that a wish comes to; ``auto`` is CUDA if there is one.

    Raises:
        InputError: there is no such device, or it cannot be used.
    """
    if device not in DEVICES:
        raise InputError(f"device is '{device}'; give one of {', '.join(DEVICES)}")
    if device == "cpu":
        return device
    obstacle = _obstacle()
    if not obstacle:
        return "cuda"
    if device == "cuda":
        raise InputError(f"device cuda cannot be used: {obstacle}, or give cpu")
    return "cpu"


def renderer_on(
    device: str, portrait: Portrait, *, touch_up: bool, planes: bool = False
) -> FrameMaker:
    """A renderer of a portrait.

    Args:
        device: ``cpu`` or ``cuda``, as `check_device` gives it.
        portrait: whom it shows.
        touch_up: whether a small network repairs eyes and mouth.
        planes: whether frames may come as I420, as `Marker.mark` takes them too.
    """
    if device == "cpu":
        from vasari.generate.render import Renderer
        from vasari.generate.touchup import TouchUp

        return Renderer(portrait, TouchUp(portrait) if touch_up else None)
    from vasari.generate.torch_render import TorchRenderer

    return TorchRenderer(portrait, device, touch_up=touch_up, planes=planes)


def _obstacle() -> str:
    """What stands in the way of CUDA and what to do, if anything does."""
    if find_spec("torch") is None:
        return "PyTorch is not installed; install vasari[gpu]"
    try:
        import torch
    except (ImportError, OSError) as error:  # a library that it is linked with is missing
        reason = str(error).partition("\n")[0]
        return f"PyTorch cannot be loaded ({reason}); install vasari[gpu] anew"
    if torch.version.cuda is None:
        return f"this PyTorch ({torch.__version__}) is built without CUDA; install one with it"
    if not torch.cuda.is_available():
        return "PyTorch finds no CUDA device; install the driver of an NVIDIA one"
    return ""
