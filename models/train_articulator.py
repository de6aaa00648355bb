"""Train the articulator: ``python -m vasari.models.train_articulator CLIPS -o articulator.npz``.

Two teachers. Synthesised sentences in many languages and voices, whose phone times are exact,
teach which sound is heard; real talking clips, whose lips FaceMesh tracks, teach how far the
mouth opens. Needs PyTorch (any 2.x, CPU is enough) beside ``vasari[text]``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from vasari.errors import VasariError
from vasari.eval.lips import PICTURE_LAG, UNMATCHED, LipTrack, track_lips
from vasari.generate.spectrum import FRAME_RATE, decibels, mel_matrix, power_spectra
from vasari.generate.speech import Phone, Speech
from vasari.generate.synthesis import speak
from vasari.models.articulator import (
    DILATIONS,
    MEL_RANGE,
    MELS,
    OUTPUTS,
    SOUNDS,
    scale_levels,
)
from vasari.models.vocabulary import WORDS

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

WIDTH = 64  # channels
CROP = 256  # spectra of one training example
SPOKEN, CLIPS, LONE_CLIPS = 12, 7, 5  # examples in a batch: synthesised, crowded persons, others
CROWD = 50  # clips from which a person counts as crowded
PEAK_RATE = 3e-3  # learning rate
OPENING_WEIGHT, WIDTH_WEIGHT = 3.0, 0.2  # of their squared errors beside the cross-entropy
ASPIRATION = next(group for group, letters in enumerate(SOUNDS) if "h" in letters)
# espeak-ng counts the closure of a voiceless stop to the sound before it.
STOP_CLOSURE = 4.5  # spectra
SILENCE_DB = -30.0  # dB re the loud level; before and after the speech the lips teach nothing
SPEECH_MARGIN = 25  # spectra around the speech that still count
ENGLISHES = ("en", "en-us", "en-gb-x-rp", "en-gb-scotland", "en-029")
# The voices of espeak-ng that sound like people: no robots, no whispers.
VOICES = (
    "default", "f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8",
    "Alex", "Alicia", "Andrea", "Andy", "Annie", "belinda", "benjamin", "boris", "caleb",
    "david", "Denis", "Diogo", "ed", "edward", "Gene", "Gene2", "Henrique", "Hugo", "ian",
    "iven", "iven2", "Jacky", "john", "klatt", "klatt2", "klatt3", "Lee", "linda", "Marco",
    "Mario", "max", "Michael", "michel", "miguel", "Mike", "norbert", "pablo", "paul",
    "pedro", "quincy", "Reed", "rob", "robert", "sandro", "shelby", "steph", "steph2",
    "travis", "victor", "zac", "adam", "anika", "antonio", "aunty", "grandma", "grandpa",
)  # fmt: skip


@dataclass(frozen=True)
class Spoken:
    """A synthesised sentence of n spectra."""

    levels: FloatArray  # (n, MELS) dB re the loud level
    sounds: IntArray  # (n,) index into SOUNDS
    certain: FloatArray  # (n,) 1 where the sound is known, else 0


@dataclass(frozen=True)
class Clip:
    """A real clip of n spectra."""

    levels: FloatArray  # (n, MELS) dB re the loud level
    opening: FloatArray  # (n,) 0 closed, 1 the speaker's 95th percentile
    width: FloatArray  # (n,) standard deviations from the speaker's median
    counts: FloatArray  # (n,) 1 where the lips are tracked and someone speaks, else 0


def mel_levels(speech: Speech) -> FloatArray:
    """Mel levels of a speech, (n, MELS) dB re its loud level."""
    matrix = mel_matrix(MELS, *MEL_RANGE)
    levels = [decibels(spectra @ matrix) for spectra in power_spectra(speech.blocks())]
    return np.concatenate(levels) - np.float32(speech.level.loud)


def say(seed: int) -> Spoken:
    """Synthesise a random row of words in a random language and voice."""
    chance = random.Random(seed)  # noqa: S311  no secret depends on it
    language = chance.choice([*ENGLISHES * 3, *(code for code in WORDS if code != "en")])
    words = WORDS[language.split("-")[0]]
    row = [
        chance.choice(words) + ("," if chance.random() < 0.12 else "")
        for _ in range(chance.randint(5, 14))
    ]
    voice, rate = chance.choice(VOICES), chance.randint(110, 230)
    speech = speak(" ".join(row), language=language, voice=voice, rate=rate)
    levels = mel_levels(speech)
    sounds, certain = label(speech.phones, len(levels))
    return Spoken(levels, sounds, certain)


def label(phones: Sequence[Phone], length: int) -> tuple[IntArray, FloatArray]:
    """The group of sounds at each spectrum, and whether it is known."""
    sounds, certain = np.zeros(length, np.int64), np.ones(length, np.float32)
    groups = [_groups(phone.symbol) for phone in phones]
    for index, (phone, group) in enumerate(zip(phones, groups, strict=True)):
        start, end = phone.start * FRAME_RATE, phone.end * FRAME_RATE
        if not group:
            certain[round(start) : round(end)] = 0
        elif phone.symbol[0] in "ptk":
            follower = (group[1:] + [item for later in groups[index + 1 :] for item in later])[:1]
            sounds[max(0, round(start - STOP_CLOSURE)) : round(start)] = group[0]
            sounds[round(start) : round(end)] = (follower or [ASPIRATION])[0]
        else:
            middle = start + (end - start) / min(len(group), 2)
            sounds[round(start) : round(middle)] = group[0]
            sounds[round(middle) : round(end)] = group[-1]
    return sounds, certain


def _groups(symbol: str) -> list[int]:
    """The groups of sounds in a phone's IPA symbol, two for a diphthong or affricate."""
    return [group for letter in symbol for group, letters in enumerate(SOUNDS) if letter in letters]


