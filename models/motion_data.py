"""Training data of the motion model: tracked people, what they did and what was heard.

A folder that `vasari track` wrote, NAME.npz and NAME.wav. Files in a folder of their own are one
person's; other files stand for one person each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.errors import InputError
from vasari.generate.animator import listen
from vasari.generate.channels import FACE, GAZE, INDEX, ODD, channels_of, wish_numbers
from vasari.generate.motion import TRACKS, Motion
from vasari.generate.speech import Speech
from vasari.models.motion_transformer import (
    LENGTH,
    PAST,
    RATE,
    SOUND,
    WINDOW,
    WISHES,
    Conditions,
)

Float32Array = npt.NDArray[np.float32]

TURNS = slice(0, 3)  # yaw, pitch, roll
TEMPOS = (0.85, 1.0, 1.18)  # at which each take is kept; drawn anew they would all be read anew
GAINS = (0.8, 1.25)  # of head and face in a training example
PRESENT = 0.85  # chance that a condition is known in a training example
STARTS = 0.15  # chance that a training example has no window before
SOUND_NOISE = 0.03  # standard deviation added to what is heard


@dataclass(frozen=True)
class Take:
    """A stretch of a person's motion, T frames at RATE."""

    person: str
    motion: Float32Array  # (T, D) channels, relative to the median of the take
    sound: Float32Array  # (T, SOUND), what is heard at each frame
    heard: bool  # whether the sound is the person's own voice
    liveliness: Float32Array  # (2,) see `liveliness_of`


def read_takes(
    folder: Path,
    *,
    mute: Sequence[str] = (),
    lags: dict[str, float] | None = None,
    tempos: Sequence[float] = (1.0,),
) -> list[Take]:
    """Read all that was tracked into a folder.

    Args:
        folder: what `vasari track` wrote, with a folder for each person of many clips.
        mute: patterns of names whose sound is not the voice of who is seen.
        lags: seconds by which the picture of a name comes late.
        tempos: speeds at which each is taken.

    Raises:
        InputError: the folder holds no track that is long enough.
    """
    takes = []
    for file in sorted(folder.rglob("*.npz")):
        person = file.stem if file.parent == folder else file.parent.name
        muted = any(fnmatch(file.stem, pattern) for pattern in mute)
        lag = (lags or {}).get(file.stem, 0.0)
        motion = Motion.load(file)
        for tempo in tempos:
            take = _take(motion, None if muted else file.with_suffix(".wav"), lag, tempo, person)
            takes += [take] if len(take.motion) >= LENGTH else []
    if not takes:
        raise InputError(
            f"no track of {LENGTH / RATE:g} s or more in {folder}; make some with `vasari track`"
        )
    return takes


def _take(motion: Motion, sound_file: Path | None, lag: float, tempo: float, person: str) -> Take:
    """One track with its sound, at a tempo."""
    frames = int(motion.duration * RATE / tempo)
    slow = Motion(motion.fps * tempo, *(getattr(motion, name) for name in TRACKS))
    channels = channels_of(slow.resampled(RATE, frames))
    channels -= np.median(channels, axis=0)
    heard = sound_file is not None and sound_file.exists()
    sound = np.zeros((frames, SOUND), np.float32)
    if heard:
        assert sound_file is not None
        sound = listen(Speech.open(sound_file), np.arange(frames) / RATE * tempo - lag)
        heard = bool(sound.std() > 0)
    return Take(person, channels, sound, heard, liveliness_of(channels))


def liveliness_of(channels: Float32Array) -> Float32Array:
    """How lively a head is: logarithms of the turns' deviation and of their speed, (2,).

    Args:
        channels: (T, D).
    """
    turns = channels[:, TURNS]
    spread = np.sqrt(turns.var(axis=0).mean())
    speed = np.linalg.norm(np.diff(turns, axis=0), axis=1).mean()
    return np.log(np.array([spread + 0.1, speed + 0.05], np.float32))


def wishes_of(motion: Float32Array, liveliness: Float32Array) -> Float32Array:
    """The wishes that a window of motion fulfils, (WISH_SIZE,).

    Args:
        motion: (WINDOW, D) channels.
        liveliness: of the take.
    """
    mean = motion.mean(axis=0)
    return wish_numbers(mean[GAZE], float(mean[INDEX["nearer"]]), mean[FACE], liveliness)


class Windows:
    """Random training examples; each person is drawn as often as any other of the same crowd.

    Args:
        takes: of all the people to learn from.
        scale: (D,) what one unit of each channel stands for.
        augment: whether examples are mirrored, made louder, and conditions left out.
        crowd_share: how many of the examples come from people of many takes.
    """

    def __init__(
        self,
        takes: Sequence[Take],
        scale: Float32Array,
        *,
        augment: bool,
        crowd_share: float = 0.4,
    ) -> None:
        self._takes, self._scale, self._augment = takes, scale, augment
        self._chances = _chances(takes, crowd_share)

    def draw(self, count: int, random: np.random.Generator) -> tuple[Float32Array, Conditions]:
        """Motion (count, WINDOW, D) in units of the scale, and what goes with it."""
        picks = random.choice(len(self._takes), count, p=self._chances)
        rows = [self._one(self._takes[pick], random) for pick in picks]
        columns = [np.stack(column).astype(np.float32) for column in zip(*rows, strict=True)]
        return columns[0], Conditions(*columns[1:])

    def _one(self, take: Take, random: np.random.Generator) -> tuple[npt.ArrayLike, ...]:
        start = random.integers(len(take.motion) - LENGTH + 1)
        motion, sound = take.motion[start : start + LENGTH], take.sound[start : start + LENGTH]
        liveliness = take.liveliness
        wishes_known, sound_known, past_known = np.ones(len(WISHES), np.bool_), take.heard, True
        if self._augment:
            motion, liveliness = _varied(motion, liveliness, random)
            sound = sound + random.normal(0, SOUND_NOISE, sound.shape)
            wishes_known = random.random(len(WISHES)) < PRESENT
            sound_known = take.heard and random.random() < PRESENT
            past_known = random.random() > STARTS
        known = np.repeat(wishes_known, list(WISHES.values()))
        wishes = wishes_of(motion[PAST:], liveliness) * known
        scaled = motion / self._scale
        past = scaled[:PAST] * past_known
        return scaled[PAST:], past, past_known, sound, sound_known, wishes, wishes_known


def _varied(
    motion: Float32Array, liveliness: Float32Array, random: np.random.Generator
) -> tuple[Float32Array, Float32Array]:
    """Another person who moves alike: mirrored, more or less."""
    gain = np.float32(np.exp(random.uniform(*np.log(GAINS))))
    motion = motion * gain
    if random.random() < 0.5:
        motion[:, ODD] *= -1
    return motion, liveliness + np.log(gain)


def _chances(takes: Sequence[Take], crowd_share: float) -> npt.NDArray[np.float64]:
    """How often each take is drawn, by its length, crowds of takes of one person held down."""
    lengths = np.array([len(take.motion) - WINDOW for take in takes], np.float64)
    counts = {take.person: 0 for take in takes}
    for take in takes:
        counts[take.person] += 1
    crowded = np.array([counts[take.person] >= 50 for take in takes])
    chances = np.sqrt(lengths)
    for group, share in ((crowded, crowd_share), (~crowded, 1 - crowd_share)):
        if group.any():
            chances[group] *= share / chances[group].sum()
    return np.asarray(chances / chances.sum())
