"""Train a detector on a corpus: `vasari train detector CORPUS -o DETECTOR.onnx`.

Each batch holds pairs: a real crop, and a fake of the same picture, both encoded, scaled and
coloured as by chance. Needs PyTorch and onnx (any recent, CPU is enough): the extra
``vasari[train]``.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vasari.detect.augmentation import Change
from vasari.detect.calibration import auc, calibrate
from vasari.detect.corpus import CROP_SIDE, GENERATED, REAL, Clip, read_crops, read_manifest
from vasari.detect.pseudofakes import pseudo_fake
from vasari.errors import InputError, OutputError
from vasari.models.detector_network import make_network

ImageArray = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]
Random = np.random.Generator

BATCH = 10  # pairs
PEAK_RATE, DECAY = 2e-3, 0.02
WARM_UP = 0.05  # of the training: the rate rises; from there it falls along a cosine
MEMORY = 0.998  # of the running mean of the weights, which is what is kept
SMOOTHING = 0.02  # of the labels: no crop is worth more than 98 % of certainty
# What the fake of a pair is; the rest are pseudo-fakes.
GENERATOR_SHARE = 0.5
VIDEO_SHARE = 0.6  # of the real crops that come from video, few as the people in it are
VALIDATE_EVERY = 500  # steps
VALIDATION_DRAWS = 2  # changed copies of each validation crop


@dataclass(frozen=True)
class Options:
    """How to train."""

    network: str = "vasari"  # as `make_network` knows it
    changed: bool = True  # whether crops are re-encoded, scaled and coloured (AD), or not (OD)
    pseudo: bool = True  # whether fakes other than the generator's are made
    steps: int = 8000
    minutes: float | None = None  # of processor time; where given, it ends the training
    seed: int = 0
    rate: float = PEAK_RATE
    bfloat16: bool = False  # faster on processors that know it


@dataclass(frozen=True)
class Faces:
    """The pairs of one split, as crops of CROP_SIDE pixels."""

    real: ImageArray  # (n, side, side, 3)
    generated: ImageArray  # (n, side, side, 3), of the same pairs
    chances: npt.NDArray[np.float64]  # (n,) of being drawn
    clips: npt.NDArray[np.int64]  # (n,) which pair each belongs to

    @classmethod
    def read(cls, corpus: Path, split: str) -> Faces:
        """Read the crops of a corpus.

        Raises:
            InputError: the corpus is no corpus, or has no pair in the split.
        """
        pairs: dict[str, dict[str, Clip]] = {}
        for clip in read_manifest(corpus):
            if clip.split == split:
                pairs.setdefault(clip.pair, {})[clip.label] = clip
        whole = [pair for pair in pairs.values() if len(pair) == 2]
        if not whole:
            raise InputError(f"{corpus} has no pair of clips for {split}")
        real = [read_crops(corpus, pair[REAL]) for pair in whole]
        generated = [read_crops(corpus, pair[GENERATED]) for pair in whole]
        each = len(real[0])
        chances = np.repeat(_chances([pair[REAL] for pair in whole]), each) / each
        clips = np.repeat(np.arange(len(whole)), each)
        return cls(np.concatenate(real), np.concatenate(generated), chances, clips)


def _chances(clips: list[Clip]) -> npt.NDArray[np.float64]:
    """How often each pair is drawn: videos by VIDEO_SHARE, and every person alike."""
    kinds = np.array([clip.kind for clip in clips])
    people = np.array([clip.person for clip in clips])
    chances = np.array([1 / (people == person).sum() for person in people])
    for kind, share in (("video", VIDEO_SHARE), ("still", 1 - VIDEO_SHARE)):
        if (kinds == kind).any():
            chances[kinds == kind] *= share / chances[kinds == kind].sum()
    return np.asarray(chances / chances.sum(), np.float64)


class Sampler:
    """Draws pairs of a real and a fake crop."""

    def __init__(self, faces: Faces, side: int, options: Options, random: Random) -> None:
        self._faces, self._side, self._options, self._random = faces, side, options, random

    def batch(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images, (2 size, 3, side, side), and labels, (2 size,): 1 is fake."""
        pairs = [self.pair() for _ in range(size)]
        images = as_images(np.stack([crop for pair in pairs for crop in pair]))
        return images, torch.tensor([0.0, 1.0]).repeat(size)

    def pair(self) -> tuple[ImageArray, ImageArray]:
        """A real crop and a fake of the same picture, cut alike."""
        index = int(self._random.choice(len(self._faces.real), p=self._faces.chances))
        real, fake = self._raw(index)
        slack = CROP_SIDE - self._side
        if not self._options.changed:
            middle = Change.none(slack)
            return middle.apply(real, self._side), middle.apply(fake, self._side)
        first, second = (Change.draw(self._random, slack) for _ in range(2))
        return first.apply(real, self._side), second.alike(first).apply(fake, self._side)

    def _raw(self, index: int) -> tuple[ImageArray, ImageArray]:
        faces, random = self._faces, self._random
        kind = random.random() if self._options.pseudo else 0.0
        if kind < GENERATOR_SHARE:
            return faces.real[index], faces.generated[index]
        return faces.real[index], pseudo_fake(faces.real[index], random)


