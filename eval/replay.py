"""Replays of real clips: one frame as the portrait, and how the face moves after it.

The motion is tracked from FaceMesh's points, and each frame's is refined by its picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.errors import VideoError
from vasari.eval.refinement import refine
from vasari.generate.faces import find_faces
from vasari.generate.perform import Tracker, read_frames, track_meshes
from vasari.generate.portrait import Frame, Portrait
from vasari.generate.render import Pose, Renderer

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

SIZE = 512  # pixels
MAX_FRAMES = 250  # of a clip: ten seconds
MEASURED = 5  # every so many frames
SETTLING = 3  # frames


@dataclass(frozen=True)
class Moment:
    """One frame of a clip."""

    truth: ImageArray  # (SIZE, SIZE, 3) sRGB
    mesh: Float32Array  # (478, 3) pixels, the face in it
    pose: Pose  # how the portrait must move to look like it


def replay(
    clip: Path, *, start: int = 0, limit: int = MAX_FRAMES, every: int = MEASURED
) -> tuple[Portrait, Iterator[Moment]]:
    """Take a frame of a clip as a portrait, and track how it moves from there.

    Args:
        clip: a video of one face.
        start: which frame is the portrait.
        limit: how many of the frames after it are tracked.
        every: one in so many of them is given.

    Raises:
        VideoError: the clip cannot be read, or its frame shows no face.
    """
    frames = _framed(clip, start, limit)
    first = next(frames)
    faces = find_faces(first)
    if not faces:
        raise VideoError(f"frame {start} of {clip} shows no face")
    portrait = Portrait.framed(first, faces[0])
    return portrait, _moments(portrait, frames, every)


def _moments(portrait: Portrait, frames: Iterator[ImageArray], every: int) -> Iterator[Moment]:
    renderer = Renderer(portrait)
    kept: list[ImageArray] = []

    def remember() -> Iterator[ImageArray]:
        # FaceMesh sees a face slightly otherwise once it follows it: let it settle on the first.
        for frame in chain(repeat(portrait.image, SETTLING), frames):
            kept.append(frame)
            yield frame

    tracker: Tracker | None = None
    for number, found in enumerate(track_meshes(remember())):
        truth = kept.pop()
        if found is None:
            continue
        if number < SETTLING or tracker is None:
            tracker = Tracker(found)
            continue
        pose = tracker.pose(found)
        if (number - SETTLING) % every == 0:
            yield Moment(truth, found, refine(renderer, pose, truth))


def _framed(clip: Path, start: int, limit: int) -> Iterator[ImageArray]:
    """The frames of a clip from one on, cut around the face of that one."""
    _, frames = read_frames(clip)
    first = next(islice(frames, start, None), None)
    faces = find_faces(first) if first is not None else []
    if first is None or not faces:
        raise VideoError(f"frame {start} of {clip} shows no face")
    frame = Frame.around(faces[0], first.shape[1], first.shape[0])
    yield frame.cut(first, SIZE)
    for image in islice(frames, limit):
        yield frame.cut(image, SIZE)
