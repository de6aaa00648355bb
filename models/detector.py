"""The detector's network, with the weights that come with Vasari.

`vasari train detector` makes the weights; the model card says from what.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vasari.errors import VasariError
from vasari.models.onnx_network import OnnxNetwork
from vasari.models.zoo import read_weights

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

NETWORK, CALIBRATION = "detector.onnx", "detector.json"
REACH = 3.0  # spreads from the mean: a feature farther out counts no more than one there


@dataclass(frozen=True)
class Operating:
    """How evidence becomes a probability, and where the lines are drawn; made on validation people.

    Platt's scaling (1999) of the mean evidence. Between the two lines the evidence is weak.
    """

    slope: float
    offset: float
    threshold: float  # probability from which something is called generated
    false_alarm_rate: float  # of real validation samples at the threshold
    miss_rate: float  # of generated validation samples at the threshold
    clear_below: float  # probability below which something is called not generated
    clear_miss_rate: float  # of generated validation samples below it

    def log_odds(self, evidence: float) -> float:
        """The log odds that something of so much evidence was generated."""
        return self.slope * evidence + self.offset

    def probability(self, evidence: float) -> float:
        """The probability, 0..1, that something of so much evidence was generated."""
        return 1 / (1 + math.exp(-min(max(self.log_odds(evidence), -30), 30)))


@dataclass(frozen=True)
class Regression:
    """A logistic regression on what `vasari.detect.constancy` measures."""

    means: tuple[float, ...]  # of each feature, over the clips that it was made on
    spreads: tuple[float, ...]
    weights: tuple[float, ...]
    offset: float

    def log_odds(self, features: Sequence[float]) -> float:
        """The log odds of what it tells, from a clip's features."""
        parts = zip(features, self.means, self.spreads, self.weights, strict=True)
        return self.offset + sum(
            weight * min(max((value - mean) / spread, -REACH), REACH)
            for value, mean, spread, weight in parts
        )


@dataclass(frozen=True)
class Movement:
    """What it means how a face moves, and changes while it moves."""

    alive: Regression  # that a face moves of itself, real or made, and is no still picture
    change: Regression  # that a face which moves of itself was generated, by the first features
    operating: Operating  # for the log odds of change
    rest: Operating  # for the mean of a clip's frames, where its face is at rest


@dataclass(frozen=True)
class Calibration:
    """What the validation people taught about the network."""

    clip: Operating  # for the mean of a clip's frames, where nothing is known of its movement
    frame: Operating  # for a single picture
    # Contrast and sharpness (`look_of`) between which the network was validated.
    contrast: tuple[float, float]
    sharpness: tuple[float, float]
    side: int  # pixels of the crops that the network sees
    movement: Movement | None = None  # None of a detector that looks at frames alone

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read what `to_json` wrote.

        Raises:
            VasariError: it is something else.
        """
        try:
            values = json.loads(text)
            return cls(
                Operating(**values["clip"]),
                Operating(**values["frame"]),
                (float(values["contrast"][0]), float(values["contrast"][1])),
                (float(values["sharpness"][0]), float(values["sharpness"][1])),
                int(values["side"]),
                _movement(values.get("movement")),
            )
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise VasariError(f"the detector's calibration is damaged: {error}") from error

    def to_json(self) -> str:
        """As text that `from_json` reads."""
        return json.dumps(asdict(self), indent=2) + "\n"


def _movement(values: dict[str, Any] | None) -> Movement | None:
    if values is None:
        return None
    alive, change = (_regression(values[name]) for name in ("alive", "change"))
    operating, rest = (Operating(**values[name]) for name in ("operating", "rest"))
    return Movement(alive, change, operating, rest)


def _regression(values: dict[str, Any]) -> Regression:
    means, spreads, weights = (
        tuple(map(float, values[name])) for name in ("means", "spreads", "weights")
    )
    return Regression(means, spreads, weights, float(values["offset"]))


class DetectorNetwork:
    """A network that looks at face crops.

    Args:
        model: an ONNX file's bytes: (n, 3, side, side) sRGB in 0..1 to an evidence map
            (n, 1, h, w), or to logits (n, 1); above 0 speaks for generated.
        side: of the crops in pixels.
    """

    def __init__(self, model: bytes, side: int) -> None:
        self._network = OnnxNetwork(model, "the detector's network")
        self.side = side

    def maps(self, crops: Sequence[ImageArray]) -> Float32Array:
        """Where crops, (side, side, 3) uint8 sRGB, look generated.

        Returns:
            (n, h, w): log odds of each part of the crop, whose mean is that of the whole; (n, 1, 1)
            of a network that gives logits only.
        """
        batch = np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2), np.float32)
        answer = self._network(batch / np.float32(255))
        if answer.ndim == 4:
            return answer[:, 0]
        return answer.reshape(len(crops), 1, 1)


def load_detector() -> tuple[DetectorNetwork, Calibration]:
    """The detector that comes with Vasari, for use in one thread at a time.

    Raises:
        VasariError: the weights are missing or damaged.
    """
    calibration = Calibration.from_json(read_weights(CALIBRATION).decode())
    return DetectorNetwork(read_weights(NETWORK), calibration.side), calibration


def look_of(crop: ImageArray) -> tuple[float, float]:
    """Contrast and sharpness of a crop, (S, S, 3) uint8.

    Contrast is the standard deviation of luma, in levels; sharpness that of its Laplacian in
    shares of the contrast.
    """
    import cv2

    luma = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    contrast = float(luma.std())
    return contrast, float(cv2.Laplacian(luma, cv2.CV_32F).std()) / max(contrast, 1e-3)
