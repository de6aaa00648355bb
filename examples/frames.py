"""Frame by frame: show a talking portrait as an animated WebP, without a video file.

    python examples/frames.py portrait.jpg "Good morning!" talking.webp

The frames are marked like those of a file; an animation made from them has no C2PA manifest.
"""

from __future__ import annotations

import sys

from PIL import Image

import vasari

FPS = 25


def main(portrait: str, text: str, output: str) -> None:
    """Make the animation."""
    frames = vasari.frames(portrait, vasari.speak(text), size=256, fps=FPS)
    first, *rest = (Image.fromarray(frame) for frame in frames)
    first.save(output, save_all=True, append_images=rest, duration=1000 // FPS, loop=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