def person_of(path: Path) -> str:
    """Who speaks: clips in a folder of many are one person's, others stand for themselves."""
    crowded = len(list(path.parent.glob("*.mp4"))) >= CROWD
    return path.parent.name if crowded else path.stem


def read_track(path: Path, cache: Path | None) -> LipTrack:
    """Track a clip's lips, or take them from the cache."""
    kept = cache / f"{path.stem}.npz" if cache else None
    if kept and kept.exists():
        with np.load(kept) as archive:
            return LipTrack(float(archive["fps"]), archive["opening"], archive["width"])
    track = track_lips(path)
    if kept:
        np.savez(kept, fps=track.fps, opening=track.opening, width=track.width)
    return track


def read_clips(paths: Sequence[Path], cache: Path | None) -> dict[str, list[Clip]]:
    """Read real clips by person, each person's lips scaled by their own range."""
    people: dict[str, list[tuple[Path, LipTrack]]] = {}
    for path in paths:
        people.setdefault(person_of(path), []).append((path, read_track(path, cache)))
    return {person: _scale(tracks) for person, tracks in people.items()}


def _scale(tracks: Sequence[tuple[Path, LipTrack]]) -> list[Clip]:
    """The clips of one person."""
    opening = np.concatenate([track.opening for _, track in tracks])
    width = np.concatenate([track.width for _, track in tracks])
    low, high = np.nanpercentile(opening, [5, 95])
    return [
        _clip(
            Speech.open(path),
            PICTURE_LAG.get(path.stem, 0.0),
            track.fps,
            np.clip((track.opening - low) / (high - low), -0.2, 1.4),
            np.clip((track.width - np.nanmedian(width)) / np.nanstd(width), -3, 3),
        )
        for path, track in tracks
    ]


def _clip(speech: Speech, lag: float, fps: float, *tracks: npt.NDArray[np.float64]) -> Clip:
    """Bring sound and lips to one time."""
    levels = mel_levels(speech)
    times = np.arange(len(levels)) / FRAME_RATE
    seen = np.isfinite(tracks[0])
    frames = np.arange(len(tracks[0]))[seen] / fps - lag
    opening, width = (np.interp(times, frames, track[seen]) for track in tracks)
    loud = np.flatnonzero(levels.max(axis=1) > SILENCE_DB)
    counts = (times >= frames[0]) & (times <= frames[-1])
    counts[: max(0, loud[0] - SPEECH_MARGIN)] = False
    counts[loud[-1] + SPEECH_MARGIN :] = False
    return Clip(levels, *(np.asarray(x, np.float32) for x in (opening, width, counts)))


