"""Calibrate a detector on whole clips: `vasari train calibration CORPUS... DETECTOR.onnx`.

Clips are looked at just as `vasari detect` does, each as it is, encoded anew, and small and
strongly compressed. Probabilities and thresholds come from validation people; where clips are
judged by their frames because no face moves of itself, it counts how seldom such clips are
generated. What a still picture looks like, and what it means how a face changes while it moves, is
learned from the people of training and validation together, as it takes a few numbers only; the
latter from real videos and their animated twins alone, so that both classes show the same people.
A person's own clips are judged by what the others taught, and on all of them the lines for moving
faces are drawn: validation alone has too few of them to say what one real face in thirty looks
like.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.detect.calibration import logistic, operating_point, platt, range_of
from vasari.detect.constancy import CHANGE
from vasari.detect.corpus import GENERATED, SCALES, Clip, read_manifest
from vasari.detect.crops import open_media
from vasari.detect.encoding import Encoding, decode, encode
from vasari.detect.scoring import (
    MIN_FACE,
    Detector,
    FrameScore,
    face_side,
    log_odds,
    mean_features,
    movements,
    stretches,
)
from vasari.errors import InputError, OutputError
from vasari.models.detector import (
    REACH,
    Calibration,
    DetectorNetwork,
    Movement,
    Operating,
    Regression,
)

Float64Array = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

SEED = 3  # draws how clips are encoded anew
ANEW_CRF = (20, 40)
SMALL_CRF, SMALL_SCALE = 38, 0.5
# Of the regressions on movement. Of 0.003, 0.01, 0.03, 0.1 and 0.3 it is the one by which people
# who were left out of the teaching are judged best.
RIDGE = 0.03
# Of real faces that move, called generated, over all looks: strong compression makes most of them.
MOVING_FALSE_ALARMS = 0.03
MIN_SPREAD = 1e-6  # of a feature, which is the same in all clips
EVEN = Operating(1.0, 0.0, 0.5, 0.0, 0.0, 0.5, 0.0)  # of odds whose lines are not drawn yet
TRAINING, VALIDATION, VIDEO = "train", "validation", "video"  # as the manifest calls them


@dataclass(frozen=True)
class Looked:
    """What was seen in a clip."""

    person: str
    generated: bool
    video: bool  # the source is one, so that both clips of the pair move
    validation: bool  # shows one of the validation people
    frames: tuple[FrameScore, ...]
    features: Float64Array | None  # the mean of its stretches; None where none is followed

    @property
    def still(self) -> bool:
        """Whether it is a still picture under a moving camera."""
        return not self.video and not self.generated

    @property
    def evidence(self) -> float:
        """The mean over the frames."""
        return float(np.mean([frame.score for frame in self.frames]))


def calibrate_clips(
    corpora: Sequence[Path],
    network: Path,
    *,
    movement: bool = True,
    progress: Progress | None = None,
) -> Calibration:
    """Calibrate the network of an ONNX file that has a first calibration beside it.

    Args:
        corpora: the one that it was trained on, and others of the same people and splits.
        network: the ONNX file.
        movement: whether it also counts how a face moves and changes.
        progress: is told how many clips are done, and of how many.

    Raises:
        InputError: a file cannot be read, there is no validation clip that shows a face, or a
            person is in one split of one corpus and in another of another.
    """
    first = read_calibration(network)
    detector = Detector(DetectorNetwork(network.read_bytes(), first.side), first)
    everything = [(corpus, clip) for corpus in corpora for clip in read_manifest(corpus)]
    _check_splits([clip for _, clip in everything])
    clips = [(corpus, clip) for corpus, clip in everything if _tells(clip, movement)]
    seen: list[Looked] = []
    for done, (corpus, clip) in enumerate(clips, 1):
        seen += _looked(corpus, clip, detector, movement)
        if progress is not None:
            progress(done, len(clips))
    held_out = [each for each in seen if each.validation]
    if not _both(held_out):
        where = " and ".join(map(str, corpora))
        raise InputError(f"{where} has no validation clips of both classes that show a face")
    frames = [
        dataclasses.replace(each, frames=(frame,)) for each in held_out for frame in each.frames
    ]
    looks = np.array([f.look for each in held_out if not each.generated for f in each.frames])
    contrast, sharpness = range_of(looks)
    return Calibration(
        clip=operating_point(*_evidence(held_out)),
        frame=operating_point(*_evidence(frames)),
        contrast=contrast,
        sharpness=sharpness,
        side=first.side,
        movement=_movement(seen),
    )


def read_calibration(network: Path) -> Calibration:
    """The calibration beside an ONNX file.

    Raises:
        InputError: there is none.
    """
    try:
        return Calibration.from_json(network.with_suffix(".json").read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{error.filename} cannot be read: {error.strerror}; `vasari train detector` writes it"
        ) from error


def write_calibration(calibration: Calibration, network: Path) -> None:
    """Put a calibration beside an ONNX file.

    Raises:
        OutputError: it cannot be written.
    """
    path = network.with_suffix(".json")
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        draft.write_text(calibration.to_json(), encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def _check_splits(clips: list[Clip]) -> None:
    """That nobody is in two splits: test people would be looked at."""
    splits: dict[str, str] = {}
    for clip in clips:
        split = splits.setdefault(clip.person, clip.split)
        if split != clip.split:
            raise InputError(
                f"{clip.person} is in both {split} and {clip.split}: give corpora that were built "
                "of the same people with the same --seed"
            )


def _tells(clip: Clip, movement: bool) -> bool:
    """Whether a clip teaches anything: of training people, what comes from video does."""
    training = movement and clip.kind == VIDEO and clip.split == TRAINING
    return training or clip.split == VALIDATION


def _looked(corpus: Path, clip: Clip, detector: Detector, movement: bool) -> Iterator[Looked]:
    """What is seen in a clip and in two encodings of it, where its face is large enough."""
    encoded = _read(corpus / clip.clip)
    with tempfile.TemporaryDirectory(prefix="vasari-calibrate-") as folder:
        path = Path(folder) / "clip.mp4"
        for look in (encoded, _anew(encoded, clip), _small(encoded, clip)):
            path.write_bytes(look)
            media = open_media(path)
            frames, _ = detector.look(media.samples())
            if not frames or face_side(frames) < MIN_FACE:
                continue
            moved = tuple(movements(stretches(media))) if movement else ()
            yield Looked(
                clip.person,
                clip.label == GENERATED,
                clip.kind == VIDEO,
                clip.split == VALIDATION,
                frames,
                mean_features(moved),
            )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _anew(encoded: bytes, clip: Clip) -> bytes:
    """A clip in another quality and size, the same for both clips of a pair."""
    random = np.random.default_rng([SEED, *clip.pair.encode()])
    scale, crf = float(random.choice(SCALES)), int(random.integers(*ANEW_CRF))
    return _encoded(encoded, clip, crf, scale)


def _small(encoded: bytes, clip: Clip) -> bytes:
    """A clip as small and strongly compressed as it should still be judged."""
    return _encoded(encoded, clip, SMALL_CRF, SMALL_SCALE)


def _encoded(encoded: bytes, clip: Clip, crf: int, scale: float) -> bytes:
    from vasari.generate.colour import to_i420

    sides = [round(length * scale / 2) * 2 for length in (clip.width, clip.height)]
    planes = (to_i420(frame) for frame in decode(encoded))
    return encode(planes, Encoding(sides[0], sides[1], crf), clip.fps)


def _both(seen: list[Looked]) -> bool:
    """Whether both classes are among them."""
    return len({each.generated for each in seen}) > 1


def _classes(seen: list[Looked], values: list[float]) -> tuple[Float64Array, Float64Array]:
    """Values of the real and of the generated ones."""
    generated = np.array([each.generated for each in seen])
    return np.array(values)[~generated], np.array(values)[generated]


def _evidence(seen: list[Looked]) -> tuple[Float64Array, Float64Array]:
    """That of the frames of the real and of the generated ones."""
    return _classes(seen, [each.evidence for each in seen])


def _movement(seen: list[Looked]) -> Movement | None:
    """Learn from all, and draw the lines on all, each judged by the others' teaching.

    None where no video of both classes shows a face that moves of itself.
    """
    taught = _taught(seen)
    if taught is None:
        return None
    moving, at_rest = [], []
    for person in sorted({each.person for each in seen}):
        by_others = _taught([each for each in seen if each.person != person])
        for each in seen:
            if by_others is None or each.person != person or each.features is None:
                continue
            odds = log_odds(each.features, by_others)
            if odds is not None:
                moving.append((each, odds))
            elif each.validation:
                at_rest.append(each)
    classes = _classes([each for each, _ in moving], [odds for _, odds in moving])
    held_out = [each for each in seen if each.validation]
    return dataclasses.replace(
        taught,
        operating=operating_point(*classes, MOVING_FALSE_ALARMS),
        rest=operating_point(*_evidence(held_out), scale=_scale_at_rest(at_rest)),
    )


def _taught(seen: list[Looked]) -> Movement | None:
    """What these teach; None where no video of both classes shows a face that moves of itself."""
    followed = [(each, each.features) for each in seen if each.features is not None]
    if not followed:
        return None
    alive = _regression([(f, each.person, not each.still) for each, f in followed])
    known = [
        (f[:CHANGE], each.person, each.generated)
        for each, f in followed
        if each.video and alive.log_odds(f.tolist()) > 0
    ]
    if len({generated for *_, generated in known}) < 2:
        return None
    return Movement(alive, _regression(known), EVEN, EVEN)


def _scale_at_rest(at_rest: list[Looked]) -> tuple[float, float] | None:
    """Slope and offset for clips that are judged by their frames, as no face moves of itself.

    They are seldom generated ones: talking faces move. None where there is no real one.
    """
    if all(each.generated for each in at_rest):
        return None
    return platt(*_evidence(at_rest), even=False)


def _regression(known: list[tuple[Float64Array, str, bool]]) -> Regression:
    """A logistic regression in which both labels, and under a label all people, weigh the same.

    Args:
        known: features, person and label of each.
    """
    samples = np.array([features for features, _, _ in known])
    keys = [(person, label) for _, person, label in known]
    counts = Counter(keys)
    weights = np.array([1 / counts[key] for key in keys])
    labels = np.array([label for _, _, label in known])
    for label in set(labels):
        weights[labels == label] /= weights[labels == label].sum()
    means, spreads = samples.mean(axis=0), np.maximum(samples.std(axis=0), MIN_SPREAD)
    standard = np.clip((samples - means) / spreads, -REACH, REACH)
    values = logistic(standard, labels.astype(np.float64), weights, RIDGE)
    return Regression(
        means=tuple(means.tolist()),
        spreads=tuple(spreads.tolist()),
        weights=tuple(values[:-1].tolist()),
        offset=float(values[-1]),
    )
