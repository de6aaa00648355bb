"""How fast a talking video is made, end to end and by stage, beside the encoder alone.

    python benchmarks/generate.py

Prints the tables of the README. Needs the extras ``text`` and ``dev``.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path

import click
from setting import SENTENCE, portrait_file, processor

from vasari.generate.animator import animate
from vasari.generate.controls import Controls
from vasari.generate.marking import MarkedFrame, Marker
from vasari.generate.motion import Motion
from vasari.generate.pipeline import DEFAULT_FPS, STAGES, Result, generate
from vasari.generate.portrait import DEFAULT_SIZE, Portrait
from vasari.generate.render import Renderer
from vasari.generate.speech import Speech
from vasari.generate.synthesis import speak
from vasari.generate.touchup import TouchUp
from vasari.generate.video import VideoWriter
from vasari.native import filtered_stderr
from vasari.provenance.store import ManifestStore

ENCODER = "the encoder alone"
# Published, not measured here: both on an RTX 4090, at 512 x 512. (arXiv 2404.10667; 2407.03168)
PUBLISHED = {"VASA-1, offline, RTX 4090": 1000 / 45, "LivePortrait, RTX 4090": 12.8}  # ms per frame


@click.command()
@click.option("--rounds", default=5, show_default=True, help="The median of so many is printed.")
@click.option("--sentences", default=2, show_default=True, help="Length of the speech.")
def main(rounds: int, sentences: int) -> None:
    """Print ms per frame by stage, frames/s, and the encoder's own on the same frames."""
    speech = speak(SENTENCE * sentences)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        portrait = portrait_file(folder)
        store = ManifestStore.open(f"sqlite:///{folder / 'store.sqlite'}")
        generate(portrait, speech, folder / "out.mp4", store=store)  # compiles the kernels
        head = Portrait.open(portrait)
        motions = list(animate(speech, Controls(), DEFAULT_FPS))
        renderers = {
            "render alone, touch-up on": Renderer(head, TouchUp(head)),
            "render alone, touch-up off": Renderer(head),
        }
        frames = marked_frames(head, motions)
        results: list[Result] = []
        alone: dict[str, list[float]] = {name: [] for name in (*renderers, ENCODER)}
        for _ in range(rounds):
            results.append(generate(portrait, speech, folder / "out.mp4", store=store))
            for row, renderer in renderers.items():
                alone[row].append(rendering_time(renderer, motions))
            alone[ENCODER].append(encoding_time(frames, speech, folder / "encoded.mp4"))
    print_tables(results, {row: statistics.median(spent) for row, spent in alone.items()})


def marked_frames(portrait: Portrait, motions: list[Motion]) -> list[MarkedFrame]:
    """The frames that the chain gives to the encoder."""
    marker = Marker(0, portrait.size, portrait.size)
    renderer = Renderer(portrait, TouchUp(portrait))
    return [marker.mark(picture) for picture in renderer.frames(motions)]


def rendering_time(renderer: Renderer, motions: list[Motion]) -> float:
    """Milliseconds per frame of a renderer that has the machine to itself."""
    started = time.perf_counter()
    count = sum(1 for _ in renderer.frames(motions))
    return 1000 * (time.perf_counter() - started) / count


def encoding_time(frames: list[MarkedFrame], speech: Speech, path: Path) -> float:
    """Milliseconds per frame of the encoder alone, with the sound."""
    started = time.perf_counter()
    with VideoWriter(path, size=DEFAULT_SIZE, fps=DEFAULT_FPS, speech=speech) as writer:
        for frame in frames:
            writer.write(frame)
    return 1000 * (time.perf_counter() - started) / len(frames)


def print_tables(results: list[Result], alone: dict[str, float]) -> None:
    """Print the median round: what each stage takes in the chain, and some by themselves."""
    count, duration = results[0].frames, results[0].duration
    total = 1000 / statistics.median(result.frames_per_second for result in results)
    print(
        f"{date.today()}, {processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}\n"
        f"{DEFAULT_SIZE}x{DEFAULT_SIZE} at {DEFAULT_FPS:g} fps, {duration:.1f} s ({count} frames), "
        f"median of {len(results)} rounds\n"
    )
    print("| stage (motion and render run beside the others) | ms per frame |\n|---|---:|")
    for stage in STAGES:
        spent = statistics.median(result.timings[stage] for result in results)
        print(f"| {stage} | {spent:.2f} |")
    print(f"| end to end | {total:.2f} |\n")
    print("| | ms per frame | frames/s | times real time |\n|---|---:|---:|---:|")
    for name, spent in {"generate, end to end": total, **alone}.items():
        print(f"| {name} | {spent:.2f} | {1000 / spent:.1f} | {1000 / spent / DEFAULT_FPS:.1f} |")
    for name, spent in PUBLISHED.items():
        print(f"| {name} (published) | {spent:.1f} | {1000 / spent:.1f} | |")
    print(f"\nEnd to end runs at {alone[ENCODER] / total:.2f} of the encoder's own speed.")


if __name__ == "__main__":
    with filtered_stderr():
        main(standalone_mode=False)
