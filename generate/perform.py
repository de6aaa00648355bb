"""Motion from a performer: the face of a video tracked frame by frame.

FaceMesh gives 478 points a frame. Head pose and size are taken out by aligning them with the
performer's own resting face; what is left is explained by the blendshapes of that face, each
between 0 and 1.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain, islice, repeat
from pathlib import Path

import numba
import numpy as np
import numpy.typing as npt

from vasari.errors import VideoError
from vasari.generate.blendshapes import face_shapes, lip_closure
from vasari.generate.eyes import BALL_RADIUS
from vasari.generate.motion import ARKIT_INDEX, PORTRAIT_DISTANCE_CM, Motion
from vasari.generate.pose import Camera, turn_angles
from vasari.generate.render import Pose
from vasari.generate.template import Placement, align, template
from vasari.generate.topology import (
    FACE_OVAL,
    LEFT_IRIS,
    LEFT_LOWER_LID,
    LEFT_UPPER_LID,
    LOWER_LIP_INNER,
    LOWER_LIP_OUTER,
    MESH_POINTS,
    RIGHT_IRIS,
    RIGHT_LOWER_LID,
    RIGHT_UPPER_LID,
    RIGID_POINTS,
    UPPER_LIP_INNER,
    UPPER_LIP_OUTER,
)

Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
ImageArray = npt.NDArray[np.uint8]

# Weights in the fit: lips are small and matter most, and more than where lips and lids stand
# matters how far they are apart. FaceMesh guesses depth.
LIP_WEIGHT, OPENING_WEIGHT, OVAL_WEIGHT, DEPTH_WEIGHT = 3.0, 8.0, 0.3, 0.3
RIDGE = 0.02  # of the mean squared length of a shape: keeps rival shapes from fighting
SWEEPS = 25  # of coordinate descent; each frame starts where the last one ended
ALIGNMENT_ROUNDS = 2  # perspective makes the way to a place depend a little on the place
BLOCK_FRAMES = 50  # of the motions that are given out
REST_SEARCH = 1.0  # seconds from the start in which the resting face is looked for
# FaceMesh quivers: a parabola through five frames takes half of the noise and leaves the peaks
# (Savitzky & Golay 1964). Lids keep every frame: a blink lasts four.
STEADYING = np.array([-3, 12, 17, 12, -3], np.float32) / 35

# FaceMesh draws irises nearer to the middle of the eye than they are. Across, half as far again is
# nearest to the eyes of real clips; up and down it sees next to nothing, and no gain helps.
GAZE_GAIN = np.array([1.5, 1.0], np.float32)

LIPS = UPPER_LIP_INNER + LOWER_LIP_INNER + UPPER_LIP_OUTER + LOWER_LIP_OUTER
OPENINGS_UPPER = UPPER_LIP_INNER[1:-1] + RIGHT_UPPER_LID[1:-1] + LEFT_UPPER_LID[1:-1]
OPENINGS_LOWER = LOWER_LIP_INNER[1:-1] + RIGHT_LOWER_LID[1:-1] + LEFT_LOWER_LID[1:-1]
_LIDS_UPPER, _LIDS_LOWER = RIGHT_UPPER_LID + LEFT_UPPER_LID, RIGHT_LOWER_LID + LEFT_LOWER_LID
_BLINKS = [ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]
_EYE_CORNERS = ((33, 133, RIGHT_IRIS[0]), (263, 362, LEFT_IRIS[0]))


class Tracker:
    """Explains meshes of one performer by pose and blendshapes, relative to a first mesh.

    Args:
        first: (478, 3) pixels: the performer at the zero of head pose and gaze. The resting
            expression is this face with its lips closed.

    `rest` is that resting face, (478, 3) cm.
    """

    def __init__(self, first: Float32Array) -> None:
        self._first = first
        self._home = align(first, template())
        self._camera = Camera.before(first, self._home)
        own = self._home.unplace(first)
        self._model = own
        self.rest = own + lip_closure(own)
        shapes = face_shapes(self.rest)
        self._design = np.stack([_measure(shape) for shape in shapes], axis=1)
        ridge = RIDGE * (self._design**2).sum(axis=0).mean()
        self._gram = self._design.T @ self._design + ridge * np.eye(len(shapes))
        self._last = np.zeros(len(shapes))
        self._first_gaze = _gaze(own)

    def pose(self, mesh: Float32Array) -> Pose:
        """The pose of one mesh, (478, 3) pixels."""
        placement, face = self._placed(mesh)
        target = self._design.T @ _measure(face - self.rest)
        self._last = bounded_fit(self._gram, target, self._last)
        rotation = turn_angles(placement.rotation @ self._home.rotation.T)
        return Pose(
            self._last.astype(np.float32),
            rotation,
            self._translation(mesh, placement, rotation),
            _gaze(face) - self._first_gaze,
        )

    def face(self, mesh: Float32Array) -> Float32Array:
        """The points of a mesh without head pose, (478, 3) cm, as those of `rest`."""
        return self._placed(mesh)[1]

    def _placed(self, mesh: Float32Array) -> tuple[Placement, Float32Array]:
        """Where the head is, and its points in its own frame."""
        placement = align(mesh, self._model)
        return placement, placement.unplace(mesh)

    def _translation(
        self, mesh: Float32Array, placement: Placement, rotation: Float32Array
    ) -> Float32Array:
        """How far the head has moved, (3,) cm: what brings the turned first mesh onto this one."""
        nearer = PORTRAIT_DISTANCE_CM * (1 - self._home.scale / placement.scale)
        moved = np.array([0, 0, nearer], np.float32)
        points = list(RIGID_POINTS)
        share = np.ones(len(points), np.float32)
        for _ in range(ALIGNMENT_ROUNDS):
            shown = self._camera.project(self._first[points], share, rotation, moved)
            right, down = (mesh[points] - shown)[:, :2].mean(axis=0) / placement.scale
            moved += np.array([right, -down, 0], np.float32)
        return moved


def perform(video: Path | str) -> Iterator[Motion]:
    """Track the face of a video, streaming.

    Motion is relative to the face of the first second that has its eyes open and its lips nearest
    to closed. A frame in which no face is found repeats the one before.

    Args:
        video: a file with a picture stream that shows one face throughout.

    Yields:
        The motion, in blocks of at most BLOCK_FRAMES frames at the video's frame rate.

    Raises:
        VideoError: the file cannot be read, or its first second shows no face.
    """
    rate, frames = read_frames(Path(video))
    yield from follow(track_meshes(frames), rate, str(video))


def follow(
    meshes: Iterator[Float32Array | None], rate: float, name: str = "the video"
) -> Iterator[Motion]:
    """The motion of a face whose meshes, (478, 3) pixels each, were tracked at a rate.

    Yields:
        As `perform` does.

    Raises:
        VideoError: the first second shows no face.
    """
    beginning = list(islice(meshes, math.ceil(rate * REST_SEARCH)))
    seen = [mesh for mesh in beginning if mesh is not None]
    if not seen:
        raise VideoError(f"no face in the first second of {name}; give a video of one face")
    steady = _steadied(_poses(Tracker(resting(seen)), chain(seen[:1], beginning, meshes)))
    while block := list(islice(steady, BLOCK_FRAMES)):
        yield _motion(rate, block)


def resting(meshes: Iterable[Float32Array]) -> Float32Array:
    """Of some meshes of one face, (478, 3) each: eyes open, lips nearest to closed."""
    faces = list(meshes)
    eyes = [_opening(face, _LIDS_UPPER, _LIDS_LOWER) for face in faces]
    awake = [face for face, eye in zip(faces, eyes, strict=True) if eye >= np.median(eyes)]
    return min(awake, key=lambda face: _opening(face, UPPER_LIP_INNER, LOWER_LIP_INNER))


def _opening(face: Float32Array, upper: tuple[int, ...], lower: tuple[int, ...]) -> float:
    """The mean distance of two rows of points, in the face's own unit."""
    return float(np.linalg.norm(face[list(lower)] - face[list(upper)], axis=1).mean())


