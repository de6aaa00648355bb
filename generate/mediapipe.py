"""MediaPipe, loaded when first used, with a plain word if the system lacks a library."""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import ModuleType
from typing import Any

from vasari.native import explain_missing_library

_LOADING = threading.Lock()  # what is left out meanwhile is left out of the whole process


@lru_cache(maxsize=1)
def solutions() -> Any:
    """The module ``mediapipe.solutions``: face detection, FaceMesh, selfie segmentation.

    Raises:
        MissingLibraryError: the system lacks a library that OpenCV or MediaPipe needs.
    """
    with _LOADING, warnings.catch_warnings(), _plots_left_out():
        warnings.simplefilter("ignore")  # its generated protobuf code uses deprecated calls
        try:
            import mediapipe
        except ImportError as error:
            raise explain_missing_library(error) or error from error
    return mediapipe.solutions


@contextmanager
def _plots_left_out() -> Iterator[None]:
    """Let MediaPipe load without Matplotlib, which takes longer than all the rest of it.

    It is for plots that only its own drawing makes; if ever they are wanted, it is loaded then.
    """
    if "matplotlib" in sys.modules:
        yield
        return
    plots, package = _Plots("matplotlib.pyplot"), ModuleType("matplotlib")
    package.pyplot = plots  # type: ignore[attr-defined]
    sys.modules |= {"matplotlib": package, "matplotlib.pyplot": plots}
    try:
        yield
    finally:
        for name in ("matplotlib", "matplotlib.pyplot"):
            del sys.modules[name]


class _Plots(ModuleType):
    """Matplotlib's functions, loaded when the first is used."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("matplotlib.pyplot"), name)
