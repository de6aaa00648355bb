"""Train the speech encoder: ``python -m vasari.models.train_speech_encoder CLIPS -o FILE.npz``.

Two teachers. Synthesised and aligned real speech, whose phone times are known, teaches which
sound is heard (`vasari.models.utterances`); real talking clips, whose lips FaceMesh tracks, teach
how far the mouth opens. `vasari.models.acoustics` moves all of it to other rooms and throats.
Needs PyTorch (any 2.x, CPU is enough) and flite beside ``vasari[text,captions]``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from vasari.errors import VasariError
from vasari.eval.lips import PICTURE_LAG, UNMATCHED, LipTrack, track_lips
from vasari.generate.spectrum import FRAME_RATE, RATE
from vasari.generate.speech import Speech
from vasari.models.acoustics import QUIET, Acoustics, play_music
from vasari.models.speech_encoder import (
    FILES,
    LIVE,
    MELS,
    OUTPUTS,
    SILENCE,
    SOUNDS,
    WIDTH,
    Kind,
    scale_levels,
)
from vasari.models.utterances import Utterance, listen, mel_levels, synthesise

FloatArray = npt.NDArray[np.float32]

TARGETS = 256  # spectra of one training example that are learned from
# Examples in a batch: synthesised, real speech without lips, clips of crowded persons, of others.
SPOKEN, REAL, CLIPS, LONE_CLIPS = 5, 2, 5, 4
CROWD = 50  # clips from which a person counts as crowded
PEAK_RATE = 2.5e-3  # learning rate
DROPOUT = 0.05
OPENING_WEIGHT, AGREEMENT_WEIGHT, WIDTH_WEIGHT = 20.0, 1.0, 0.3  # beside the cross-entropy
TEMPO = (0.85, 1.2)
PAUSE_SHARE, PAUSE = 0.3, (15, 80)  # of the examples; spectra of a silence put into them
PIECES = 40  # of music
# Spectra at which a sound moves the lips, from its own.
COARTICULATION = tuple(range(-18, 19, 3))
RIDGE = 20.0  # spectra
SPOKEN_LIPS = 0.3  # what lips count that nobody filmed
SILENCE_DB = -30.0  # dB re the loud level; before and after the speech the lips teach nothing
SPEECH_MARGIN = 25  # spectra around the speech that still count


@dataclass(frozen=True)
class Example:
    """Sound of n spectra and what is known of it."""

    utterance: Utterance
    opening: FloatArray  # (n,) 0 closed, 1 the speaker's 95th percentile
    width: FloatArray  # (n,) standard deviations from the speaker's median
    counts: FloatArray  # (n,) 1 where the lips are known and someone speaks, else 0


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


def read_utterance(make: Callable[[], Utterance], name: str, cache: Path | None) -> Utterance:
    """Make an utterance, or take it from the cache."""
    kept = cache / f"{name}.sounds.npz" if cache else None
    if kept and kept.exists():
        with np.load(kept) as archive:
            return Utterance(*(archive[key] for key in ("levels", "sounds", "certain")))
    utterance = make()
    if kept:
        np.savez(kept, **vars(utterance))
    return utterance


def read_clips(paths: Sequence[Path], cache: Path | None) -> dict[str, list[Example]]:
    """Read real clips by person, each person's lips scaled by their own range."""
    people: dict[str, list[tuple[Path, LipTrack]]] = {}
    for path in paths:
        people.setdefault(person_of(path), []).append((path, read_track(path, cache)))
    return {person: _scale(tracks, cache) for person, tracks in people.items()}


def _scale(tracks: Sequence[tuple[Path, LipTrack]], cache: Path | None) -> list[Example]:
    """The clips of one person."""
    opening = np.concatenate([track.opening for _, track in tracks])
    width = np.concatenate([track.width for _, track in tracks])
    low, high = np.nanpercentile(opening, [5, 95])
    return [
        _together(
            read_utterance(partial(listen, path), path.stem, cache),
            PICTURE_LAG.get(path.stem, 0.0),
            track.fps,
            np.clip((track.opening - low) / (high - low), -0.2, 1.4),
            np.clip((track.width - np.nanmedian(width)) / np.nanstd(width), -3, 3),
        )
        for path, track in tracks
    ]


