"""Gestures: what head and face do besides the lips, drawn by the diffusion model to a voice.

Motion is drawn in windows, each of which goes on from the end of the one before (Xu et al., VASA-1,
arXiv 2404.10667, section 3.2). The same seed draws the same gestures.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vasari.generate.channels import (
    CHANNELS,
    FACE,
    HEAD,
    INDEX,
    face_matrix,
    face_weights,
    wish_numbers,
)
from vasari.generate.emotion import FACE_MATRIX
from vasari.generate.keyframes import Wishes
from vasari.models.motion_transformer import (
    PAST,
    RATE,
    SOUND,
    WINDOW,
    WISHES,
    Conditions,
    MotionTransformer,
    load_motion_transformer,
)

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

STEPS = 8  # evaluations of the network for a window
# Classifier-free guidance: how far a window is pushed from what it would be without a condition.
GUIDANCE = {"sound": 0.5, "gaze": 0.5, "face": 0.5}
# Of a gaze that is asked for, what the network is told. Tracked eyes hang back, so in what it
# learned from, the head makes most of a look aside; people's eyes make most of one that is within
# their reach (Stahl 1999).
TOLD_GAZE = 0.4
# The head's deviation and its way from frame to frame that are asked for, degrees. To the voices
# that the network learned from, this gives the geometric mean of all whom it learned from.
LIVELINESS = np.log([3.5, 1.0])
JOIN = 15  # frames over which a window is bent to the end of the one before
QUIVER = 1.6  # frames: what few steps leave of the noise below this is taken out
HIGHEST = 0.995  # noise level at which a draw begins: at 1 nothing of the motion would be left
LOWEST = 0.03  # the last one before none
_STREAM = 0xD1FF  # of noise


@dataclass(frozen=True)
class Gesture:
    """Head and face at T moments, about their place."""

    rotation: Float64Array  # (T, 3) degrees, as in `Motion`
    translation: Float64Array  # (T, 3) cm, as in `Motion`
    face: npt.NDArray[
        np.floating[Any]
    ]  # (T, 52) blendshape weights, to be added to those of the lips


class Gestures:
    """An endless track of gestures, drawn as far as there is sound for it.

    Args:
        seed: the user's seed.
        network: the denoiser.
        steps: its evaluations for a window; one gives the mean of what it was trained on.
    """

    def __init__(
        self, seed: int, network: MotionTransformer | None = None, *, steps: int = STEPS
    ) -> None:
        self._seed, self._steps = seed, steps
        self._network = network or load_motion_transformer()
        self._drawn = 0  # windows
        self._sound = np.zeros((PAST, SOUND), np.float32)
        self._motion = np.zeros((PAST, len(CHANNELS)), np.float32)

    def times(self) -> Float64Array:
        """The moments of the next window, (WINDOW,) seconds; the first of all is 1 / RATE."""
        return np.asarray((self._drawn * WINDOW + 1 + np.arange(WINDOW)) / RATE)

    def draw(self, sound: Float32Array, wishes: Wishes) -> None:
        """Draw the next window.

        Args:
            sound: (WINDOW, SOUND), what is heard at `times`.
            wishes: what is wished then.
        """
        offset = np.zeros(len(CHANNELS), np.float32)
        faces = wishes.emotion * wishes.expression[:, None]
        offset[INDEX["blink"] :] = faces.mean(axis=0) @ FACE_MATRIX @ face_matrix()
        heard = np.concatenate([self._sound, sound])
        made = self._sample(*self._conditions(heard, TOLD_GAZE * wishes.gaze.mean(axis=0), offset))
        self._sound, self._drawn = sound[-PAST:], self._drawn + 1
        past = self._motion[-PAST:] if self._drawn > 1 else np.repeat(made[:1] - offset, PAST, 0)
        self._motion = _calmed(np.concatenate([past, _joined(past, made - offset)]))

    def at(self, times: Float64Array) -> Gesture:
        """The gestures at rising times of the window that was drawn last, in seconds."""
        first = (self._drawn - 1) * WINDOW + 1 - PAST
        places = np.clip(times * RATE - first, 0, len(self._motion) - 1)
        before = np.minimum(places.astype(int), len(self._motion) - 2)
        share = (places - before)[:, None]
        motion = self._motion[before] * (1 - share) + self._motion[before + 1] * share
        head = motion[:, HEAD]
        return Gesture(head[:, :3], head[:, 3:], face_weights(motion))

    def _conditions(
        self, heard: Float32Array, gaze: Float64Array, face: Float32Array
    ) -> tuple[Conditions, Float32Array]:
        """What the window goes by: once everything, and once without each guided condition.

        Returns:
            The conditions, and how much of each result makes the window. What is not wished for
            is unknown to the network: it is left to chance.
        """
        known = {"gaze": gaze.any(), "nearer": True, "face": face.any(), "liveliness": True}
        guided = {name: gain for name, gain in GUIDANCE.items() if known.get(name, True)}
        count = 1 + len(guided)
        flags = np.array([[*known.values(), True]] * count, np.float32)
        columns = [*WISHES, "sound"]
        for row, name in enumerate(guided, 1):
            flags[row, columns.index(name)] = 0
        wishes = wish_numbers(gaze, 0.0, face[FACE], LIVELINESS)
        past = (self._motion[-PAST:] + face) / self._network.channel_scale * (self._drawn > 0)
        conditions = Conditions(
            past=_repeated(past, count),
            past_known=np.full(count, self._drawn > 0, np.float32),
            sound=_repeated(heard, count),
            sound_known=flags[:, -1],
            wishes=wishes * np.repeat(flags[:, :-1], list(WISHES.values()), axis=1),
            wishes_known=flags[:, :-1],
        )
        gains = np.array([1 + sum(guided.values()), *(-gain for gain in guided.values())])
        return conditions, gains.astype(np.float32)

    def _sample(self, conditions: Conditions, gains: Float32Array) -> Float32Array:
        """Draw a window, (WINDOW, D), by DPM-Solver++(2M) (Lu et al., arXiv 2211.01095).

        DDIM loses two fifths of slow movement in as few steps.
        """
        random = np.random.default_rng([self._seed, _STREAM, self._drawn])
        noisy = random.standard_normal((WINDOW, len(CHANNELS))).astype(np.float32)
        before: Float32Array | None = None
        for level, lower in itertools.pairwise(noise_levels(self._steps)):
            results = self._network(_repeated(noisy, len(gains)), float(level), conditions)
            clean = np.tensordot(gains, results, 1)
            # Where the motion will have gone by the middle of an even step; the last is not even.
            ahead = clean if before is None or lower == 0 else clean + (clean - before) / 2
            angle, next_angle = level * np.pi / 2, lower * np.pi / 2
            noise = (noisy - np.cos(angle) * ahead) / np.sin(angle)
            noisy = (np.cos(next_angle) * ahead + np.sin(next_angle) * noise).astype(np.float32)
            before = clean
        return noisy * self._network.channel_scale


def noise_levels(steps: int) -> Float64Array:
    """Those of a draw, (steps + 1,) from HIGHEST to 0, even in the log of signal over noise."""
    first, last = np.log(np.tan(np.array([HIGHEST, LOWEST]) * np.pi / 2))
    return np.append(np.arctan(np.exp(np.linspace(first, last, steps))) * 2 / np.pi, 0)


def _joined(past: Float32Array, made: Float32Array) -> Float32Array:
    """A window that goes on where the one before ended: what is left of a jump fades out."""
    jump = made[0] - (past[-1] + (past[-1] - past[-2]) / 2)
    share = np.cos(np.linspace(0, np.pi / 2, JOIN, endpoint=False)) ** 2
    joined = made.copy()
    joined[:JOIN] -= share[:, None].astype(np.float32) * jump
    return joined


def _calmed(motion: Float32Array) -> Float32Array:
    """Motion without quiver; its first PAST frames, which were shown before, stay."""
    reach = round(3 * QUIVER)
    kernel = np.exp(-((np.arange(-reach, reach + 1) / QUIVER) ** 2) / 2)
    padded = np.pad(motion, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=0)
    calm = windows @ (kernel / kernel.sum()).astype(np.float32)
    calm[:PAST] = motion[:PAST]
    return np.asarray(calm, np.float32)


def _repeated(array: Float32Array, count: int) -> Float32Array:
    """A batch of so many times the same."""
    return np.broadcast_to(array.astype(np.float32), (count, *array.shape))
