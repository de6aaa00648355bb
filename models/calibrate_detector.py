"""Calibrate a detector on whole clips: `vasari train calibration CORPUS DETECTOR.onnx`.

Clips are looked at just as `vasari detect` does, each as it is and encoded anew. Probabilities and
thresholds come from validation people; where clips are judged by their frames because no face
speaks, it counts how seldom such clips are generated. What it means how a face changes while it
moves is learned from the people of training and validation together, as it takes six numbers only,
and from real videos and their animated twins alone, so that both classes show the same people. A
person's own clips are judged by what the others taught, and on all of them the lines for moving
faces are drawn: validation alone has too few speakers to say what one real speaker in a hundred
looks like.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.detect.calibration import logistic, operating_point, platt, range_of
from vasari.detect.corpus import GENERATED, SCALES, Clip, read_manifest
from vasari.detect.crops import open_media
from vasari.detect.encoding import Encoding, decode, encode
from vasari.detect.scoring import Detector, FrameScore, movements, stretches
from vasari.errors import InputError, OutputError
from vasari.models.detector import REACH, Calibration, DetectorNetwork, Movement, Operating

Float64Array = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

SEED = 3  # draws how validation clips are encoded anew
ANEW_CRF = (20, 40)
# Of the regression on movement. Of 0.0001, 0.001, 0.003 and so on to 1 it is the one by which
# people who were left out of the teaching are judged best.
RIDGE = 0.03
# Of real faces that move, called generated: one in a hundred of so few would be a single one.
MOVING_FALSE_ALARMS = 0.02
EVEN = Operating(1.0, 0.0, 0.5, 0.0, 0.0, 0.5, 0.0)  # of odds whose lines are not drawn yet
VALIDATION, VIDEO = "validation", "video"  # as the manifest calls them


@dataclass(frozen=True)
class Looked:
    """What was seen in a clip."""

    person: str
    generated: bool
    video: bool  # the source is one, so that both clips of the pair move
    frames: tuple[FrameScore, ...]
    movement: Float64Array | None  # the mean of its stretches

    @property
    def evidence(self) -> float:
        """The mean over the frames."""
        return float(np.mean([frame.score for frame in self.frames]))


def calibrate_clips(
    corpus: Path, network: Path, *, movement: bool = True, progress: Progress | None = None
) -> Calibration:
    """Calibrate the network of an ONNX file that has a first calibration beside it.

    Args:
        corpus: that it was trained on.
        network: the ONNX file.
        movement: whether it also counts how a face changes while it moves.
        progress: is told how many clips are done, and of how many.

    Raises:
        InputError: a file cannot be read, or there is no validation clip that shows a face.
    """
    first = read_calibration(network)
    detector = Detector(DetectorNetwork(network.read_bytes(), first.side), first)
    clips = [c for c in read_manifest(corpus) if c.split != "test" and _tells(c, movement)]
    seen: list[tuple[Clip, Looked]] = []
    for done, clip in enumerate(clips, 1):
        seen += [(clip, each) for each in _looked(corpus, clip, detector, movement)]
        if progress is not None:
            progress(done, len(clips))
    held_out = [each for clip, each in seen if clip.split == VALIDATION and each.frames]
    if not _both(held_out):
        raise InputError(f"{corpus} has no validation clips of both classes that show a face")
    frames = [
        dataclasses.replace(each, frames=(frame,)) for each in held_out for frame in each.frames
    ]
    looks = np.array([f.look for each in held_out if not each.generated for f in each.frames])
    contrast, sharpness = range_of(looks)
    return Calibration(
        clip=operating_point(*_evidence(held_out), scale=_scale_of_frames(held_out)),
        frame=operating_point(*_evidence(frames)),
        contrast=contrast,
        sharpness=sharpness,
        side=first.side,
        movement=_movement([each for _, each in seen]) if movement else None,
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


def _tells(clip: Clip, movement: bool) -> bool:
    """Whether a clip teaches anything: of training people, what comes from video does."""
    return clip.split == VALIDATION or (movement and clip.kind == VIDEO)


def _looked(corpus: Path, clip: Clip, detector: Detector, movement: bool) -> Iterator[Looked]:
    path = corpus / clip.clip
    yield _look(path, clip, detector, movement)
    with tempfile.TemporaryDirectory(prefix="vasari-calibrate-") as folder:
        anew = Path(folder) / "anew.mp4"
        anew.write_bytes(_encoded_anew(path.read_bytes(), clip))
        yield _look(anew, clip, detector, movement)


def _look(path: Path, clip: Clip, detector: Detector, movement: bool) -> Looked:
    media = open_media(path)
    frames, _ = detector.look(media.samples())
    found = [each for _, each in movements(stretches(media))] if movement else []
    mean = np.mean(found, axis=0) if found else None
    return Looked(clip.person, clip.label == GENERATED, clip.kind == VIDEO, frames, mean)


def _encoded_anew(encoded: bytes, clip: Clip) -> bytes:
    """A clip in another quality and size, the same for both clips of a pair."""
    from vasari.generate.colour import to_i420

    random = np.random.default_rng([SEED, *clip.pair.encode()])
    scale, crf = float(random.choice(SCALES)), int(random.integers(*ANEW_CRF))
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


def _scale_of_frames(held_out: list[Looked]) -> tuple[float, float] | None:
    """Slope and offset for clips that are judged by their frames.

    They are seldom generated ones: talking faces talk. None where there are none of both classes.
    """
    quiet = [each for each in held_out if each.movement is None]
    return platt(*_evidence(quiet), even=False) if _both(quiet) else None


def _movement(seen: list[Looked]) -> Movement | None:
    """Learn from videos, and draw the lines on all, each judged by the others' teaching.

    None where no video of both classes shows a face that speaks.
    """
    judged = [each for each in seen if each.movement is not None]
    known = [each for each in judged if each.video]
    if not _both(known):
        return None
    taught = {
        person: _regression([each for each in known if each.person != person])
        for person in {each.person for each in judged}
    }
    odds = []
    for each in judged:
        assert each.movement is not None
        odds.append(taught[each.person].log_odds(each.movement.tolist()))
    operating = operating_point(*_classes(judged, odds), MOVING_FALSE_ALARMS)
    return dataclasses.replace(_regression(known), operating=operating)


def _regression(known: list[Looked]) -> Movement:
    """A logistic regression in which both classes, and in a class all people, weigh the same."""
    samples = np.array([each.movement for each in known])
    keys = [(each.generated, each.person) for each in known]
    weights = np.array([1 / keys.count(key) for key in keys])
    labels = np.array([each.generated for each in known])
    for label in (False, True):
        weights[labels == label] /= weights[labels == label].sum()
    means, spreads = samples.mean(axis=0), samples.std(axis=0)
    standard = np.clip((samples - means) / spreads, -REACH, REACH)
    values = logistic(standard, labels.astype(np.float64), weights, RIDGE)
    return Movement(
        means=tuple(means.tolist()),
        spreads=tuple(spreads.tolist()),
        weights=tuple(values[:-1].tolist()),
        offset=float(values[-1]),
        operating=EVEN,
    )