def _together(
    utterance: Utterance, lag: float, fps: float, *tracks: npt.NDArray[np.float64]
) -> Example:
    """Bring sound and lips to one time."""
    levels = utterance.levels
    times = np.arange(len(levels)) / FRAME_RATE
    seen = np.isfinite(tracks[0])
    frames = np.arange(len(tracks[0]))[seen] / fps - lag
    opening, width = (np.interp(times, frames, track[seen]) for track in tracks)
    loud = np.flatnonzero(levels.max(axis=1) > SILENCE_DB)
    counts = (times >= frames[0]) & (times <= frames[-1])
    counts[: max(0, loud[0] - SPEECH_MARGIN)] = False
    counts[loud[-1] + SPEECH_MARGIN :] = False
    return Example(utterance, *(np.asarray(x, np.float32) for x in (opening, width, counts)))


class Coarticulation:
    """How far lips open given the sounds around a moment: a linear fit to real clips.

    It gives lips to speech whose sounds are known and whose speaker nobody filmed.
    """

    def __init__(self, people: dict[str, list[Example]]) -> None:
        size = len(COARTICULATION) * len(SOUNDS)
        gram, moment = RIDGE * np.eye(size), np.zeros(size)
        for clips in people.values():
            share = len(clips) ** -0.5  # one person's many clips count less each
            for clip in clips:
                around = self._around(clip.utterance.sounds)
                weighted = around.T * (share * clip.counts * clip.utterance.certain)
                gram += weighted @ around
                moment += weighted @ clip.opening
        self._weights = np.linalg.solve(gram, moment)

    def __call__(self, utterance: Utterance) -> Example:
        """An utterance with lips."""
        opening = np.asarray(self._around(utterance.sounds) @ self._weights, np.float32)
        counts = SPOKEN_LIPS * utterance.certain * (utterance.sounds != SILENCE)
        return Example(utterance, opening, np.zeros_like(opening), np.asarray(counts, np.float32))

    def _around(self, sounds: npt.NDArray[np.int64]) -> FloatArray:
        """Which sound there is at each of COARTICULATION from each spectrum, (n, size)."""
        reach = max(map(abs, COARTICULATION))
        chosen = np.eye(len(SOUNDS), dtype=np.float32)[np.pad(sounds, reach)]
        parts = [chosen[reach + place :][: len(sounds)] for place in COARTICULATION]
        return np.concatenate(parts, axis=1)


def without_lips(utterance: Utterance) -> Example:
    """An utterance of whose speaker's lips nothing is known."""
    nothing = np.zeros(len(utterance.levels), np.float32)
    return Example(utterance, nothing, nothing, nothing)


@dataclass(frozen=True)
class Teachers:
    """What the encoder learns from."""

    spoken: list[Example]  # synthesised sentences
    heard: list[Example]  # real speech without lips
    people: dict[str, list[Example]]  # real clips by person


