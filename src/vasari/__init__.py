"""Vasari: talking portraits that carry their own provenance.

>>> import vasari
>>> result = vasari.generate("portrait.jpg", "speech.wav", "talking.mp4")  # doctest: +SKIP
>>> vasari.verify(result.path).state  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

from vasari.blas import choose_kernels

if TYPE_CHECKING:
    from vasari.errors import VasariError as VasariError
    from vasari.generate.controls import Controls as Controls
    from vasari.generate.motion import Motion as Motion
    from vasari.generate.pipeline import Result as Result
    from vasari.generate.pipeline import frames as frames
    from vasari.generate.pipeline import generate as generate
    from vasari.generate.portrait import Portrait as Portrait
    from vasari.generate.speech import Speech as Speech
    from vasari.generate.synthesis import speak as speak
    from vasari.provenance.credentials import Credential as Credential
    from vasari.provenance.verdict import Verdict as Verdict
    from vasari.provenance.verdict import verify as verify

__version__ = _version("vasari")

choose_kernels()  # before anything loads NumPy

# Public name -> module that defines it. Each loads when first used: importing costs nothing.
_HOMES = {
    "Controls": "vasari.generate.controls",
    "Credential": "vasari.provenance.credentials",
    "Motion": "vasari.generate.motion",
    "Portrait": "vasari.generate.portrait",
    "Result": "vasari.generate.pipeline",
    "Speech": "vasari.generate.speech",
    "VasariError": "vasari.errors",
    "Verdict": "vasari.provenance.verdict",
    "frames": "vasari.generate.pipeline",
    "speak": "vasari.generate.synthesis",
    "verify": "vasari.provenance.verdict",
}
__all__ = [
    "Controls",
    "Credential",
    "Motion",
    "Portrait",
    "Result",
    "Speech",
    "VasariError",
    "Verdict",
    "__version__",
    "frames",
    "generate",
    "speak",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home (PEP 562)."""
    if name == "generate":
        return importlib.import_module("vasari.generate")  # a package that can be called
    if name not in _HOMES:
        raise AttributeError(f"module 'vasari' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)
