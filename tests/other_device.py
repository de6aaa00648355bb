"""A device that is not there: it computes on the processor and keeps apart what lies where.

Code for a GPU fails on one, and not on a processor, when it mixes tensors of both. Here it fails
everywhere. PyTorch's `meta` device lends its name, for that one asks no driver.
"""

from __future__ import annotations

from contextlib import ExitStack

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "meta"
_WAITING = ("aten._local_scalar_dense.default", "aten.nonzero.default")


class _Away(torch.Tensor):
    """A tensor that lies on the device; what it holds is in `held`."""

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> _Away:
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), dtype=held.dtype, device=NAME
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} on the device, which is no longer there")


class OtherDevice(ExitStack):
    """While it is entered, `NAME` is the device's; it counts what goes to and fro.

    Attributes:
        sent: bytes that were sent to the device.
        fetched: bytes that were fetched from it.
        waits: how often the processor waited to know a number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sent = self.fetched = self.waits = 0

    def __enter__(self) -> OtherDevice:
        super().__enter__()
        self.enter_context(_Calls(self))
        self.enter_context(_Operations(self))
        return self

    def run(self, func, args, kwargs):
        """Run an operation where its tensors lie, or where it is told to make some."""
        leaves = tree_leaves((args, kwargs))
        away = [leaf for leaf in leaves if isinstance(leaf, _Away)]
        plain = [leaf for leaf in leaves if type(leaf) in (torch.Tensor, torch.nn.Parameter)]
        here = [leaf for leaf in plain if leaf.dim()]  # single numbers may come along
        if func is torch.ops.aten._has_compatible_shallow_copy_type.default:
            return False
        assert not (away and here), f"{func}: tensors on two devices"
        told = [leaf for leaf in leaves if isinstance(leaf, torch.device)]
        there = told[-1].type == NAME if told else bool(away)
        self.sent += sum(leaf.nbytes for leaf in here) if told and there else 0
        self.fetched += sum(leaf.held.nbytes for leaf in away) if told and not there else 0
        self.waits += str(func) in _WAITING and bool(away)
        result = func(*tree_map(_held, args), **tree_map(_held, kwargs))
        if not there:
            return result
        changed = {id(leaf.held): leaf for leaf in away}  # in place, that is
        return tree_map(
            lambda leaf: (
                changed.get(id(leaf), _Away(leaf)) if isinstance(leaf, torch.Tensor) else leaf
            ),
            result,
        )


def _held(leaf):
    if isinstance(leaf, torch.device):
        return torch.device("cpu")
    return leaf.held if isinstance(leaf, _Away) else leaf


class _Operations(TorchDispatchMode):
    def __init__(self, device: OtherDevice) -> None:
        super().__init__()
        self._device = device

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return self._device.run(func, args, kwargs or {})


class _Calls(TorchFunctionMode):
    """The calls that PyTorch answers before any operation."""

    def __init__(self, device: OtherDevice) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is torch.tensor and "device" in kwargs:
            device = kwargs.pop("device")
            return torch.tensor(*args, **kwargs).to(device)
        if func is torch.Tensor.tolist and isinstance(args[0], _Away):
            self._device.waits += 1
            return args[0].held.tolist()
        return func(*args, **kwargs)
