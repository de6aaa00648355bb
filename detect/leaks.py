"""Do the classes of a corpus differ by more than the faces? A forest tries to find out.

Needs scikit-learn: the extra ``vasari[detect]``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.detect.calibration import auc
from vasari.detect.corpus import GENERATED, Clip, read_manifest
from vasari.detect.encoding import decode
from vasari.errors import VasariError

FloatArray = npt.NDArray[np.float64]

MAX_AUC = 0.6  # by which metadata or borders may tell the classes apart
TREES = 300
MIN_LEAF = 4  # clips; smaller leaves only learn the pairs by heart
FOLDS = 5
BORDER = 0.04  # of the frame's side


@dataclass(frozen=True)
class Leak:
    """How well the classes can be told apart by something that is not the face."""

    source: str
    auc: float

    @property
    def fails(self) -> bool:
        """Whether a detector could live on it."""
        return self.auc > MAX_AUC

    def __str__(self) -> str:
        word = "too much" if self.fails else "as it should be"
        return f"a forest on {self.source} alone reaches an AUC of {self.auc:.2f}: {word}"


def check_leaks(corpus: Path) -> list[Leak]:
    """Try metadata alone and borders alone.

    Raises:
        InputError: the corpus cannot be read.
        VasariError: scikit-learn is missing.
    """
    clips = read_manifest(corpus)
    return [
        Leak("metadata", _forest_auc(clips, metadata)),
        Leak("borders", _forest_auc(clips, lambda clip: borders(corpus / clip.clip))),
    ]


def metadata(clip: Clip) -> list[float]:
    """What is known of a clip without looking at it."""
    pixels = clip.width * clip.height * clip.fps
    return [
        clip.width,
        clip.height,
        clip.fps,
        clip.frames,
        len(clip.preset),
        clip.bit_rate,
        clip.bit_rate / pixels,
    ]


def borders(path: Path) -> list[float]:
    """Mean, spread in space and change in time of the four borders of a clip."""
    frames = np.stack(list(decode(path.read_bytes()))).astype(np.float32)
    width = max(round(BORDER * frames.shape[1]), 1)
    strips = (
        frames[:, :width],
        frames[:, -width:],
        frames[:, :, :width],
        frames[:, :, -width:],
    )
    figures: list[float] = []
    for strip in strips:
        figures.extend(strip.mean(axis=(0, 1, 2)))
        figures.append(float(strip.std(axis=(1, 2)).mean()))
        figures.append(float(np.abs(np.diff(strip, axis=0)).mean()))
    return figures


def _forest_auc(clips: list[Clip], describe: Callable[[Clip], list[float]]) -> float:
    """The AUC of a forest on clips of people that it was not grown on."""
    try:
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.model_selection import GroupKFold, cross_val_predict
    except ImportError as error:
        raise VasariError(
            "the leak check needs scikit-learn: pip install 'vasari[detect]'"
        ) from error
    features: FloatArray = np.array([describe(clip) for clip in clips], np.float64)
    labels = np.array([clip.label == GENERATED for clip in clips])
    people = np.array([clip.person for clip in clips])
    folds = GroupKFold(min(FOLDS, len(set(people))))
    forest = RandomForestClassifier(TREES, min_samples_leaf=MIN_LEAF, random_state=0)
    chances = cross_val_predict(
        forest, features, labels, groups=people, cv=folds, method="predict_proba"
    )[:, 1]
    return auc(chances[~labels], chances[labels])
