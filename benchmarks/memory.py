"""Peak memory for a short and a long speech, each in a fresh process.

    python benchmarks/memory.py --minutes 1 --minutes 60

Memory must not grow with the length of the speech. The long one takes as long as `generate` takes
for it. Needs the extras ``text`` and ``dev``.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import click

from vasari.generate.pipeline import generate
from vasari.generate.synthesis import speak
from vasari.native import filtered_stderr
from vasari.provenance.store import ManifestStore

SENTENCE = "The quick brown fox jumps over the lazy dog while five boxing wizards look on. "
SIZES = ["256", "512", "1024"]


@click.command()
@click.option("--minutes", multiple=True, type=float, default=(1.0, 60.0), show_default=True)
@click.option("--size", default="512", type=click.Choice(SIZES), show_default=True)
@click.option("--measure", type=click.Path(path_type=Path), hidden=True)
def main(minutes: tuple[float, ...], size: str, measure: Path | None) -> None:
    """Print the peak resident memory of `generate` by length of speech."""
    if measure is not None:
        print(peak_memory(measure, int(size)))
        return
    print(
        f"{size} x {size} pixels\n\n| speech, minutes | peak memory, MB | ratio |\n|---:|---:|---:|"
    )
    first = 0.0
    with tempfile.TemporaryDirectory() as name:
        for length in minutes:
            peak = in_fresh_process(speech_file(Path(name), length), size)
            first = first or peak
            print(f"| {length:g} | {peak:.0f} | {peak / first:.2f} |", flush=True)


def speech_file(folder: Path, minutes: float) -> Path:
    """A sentence said again and again, as a WAV file."""
    speech = speak(SENTENCE)
    assert speech.samples is not None
    sound = (speech.samples[0] * 32767).astype("<i2").tobytes()
    path = folder / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(speech.rate)
        for _ in range(max(1, round(60 * minutes / speech.duration))):
            file.writeframes(sound)
    return path


def in_fresh_process(speech: Path, size: str) -> float:
    """Measure in a process that has done nothing else."""
    command = [sys.executable, __file__, "--measure", str(speech), "--size", size]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def peak_memory(speech: Path, size: int) -> float:
    """Make a video in this process and give its peak resident memory in MB."""
    import skimage.data
    from PIL import Image

    portrait = speech.with_name("portrait.png")
    Image.fromarray(skimage.data.astronaut()).save(portrait)
    with ManifestStore.open(f"sqlite:///{speech.with_name('store.sqlite')}") as store:
        generate(portrait, speech, speech.with_name("out.mp4"), size=size, store=store)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    with filtered_stderr():
        main(standalone_mode=False)
