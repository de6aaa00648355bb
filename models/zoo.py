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
        "1b40a0e36a178cfd8d101999ad84137db123be3a9f6866542889a1ee418a6706", "detector.md"
    ),
    "detector.json": Weights(
        "1f7ede1ab916646b10b4990cac5af5aff339c383f5d2645b5477ff3f418ab208", "detector.md"
    ),
    "shapes.npz": Weights(
        "5d879db097c813cf8f75cf3be18f3514fafc777a066a259a392c86bd86d869d3", "shapes.md"
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