def _poses(tracker: Tracker, meshes: Iterator[Float32Array | None]) -> Iterator[Pose]:
    """The pose of each mesh but the first, which stands in until a face is found."""
    pose = tracker.pose(next(meshes))  # type: ignore[arg-type]
    for mesh in meshes:
        pose = pose if mesh is None else tracker.pose(mesh)
        yield pose


def _steadied(poses: Iterator[Pose]) -> Iterator[Pose]:
    """The poses without most of the tracker's quiver, none early or late."""
    near: deque[Pose] = deque(maxlen=len(STEADYING))
    for pose in _held(poses, len(STEADYING) // 2):
        near.append(pose)
        if len(near) == near.maxlen:
            yield _averaged(near)


def _held(poses: Iterator[Pose], count: int) -> Iterator[Pose]:
    """The poses, the first and the last of them so many times more."""
    pose = next(poses)
    yield from repeat(pose, count + 1)
    for pose in poses:
        yield pose
    yield from repeat(pose, count)


def _averaged(near: deque[Pose]) -> Pose:
    """The middle one of some poses, steadied by its neighbours."""
    middle = near[len(near) // 2]
    mean = {
        name: np.tensordot(STEADYING, np.stack([vars(pose)[name] for pose in near]), 1)
        for name in vars(middle)
    }
    mean["expression"][_BLINKS] = middle.expression[_BLINKS]
    mean["expression"] = np.clip(mean["expression"], 0, 1)
    return Pose(**mean)


def track_meshes(frames: Iterable[ImageArray]) -> Iterator[Float32Array | None]:
    """The mesh, (478, 3) pixels, of the face in each frame, (H, W, 3) uint8; None where none is."""
    from vasari.generate.mediapipe import solutions

    with solutions().face_mesh.FaceMesh(max_num_faces=1, refine_landmarks=True) as network:
        for frame in frames:
            found = network.process(frame).multi_face_landmarks
            if not found:
                yield None
                continue
            height, width = frame.shape[:2]
            points = [(point.x, point.y, point.z) for point in found[0].landmark]
            yield np.array(points, np.float32) * np.array([width, height, width], np.float32)


def read_frames(video: Path) -> tuple[float, Iterator[ImageArray]]:
    """The frame rate of a video, and its frames, (H, W, 3) uint8, one at a time.

    Raises:
        VideoError: the file is missing, no video, or damaged (also while frames are read).
    """
    import av
    import av.error

    try:
        with av.open(str(video)) as container:
            if not container.streams.video:
                raise VideoError(f"{video} has no picture; give a video")
            rate = float(container.streams.video[0].average_rate or 25)
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{video} cannot be read as a video: {error}") from error
    return rate, _decode(video)


def _decode(video: Path) -> Iterator[ImageArray]:
    import av
    import av.error

    try:
        with av.open(str(video)) as container:
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{video} is damaged: {error}") from error


def _motion(rate: float, poses: list[Pose]) -> Motion:
    return Motion(
        rate,
        np.stack([pose.expression for pose in poses]),
        np.stack([pose.rotation for pose in poses]),
        np.stack([pose.translation for pose in poses]),
        np.stack([pose.gaze for pose in poses]),
    )


def _measure(offsets: Float32Array) -> Float64Array:
    """What the fit compares, (M,): weighted offsets of the points, and the openings' changes.

    Args:
        offsets: (478, 3) cm, from the resting face.
    """
    upper, lower = list(OPENINGS_UPPER), list(OPENINGS_LOWER)
    openings = OPENING_WEIGHT * (offsets[lower] - offsets[upper])[:, :2]
    points = offsets[:MESH_POINTS] * _point_weights()
    return np.asarray(np.concatenate([points.ravel(), openings.ravel()]), np.float64)


@lru_cache(maxsize=1)
def _point_weights() -> Float32Array:
    """How much each coordinate of each point counts in the fit, (468, 3)."""
    weights = np.ones((MESH_POINTS, 3), np.float32)
    weights[list(FACE_OVAL)] = OVAL_WEIGHT
    weights[list(LIPS)] = LIP_WEIGHT
    weights[:, 2] *= DEPTH_WEIGHT
    return weights


@numba.njit(cache=True, nogil=True)
def bounded_fit(gram, target, start):  # type: ignore[no-untyped-def]
    """Least squares with each weight in 0..1, by coordinate descent (Franc et al. 2005)."""
    weights = start.copy()
    slope = gram @ weights - target
    for _ in range(SWEEPS):
        for k in range(len(weights)):
            value = min(max(weights[k] - slope[k] / gram[k, k], 0.0), 1.0)
            step = value - weights[k]
            if step != 0:
                slope += step * gram[k]
                weights[k] = value
    return weights


def _gaze(face: Float32Array) -> Float32Array:
    """Where the eyes look in the head, (2,) degrees, from the irises between the eye's corners."""
    offsets = [face[iris] - (face[outer] + face[inner]) / 2 for outer, inner, iris in _EYE_CORNERS]
    right, down = np.mean(offsets, axis=0)[:2] / BALL_RADIUS
    angles = np.arcsin(np.clip([right, -down], -0.9, 0.9))
    return np.asarray(GAZE_GAIN * np.degrees(angles), np.float32)
