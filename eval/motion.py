"""How alive is the motion? ``vasari eval motion PORTRAIT SPEECH --real TRACKS`` prints a table.

Head and blinks are compared with real people, whom `vasari track` has followed and nothing was
trained on; controls are read back from rendered frames. How well the lips fit the sound is asked
by `vasari eval lips`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from vasari.errors import InputError
from vasari.eval.lips import interval
from vasari.eval.readback import Mirror
from vasari.eval.tracks import (
    FACE_CHANNELS,
    RATE,
    blink_starts,
    face_ranges,
    head_measures,
    pieces_of,
    separability,
)
from vasari.generate.animator import Actor, animate, listen
from vasari.generate.articulation import Articulation
from vasari.generate.controls import Controls
from vasari.generate.gestures import STEPS
from vasari.generate.headmotion import gesture_by_rule
from vasari.generate.motion import Motion
from vasari.generate.prosody import Prosody
from vasari.generate.speech import Speech
from vasari.models.motion_transformer import MotionTransformer

Float64Array = npt.NDArray[np.float64]

SEEDS = (0, 1, 2)  # takes made of each voice
LONG_SEEDS = (10, 11, 12)  # for blinks, of which a short clip has too few
LONG_TAKE = 60.0  # seconds of silence: spontaneous blinks need no voice
HEAD_ROWS = ("head sd yaw", "head sd pitch", "head sd roll", "head change per frame")


@dataclass(frozen=True)
class Life:
    """How people, or takes of portraits, move."""

    head: Float64Array  # (clips, 4) as `head_measures`
    face: Float64Array  # (clips, 7) as `face_ranges`
    pieces: tuple[Float64Array, ...]  # per clip, as `pieces_of`
    blinks: Float64Array  # per minute, per clip
    pauses: Float64Array  # seconds from blink to blink, of all clips

    @classmethod
    def of(cls, motions: Sequence[Motion], blinking: Sequence[Motion] | None = None) -> Life:
        """Measure motions; blinks in others, if given."""
        lids = motions if blinking is None else blinking
        starts = [blink_starts(motion) for motion in lids]
        return cls(
            np.array([head_measures(motion) for motion in motions]),
            np.array([face_ranges(motion) for motion in motions]),
            tuple(pieces_of(motion) for motion in motions),
            np.array([60 * len(s) / m.duration for s, m in zip(starts, lids, strict=True)]),
            np.concatenate([np.diff(s) for s in starts]),
        )


def read_people(folder: Path) -> dict[str, Motion]:
    """The tracks in a folder, by name.

    Raises:
        InputError: there is none.
    """
    motions = {str(file): Motion.load(file) for file in sorted(folder.rglob("*.npz"))}
    if not motions:
        raise InputError(f"no tracks in {folder}; make some with `vasari track`")
    return motions


def made_to(
    speech: Speech, seed: int, steps: int = STEPS, network: MotionTransformer | None = None
) -> Motion:
    """The motion that a voice gets; drawn in one step, it is near the mean of what fits."""
    moving = animate(speech, Controls(seed=seed), RATE, steps=steps, network=network)
    return Motion.concatenate(moving)


def made_by_rule(speech: Speech, seed: int) -> Motion:
    """The motion that a voice gets with the gestures of a rule, as in the live path."""
    times = np.arange(round(speech.duration * RATE)) / RATE
    tracks = listen(speech, times).T
    mouth, melody = Articulation(*tracks[:6]), Prosody(*tracks[6:])
    gesture = gesture_by_rule(times, melody, seed)
    return Motion(RATE, *Actor(Controls(seed=seed)).act(times, mouth, melody, gesture))


def voices(people: dict[str, Motion]) -> Iterator[Speech]:
    """The voices of those who were recorded with sound."""
    for name in people:
        sound = Path(name).with_suffix(".wav")
        if sound.exists():
            speech = Speech.open(sound)
            if not speech.silent:
                yield speech


def speed(speech: Speech) -> float:
    """Seconds of motion made in a second of one core's time."""
    started = time.process_time()
    made_to(speech, 0)
    return speech.duration / (time.process_time() - started)


