"""Motion: the track of expression, head pose and gaze that any source makes and any renderer shows.

The head stands in front of a camera. Angles and axes are the viewer's: +x is the viewer's right,
+y is up, +z is toward the viewer. A head is taken to have the mean adult's distance between the
pupils, so that centimetres have a meaning in any portrait. Everything is relative to the portrait:
all zeros is its own pose and gaze, with a resting face and closed lips.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.errors import MotionError, OutputError

Float32Array = npt.NDArray[np.float32]

PUPIL_DISTANCE_CM = 6.3  # mean adult interpupillary distance (Dodgson 2004)
PORTRAIT_DISTANCE_CM = 70.0  # from which a portrait is taken to be seen; distance r is r times it
LIVELINK_SUFFIX = ".csv"  # of Live Link Face tables
TRACKS = ("expression", "rotation", "translation", "gaze")

# The blendshape locations of ARKit, in the order of the Live Link Face CSV. "Left" is the
# person's own left: the viewer's right.
# https://developer.apple.com/documentation/arkit/arfaceanchor/blendshapelocation
ARKIT_NAMES = (
    "eyeBlinkLeft", "eyeLookDownLeft", "eyeLookInLeft", "eyeLookOutLeft", "eyeLookUpLeft",
    "eyeSquintLeft", "eyeWideLeft",
    "eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight",
    "eyeSquintRight", "eyeWideRight",
    "jawForward", "jawRight", "jawLeft", "jawOpen",
    "mouthClose", "mouthFunnel", "mouthPucker", "mouthRight", "mouthLeft",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
    "mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthUpperUpLeft", "mouthUpperUpRight",
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
    "noseSneerLeft", "noseSneerRight", "tongueOut",
)  # fmt: skip
ARKIT_INDEX = {name: index for index, name in enumerate(ARKIT_NAMES)}


@dataclass(frozen=True)
class Motion:
    """A stretch of motion of T frames.

    A long talk is a sequence of these, made one after the other.

    Raises:
        MotionError: an array has another shape than its field asks for, or is not finite.
    """

    fps: float  # frames per second
    expression: Float32Array  # (T, 52) in 0..1, columns in the order of ARKIT_NAMES
    rotation: (
        Float32Array  # (T, 3) degrees: yaw + to the viewer's right, pitch + up, roll + clockwise
    )
    translation: Float32Array  # (T, 3) cm from the portrait's own place: + right, up, nearer
    gaze: Float32Array  # (T, 2) degrees, eyes in the head: yaw + to the viewer's right, pitch + up

    def __post_init__(self) -> None:
        length = len(self.expression)
        widths = {"expression": 52, "rotation": 3, "translation": 3, "gaze": 2}
        for name, width in widths.items():
            array = np.asarray(getattr(self, name), np.float32)
            if array.shape != (length, width):
                raise MotionError(f"motion {name} has shape {array.shape}, not ({length}, {width})")
            if not np.isfinite(array).all():
                raise MotionError(f"motion {name} holds values that are not finite")
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.expression)

    def __getitem__(self, frames: slice) -> Motion:
        """The motion of a range of frames."""
        return Motion(
            self.fps,
            self.expression[frames],
            self.rotation[frames],
            self.translation[frames],
            self.gaze[frames],
        )

    @classmethod
    def still(cls, frames: int, fps: float = 25.0) -> Motion:
        """A motion in which nothing moves: the portrait as it is, lips closed."""
        return cls(
            fps,
            np.zeros((frames, 52), np.float32),
            np.zeros((frames, 3), np.float32),
            np.zeros((frames, 3), np.float32),
            np.zeros((frames, 2), np.float32),
        )

    @classmethod
    def concatenate(cls, parts: Iterable[Motion]) -> Motion:
        """Join motions of one frame rate, in order.

        Raises:
            MotionError: there is none, or the rates differ.
        """
        tracks = list(parts)
        if not tracks or any(track.fps != tracks[0].fps for track in tracks):
            raise MotionError("motions to join must be one or more, all of one frame rate")
        return cls(
            tracks[0].fps,
            *(np.concatenate([getattr(track, name) for track in tracks]) for name in TRACKS),
        )

    @property
    def duration(self) -> float:
        """How long it lasts, seconds."""
        return len(self) / self.fps

    def resampled(self, fps: float, frames: int) -> Motion:
        """The motion at another frame rate, in a number of frames; its last pose is held.

        Frame k shows what this motion shows at k / fps seconds, linearly between its own frames.

        Raises:
            MotionError: this motion holds no frame.
        """
        if not len(self):
            raise MotionError("a motion without frames cannot be shown")
        places = np.minimum(np.arange(frames) / fps * self.fps, len(self) - 1)
        before = places.astype(int)
        after = np.minimum(before + 1, len(self) - 1)
        share = (places - before).astype(np.float32)[:, None]
        tracks = (getattr(self, name) for name in TRACKS)
        return Motion(
            fps, *(track[before] * (1 - share) + track[after] * share for track in tracks)
        )

    def save(self, path: str | Path) -> None:
        """Write the motion as a NumPy archive: an array per field and the names of the weights.

        A name that ends in .csv asks for the table of the Live Link Face app.

        Raises:
            OutputError: the file cannot be written.
        """
        file = Path(path)
        if file.suffix.lower() == LIVELINK_SUFFIX:
            from vasari.generate.livelink import write_livelink

            return write_livelink(self, file)
        draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        arrays = {name: getattr(self, name) for name in TRACKS}
        try:
            with draft.open("xb") as stream:
                np.savez_compressed(stream, fps=self.fps, names=np.array(ARKIT_NAMES), **arrays)
            os.replace(draft, file)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise OutputError(f"cannot write {file}: {error.strerror or error}") from None

    @classmethod
    def load(cls, path: str | Path) -> Motion:
        """Read a motion that `save` wrote, or a .csv of the Live Link Face app.

        Raises:
            MotionError: the file is missing or is no such archive.
        """
        if Path(path).suffix.lower() == LIVELINK_SUFFIX:
            from vasari.generate.livelink import read_livelink

            return read_livelink(path)
        try:
            # Opened here: np.load forgets to close a damaged archive.
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return cls(float(archive["fps"]), *(archive[name] for name in TRACKS))
        except OSError as error:
            raise MotionError(f"cannot read {path}: {error.strerror or error}") from None
        except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile):
            raise MotionError(
                f"{path} is no motion; give an .npz of Motion.save, or a .csv of Live Link Face"
            ) from None