class Network(nn.Module):  # type: ignore[misc]  # without PyTorch its base is unknown
    """`vasari.models.speech_encoder.SpeechEncoder` in PyTorch, with batch normalisation."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind = kind
        inputs = [MELS] + [WIDTH] * (len(kind.taps) - 1)
        self.layers = nn.ModuleList(
            nn.Conv1d(size, WIDTH, len(taps), dilation=taps[1] - taps[0], bias=False)
            for size, taps in zip(inputs, kind.taps, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(WIDTH) for _ in kind.taps)
        self.last = nn.Conv1d(WIDTH, OUTPUTS, 1)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        """From (B, MELS, before + T + ahead) scaled levels to (B, OUTPUTS, T)."""
        hidden = levels
        for number, (layer, norm, taps) in enumerate(
            zip(self.layers, self.norms, self.kind.taps, strict=True)
        ):
            changed = functional.relu(norm(layer(self.dropout(hidden) if number else hidden)))
            own = hidden[:, :, -taps[0] : -taps[0] + changed.shape[2]]
            hidden = own + changed if number else changed
        return self.last(hidden)

    def arrays(self) -> dict[str, FloatArray]:
        """The weights as `SpeechEncoder` reads them, the normalisation folded into them."""
        arrays = {
            "kernel_last": self.last.weight[:, :, 0].T,
            "bias_last": self.last.bias,
        }
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            arrays[f"kernel_{number}"] = (layer.weight * gain[:, None, None]).permute(2, 1, 0)
            arrays[f"bias_{number}"] = norm.bias - gain * norm.running_mean
        return {name: array.detach().numpy() for name, array in arrays.items()}


class Batches:
    """Random batches of augmented examples."""

    def __init__(self, teachers: Teachers, kind: Kind, seed: int) -> None:
        self._size = kind.before + TARGETS + kind.ahead
        self._wanted = slice(kind.before, kind.before + TARGETS)
        self._random = np.random.default_rng(seed)
        self._acoustics = Acoustics(seed)
        everyone = teachers.people.values()
        groups = (
            (teachers.spoken, SPOKEN),
            (teachers.heard, REAL),
            ([c for clips in everyone if len(clips) >= CROWD for c in clips], CLIPS),
            ([c for clips in everyone if len(clips) < CROWD for c in clips], LONE_CLIPS),
        )
        self._groups = [(examples, count) for examples, count in groups if examples]
        music = (Speech.from_samples(play_music(seed), RATE) for seed in range(PIECES))
        voices = (*teachers.spoken, *teachers.heard)
        self._company = [mel_levels(piece) for piece in music]
        self._company += [example.utterance.levels for example in voices]

    def draw(self) -> tuple[torch.Tensor, ...]:
        """Scaled levels (B, MELS, size), then per spectrum (B, TARGETS): sound, whether it is
        certain, opening, width, and whether these two count.
        """  # noqa: D205
        rows = [
            self._crop(examples[self._random.integers(len(examples))])
            for examples, count in self._groups
            for _ in range(count)
        ]
        levels, sounds, *others = (np.stack(column) for column in zip(*rows, strict=True))
        company = [self._cut(self._one_other())[0] for _ in rows]
        moved = self._acoustics(np.asarray(levels, np.float32), np.asarray(company, np.float32))
        scaled = scale_levels(moved)
        numbers = [torch.tensor(other[:, self._wanted], dtype=torch.float32) for other in others]
        inputs = torch.tensor(scaled, dtype=torch.float32).transpose(1, 2)
        return inputs, torch.tensor(sounds[:, self._wanted], dtype=torch.long), *numbers

    def _one_other(self) -> FloatArray:
        """Music in half of the cases, else a voice."""
        count = PIECES if self._random.random() < 0.5 else len(self._company)
        return self._company[self._random.integers(count)]

    def _crop(self, example: Example) -> list[npt.NDArray[np.generic]]:
        """A stretch of an example at another tempo, perhaps with a pause in it."""
        utterance = example.utterance
        levels, sounds, certain, opening, width, counts = self._cut(
            utterance.levels, utterance.sounds, utterance.certain,
            example.opening, example.width, example.counts,
            stretch=self._random.uniform(*TEMPO),
        )  # fmt: skip
        if self._random.random() < PAUSE_SHARE:
            start = self._random.integers(self._size)
            pause = slice(start, start + self._random.integers(*PAUSE))
            levels[pause], sounds[pause], certain[pause], counts[pause] = QUIET, SILENCE, 1, 0
        return [levels, sounds, certain, opening, width, counts]

    def _cut(
        self, levels: FloatArray, *tracks: npt.NDArray[np.generic], stretch: float = 1.0
    ) -> list[npt.NDArray[np.generic]]:
        """A stretch of the size that is wanted; what is short lies somewhere in silence."""
        spare = len(levels) - stretch * self._size
        start = self._random.uniform(min(0, spare), max(0, spare))
        places = start + stretch * np.arange(self._size)
        inside = (places >= 0) & (places <= len(levels) - 1)
        index = np.clip(places.round().astype(int), 0, len(levels) - 1)
        cut = np.where(inside[:, None], levels[index], np.float32(QUIET))
        return [cut, *(np.where(inside, track[index], 0) for track in tracks)]


def loss_of(outputs: torch.Tensor, batch: Sequence[torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of the sounds; squared errors of the lips, and how little they agree."""
    sounds, certain, opening, width, counts = batch
    heard = functional.cross_entropy(outputs[:, : len(SOUNDS)], sounds, reduction="none")
    opened, wide = outputs[:, -2], outputs[:, -1]
    squares = OPENING_WEIGHT * (opened - opening) ** 2
    # Where nobody was filmed the width is not known either.
    squares = squares + WIDTH_WEIGHT * (wide - width) ** 2 * (counts == 1)
    lips = (squares * counts).sum() / counts.sum()
    agreement = correlation(opened, opening, counts).mean()
    return (heard * certain).sum() / certain.sum() + lips - AGREEMENT_WEIGHT * agreement


