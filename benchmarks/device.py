"""The two renderers beside each other: the compiled one, and PyTorch's on a CUDA device.

    python benchmarks/device.py [PORTRAIT...]

Prints how like their frames are and how fast each is. Needs the extras ``gpu``, ``text`` and
``dev``. With ``--on cpu`` PyTorch's runs on the processor: the frames can be compared on any
machine, and the speed says nothing.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from setting import SENTENCE, portrait_file, processor

from vasari.errors import VasariError
from vasari.generate.animator import animate
from vasari.generate.controls import Controls
from vasari.generate.device import FrameMaker, check_device, renderer_on
from vasari.generate.motion import ARKIT_INDEX, Motion
from vasari.generate.pipeline import DEFAULT_FPS, generate
from vasari.generate.portrait import SIZES, Portrait
from vasari.generate.speech import Speech
from vasari.generate.synthesis import speak
from vasari.native import filtered_stderr
from vasari.provenance.store import ManifestStore

# How far the tour goes: degrees of yaw, pitch, roll; cm sideways, up, nearer; degrees of gaze.
TURNS, SHIFTS, GAZES = (25, 15, 20), (4, 3, 18), (20, 10)
SHAPES = (
    ("jawOpen", "tongueOut"),
    ("eyeBlinkLeft", "eyeBlinkRight"),
    ("mouthSmileLeft", "mouthSmileRight", "cheekSquintLeft", "cheekSquintRight"),
    ("mouthPucker",),
    ("browInnerUp", "eyeWideLeft", "eyeWideRight"),
)


@dataclass(frozen=True)
class Likeness:
    """How like two renderings of one motion are, frame by frame."""

    psnr: npt.NDArray[np.float64]  # (frames,) dB
    largest: int  # levels of 255

    def row(self) -> str:
        """For a table: frames, their least PSNR, the median, and the largest difference."""
        least, median = self.psnr.min(), np.median(self.psnr)
        return f"{len(self.psnr)} | {least:.1f} | {median:.1f} | {self.largest}"


@click.command()
@click.argument("portraits", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--on", type=click.Choice(["cuda", "cpu"]), default="cuda", show_default=True)
@click.option("--size", "sizes", type=click.Choice(SIZES), multiple=True, default=SIZES[:2])
@click.option("--frames", default=48, show_default=True, help="Frames of the tour.")
@click.option("--rounds", default=5, show_default=True, help="The median of so many is printed.")
@click.option("--sentences", default=2, show_default=True, help="Length of the speech.")
def main(  # noqa: PLR0917 - its options
    portraits: tuple[Path, ...],
    on: str,
    sizes: tuple[int, ...],
    frames: int,
    rounds: int,
    sentences: int,
) -> None:
    """Compare the frames of PORTRAITS, then the speed with the first of them."""
    if on == "cuda":
        check_device(on)
    print(
        f"{date.today()}, {processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"{device_name(on)}\n"
    )
    speech = speak(SENTENCE * sentences)
    motions = list(animate(speech, Controls(), DEFAULT_FPS))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        portraits = portraits or (portrait_file(folder),)
        print_likeness(portraits, sizes, on, Motion.concatenate([tour(frames), *motions]))
        for size in sizes:
            head = Portrait.open(portraits[0], size=size)
            print_speed(head, on, motions, rounds)
            if on == "cuda":
                print_chain(head, speech, folder, rounds)


def device_name(on: str) -> str:
    """PyTorch, and what it renders on."""
    import torch

    name = torch.cuda.get_device_name() if on == "cuda" else "on the processor"
    return f"PyTorch {torch.__version__} {name}"


def renderer(portrait: Portrait, on: str, *, touch_up: bool = True) -> FrameMaker:
    """PyTorch's renderer; its own name of the processor is not taken for the compiled one's."""
    return renderer_on("cpu:0" if on == "cpu" else on, portrait, touch_up=touch_up)


def tour(frames: int) -> Motion:
    """All that a head can do, each in its own time: turns, shifts, gaze, mouth, lids and brows."""
    time_ = np.linspace(0, 2 * np.pi, frames, dtype=np.float32)[:, None]
    motion = Motion.still(frames, DEFAULT_FPS)
    periods = iter(range(1, 20))
    for track, reach in ((0, TURNS), (1, SHIFTS), (2, GAZES)):
        moving = (motion.rotation, motion.translation, motion.gaze)[track]
        moving += np.hstack([np.sin(next(periods) * time_) * far for far in reach])
    for group in SHAPES:
        weight = np.clip(1.2 * np.sin(next(periods) * time_[:, 0]), 0, 1)
        for shape in group:
            motion.expression[:, ARKIT_INDEX[shape]] = weight
    return motion


def print_likeness(
    portraits: tuple[Path, ...], sizes: tuple[int, ...], on: str, motion: Motion
) -> None:
    """Compare the frames of both renderers for each portrait, with and without the touch-up."""
    print("PSNR of each frame, dB, and the largest difference of a colour, levels of 255:\n")
    print("| portrait | size | touch-up | frames | least PSNR | median | largest difference |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for path in portraits:
        for size in sizes:
            portrait = Portrait.open(path, size=size)
            for touch_up in (True, False):
                compiled = renderer_on("cpu", portrait, touch_up=touch_up)
                other = renderer(portrait, on, touch_up=touch_up)
                found = compare(compiled.frames([motion]), other.frames([motion]))
                state = "on" if touch_up else "off"
                print(f"| {path.stem} | {size} | {state} | {found.row()} |", flush=True)
    print()


def compare(
    first: Iterator[npt.NDArray[np.uint8]], second: Iterator[npt.NDArray[np.uint8]]
) -> Likeness:
    """How like frames are, two by two."""
    psnr, largest = [], 0
    for one, other in zip(first, second, strict=True):
        apart = np.abs(one.astype(np.int16) - other)
        largest = max(largest, int(apart.max()))
        error = max(float(np.mean(apart.astype(np.float64) ** 2)), 1e-8)
        psnr.append(10 * np.log10(255**2 / error))
    return Likeness(np.array(psnr), largest)


def print_speed(portrait: Portrait, on: str, motions: list[Motion], rounds: int) -> None:
    """Print what a frame takes each renderer when it has the machine to itself."""
    other = renderer(portrait, on)
    makers = {
        "compiled, on the processor": renderer_on("cpu", portrait, touch_up=True),
        f"PyTorch on {on}, {other.batch} frames at once": other,
    }
    spent: dict[str, list[float]] = {name: [] for name in makers}
    for maker in makers.values():
        list(maker.frames(motions))  # compiles kernels
    for _ in range(rounds):
        for name, maker in makers.items():
            started = time.perf_counter()
            count = sum(1 for _ in maker.frames(motions))
            spent[name].append(1000 * (time.perf_counter() - started) / count)
    print(f"| render alone, {portrait.size} pixels | ms per frame | frames/s |\n|---|---:|---:|")
    for name, times in spent.items():
        median = statistics.median(times)
        print(f"| {name} | {median:.2f} | {1000 / median:.1f} |")
    print(f"\nMemory of the device: {device_memory():.2f} GB\n" if on == "cuda" else "")


def device_memory() -> float:
    """The most that PyTorch has held on the device, GB."""
    import torch

    return float(torch.cuda.max_memory_allocated()) / 1e9


def print_chain(portrait: Portrait, speech: Speech, folder: Path, rounds: int) -> None:
    """Print how fast videos are made, watermark and encoder included."""
    speeds: dict[str, list[float]] = {"cpu": [], "cuda": []}
    with ManifestStore.open(f"sqlite:///{folder / 'store.sqlite'}") as store:
        for number in range(rounds + 1):
            for device, found in speeds.items():
                result = generate(portrait, speech, folder / "out.mp4", device=device, store=store)
                if number:  # the first compiles kernels
                    found.append(result.frames_per_second)
    print(f"| generate, {portrait.size} pixels | frames/s | times real time |\n|---|---:|---:|")
    for device, found in speeds.items():
        median = statistics.median(found)
        print(f"| --device {device} | {median:.1f} | {median / DEFAULT_FPS:.1f} |")
    print()


if __name__ == "__main__":
    with filtered_stderr():
        try:
            main(standalone_mode=False)
        except VasariError as error:
            raise SystemExit(f"device.py: {error}") from None
