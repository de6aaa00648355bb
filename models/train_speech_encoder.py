"""Train the speech encoder: ``vasari train speech-encoder CLIPS -o FOLDER``.

Two teachers. Synthesised and aligned real speech, whose phone times are known, teaches which
sound is heard (`vasari.models.utterances`); real talking clips, whose lips FaceMesh tracks, teach
how far the mouth opens. `vasari.models.acoustics` moves all of it to other rooms and throats, and
other sound is put into its pauses, which are silence all the same. With little to learn from,
chance makes each network err elsewhere: several are trained, and the two that are kept, for files
and for live sound, learn from what they say together, too (distillation, Hinton et al. 2015). In
the end both are judged on the clips that were held out. Needs PyTorch (any 2.x, CPU is enough),
flite and festival beside ``vasari[text,captions]``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

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
from vasari.models.acoustics import QUIET, Acoustics, make_noise, play_music
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
from vasari.models.utterances import (
    Utterance,
    listen,
    listen_resized,
    mel_levels,
    synthesise,
)

FloatArray = npt.NDArray[np.float32]

TARGETS = 256  # spectra of one training example that are learned from
# Examples in a batch: synthesised, real speech without lips, clips of crowded persons, of others.
SPOKEN, REAL, CLIPS, LONE_CLIPS = 5, 2, 5, 4
BEFORE = max(FILES.before, LIVE.before)  # spectra around them that an example has
AHEAD = max(FILES.ahead, LIVE.ahead)
CROWD = 50  # clips from which a person counts as crowded
PEAK_RATE, TAUGHT_RATE = 2.5e-3, 1e-3  # learning rates, the second of those that are taught
DROPOUT = 0.05
KEPT = 100  # steps after which a run is saved
OPENING_WEIGHT, AGREEMENT_WEIGHT, WIDTH_WEIGHT = 20.0, 1.0, 0.3  # beside the cross-entropy
DISTILLATION = 1.0  # what the networks that teach count
TEMPO = (0.85, 1.2)
SIZES = (0.87, 1.16)  # of which each real speaker with few recordings is heard as well
PAUSE_SHARE, PAUSE = 0.3, (15, 120)  # of the examples; spectra of a silence put into them
FILLED_SHARE, FILLING = 0.7, (-45.0, -6.0)  # of these pauses; dB of what is heard in them
PIECES = 40  # of music and of noise, each
NOISE_SHARE, MUSIC_SHARE = 0.5, 0.2  # of other sound; the rest are voices
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


def read_clips(
    paths: Sequence[Path], cache: Path | None, sizes: Sequence[float] = SIZES
) -> dict[str, list[Example]]:
    """Read real clips by person, each person's lips scaled by their own range.

    Args:
        paths: of the clips.
        cache: see `read_track`.
        sizes: of which people are heard as well who have few clips.
    """
    people: dict[str, list[tuple[Path, LipTrack]]] = {}
    for path in paths:
        people.setdefault(person_of(path), []).append((path, read_track(path, cache)))
    return {
        person: _scale(tracks, cache, () if len(tracks) >= CROWD else sizes)
        for person, tracks in people.items()
    }


def _scale(
    tracks: Sequence[tuple[Path, LipTrack]], cache: Path | None, sizes: Sequence[float]
) -> list[Example]:
    """The clips of one person."""
    opening = np.concatenate([track.opening for _, track in tracks])
    width = np.concatenate([track.width for _, track in tracks])
    low, high = np.nanpercentile(opening, [5, 95])
    return [
        _together(
            utterance,
            PICTURE_LAG.get(path.stem, 0.0) / size,
            track.fps * size,
            np.clip((track.opening - low) / (high - low), -0.2, 1.4),
            np.clip((track.width - np.nanmedian(width)) / np.nanstd(width), -3, 3),
        )
        for path, track in tracks
        for size, utterance in read_sizes(path, cache, sizes)
    ]


def read_sizes(
    path: Path, cache: Path | None, sizes: Sequence[float] = SIZES
) -> Iterator[tuple[float, Utterance]]:
    """A recording as it is, and as it would be of people of other sizes."""
    heard = read_utterance(partial(listen, path), path.stem, cache)
    yield 1.0, heard
    for size in sizes:
        make = partial(listen_resized, path, heard, size)
        yield size, read_utterance(make, f"{path.stem}.{size}", cache)


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


def without_sounds(clip: Example) -> Example:
    """A clip of which only the lips are known."""
    return replace(clip, utterance=replace(clip.utterance, certain=0 * clip.utterance.certain))


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
        self._folded = False  # the normalisation has a history that stays

    def begin_with(self, arrays: Mapping[str, FloatArray]) -> None:
        """Begin with weights that `arrays` gave, whose normalisation stays as it is."""
        self._folded = True
        with torch.no_grad():
            self.last.weight.copy_(torch.from_numpy(arrays["kernel_last"].T[:, :, None]))
            self.last.bias.copy_(torch.from_numpy(arrays["bias_last"]))
            for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
                kernel = torch.from_numpy(arrays[f"kernel_{number}"])
                layer.weight.copy_(kernel.permute(2, 1, 0))
                norm.bias.copy_(torch.from_numpy(arrays[f"bias_{number}"]))
                norm.running_var.fill_(1 - norm.eps)

    def train(self, mode: bool = True) -> Network:
        """See `torch.nn.Module.train`."""
        super().train(mode)
        self.norms.train(mode and not self._folded)
        return self

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


class Committee(nn.Module):  # type: ignore[misc]  # without PyTorch its base is unknown
    """What networks of one kind say together: the mean of their chances, and of their lips."""

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        self.kind = members[0].kind
        self.members = nn.ModuleList(members)

    def forward(self, levels: torch.Tensor) -> torch.Tensor:
        """From (B, MELS, before + T + ahead) scaled levels to (B, OUTPUTS, T), logs of chances."""
        said = torch.stack([member(levels) for member in self.members])
        sounds, lips = said[:, :, : len(SOUNDS)], said[:, :, len(SOUNDS) :]
        chances = functional.softmax(sounds, 2).mean(0).clamp(min=1e-9)
        return torch.cat([chances.log(), lips.mean(0)], 1)


class Batches:
    """Random batches of augmented examples, with as much around them as every kind looks at."""

    def __init__(self, teachers: Teachers, seed: int) -> None:
        self._size = BEFORE + TARGETS + AHEAD
        self._wanted = slice(BEFORE, BEFORE + TARGETS)
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
        self._noise = [_levels_of(make_noise(number)) for number in range(PIECES)]
        self._music = [_levels_of(play_music(number)) for number in range(PIECES)]
        voices = (*teachers.spoken, *teachers.heard)
        self._voices = [example.utterance.levels for example in voices] or self._music

    def state(self) -> list[dict[str, Any]]:
        """Where chance is, so that a run can go on where it was stopped."""
        return [dict(each.bit_generator.state) for each in (self._random, self._acoustics.random)]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Go back to a state."""
        for each, kept in zip((self._random, self._acoustics.random), state, strict=True):
            each.bit_generator.state = kept

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
        company = [self._other() for _ in rows]
        moved = self._acoustics(np.asarray(levels, np.float32), np.asarray(company, np.float32))
        scaled = scale_levels(moved)
        numbers = [torch.tensor(other[:, self._wanted], dtype=torch.float32) for other in others]
        inputs = torch.tensor(scaled, dtype=torch.float32).transpose(1, 2)
        return inputs, torch.tensor(sounds[:, self._wanted], dtype=torch.long), *numbers

    def _other(self) -> FloatArray:
        """A stretch of other sound: noise, music, or voices, of which several are babble."""
        chance = self._random.random()
        if chance < NOISE_SHARE:
            return self._piece(self._noise)
        if chance < NOISE_SHARE + MUSIC_SHARE:
            return self._piece(self._music)
        voices = [self._piece(self._voices) for _ in range(self._random.choice([1, 1, 3, 6]))]
        power = np.mean([10 ** (voice / 10) for voice in voices], axis=0)
        return np.asarray(10 * np.log10(power), np.float32)

    def _piece(self, pieces: Sequence[FloatArray]) -> FloatArray:
        """A stretch of one of some sounds."""
        cut = self._cut(pieces[self._random.integers(len(pieces))])[0]
        return np.asarray(cut, np.float32)

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
            levels[pause] = QUIET
            if self._random.random() < FILLED_SHARE:
                levels[pause] = self._other()[pause] + self._random.uniform(*FILLING)
            sounds[pause], certain[pause], counts[pause] = SILENCE, 1, 0
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


