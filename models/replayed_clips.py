"""Which clips the renderer's weights are trained on, and from which frames they are replayed."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

STARTS = (0, 40, 90, 140, 200)  # frames of a clip that serve as portraits
LIMIT = 120  # frames that follow each
CROWD, CROWD_STEP = 50, 50  # of a person with so many clips one in so many is used


def usable(folder: Path, held_out: Sequence[str]) -> list[Path]:
    """The clips below a folder that may be trained on, few of each person."""
    found = [
        path
        for path in sorted(folder.rglob("*.mp4"))
        if not any(fnmatch(path.stem, pattern) for pattern in held_out)
    ]
    crowds = {path.parent for path in found if len(list(path.parent.glob("*.mp4"))) >= CROWD}
    return [path for path in found if path.parent not in crowds] + [
        path
        for crowd in sorted(crowds)
        for path in [each for each in found if each.parent == crowd][::CROWD_STEP]
    ]
