"""How true the renderer is: the first frame of a real clip, moved as the clip moves, against it.

``vasari eval reenactment CLIP...`` prints, for each clip, PSNR and SSIM inside the face's
box for the rendered frames and for the first frame left still. The gain is what the renderer adds.
It does not show how well motion made from sound is: here the motion is tracked from the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from vasari.errors import VasariError, VideoError
from vasari.generate.faces import find_faces
from vasari.generate.perform import Tracker, read_frames, track_meshes
from vasari.generate.portrait import Frame, Portrait
from vasari.generate.render import Renderer
from vasari.generate.topology import MESH_POINTS

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

SIZE = 512  # pixels
MAX_FRAMES = 250  # of a clip: ten seconds
MEASURED = 5  # every so many frames
SETTLING = 3  # frames


@dataclass(frozen=True)
class Reenactment:
    """Means over a clip's measured frames."""

    clip: str
    psnr: float  # dB, rendered
    still_psnr: float  # dB, the first frame left still
    ssim: float
    still_ssim: float


def reenact(clip: Path) -> Reenactment:
    """Measure one clip.

    Raises:
        VideoError: it cannot be read, or its first frame shows no face.
    """
    rows = [
        (*_likeness(shown, truth, box), *_likeness(still, truth, box))
        for truth, shown, still, box in _pairs(clip)
    ]
    psnr, ssim, still_psnr, still_ssim = np.mean(rows, axis=0)
    return Reenactment(clip.stem, psnr, still_psnr, ssim, still_ssim)


def _pairs(clip: Path) -> Iterator[tuple[ImageArray, ImageArray, ImageArray, tuple[slice, slice]]]:
    """Truth, rendering, first frame, and the face's box in the truth, of each measured frame."""
    frames = _framed(clip)
    first = next(frames)
    (mesh, *_) = find_faces(first)
    portrait = Portrait.framed(first, mesh)
    renderer = Renderer(portrait)
    kept: list[ImageArray] = []

    def remember() -> Iterator[ImageArray]:
        # FaceMesh sees a face slightly otherwise once it follows it: let it settle on the first.
        for frame in chain(repeat(first, SETTLING), frames):
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
        if (number - SETTLING) % MEASURED == 0:
            shown = renderer.frame(pose)
            yield truth, shown, portrait.image, _box(found)


def _framed(clip: Path) -> Iterator[ImageArray]:
    """The frames of a clip, cut around the face of the first."""
    _, frames = read_frames(clip)
    first = next(frames)
    faces = find_faces(first)
    if not faces:
        raise VideoError(f"the first frame of {clip} shows no face")
    frame = Frame.around(faces[0], first.shape[1], first.shape[0])
    yield frame.cut(first, SIZE)
    for image in islice(frames, MAX_FRAMES):
        yield frame.cut(image, SIZE)


def _box(mesh: Float32Array) -> tuple[slice, slice]:
    low = np.clip(np.floor(mesh[:MESH_POINTS, :2].min(axis=0)), 0, SIZE - 8).astype(int)
    high = np.clip(np.ceil(mesh[:MESH_POINTS, :2].max(axis=0)), 8, SIZE).astype(int)
    return np.s_[low[1] : high[1], low[0] : high[0]]


def _likeness(
    shown: ImageArray, truth: ImageArray, box: tuple[slice, slice]
) -> tuple[float, float]:
    """PSNR (dB) and SSIM (Wang et al. 2004) inside a box."""
    try:
        from skimage.metrics import peak_signal_noise_ratio, structural_similarity
    except ImportError as error:
        raise VasariError('scikit-image is missing: pip install "vasari[eval]"') from error
    a, b = truth[box], shown[box]
    return (
        float(peak_signal_noise_ratio(a, b)),
        float(structural_similarity(a, b, channel_axis=2)),
    )


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def reenactment(clips: tuple[Path, ...]) -> None:
    """Compare rendered frames with real ones: each of CLIPS, from its first frame.

    The first frame is moved as the clip moves, and compared inside the face's box; so is the first
    frame left still. Prints PSNR and SSIM for each clip, and the mean gain over the still frame.
    """
    click.echo(f"{'clip':36} PSNR still  gain   SSIM still  gain")
    gains = []
    for clip in clips:
        r = reenact(clip)
        gains.append((r.psnr - r.still_psnr, r.ssim - r.still_ssim))
        click.echo(
            f"{r.clip[:36]:36} {r.psnr:4.1f}  {r.still_psnr:4.1f} {gains[-1][0]:+5.1f}"
            f"   {r.ssim:.3f} {r.still_ssim:.3f} {gains[-1][1]:+.3f}"
        )
    mean = np.mean(gains, axis=0)
    click.echo(f"mean gain of {len(gains)} clips: {mean[0]:+.2f} dB, SSIM {mean[1]:+.3f}")
