"""Do controls show? A portrait is rendered under a control, tracked, and compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.eval.irises import Irises
from vasari.generate.animator import animate
from vasari.generate.controls import EMOTIONS, Controls
from vasari.generate.motion import ARKIT_INDEX, PORTRAIT_DISTANCE_CM, Motion
from vasari.generate.perform import Tracker, track_meshes
from vasari.generate.render import Pose, Renderer
from vasari.generate.speech import Speech
from vasari.generate.template import align, template

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
ImageArray = npt.NDArray[np.uint8]

FPS = 25.0
SETTLED = 30  # frames after which a control holds in full
SETTLING = 3  # frames in which FaceMesh comes to rest on a still portrait
STILL = Pose(*(np.zeros(size, np.float32) for size in (52, 3, 3, 2)))
GAZES = ((15.0, 0.0), (-15.0, 0.0), (0.0, 10.0), (0.0, -10.0), (10.0, 5.0))  # degrees
DISTANCES = (0.8, 0.9, 1.1, 1.25)
# How each emotion shows: weights that rise with it, and weights that fall. Disgust wrinkles the
# nose or raises the upper lip (action units 9 and 10, Ekman & Friesen 1978); FaceMesh hardly sees
# the former.
SIGNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "angry": (("browDownLeft", "browDownRight"), ("browInnerUp",)),
    "contempt": (("mouthSmileLeft", "mouthDimpleLeft"), ("mouthSmileRight", "mouthDimpleRight")),
    "disgusted": (
        ("noseSneerLeft", "noseSneerRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
        (),
    ),
    "fearful": (("browInnerUp", "eyeWideLeft", "eyeWideRight"), ("browDownLeft",)),
    "happy": (("mouthSmileLeft", "mouthSmileRight"), ("mouthFrownLeft", "mouthFrownRight")),
    "neutral": ((), ()),
    "sad": (("browInnerUp", "mouthFrownLeft", "mouthFrownRight"), ("mouthSmileLeft",)),
    "surprised": (("browOuterUpLeft", "browOuterUpRight", "eyeWideLeft"), ("browDownLeft",)),
}
UNMOVED = 0.05  # of a neutral face's weights


@dataclass(frozen=True)
class EmotionShown:
    """How far an emotion's sign rose above that of no emotion, in blendshape weights."""

    name: str
    half: float  # at a weight of 0.5
    full: float  # at a weight of 1

    @property
    def right(self) -> bool:
        """Whether it moved the right way; for neutral, whether nothing moved."""
        return abs(self.full) < UNMOVED if self.name == "neutral" else self.full > UNMOVED

    @property
    def graded(self) -> bool:
        """Whether half of it shows less than all of it, and more than nothing."""
        return self.name == "neutral" or 0 < self.half < self.full


class Mirror:
    """Shows a portrait under controls, and tells what can be seen of them.

    Args:
        renderer: of the portrait.
        speech: what it says.
    """

    def __init__(self, renderer: Renderer, speech: Speech) -> None:
        self._renderer, self._speech = renderer, speech

    def gaze_errors(self) -> Float64Array:
        """Degrees between the gaze that was asked for and the median gaze that is seen."""
        usual = self._gaze(Controls())
        return np.array(
            [np.linalg.norm(self._gaze(Controls(gaze=to)) - usual - to) for to in GAZES]
        )

    def distance_errors(self) -> Float64Array:
        """By what share of it each distance that is seen differs from what was asked for."""
        shown = [self._distance(Controls(distance=ratio)) for ratio in DISTANCES]
        return np.asarray(np.abs(np.array(shown) / DISTANCES - 1))

    def emotions(self) -> list[EmotionShown]:
        """How each emotion shows, at half and in full."""
        usual = self._seen(Controls()).expression.mean(axis=0)
        return [
            EmotionShown(name, *(self._sign(name, weight, usual) for weight in (0.5, 1.0)))
            for name in EMOTIONS
        ]

    def _sign(self, name: str, weight: float, usual: Float64Array) -> float:
        """How far the sign of an emotion rises above the usual face."""
        change = self._seen(Controls(emotion={name: weight})).expression.mean(axis=0) - usual
        rising, falling = SIGNS[name]
        if not rising:
            return float(np.abs(change).max())
        up = float(np.mean([change[ARKIT_INDEX[shape]] for shape in rising]))
        return up - float(np.mean([change[ARKIT_INDEX[shape]] for shape in falling] or [0.0]))

    def _gaze(self, controls: Controls) -> Float64Array:
        """Where the eyes look in the world, median over the clip, (2,) degrees."""
        looks = self._watch(controls)
        rest, first = looks[SETTLING]
        tracker = Tracker(first)
        irises = Irises(rest, first, align(first, template()).scale)
        seen = [
            irises.read(picture, mesh) + tracker.pose(mesh).rotation[:2]
            for picture, mesh in looks[SETTLING + SETTLED :]
        ]
        return np.asarray(np.nanmedian(seen, axis=0))

    def _distance(self, controls: Controls) -> float:
        nearer = self._seen(controls).translation[:, 2].mean()
        return float(1 - nearer / PORTRAIT_DISTANCE_CM)

    def _seen(self, controls: Controls) -> Motion:
        """The motion that is tracked in the rendered clip, once controls hold."""
        looks = self._watch(controls)
        tracker = Tracker(looks[SETTLING][1])
        poses = [tracker.pose(mesh) for _, mesh in looks[SETTLING + SETTLED :]]
        return Motion(
            FPS, *(np.stack([vars(pose)[name] for pose in poses]) for name in vars(STILL))
        )

    def _watch(self, controls: Controls) -> list[tuple[ImageArray, Float32Array]]:
        """The pictures of the clip and the face's mesh in each; before it, it is at rest."""
        made = Motion.concatenate(animate(self._speech, controls, FPS))
        pictures = list(self._pictures(made))
        meshes = list(track_meshes(iter(pictures)))
        return [(p, m) for p, m in zip(pictures, meshes, strict=True) if m is not None]

    def _pictures(self, motion: Motion) -> Iterator[ImageArray]:
        for _ in range(SETTLING + 1):
            yield self._renderer.frame(STILL)
        yield from self._renderer.frames([motion[1:]])