class Network(nn.Module):  # type: ignore[misc]  # without PyTorch its base is unknown
    """`vasari.models.articulator.Articulator` in PyTorch."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(MELS, WIDTH, 3, padding=1)
        self.residual = nn.ModuleList(
            nn.Conv1d(WIDTH, WIDTH, 3, dilation=d, padding=d) for d in DILATIONS
        )
        self.last = nn.Conv1d(WIDTH, OUTPUTS, 1)
        self.dropout = nn.Dropout(0.1)

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        """From (B, MELS, T) scaled levels to (B, OUTPUTS, T)."""
        hidden = functional.relu(self.first(levels))
        for layer in self.residual:
            hidden = hidden + functional.relu(layer(self.dropout(hidden)))
        return self.last(hidden)


class Batches:
    """Random batches of augmented examples."""

    def __init__(self, spoken: Sequence[Spoken], people: dict[str, list[Clip]], seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._spoken = spoken
        self._crowded = [clip for clips in people.values() if len(clips) >= CROWD for clip in clips]
        self._lone = [clip for clips in people.values() if len(clips) < CROWD for clip in clips]

    def draw(self) -> tuple[torch.Tensor, ...]:
        """Scaled levels (B, MELS, T), then per spectrum (B, T): sound, whether it is certain,
        opening, width, and whether these two count.
        """  # noqa: D205
        rows = [self._one_spoken() for _ in range(SPOKEN)]
        rows += [self._one_clip(self._crowded or self._lone) for _ in range(CLIPS)]
        rows += [self._one_clip(self._lone or self._crowded) for _ in range(LONE_CLIPS)]
        levels, sounds, *others = (np.stack(column) for column in zip(*rows, strict=True))
        scaled = scale_levels(self._augment(np.asarray(levels, np.float32)))
        numbers = [torch.tensor(other, dtype=torch.float32) for other in others]
        inputs = torch.tensor(scaled, dtype=torch.float32).transpose(1, 2)
        return inputs, torch.tensor(sounds, dtype=torch.long), *numbers

    def _one_spoken(self) -> list[npt.NDArray[np.generic]]:
        item = self._spoken[self._random.integers(len(self._spoken))]
        nothing = np.zeros_like(item.certain)
        return self._crop(item.levels, item.sounds, item.certain, nothing, nothing, nothing)

    def _one_clip(self, clips: Sequence[Clip]) -> list[npt.NDArray[np.generic]]:
        item = clips[self._random.integers(len(clips))]
        nothing = np.zeros_like(item.counts)
        return self._crop(item.levels, nothing, nothing, item.opening, item.width, item.counts)

    def _crop(
        self, levels: FloatArray, *tracks: npt.NDArray[np.generic]
    ) -> list[npt.NDArray[np.generic]]:
        """A stretch of CROP spectra; what is short lies somewhere in silence."""
        spare = len(levels) - CROP
        if spare >= 0:
            start = self._random.integers(spare + 1)
            return [array[start : start + CROP] for array in (levels, *tracks)]
        before = self._random.integers(1 - spare)
        around = (before, -spare - before)
        padded = np.pad(levels, (around, (0, 0)), constant_values=-80.0)
        return [padded, *(np.pad(track, around) for track in tracks)]

    def _augment(self, levels: FloatArray) -> FloatArray:
        """Other microphones, rooms' noise, and longer or shorter throats."""
        batch = len(levels)
        shifted = np.stack([self._shift(item) for item in levels])
        shifted += self._curve(batch, 6, 4.0) + self._random.normal(0, 2, (batch, 1, 1))
        floor = self._random.uniform(-60, -12, (batch, 1, 1)) + self._curve(batch, 5, 6.0)
        noise = floor + self._random.normal(0, 2.5, levels.shape)
        return np.asarray(10 * np.log10(10 ** (shifted / 10) + 10 ** (noise / 10)), np.float32)

    def _curve(self, batch: int, knots: int, sigma: float) -> npt.NDArray[np.float64]:
        """Smooth random offsets over the bands, (batch, 1, MELS) dB."""
        bands, places = np.arange(MELS), np.linspace(0, MELS - 1, knots)
        heights = self._random.normal(0, sigma, (batch, knots))
        return np.stack([np.interp(bands, places, row) for row in heights])[:, None]

    def _shift(self, levels: FloatArray) -> FloatArray:
        """The spectrum moved by up to one and a half bands."""
        places = np.clip(np.arange(MELS) + self._random.uniform(-1.5, 1.5), 0, MELS - 1.001)
        lower = places.astype(int)
        share = (places - lower).astype(np.float32)
        return np.asarray(levels[:, lower] * (1 - share) + levels[:, lower + 1] * share)


