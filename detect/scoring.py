"""How likely a video or an image was generated, or why that cannot be said.

Example:
    >>> from vasari.detect.scoring import score
    >>> detection = score("talk.mp4")  # doctest: +SKIP
    >>> detection.decision, detection.probability  # doctest: +SKIP
    (<Decision.GENERATED: 'generated'>, 0.98)
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vasari.detect.constancy import CHANGE, RATE, SECONDS, constancy, shown
from vasari.detect.crops import SAMPLE_STEP, Box, FaceFinder, Media, Sample, Stretch, open_media
from vasari.models.detector import (
    Calibration,
    DetectorNetwork,
    Movement,
    Operating,
    load_detector,
    look_of,
)
from vasari.threads import one_thread_each

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
ImageArray = npt.NDArray[np.uint8]

MIN_FACE = 48  # pixels of the detected face: below, nothing of the generator is left to see
MIN_FRAMES = 3  # of a video that show a face: below, one bad frame would decide
MIN_SHARE = 0.3  # of the sampled frames that must show a face
BATCH = 8  # crops that the network looks at together
WINDOW = 5  # samples that a suspicious stretch has at least
STRETCHES = 3  # of a video, in which the face is followed
AT_ONCE = 2  # stretches: all their frames are held in memory
# Why nothing is decided about what has a probability: it lies between the two thresholds.
WEAK = "the evidence is weak"
AT_REST = "the face hardly moves of itself, and single frames say little"
UNSURE = (WEAK, AT_REST)


class Decision(enum.Enum):
    """What is said about a clip."""

    GENERATED = "generated"
    NOT_GENERATED = "not generated"
    CANNOT_SAY = "cannot say"


class Interval(NamedTuple):
    """A stretch of time."""

    start: float  # seconds
    end: float


class Moved(NamedTuple):
    """A stretch in which a face is followed."""

    when: Interval
    features: Float64Array  # how it moves and changes, `vasari.detect.constancy.FEATURES`


@dataclass(frozen=True)
class FrameScore:
    """One frame that shows a face."""

    time: float  # seconds
    score: float  # log odds of the network, before calibration
    face: float  # side of the detected face, pixels
    box: Box  # what the network saw
    look: tuple[float, float] = field(repr=False)  # contrast and sharpness, as `look_of` has it
    heat: Float32Array = field(repr=False)  # (h, w) log odds of the parts of the crop


@dataclass(frozen=True)
class Detection:
    """What the detector says about a file, and on what grounds."""

    path: str
    decision: Decision
    reason: str  # why it cannot say, in plain words, or ""
    probability: float | None  # calibrated, 0..1; None where there was nothing to score
    threshold: float  # probability from which it is called generated
    false_alarm_rate: float  # of real validation clips at the threshold
    miss_rate: float  # of generated validation clips at the threshold
    clear_below: float  # probability below which it is called not generated
    clear_miss_rate: float  # of generated validation clips below it
    frames: tuple[FrameScore, ...]
    sampled: int  # frames looked at
    suspicious: tuple[Interval, ...]  # the most suspicious first
    frame_rate: float | None  # of a video
    # Log odds of how the face changes while it moves, by which it is judged then; None where it
    # is at rest, or is not followed: it is judged by its frames.
    movement: float | None

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON can hold it; heat maps are left out."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        frames = [
            {"time": f.time, "score": f.score, "face": f.face, "box": dataclasses.asdict(f.box)}
            for f in self.frames
        ]
        suspicious = [interval._asdict() for interval in self.suspicious]
        decision = self.decision.value
        return {**values, "decision": decision, "frames": frames, "suspicious": suspicious}


class Detector:
    """Scores files with one network.

    Args:
        network: looks at face crops.
        calibration: made for that network.
    """

    def __init__(self, network: DetectorNetwork, calibration: Calibration) -> None:
        self._network = network
        self.calibration = calibration

    @classmethod
    def shipped(cls) -> Detector:
        """The detector that comes with Vasari.

        Raises:
            VasariError: its weights are missing or damaged.
        """
        return cls(*load_detector())

    def score(self, path: Path | str) -> Detection:
        """Score a video or an image.

        Raises:
            InputError: the file cannot be read.
        """
        media = open_media(path)
        with one_thread_each(), ThreadPoolExecutor(1, "frames") as other:
            looking = other.submit(self.look, media.samples())
            moved = self.moved(stretches(media))
            frames, sampled = looking.result()
        features = mean_features(moved)
        movement = self._movement(features)
        evidence, operating = weigh(frames, features, self.calibration, media.rate is None)
        decision = Decision.CANNOT_SAY
        reason = why_not(media, frames, sampled, self.calibration)
        if not reason:
            decision, reason = decide(evidence, operating)
        if reason == WEAK and features is not None and movement is None:
            reason = AT_REST
        return Detection(
            path=str(path),
            decision=decision,
            reason=reason,
            probability=operating.probability(evidence) if frames else None,
            threshold=operating.threshold,
            false_alarm_rate=operating.false_alarm_rate,
            miss_rate=operating.miss_rate,
            clear_below=operating.clear_below,
            clear_miss_rate=operating.clear_miss_rate,
            frames=frames,
            sampled=sampled,
            suspicious=self._suspicious(frames, movement, moved) if media.rate else (),
            frame_rate=media.rate,
            movement=movement,
        )

    def moved(self, stretches: Iterable[Stretch]) -> tuple[Moved, ...]:
        """How a face moves; nothing where the detector looks at single frames alone."""
        return tuple(movements(stretches)) if self.calibration.movement else ()

    def _movement(self, features: Float64Array | None) -> float | None:
        head = self.calibration.movement
        return log_odds(features, head) if head and features is not None else None

    def _suspicious(
        self, frames: Sequence[FrameScore], movement: float | None, moved: Sequence[Moved]
    ) -> tuple[Interval, ...]:
        """The most suspicious seconds, by what the video is judged by."""
        if movement is not None and self.calibration.movement is not None:
            return suspicious_stretches(moved, self.calibration.movement)
        return suspicious_seconds(frames, self.calibration.clip)

    def look(
        self, frames: Iterable[tuple[float, ImageArray]]
    ) -> tuple[tuple[FrameScore, ...], int]:
        """Look at frames, (H, W, 3) uint8 sRGB, with their times in seconds.

        Returns:
            The scores of those that show a face, and how many there were.
        """
        scores: list[FrameScore] = []
        sampled = 0
        with FaceFinder() as finder:
            for batch in _batches(finder.find_all(frames)):
                sampled += len(batch)
                scores.extend(self._frame_scores([each for each in batch if each.box]))
        return tuple(scores), sampled

    def _frame_scores(self, samples: Sequence[Sample]) -> Iterator[FrameScore]:
        pairs = [(each, each.crop(self._network.side)) for each in samples]
        crops = [crop for _, crop in pairs if crop is not None]
        if not crops:
            return
        heats = self._network.maps(crops)
        for sample, crop, heat in zip(samples, crops, heats, strict=True):
            assert sample.box is not None
            evidence = float(heat.mean())
            look = look_of(crop)
            yield FrameScore(sample.time, evidence, sample.face, sample.box, look, heat)


def score(path: Path | str) -> Detection:
    """Score a video or an image with the detector that comes with Vasari.

    Raises:
        InputError: the file cannot be read.
        VasariError: the weights are missing or damaged.
    """
    return Detector.shipped().score(path)


def why_not(
    media: Media, frames: Sequence[FrameScore], sampled: int, calibration: Calibration
) -> str:
    """Why nothing can be said about a file, in plain words; "" where something can."""
    if not frames:
        return "no face was found"
    if len(frames) < MIN_SHARE * sampled:
        return f"a face was found in only {len(frames)} of {sampled} frames"
    face = face_side(frames)
    if face < MIN_FACE:
        return f"the face is too small: {face:.0f} pixels, at least {MIN_FACE} are needed"
    if media.rate is not None and len(frames) < MIN_FRAMES:
        seconds = MIN_FRAMES * SAMPLE_STEP
        return f"the video is too short: at least {seconds:g} s with a face are needed"
    return _out_of_range(frames, calibration)


def _out_of_range(frames: Sequence[FrameScore], calibration: Calibration) -> str:
    contrast, sharpness = np.median([frame.look for frame in frames], axis=0)
    if not calibration.contrast[0] <= contrast <= calibration.contrast[1]:
        return "out of range: the picture has much less or much more contrast than any tested"
    if not calibration.sharpness[0] <= sharpness <= calibration.sharpness[1]:
        return "out of range: the picture is much softer or much noisier than any tested"
    return ""


def suspicious_seconds(frames: Sequence[FrameScore], operating: Operating) -> tuple[Interval, ...]:
    """Stretches that would be called generated by themselves, the most suspicious first.

    A sample counts by the mean of the WINDOW samples around it.
    """
    if not frames:
        return ()
    scores = np.array([frame.score for frame in frames])
    near = np.convolve(np.pad(scores, WINDOW // 2, mode="edge"), np.ones(WINDOW) / WINDOW, "valid")
    high = np.array([operating.probability(value) >= operating.threshold for value in near])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], high, [False]]).astype(int)))
    runs = list(zip(edges[::2], edges[1::2], strict=True))
    runs.sort(key=lambda run: -float(near[run[0] : run[1]].max()))
    half = SAMPLE_STEP / 2
    return tuple(
        Interval(max(frames[first].time - half, 0.0), frames[end - 1].time + half)
        for first, end in runs
    )


def suspicious_stretches(moved: Sequence[Moved], head: Movement) -> tuple[Interval, ...]:
    """Stretches that would be called generated by themselves, the most suspicious first."""
    judged = [(log_odds(each.features, head), each.when) for each in moved]
    found = [
        (odds, when)
        for odds, when in judged
        if odds is not None and head.operating.probability(odds) >= head.operating.threshold
    ]
    return tuple(when for _, when in sorted(found, key=lambda each: -each[0]))


def mean_features(moved: Sequence[Moved]) -> Float64Array | None:
    """Those of a clip, the mean over its stretches; None where no face is followed."""
    if not moved:
        return None
    return np.asarray(np.mean([each.features for each in moved], axis=0), np.float64)


def log_odds(features: Float64Array, head: Movement) -> float | None:
    """The log odds that a face was generated that moves and changes so; None where it is at rest.

    Its change counts as much as is shown of it, and as it is likely that it moves of itself.
    """
    alive = head.alive.log_odds(features.tolist())
    if alive <= 0:
        return None
    change = head.change.log_odds(features[:CHANGE].tolist())
    return change * shown(features) / (1 + math.exp(-alive))


def mean_evidence(frames: Sequence[FrameScore]) -> float:
    """The evidence of a clip, log odds before calibration: the mean of its frames'."""
    return float(np.mean([frame.score for frame in frames]))


