from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def test_frames(portrait_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    output = tmp_path / "talking.webp"
    runpy.run_path(str(EXAMPLES / "frames.py"))["main"](str(portrait_file), "Hi!", str(output))
    with Image.open(output) as animation:
        assert animation.size == (256, 256)
        assert animation.n_frames > 5
