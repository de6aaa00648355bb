"""What benchmarks of the chain are made with: a portrait, a sentence, and this machine."""

from __future__ import annotations

import platform
from pathlib import Path

SENTENCE = "The quick brown fox jumps over the lazy dog while five boxing wizards look on. "


def portrait_file(folder: Path) -> Path:
    """scikit-image's public-domain portrait as a PNG."""
    import skimage.data
    from PIL import Image

    path = folder / "portrait.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    return path


def processor() -> str:
    """The processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