def face_side(frames: Sequence[FrameScore]) -> float:
    """Side of the face in a file, pixels: the median over its frames."""
    return float(np.median([frame.face for frame in frames]))


def stretches(media: Media) -> Iterator[Stretch]:
    """The stretches of a video in which its face is followed.

    Raises:
        InputError: the file is damaged.
    """
    return media.stretches(SECONDS, RATE, STRETCHES)


def movements(stretches: Iterable[Stretch]) -> Iterator[Moved]:
    """Those stretches in which a face is followed, and how it moves and changes.

    One is looked at while the next is read, and then both: no more are held in memory.
    """
    with ThreadPoolExecutor(AT_ONCE, "movement") as others:
        orders: deque[tuple[Interval, Future[Float64Array | None]]] = deque()
        for stretch in stretches:
            when = Interval(stretch.start, stretch.end)
            orders.append((when, others.submit(constancy, stretch.frames)))
            if len(orders) == AT_ONCE:
                yield from _followed(orders.popleft())
        for order in orders:
            yield from _followed(order)


def _followed(order: tuple[Interval, Future[Float64Array | None]]) -> Iterator[Moved]:
    """A stretch, if its face could be followed."""
    when, result = order
    found = result.result()
    if found is not None:
        yield Moved(when, found)


def weigh(
    frames: Sequence[FrameScore],
    features: Float64Array | None,
    calibration: Calibration,
    picture: bool = False,
) -> tuple[float, Operating]:
    """The evidence of a file, and how to read it: movement, or frames where no face moves.

    Beside the movement of videos of validation people frames are worth nothing (a regression on
    both gives them a weight about 0), and generators that no frame was learned from move like ours.
    """
    evidence = mean_evidence(frames) if frames else 0.0
    if picture:
        return evidence, calibration.frame
    if features is None or calibration.movement is None:
        return evidence, calibration.clip
    movement = log_odds(features, calibration.movement)
    if movement is None:
        return evidence, calibration.movement.rest
    return movement, calibration.movement.operating


def decide(evidence: float, operating: Operating) -> tuple[Decision, str]:
    """What so much evidence is called, and why it cannot say, or ""."""
    probability = operating.probability(evidence)
    if probability >= operating.threshold:
        return Decision.GENERATED, ""
    if probability < operating.clear_below:
        return Decision.NOT_GENERATED, ""
    return Decision.CANNOT_SAY, WEAK


def _batches(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    samples = iter(samples)
    while batch := list(islice(samples, BATCH)):
        yield batch
