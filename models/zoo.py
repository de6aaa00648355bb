"""The table of all weights that come with Vasari: file, SHA-256, model card."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

from vasari.errors import VasariError


@dataclass(frozen=True)
class Weights:
    """One weight file."""

    sha256: str
    card: str  # file in cards/


ZOO = {
    "detector.onnx": Weights(
        "deee634f26ee07fee638648d409885573ae55ab1c795dc07681b1091953f8874", "detector.md"
    ),
    "detector.json": Weights(
        "d873f020e2cced04526eb568e6c66942b124ecfec8374a9d5c6d29df8cd7ffc4", "detector.md"
    ),
}


def read_weights(name: str) -> bytes:
    """Read a weight file, having checked that it is the one of the table.

    Args:
        name: a key of ZOO.

    Raises:
        VasariError: it is not in the table, missing, or has other content.
    """
    if name not in ZOO:
        raise VasariError(f"no weights are called {name}; there are {', '.join(sorted(ZOO))}")
    try:
        content = (resources.files("vasari.models") / "weights" / name).read_bytes()
    except OSError as error:
        raise VasariError(f"the weights {name} are missing: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != ZOO[name].sha256:
        raise VasariError(f"the weights {name} are damaged: install Vasari again")
    return content
