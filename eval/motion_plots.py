"""Plots of motion: the mouth over the sound, heads of people and portraits, blinks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from vasari.eval.tracks import RATE, at_rate, blink_starts
from vasari.generate.animator import animate
from vasari.generate.controls import Controls
from vasari.generate.motion import ARKIT_INDEX, Motion
from vasari.generate.spectrum import RATE as SOUND_RATE
from vasari.generate.speech import Speech

TAKES = 6  # in a plot
ANGLES = ("yaw", "pitch", "roll")
DPI = 100


def draw(speech: Speech, people: dict[str, Motion], folder: Path) -> None:
    """Write mouth.png, heads.png and blinks.png into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [Motion.concatenate(animate(speech, Controls(seed=seed), RATE)) for seed in range(TAKES)]
    real = dict(sorted(people.items(), key=lambda item: -item[1].duration)[:TAKES])
    mouth(speech, made[0]).savefig(folder / "mouth.png", dpi=DPI)
    heads(real, made).savefig(folder / "heads.png", dpi=DPI)
    blinks(real, made).savefig(folder / "blinks.png", dpi=DPI)


def mouth(speech: Speech, made: Motion) -> Figure:
    """The opening of the jaw over the sound."""
    sound = np.concatenate(list(speech.blocks()))
    figure = Figure(figsize=(12, 3), layout="tight")
    axes = figure.subplots()
    axes.plot(np.arange(len(sound)) / SOUND_RATE, sound, color="0.8", linewidth=0.5)
    jaw = made.expression[:, ARKIT_INDEX["jawOpen"]]
    axes.plot(np.arange(len(made)) / made.fps, jaw, color="tab:red")
    axes.set(xlabel="seconds", ylabel="sound, jawOpen", xlim=(0, made.duration))
    return figure


def heads(real: dict[str, Motion], made: list[Motion]) -> Figure:
    """Yaw, pitch and roll of people, on the left, and of takes of one voice."""
    figure = Figure(figsize=(14, 2 * TAKES), layout="tight")
    grid = figure.subplots(TAKES, 2, sharey=True)
    named = [(Path(name).stem, motion) for name, motion in real.items()]
    takes = [(f"made, seed {seed}", motion) for seed, motion in enumerate(made)]
    for column, rows in enumerate((named, takes)):
        for axes, (name, motion) in zip(grid[:, column], rows, strict=False):
            turns = motion.rotation - np.median(motion.rotation, axis=0)
            for angle, track in zip(ANGLES, turns.T, strict=True):
                axes.plot(np.arange(len(track)) / motion.fps, track, label=angle)
            axes.set(title=name, ylabel="degrees", xlim=(0, motion.duration))
    grid[0, 0].legend(loc="upper right")
    return figure


def blinks(real: dict[str, Motion], made: list[Motion]) -> Figure:
    """When people, and portraits, blink: a line for each take."""
    figure = Figure(figsize=(12, 4), layout="tight")
    axes = figure.subplots()
    named = [(Path(name).stem, motion) for name, motion in real.items()]
    named += [(f"made, seed {seed}", motion) for seed, motion in enumerate(made)]
    axes.eventplot([blink_starts(at_rate(motion)) for _, motion in named], colors="black")
    axes.set(yticks=range(len(named)), yticklabels=[name for name, _ in named], xlabel="seconds")
    return figure