def as_images(crops: ImageArray) -> torch.Tensor:
    """Crops, (n, side, side, 3) uint8, as (n, 3, side, side) float32 in 0..1."""
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255


def train(corpus: Path, output: Path, options: Options, say: Callable[[str], None]) -> None:
    """Train, and write the network that tells validation people's crops apart best.

    Beside OUTPUT.onnx stands OUTPUT.json, its calibration. Both are replaced at each new best,
    so that training can be stopped at any time.

    Raises:
        InputError: the corpus or the network cannot be used.
        OutputError: the output cannot be written.
    """
    random = np.random.default_rng(options.seed)
    torch.manual_seed(options.seed)
    faces, held_out = Faces.read(corpus, "train"), Faces.read(corpus, "validation")
    say(f"{len(faces.real)} pairs of crops to train on, {len(held_out.real)} to validate on")
    network, side = ready_network(options.network)
    network = network.to(memory_format=torch.channels_last)
    kept = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(MEMORY), use_buffers=True)
    sampler = Sampler(faces, side, options, random)
    judge = Judge(held_out, side, options)
    optimiser = torch.optim.AdamW(network.parameters(), options.rate, weight_decay=DECAY)
    best, losses, clock = -1.0, [], Clock(options)
    while (progress := clock.progress()) < 1:
        for group in optimiser.param_groups:
            group["lr"] = options.rate * schedule(progress)
        images, labels = sampler.batch(BATCH)
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bfloat16):
            answer = network.train()(images.contiguous(memory_format=torch.channels_last))
        loss = _loss(answer.float(), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        kept.update_parameters(network)
        losses.append(float(loss.detach()))
        clock.step += 1
        if clock.step % VALIDATE_EVERY == 0 or clock.progress() >= 1:
            ours, others = judge.auc(kept.module)
            say(
                f"step {clock.step}: loss {np.mean(losses[-VALIDATE_EVERY:]):.3f}, validation AUC "
                f"{ours:.4f} on the generator, {others:.4f} on other fakes, {clock.spent():.0f} s"
            )
            if ours + others >= best:
                best = ours + others
                save(kept.module, side, judge, output)


def ready_network(name: str) -> tuple[nn.Module, int]:
    """A network that `make_network` knows, and that can be written: not only after its training.

    Raises:
        InputError: there is none of that name, or it cannot be written as ONNX.
    """
    try:
        network, side = make_network(name)
        with tempfile.TemporaryDirectory(prefix="vasari-train-") as folder:
            export(network, side, Path(folder) / "network.onnx")
    except Exception as error:  # PyTorch's and timm's have no base of their own
        said = str(error).strip().partition("\n")[0].partition(". ")[0]
        raise InputError(
            f"the network {name} cannot be trained: {said}; vasari, vgg19 and densenet121 can, "
            "and of timm's those that ONNX can hold for crops of 112 pixels"
        ) from error
    return network, side


class Clock:
    """How far a training has come."""

    def __init__(self, options: Options) -> None:
        self._options, self._start = options, time.process_time()
        self.step = 0

    def spent(self) -> float:
        """Seconds of processor time."""
        return time.process_time() - self._start

    def progress(self) -> float:
        """From 0 to 1, its end."""
        if self._options.minutes is not None:
            return self.spent() / (60 * self._options.minutes)
        return self.step / self._options.steps


def schedule(progress: float) -> float:
    """The share of the highest learning rate at a progress from 0 to 1."""
    if progress < WARM_UP:
        return max(progress / WARM_UP, 0.01)
    return (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


def _loss(answer: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    targets = labels * (1 - 2 * SMOOTHING) + SMOOTHING
    return functional.binary_cross_entropy_with_logits(evidence(answer), targets)


def evidence(answer: torch.Tensor) -> torch.Tensor:
    """The log odds of each crop, (n,), from a network's answer, map or logit."""
    return answer.flatten(1).mean(dim=1)


class Judge:
    """Scores validation crops, the same ones each time."""

    def __init__(self, faces: Faces, side: int, options: Options) -> None:
        random = np.random.default_rng(1)
        slack = CROP_SIDE - side
        self._clips = np.tile(faces.clips, VALIDATION_DRAWS)
        self._clips += np.repeat(np.arange(VALIDATION_DRAWS), len(faces.clips)) * (
            faces.clips.max() + 1
        )
        pictures: tuple[list[ImageArray], ...] = ([], [], [])
        for draw in range(VALIDATION_DRAWS):
            for index in range(len(faces.real)):
                plain = draw == 0 or not options.changed
                change = Change.none(slack) if plain else Change.draw(random, slack)
                fake = pseudo_fake(faces.real[index], random)
                sources = (faces.real[index], faces.generated[index], fake)
                for kept, source in zip(pictures, sources, strict=True):
                    kept.append(change.apply(source, side))
        self.real, self.generated, self.others = (np.stack(kept) for kept in pictures)

    def auc(self, network: nn.Module) -> tuple[float, float]:
        """How well the network tells the generator's and other fakes from real crops."""
        real = scores(network, self.real)
        return (
            auc(real, scores(network, self.generated)),
            auc(real, scores(network, self.others)),
        )

    def calibration(self, network: nn.Module) -> str:
        """The calibration of the network, as JSON."""
        return calibrate(
            real=scores(network, self.real),
            generated=scores(network, self.generated),
            clips=self._clips,
            crops=self.real,
        ).to_json()


@torch.no_grad()
def scores(network: nn.Module, crops: ImageArray) -> Float32Array:
    """The log odds of crops, (n, side, side, 3) uint8: (n,)."""
    network.eval()
    parts = [
        evidence(network(as_images(crops[start : start + 32]))).numpy()
        for start in range(0, len(crops), 32)
    ]
    return np.asarray(np.concatenate(parts), np.float32)


def save(network: nn.Module, side: int, judge: Judge, output: Path) -> None:
    """Write the network as ONNX and its calibration beside it."""
    draft = output.with_name(f".{output.name}.{os.getpid()}.draft")
    try:
        export(network, side, draft)
        os.replace(draft, output)
        draft.write_text(judge.calibration(network), encoding="utf-8")
        os.replace(draft, output.with_suffix(".json"))
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def export(network: nn.Module, side: int, path: Path) -> None:
    """Write a network as ONNX: any number of crops of a side in pixels to their evidence."""
    torch.onnx.export(
        network.eval(),
        (torch.zeros(2, 3, side, side),),
        str(path),
        input_names=["crops"],
        output_names=["evidence"],
        dynamic_axes={"crops": {0: "n"}, "evidence": {0: "n"}},
        opset_version=13,
        dynamo=False,
    )
