"""How well a detector does: on any corpus, or any folders `real/` and `fake/`.

Nothing is chosen on what is measured here: the threshold comes with the detector, or from the
validation people of the corpus.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vasari.detect.calibration import operating_point
from vasari.detect.corpus import GENERATED, IMAGE_SUFFIXES, VIDEO_SUFFIXES, read_manifest
from vasari.detect.crops import open_media
from vasari.detect.encoding import Encoding, encode
from vasari.detect.scoring import UNSURE, Decision, Detection, Detector
from vasari.errors import InputError, VasariError
from vasari.models.calibrate_detector import read_calibration
from vasari.models.detector import Calibration, DetectorNetwork

FloatArray = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

ENTRY_THRESHOLD = 0.5  # of a detector that comes without one, where there is no validation set
MAX_SECONDS = 10.0  # of a video that are encoded anew


@dataclass(frozen=True)
class Sample:
    """A clip or picture whose class is known."""

    path: Path
    generated: bool
    person: str
    generator: str  # "" of real ones
    split: str
    source: str = ""  # the collection it comes from, where known


@dataclass(frozen=True)
class Score:
    """What a detector says about a sample."""

    sample: Sample
    probability: float | None  # None: it could not say, or found no face
    frames: tuple[float, ...]  # probability of each frame, where the detector tells
    reason: str  # why there is no probability, or ""
    seconds: float  # of processor time
    looked_at: int  # frames
    decision: Decision | None = None  # the detector's own, where it tells
    # From which probability it calls such a clip generated, where that differs between clips.
    threshold: float | None = None
    duration: float = 0.0  # seconds of the video, where known
    elapsed: float = 0.0  # seconds by the clock, where known
    face: float = 0.0  # side of the detected face, pixels, where known


class Contender(Protocol):
    """A detector under test."""

    name: str
    parameters: int | None  # None if unknown

    @property
    def threshold(self) -> float | None:
        """From which probability it calls generated; None: to be chosen on validation people."""

    def score(self, sample: Sample, path: Path) -> Score:
        """Score the file at a path, which shows the sample, perhaps encoded anew."""


@dataclass
class NetworkContender:
    """Our own detector, or any network that `vasari train detector` wrote as ONNX."""

    name: str
    detector: Detector
    calibration: Calibration
    parameters: int | None

    @property
    def threshold(self) -> float | None:
        """The one that came with the network."""
        return self.calibration.clip.threshold

    def score(self, sample: Sample, path: Path) -> Score:
        """Score a file."""
        started, began = time.process_time(), time.perf_counter()
        found: Detection = self.detector.score(path)
        spent, elapsed = time.process_time() - started, time.perf_counter() - began
        frames = tuple(self.calibration.frame.probability(f.score) for f in found.frames)
        if found.reason in ("", *UNSURE):  # weak evidence has its place in the ranking
            probability, reason = found.probability, ""
        else:
            probability, reason = None, found.reason
        return Score(
            sample,
            probability,
            frames,
            reason,
            spent,
            found.sampled,
            found.decision,
            found.threshold,
            open_media(path).duration,
            elapsed,
            float(np.median([frame.face for frame in found.frames])) if found.frames else 0.0,
        )


@dataclass
class EntryContender:
    """A Python function of others: path -> probability 0..1, or None where it cannot say."""

    name: str
    function: Callable[[str], float | None]
    parameters: int | None = None
    threshold: float | None = None

    def score(self, sample: Sample, path: Path) -> Score:
        """Score a file."""
        started = time.process_time()
        probability = self.function(str(path))
        spent = time.process_time() - started
        reason = "the detector gave nothing" if probability is None else ""
        return Score(sample, probability, (), reason, spent, 0)


def contender(name: str) -> Contender:
    """A detector by its name.

    Args:
        name: "vasari", an ONNX file with its calibration beside it, or "module:function".

    Raises:
        InputError: there is no such detector.
    """
    if name == "vasari":
        from vasari.models.detector import NETWORK, load_detector
        from vasari.models.zoo import read_weights

        network, calibration = load_detector()
        return NetworkContender(
            name, Detector(network, calibration), calibration, _parameters(read_weights(NETWORK))
        )
    if name.endswith(".onnx"):
        return _from_file(Path(name))
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"{name} is no detector ({error}); give vasari, FILE.onnx or module:function"
        ) from error
    return EntryContender(name, function)


def _from_file(path: Path) -> NetworkContender:
    calibration = read_calibration(path)
    try:
        model = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    network = DetectorNetwork(model, calibration.side)
    detector = Detector(network, calibration)
    return NetworkContender(path.stem, detector, calibration, _parameters(model))


def _parameters(model: bytes) -> int | None:
    """How many weights an ONNX model has; None without onnx."""
    try:
        import onnx
    except ImportError:
        return None
    graph = onnx.load_from_string(model).graph
    return sum(int(np.prod(each.dims)) for each in graph.initializer)


def read_samples(folder: Path) -> list[Sample]:
    """The samples of a corpus, or of a folder that holds `real/` and `fake/`.

    In `fake/`, the name of a subfolder is that of the generator. In both, a file's person is
    what its name begins with, up to two underscores.

    Raises:
        InputError: it is neither.
    """
    if (folder / "manifest.csv").exists():
        return [
            Sample(folder / c.clip, c.label == GENERATED, c.person, c.generator, c.split, c.source)
            for c in read_manifest(folder)
        ]
    samples = [*_labelled(folder / "real", False), *_labelled(folder / "fake", True)]
    if len({sample.generated for sample in samples}) < 2:
        raise InputError(f"{folder} is neither a corpus nor holds clips in real/ and fake/")
    return samples


def _labelled(folder: Path, generated: bool) -> Iterator[Sample]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
            inner = path.relative_to(folder).parts[:-1]
            generator = (inner[0] if inner else "fake") if generated else ""
            yield Sample(path, generated, path.stem.split("__")[0], generator, "test")


@dataclass(frozen=True)
class Condition:
    """What is done to clips before they are scored."""

    crf: int | None = None  # None: scored as they are
    scale: float = 1.0

    def __str__(self) -> str:
        return "as it is" if self.crf is None else f"CRF {self.crf}, scale {self.scale:g}"


def score_all(
    detector: Contender,
    samples: Sequence[Sample],
    condition: Condition,
    progress: Progress | None = None,
) -> list[Score]:
    """Score samples under a condition; a file that cannot be read counts as not answered."""
    scores = []
    with tempfile.TemporaryDirectory(prefix="vasari-eval-") as folder:
        for done, sample in enumerate(samples, 1):
            try:
                path = _prepared(sample.path, condition, Path(folder))
                scores.append(detector.score(sample, path))
            except VasariError as error:
                scores.append(Score(sample, None, (), str(error), 0.0, 0))
            if progress is not None:
                progress(done, len(samples))
    return scores


def _prepared(path: Path, condition: Condition, folder: Path) -> Path:
    """The file itself, or a copy encoded anew."""
    if condition.crf is None or path.suffix.lower() in IMAGE_SUFFIXES:
        return path
    copy = folder / f"{os.getpid()}.mp4"
    copy.write_bytes(_encoded(path, condition.crf, condition.scale))
    return copy


def _encoded(path: Path, crf: int, scale: float) -> bytes:
    """The first seconds of a video, encoded anew."""
    from vasari.generate.colour import to_i420
    from vasari.generate.perform import read_frames

    rate, frames = read_frames(path)
    first = next(frames, None)
    if first is None:
        raise InputError(f"{path} holds no frame")
    height, width = (length // 2 * 2 for length in first.shape[:2])  # 4:2:0 has no odd ones
    even = (frame[:height, :width] for frame in chain([first], frames))
    planes = (to_i420(frame) for frame in islice(even, round(MAX_SECONDS * rate)))
    sides = [max(round(length * scale / 2) * 2, 2) for length in (width, height)]
    return encode(planes, Encoding(sides[0], sides[1], crf), rate)


def chosen_threshold(
    detector: Contender, samples: Sequence[Sample], progress: Progress | None = None
) -> float:
    """The detector's own threshold, or one chosen on the validation people of a corpus."""
    if detector.threshold is not None:
        return detector.threshold
    held_out = [sample for sample in samples if sample.split == "validation"]
    scores = score_all(detector, held_out, Condition(), progress)
    values = {
        kind: np.array(
            [
                s.probability
                for s in scores
                if s.probability is not None and s.sample.generated is kind
            ]
        )
        for kind in (False, True)
    }
    if not (len(values[False]) and len(values[True])):
        return ENTRY_THRESHOLD
    point = operating_point(values[False], values[True])
    return (_logit(point.threshold) - point.offset) / point.slope


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))