def loss_of(outputs: torch.Tensor, batch: Sequence[torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of the sounds, and squared errors of the lips."""
    sounds, certain, opening, width, counts = batch
    heard = functional.cross_entropy(outputs[:, : len(SOUNDS)], sounds, reduction="none")
    wide = (outputs[:, -1] - width) ** 2
    opened = (outputs[:, -2] - opening) ** 2
    lips = ((OPENING_WEIGHT * opened + WIDTH_WEIGHT * wide) * counts).sum() / counts.sum()
    return (heard * certain).sum() / certain.sum() + lips


def train(batches: Batches, steps: int) -> Network:
    """Train a network from scratch."""
    network = Network()
    optimiser = torch.optim.AdamW(network.parameters(), PEAK_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, steps)
    for step in range(1, steps + 1):
        inputs, *targets = batches.draw()
        loss = loss_of(network(inputs), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            click.echo(f"step {step}: loss {loss.item():.3f}")
    network.eval()
    return network


def mean_openings(network: Network, clips: Sequence[Clip]) -> FloatArray:
    """How far real lips open in each group of sounds, (len(SOUNDS),), by least squares.

    The network says how likely each group is; the openings explain what was tracked.
    """
    gram = 1e-3 * len(clips) * CROP * np.eye(len(SOUNDS))
    moment = np.zeros(len(SOUNDS))
    for clip in clips:
        scaled = scale_levels(clip.levels)
        with torch.no_grad():
            outputs = network(torch.tensor(scaled, dtype=torch.float32).T[None])[0]
        chances = functional.softmax(outputs[: len(SOUNDS)], dim=0).T.numpy()
        weighted = chances * clip.counts[:, None]
        gram += weighted.T @ chances
        moment += weighted.T @ clip.opening
    return np.linalg.solve(gram, moment).astype(np.float32)


def write(network: Network, openings: FloatArray, file: Path) -> None:
    """Write the weights in half precision, as `Articulator` reads them."""
    arrays = {"opening": openings}
    for index, layer in enumerate([network.first, *network.residual, network.last]):
        arrays[f"kernel_{index}"] = layer.weight.detach().numpy().transpose(2, 1, 0)
        arrays[f"bias_{index}"] = layer.bias.detach().numpy()
    np.savez(file, **{name: array.astype(np.float16) for name, array in arrays.items()})


@click.command()
@click.argument("clips", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .npz.")
@click.option("--held-out", multiple=True, help="Pattern of clip names to leave out.")
@click.option("--sentences", default=700, show_default=True, help="How many to synthesise.")
@click.option("--steps", default=1500, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps lip tracks.")
def main(
    *,
    clips: Path,
    output: Path,
    held_out: tuple[str, ...],
    sentences: int,
    steps: int,
    seed: int,
    cache: Path | None,
) -> None:
    """Train on the talking clips in the folder CLIPS and below, and on synthesised sentences."""
    torch.manual_seed(seed)
    paths = [
        path
        for path in sorted(clips.rglob("*.mp4"))
        if path.stem not in UNMATCHED
        and not any(fnmatch(path.stem, pattern) for pattern in held_out)
    ]
    if not paths:
        raise VasariError(f"no .mp4 to train on in {clips}")
    people = read_clips(paths, cache)
    with ThreadPoolExecutor(4) as pool:
        spoken = list(pool.map(say, range(seed, seed + sentences)))
    click.echo(f"{len(paths)} clips of {len(people)} people, {len(spoken)} sentences")
    network = train(Batches(spoken, people, seed), steps)
    some = [clip for clips_of_one in people.values() for clip in clips_of_one[:CROWD]]
    write(network, mean_openings(network, some), output)


if __name__ == "__main__":
    main()