def _row(name: str, *cells: str) -> None:
    click.echo(f"{name:34}" + "".join(f" {cell:>21}" for cell in cells))


def _spread(values: Sequence[float] | Float64Array) -> str:
    """Mean and its 95 % interval over clips."""
    mean, low, high = interval(list(values))
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"


def _print_life(lives: dict[str, Life]) -> None:
    """The rows that compare with people, who come first; what is made by Vasari's weights next."""
    everyone = list(lives.values())
    real, made = everyone[:2]
    _row("", *lives)
    for column, name in enumerate(HEAD_ROWS):
        _row(f"{name}, degrees", *(_spread(life.head[:, column]) for life in everyone))
    _row("told from people by its head, AUC", "-", *(
        f"{separability(real.pieces, life.pieces):.2f}" for life in everyone[1:]
    ))  # fmt: skip
    for column, name in enumerate(FACE_CHANNELS):
        _row(f"{name}, 5 to 95 %", *(_spread(life.face[:, column]) for life in everyone))
    _row("blinks a minute", *(_spread(life.blinks) for life in (real, made)))
    for share in (25, 50, 75):
        cells = (f"{np.percentile(life.pauses, share):.1f}" for life in (real, made))
        _row(f"from blink to blink, {share} % below, s", *cells)


def _print_controls(mirror: Mirror) -> None:
    """The rows that are read from rendered frames."""
    _row("gaze control error, degrees", _spread(mirror.gaze_errors()))
    _row("distance control error, %", _spread(100 * mirror.distance_errors()))
    shown = mirror.emotions()
    for emotion in shown:
        _row(f"{emotion.name} at 0.5 and 1", f"{emotion.half:+.2f} {emotion.full:+.2f}")
    _row("emotions that move the right way", f"{sum(e.right for e in shown)} of {len(shown)}")
    _row("emotions graded by weight", f"{sum(e.graded for e in shown)} of {len(shown)}")


@click.command("motion")
@click.argument("portrait", type=click.Path(path_type=Path))
@click.argument("speech", type=click.Path(path_type=Path))
@click.option(
    "--real",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder that `vasari track` wrote, of people whom nothing was trained on.",
)
@click.option(
    "--weights",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Weights that `vasari train motion` wrote, to be compared; several are fine.",
)
@click.option("--plots", type=click.Path(path_type=Path, file_okay=False), help="Folder for plots.")
def motion(
    portrait: Path, speech: Path, real: Path, weights: tuple[Path, ...], plots: Path | None
) -> None:
    """Print how alive the motion made to SPEECH is, and whether controls show on PORTRAIT.

    \b
    Example:
      vasari eval motion ada.jpg talk.wav --real tracks --plots plots
    """
    from vasari.generate.portrait import Portrait
    from vasari.generate.render import Renderer

    networks = {str(file): MotionTransformer.load(file) for file in weights}
    people = read_people(real)
    heard = list(voices(people))
    if not heard:
        raise InputError(f"no voices in {real}; track videos that have sound")
    silence = Speech.from_samples(np.zeros(round(LONG_TAKE * 16000), np.float32), 16000)
    takes = list(itertools.product(heard, SEEDS))
    made = [made_to(*take) for take in takes]
    mean = [made_to(*take, steps=1) for take in takes]
    by_rule = [made_by_rule(*take) for take in takes]
    long = [made_to(silence, seed) for seed in LONG_SEEDS]
    lives = {
        "people": Life.of(list(people.values())),
        "made": Life.of(made, long),
        "made in one step": Life.of(mean),
        "made by rule": Life.of(by_rule),
    }
    for name, network in networks.items():
        lives[name] = Life.of([made_to(*take, network=network) for take in takes])
    _print_life(lives)
    voice = Speech.open(speech)
    _print_controls(Mirror(Renderer(Portrait.open(portrait)), voice))
    _row("speed, times real time on one core", f"{speed(voice):.0f}")
    if plots is not None:
        from vasari.eval.motion_plots import draw

        draw(voice, people, plots)
