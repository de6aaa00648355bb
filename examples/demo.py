"""The first video: a public-domain portrait says a sentence, and its provenance is verified.

Run by `make demo`; needs the extra ``vasari[demo]``. The portrait is NASA's of the astronaut Eileen
Collins, which is in the public domain and comes with scikit-image.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SENTENCE = (
    "Hello! I am a picture that was taught to speak. Please believe me when I say that you "
    "should not believe me: my frames are marked, and my maker has signed what I am."
)


def main(folder: Path) -> None:
    """Make the demo's files in a folder and say where they are."""
    import skimage.data
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    portrait, video, sheet = (folder / name for name in ("portrait.png", "demo.mp4", "demo.png"))
    Image.fromarray(skimage.data.astronaut()).save(portrait)
    for arguments in (
        ["generate", str(portrait), "--text", SENTENCE, "--emotion", "happy=0.3", "-o", str(video)],
        ["verify", str(video)],
        ["contact-sheet", str(video), "-o", str(sheet)],
    ):
        print("\n$ vasari", subprocess.list2cmdline(arguments), flush=True)
        _run(arguments)
    print(f"\nThe video:         {video}\nThe contact sheet: {sheet}")


def _run(arguments: list[str]) -> None:
    """Run one command line in a process of its own; stop where it fails."""
    command = [sys.executable, "-m", "vasari", *arguments]
    status = subprocess.run(command, check=False).returncode
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