def _levels_of(sound: FloatArray) -> FloatArray:
    """Mel levels of a sound, (n, MELS) dB re its loud level."""
    return mel_levels(Speech.from_samples(sound, RATE))


def view(inputs: torch.Tensor, kind: Kind) -> torch.Tensor:
    """As much of the levels of a batch as a kind of network looks at."""
    return inputs[:, :, BEFORE - kind.before : inputs.shape[2] - (AHEAD - kind.ahead)]


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
    sounds_lost = (heard * certain).sum() / certain.sum().clamp(min=1)
    return sounds_lost + lips - AGREEMENT_WEIGHT * agreement


def correlation(first: torch.Tensor, second: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Pearson correlation of each pair of rows (B, T) where they count; 0 where few do."""
    total = counts.sum(1, keepdim=True).clamp(min=1)

    def centred(rows: torch.Tensor) -> torch.Tensor:
        return (rows - (rows * counts).sum(1, keepdim=True) / total) * counts.sqrt()

    x, y = centred(first), centred(second)
    return (x * y).sum(1) / (x.norm(dim=1) * y.norm(dim=1) + 1)


def disagreement(outputs: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """How far a network's sounds and openings are from its teacher's."""
    sounds = len(SOUNDS)
    logs = functional.log_softmax(outputs[:, :sounds], 1).transpose(1, 2).flatten(0, 1)
    chances = functional.softmax(taught[:, :sounds], 1).transpose(1, 2).flatten(0, 1)
    heard = functional.kl_div(logs, chances, reduction="batchmean")
    return heard + OPENING_WEIGHT * ((outputs[:, sounds] - taught[:, sounds]) ** 2).mean()


class Run:
    """The training of one network, which goes on where it was stopped.

    Args:
        network: to be trained.
        batches: what it learns from.
        steps: of the optimiser.
        rate: the highest learning rate.
        checkpoint: file that keeps where the run is.
    """

    def __init__(
        self, network: Network, batches: Batches, steps: int, rate: float, checkpoint: Path
    ) -> None:
        self._network, self._batches, self._steps = network, batches, steps
        self._checkpoint = checkpoint
        self._optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-2)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, rate, steps, pct_start=0.1
        )
        self._step = 0
        self._resume()

    def train(self, teacher: Committee | None = None) -> None:
        """Train, with other networks as teachers if there are any."""
        name = self._network.kind.weights
        self._network.train()
        while self._step < self._steps:
            loss = self._learn_once(teacher)
            if self._step % KEPT == 0 or self._step == self._steps:
                click.echo(f"{name}, step {self._step}: loss {loss:.3f}")
                self._save()
        self._network.eval()

    def _learn_once(self, teacher: Committee | None) -> float:
        """One step of the optimiser."""
        inputs, *targets = self._batches.draw()
        outputs = self._network(view(inputs, self._network.kind))
        loss = loss_of(outputs, targets)
        if teacher is not None:
            with torch.no_grad():
                taught = teacher(view(inputs, teacher.kind))
            loss = loss + DISTILLATION * disagreement(outputs, taught)
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self._schedule.step()
        self._step += 1
        return float(loss.detach())

    def _parts(self) -> dict[str, Any]:
        """What has a state."""
        return {
            "network": self._network,
            "optimiser": self._optimiser,
            "schedule": self._schedule,
        }

    def _save(self) -> None:
        draft = self._checkpoint.with_suffix(".tmp")
        states = {name: part.state_dict() for name, part in self._parts().items()}
        chance = {"dropout": torch.get_rng_state(), "batches": self._batches.state()}
        torch.save({"step": self._step, "steps": self._steps, **chance, **states}, draft)
        draft.replace(self._checkpoint)

    def _resume(self) -> None:
        if not self._checkpoint.exists():
            return
        state = torch.load(self._checkpoint, weights_only=True)
        if state["steps"] != self._steps:
            raise VasariError(
                f"{self._checkpoint} is of a run of {state['steps']} steps, not {self._steps}: "
                "go on with as many, or choose another folder"
            )
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        torch.set_rng_state(state["dropout"])
        self._batches.restore(state["batches"])
        self._step = state["step"]


def judge(network: Network, people: dict[str, list[Example]]) -> dict[str, float]:
    """How well the openings that a network hears go with those of people, mean r of their clips."""
    kind = network.kind
    results = {}
    for person, clips in people.items():
        found = []
        for clip in clips:
            around = ((kind.before, kind.ahead), (0, 0))
            levels = np.pad(clip.utterance.levels, around, constant_values=QUIET)
            with torch.no_grad():
                outputs = network(torch.tensor(scale_levels(levels)).T[None])
            seen = clip.counts > 0
            found.append(np.corrcoef(outputs[0, -2].numpy()[seen], clip.opening[seen])[0, 1])
        results[person] = float(np.mean(found))
    return results


def write(network: Network, file: Path) -> None:
    """Write the weights in half precision, as `SpeechEncoder` reads them."""
    np.savez(file, **{name: a.astype(np.float16) for name, a in network.arrays().items()})


def read(kind: Kind, file: Path) -> Network:
    """A network that begins with the weights that `write` wrote of one of the same size."""
    network = Network(kind)
    with np.load(file) as archive:
        network.begin_with({name: archive[name].astype(np.float32) for name in archive.files})
    network.eval()
    return network


def trained(examples: Teachers, seed: int, steps: int, weights: Path) -> Network:
    """A network for files that was trained before, or is trained now, as it reads its weights."""
    if not weights.exists():
        torch.manual_seed(seed)
        network = Network(FILES)
        Run(network, Batches(examples, seed), steps, PEAK_RATE, weights.with_suffix(".pt")).train()
        write(network, weights)
    return read(FILES, weights)


def files_in(folder: Path) -> list[Path]:
    """The clips and recordings in a folder and below."""
    return [p for p in sorted(folder.rglob("*")) if p.suffix in (".mp4", ".flac", ".wav")]


def gather(files: Sequence[Path], sentences: int, cache: Path | None) -> Teachers:
    """Collect talking clips and recordings, and synthesise sentences.

    Raises:
        VasariError: there is no clip to train on.
    """
    clips = [path for path in files if path.suffix == ".mp4" and path.stem not in UNMATCHED]
    if not clips:
        raise VasariError("no .mp4 to train on")
    people = read_clips(clips, cache)
    rest = [path for path in files if path not in clips]
    heard = [utterance for path in rest for _, utterance in read_sizes(path, cache)]
    spoken = [
        read_utterance(partial(synthesise, seed), f"sentence{seed}", cache)
        for seed in range(sentences)
    ]
    lips = Coarticulation(people)
    lone = [clip.utterance for clips in people.values() if len(clips) < CROWD for clip in clips]
    return Teachers(list(map(lips, spoken)), list(map(without_lips, heard + lone)), people)


def chosen(found: Teachers, teachers: str) -> Teachers:
    """Some of the teachers: see the command's option."""
    if teachers == "synthesis":
        return Teachers(found.spoken, [], {})
    if teachers == "real":
        return replace(found, spoken=[])
    if teachers == "lips":
        people = {name: list(map(without_sounds, clips)) for name, clips in found.people.items()}
        return Teachers([], [], people)
    return found


@click.command("speech-encoder")
@click.argument("clips", type=click.Path(path_type=Path, exists=True))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the weights.",
)
@click.option("--held-out", multiple=True, help="Pattern of file names to leave out.")
@click.option("--sentences", default=1200, show_default=True, help="How many to synthesise.")
@click.option(
    "--steps",
    type=click.IntRange(20),
    default=4000,
    show_default=True,
    help="Of each network that teaches.",
)
@click.option(
    "--taught-steps",
    type=click.IntRange(20),
    default=1500,
    show_default=True,
    help="Of the two that are taught and kept.",
)
@click.option(
    "--members",
    type=click.IntRange(1),
    default=4,
    show_default=True,
    help="How many networks teach.",
)
@click.option("--seed", default=0, show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps what was read.")
@click.option(
    "--teachers",
    type=click.Choice(["lips", "real", "synthesis", "both"]),
    default="both",
    show_default=True,
    help="Learn from the lips of real speech alone, from real speech, synthesised speech, or both.",
)
def speech_encoder(
    *,
    clips: Path,
    output: Path,
    held_out: tuple[str, ...],
    sentences: int,
    steps: int,
    taught_steps: int,
    members: int,
    seed: int,
    cache: Path | None,
    teachers: str,
) -> None:
    """Train what hears for the lips on the talking clips in the folder CLIPS and below.

    It learns from synthesised sentences, too. A run that was stopped goes on where it was when it
    is started again with the same folder.

    \b
    Example:
      vasari train speech-encoder clips -o run --held-out 'grid_*'
    """
    files = files_in(clips)
    left_out = [p for p in files if any(fnmatch(p.stem, pattern) for pattern in held_out)]
    found = gather([path for path in files if path not in left_out], sentences, cache)
    click.echo(
        f"{sum(map(len, found.people.values()))} clips of {len(found.people)} people, "
        f"{len(found.heard)} recordings, {len(found.spoken)} sentences"
    )
    examples = chosen(found, teachers)
    output.mkdir(parents=True, exist_ok=True)
    committee = Committee(
        [
            trained(examples, seed + number, steps, output / f"member{number}.npz")
            for number in range(members)
        ]
    )
    kept = []
    for number, kind in enumerate((FILES, LIVE), seed + members):
        network = read(kind, output / "member0.npz")
        torch.manual_seed(number)
        weights = output / kind.weights
        batches = Batches(examples, number)
        checkpoint = weights.with_suffix(".pt")
        Run(network, batches, taught_steps, TAUGHT_RATE, checkpoint).train(committee)
        write(network, weights)
        kept.append(network)
    unseen = [p for p in left_out if p.suffix == ".mp4" and p.stem not in UNMATCHED]
    judges = read_clips(unseen, cache, ())
    for one in kept:
        for person, r in judge(one, judges).items():
            click.echo(f"{one.kind.weights}, lips of {person}, held out: r {r:.3f}")
