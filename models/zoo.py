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
        "47129564037da022a7613c3bc4f9b4d50ea6952091b0519276d3c2634a301b09", "detector.md"
    ),
    "detector.json": Weights(
        "5d0fe8a7d97cfb91a6111617ed155f1f13a5956ec0b8c9e64b3a694146303831", "detector.md"
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
