"""Vasari: talking portraits that carry their own provenance."""

from __future__ import annotations

import importlib
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vasari.errors import VasariError as VasariError
    from vasari.generate.controls import Controls as Controls
    from vasari.generate.motion import Motion as Motion

__version__ = _version("vasari")

# Public name -> module that defines it. Each loads when first used, so that importing costs nothing.
_HOMES = {
    "Controls": "vasari.generate.controls",
    "Motion": "vasari.generate.motion",
    "VasariError": "vasari.errors",
}
__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    """Load a public name from its home (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vasari' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
