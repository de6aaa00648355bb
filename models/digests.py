"""SHA-256 of the weights that make videos, for their manifests."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources

JUDGING = "detector"  # weights with this beginning judge videos, and make none


@lru_cache
def generative_weights() -> dict[str, str]:
    """File name -> SHA-256, hexadecimal, of all weights that take part in making a video."""
    folder = resources.files("vasari.models") / "weights"
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.iterdir(), key=lambda each: each.name)
        if file.is_file() and not file.name.startswith((JUDGING, "."))
    }