def correlation(first: torch.Tensor, second: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Pearson correlation of each pair of rows (B, T) where they count; 0 where few do."""
    total = counts.sum(1, keepdim=True).clamp(min=1)

    def centred(rows: torch.Tensor) -> torch.Tensor:
        return (rows - (rows * counts).sum(1, keepdim=True) / total) * counts.sqrt()

    x, y = centred(first), centred(second)
    return (x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1) + 1)


def train(network: Network, batches: Batches, steps: int) -> None:
    """Train a network."""
    optimiser = torch.optim.AdamW(network.parameters(), PEAK_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, steps, pct_start=0.1)
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


def write(network: Network, file: Path) -> None:
    """Write the weights in half precision, as `SpeechEncoder` reads them."""
    np.savez(file, **{name: a.astype(np.float16) for name, a in network.arrays().items()})


def gather(folder: Path, held_out: Sequence[str], sentences: int, cache: Path | None) -> Teachers:
    """Collect the talking clips and recordings in a folder and below, and synthesise sentences.

    Raises:
        VasariError: there is no clip to train on.
    """
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".mp4", ".flac", ".wav")
        and not any(fnmatch(path.stem, pattern) for pattern in held_out)
    ]
    clips = [path for path in files if path.suffix == ".mp4" and path.stem not in UNMATCHED]
    if not clips:
        raise VasariError(f"no .mp4 to train on in {folder}")
    people = read_clips(clips, cache)
    rest = [path for path in files if path not in clips]
    heard = [read_utterance(partial(listen, path), path.stem, cache) for path in rest]
    spoken = [
        read_utterance(partial(synthesise, seed), f"sentence{seed}", cache)
        for seed in range(sentences)
    ]
    lips = Coarticulation(people)
    lone = [clip.utterance for clips in people.values() if len(clips) < CROWD for clip in clips]
    return Teachers(list(map(lips, spoken)), list(map(without_lips, heard + lone)), people)


@click.command()
@click.argument("clips", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .npz.")
@click.option("--held-out", multiple=True, help="Pattern of file names to leave out.")
@click.option("--sentences", default=900, show_default=True, help="How many to synthesise.")
@click.option("--steps", default=1000, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps what was read.")
@click.option(
    "--teachers",
    type=click.Choice(["real", "synthesis", "both"]),
    default="both",
    show_default=True,
    help="Learn from real speech, from synthesised speech, or from both.",
)
@click.option("--live", is_flag=True, help="Look ahead as little as live sound allows.")
@click.option(
    "--start",
    type=click.Path(path_type=Path, exists=True),
    help="The .pt of another run to go on from.",
)
def main(
    *,
    clips: Path,
    output: Path,
    held_out: tuple[str, ...],
    sentences: int,
    steps: int,
    seed: int,
    cache: Path | None,
    teachers: str,
    live: bool,
    start: Path | None,
) -> None:
    """Train on the talking clips in the folder CLIPS and below, and on synthesised sentences."""
    torch.manual_seed(seed)
    found = gather(clips, held_out, sentences, cache)
    click.echo(
        f"{sum(map(len, found.people.values()))} clips of {len(found.people)} people, "
        f"{len(found.heard)} recordings, {len(found.spoken)} sentences"
    )
    spoken = [] if teachers == "real" else found.spoken
    real = Teachers(spoken, [], {}) if teachers == "synthesis" else replace(found, spoken=spoken)
    kind = LIVE if live else FILES
    network = Network(kind)
    if start:
        network.load_state_dict(torch.load(start, weights_only=True))
    train(network, Batches(real, kind, seed), steps)
    torch.save(network.state_dict(), output.with_suffix(".pt"))
    write(network, output)


if __name__ == "__main__":
    main()
