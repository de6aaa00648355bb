"""Do the lips fit the sound? ``python -m vasari.eval.lips FOLDER`` compares with real clips.

Three questions: does the mouth open when a real speaker's does (correlation with the opening
that FaceMesh tracks, and the lag at which it is best); are the lips closed in silence; are they
closed in m, b and p (of synthesised sentences, whose phone times are known).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error
import click
import numpy as np
import numpy.typing as npt

from vasari.errors import VideoError
from vasari.generate.animator import animate
from vasari.generate.controls import Controls
from vasari.generate.motion import ARKIT_INDEX, Motion
from vasari.generate.spectrum import FRAME_RATE, band_matrix, decibels, power_spectra
from vasari.generate.speech import SPEECH_BAND, Phone, Speech
from vasari.generate.synthesis import speak

FloatArray = npt.NDArray[np.float64]

# FaceMesh landmarks: middle of the inner lips, corners of the mouth, outer corners of the eyes.
UPPER_LIP, LOWER_LIP = 13, 14
MOUTH_CORNERS = (61, 291)
EYE_CORNERS = (33, 263)

# Seconds by which the picture of some public clips lags its sound (minus: it is early), by
# cross-correlation of sound and lips. Clips that are not named have none.
PICTURE_LAG = {
    "sadtalker_WDA_AlexandriaOcasioCortez_000": -0.12,
    "sadtalker_WDA_BobMenendez_000": -0.04,
    "sadtalker_WDA_EdMarkey0_000": -0.04,
    "sadtalker_RD_Radio2_000": -0.08,
    "videoretalking_face1": 0.08,
    "videoretalking_face2": -0.04,
    "videoretalking_face3": -0.04,
    "videoretalking_face5": 0.04,
}
# No lag makes these match: their sound and their lips are not of the same take.
UNMATCHED = ("sadtalker_WDA_KatieHill_000", "sadtalker_RD_Radio34_000", "videoretalking_face4")

MAX_LAG = 0.24  # seconds that are searched on each side
CLOSED = 0.04  # jawOpen up to which lips count as closed
SILENT_DB = -40.0  # dB re the loud level of the recording
SILENCE_MARGIN = 0.1  # seconds of a pause at whose ends the lips may still move
CLOSURE_RATE = 100.0  # frames per second, to hit the short closures
# espeak-ng counts the closure of a voiceless stop to the sound before it; measured in its output.
STOP_CLOSURE = 0.045  # seconds
SENTENCES = (
    "Mum, bring me a map of the pub.",
    "Peter became a member of the public library.",
    "Maybe the number is above my apartment.",
    "A simple problem: people buy bread before breakfast.",
)


@dataclass(frozen=True)
class LipTrack:
    """The mouth of a real speaker, frame by frame, in distances between the eyes' corners."""

    fps: float  # frames per second
    opening: FloatArray  # (T,) between the inner lips; NaN where no face is seen
    width: FloatArray  # (T,) between the corners of the mouth


@dataclass(frozen=True)
class Match:
    """How a prediction fits a clip."""

    name: str
    r: float  # Pearson correlation over the clip
    r_speech: float  # the same without the silence before and after
    lag: float  # seconds by which the prediction is late where the correlation is best


def track_lips(path: Path) -> LipTrack:
    """Track the mouth in a video.

    Raises:
        VideoError: the file cannot be read, or shows a face in less than half of its frames.
    """
    from vasari.generate.mediapipe import solutions

    with solutions().face_mesh.FaceMesh(static_image_mode=False, refine_landmarks=True) as network:
        try:
            with av.open(str(path)) as container:
                fps = float(container.streams.video[0].average_rate or 0)
                rows = [_mouth(network, frame) for frame in container.decode(video=0)]
        except (av.error.FFmpegError, IndexError) as error:
            raise VideoError(f"{path} cannot be read as a video: {error}") from None
    opening, width, eyes = np.array(rows).reshape(-1, 3).T
    if not fps or np.isfinite(eyes).mean() < 0.5:
        raise VideoError(f"{path} shows no face for most of its time")
    return LipTrack(fps, opening / np.nanmedian(eyes), width / np.nanmedian(eyes))


def _mouth(network: Any, frame: av.VideoFrame) -> tuple[float, float, float]:
    """Opening and width of the mouth and distance of the eyes' corners in a frame, in pixels."""
    faces = network.process(frame.to_ndarray(format="rgb24")).multi_face_landmarks
    if not faces:
        return (np.nan, np.nan, np.nan)
    points = np.array([(mark.x * frame.width, mark.y * frame.height) for mark in faces[0].landmark])
    pairs = ((UPPER_LIP, LOWER_LIP), MOUTH_CORNERS, EYE_CORNERS)
    first, second, third = (float(np.linalg.norm(points[a] - points[b])) for a, b in pairs)
    return first, second, third


def match_clip(path: Path, track: LipTrack) -> Match:
    """Compare the motion made from a clip's sound with the clip's own lips."""
    speech = Speech.open(path)
    made = _jaw(speech, track.fps)
    frames = min(len(made), len(track.opening))
    times = np.arange(frames) / track.fps
    sound_times = times - PICTURE_LAG.get(path.stem, 0.0)
    real, made = track.opening[:frames], made[:frames]
    grid = np.arange(len(made)) / track.fps

    def correlate(lag: float, span: npt.NDArray[np.bool_]) -> float:
        late = np.interp(sound_times + lag, grid, made)
        use = span & np.isfinite(real)
        return float(np.corrcoef(late[use], real[use])[0, 1]) if late[use].std() > 0 else 0.0

    loud = np.flatnonzero(_levels(speech) > SILENT_DB) / FRAME_RATE
    spoken = (sound_times >= loud[0]) & (sound_times <= loud[-1])
    everything = np.ones(frames, np.bool_)
    lags = np.arange(-MAX_LAG, MAX_LAG + 0.001, 0.02)
    best = lags[np.argmax([correlate(lag, everything) for lag in lags])]
    return Match(path.stem, correlate(0.0, everything), correlate(0.0, spoken), float(best))


def closed_in_silence(speech: Speech, fps: float = 25.0) -> float:
    """The share of frames in pauses in which the lips are closed; NaN without pauses."""
    jaw = _jaw(speech, fps)
    quiet = _levels(speech) < SILENT_DB
    width = 2 * round(SILENCE_MARGIN * FRAME_RATE) + 1
    inner = np.convolve(np.pad(quiet, width // 2, constant_values=True), np.ones(width), "valid")
    deep = inner > width - 0.5
    index = np.minimum((np.arange(len(jaw)) / fps * FRAME_RATE).astype(int), len(deep) - 1)
    return float(np.mean(jaw[deep[index]] <= CLOSED)) if deep[index].any() else float("nan")


def closed_in_bilabials(speech: Speech) -> list[bool]:
    """For every m, b and p whose time is known: do the lips close in it?"""
    jaw = _jaw(speech, CLOSURE_RATE)
    return [
        bool(jaw[start : end + 1].min() <= CLOSED)
        for start, end in map(_closure_frames, speech.phones)
        if end > start
    ]


def _closure_frames(phone: Phone) -> tuple[int, int]:
    """First and last frame at CLOSURE_RATE in which a phone's lips must meet; (0, 0) if none."""
    if phone.symbol[0] not in "mbp":
        return 0, 0
    start, end = phone.start, phone.end
    if phone.symbol[0] == "p":
        start, end = start - STOP_CLOSURE, start
    return max(0, round(start * CLOSURE_RATE)), round(end * CLOSURE_RATE)


def _jaw(speech: Speech, fps: float) -> FloatArray:
    """The jaw's opening in the motion made from a speech, (T,) in 0..1."""
    motion = Motion.concatenate(animate(speech, Controls(), fps))
    return np.asarray(motion.expression[:, ARKIT_INDEX["jawOpen"]], np.float64)


def _levels(speech: Speech) -> FloatArray:
    """Level of the band of speech at FRAME_RATE, dB re the loud level."""
    band = band_matrix([SPEECH_BAND])
    levels = [decibels(spectra @ band)[:, 0] for spectra in power_spectra(speech.blocks())]
    return np.asarray(np.concatenate(levels) - speech.level.loud, np.float64)


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and its 95 % interval, by bootstrap over clips."""
    array = np.array(values, np.float64)
    draws = np.random.default_rng(0).integers(len(array), size=(2000, len(array)))
    low, high = np.percentile(array[draws].mean(axis=1), [2.5, 97.5])
    return float(array.mean()), float(low), float(high)


def _clips(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The videos of a folder that can be matched and whose names fit a pattern, in order."""
    named = {path for pattern in patterns for path in folder.glob(f"{pattern}.mp4")}
    return sorted(path for path in named if path.stem not in UNMATCHED)


def _print_row(name: str, values: Sequence[float]) -> None:
    """A line of the table: mean, 95 % interval, number."""
    mean, low, high = interval(values)
    click.echo(f"{name:34} {mean:6.3f}  [{low:.3f}, {high:.3f}]  n={len(values)}")


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--only", multiple=True, default=["*"], help="Pattern of the clips' names.")
@click.option("--sounds", type=click.Path(path_type=Path, exists=True), help="Folder of speech.")
@click.option("--each", is_flag=True, help="A line for every clip, too.")
def main(folders: tuple[Path, ...], only: tuple[str, ...], sounds: Path | None, each: bool) -> None:
    """Print how well the lips fit, over the talking clips in FOLDERS."""
    for folder in folders:
        matches = [match_clip(path, track_lips(path)) for path in _clips(folder, only)]
        if not matches:
            raise VideoError(f"no .mp4 to compare with in {folder}")
        click.echo(f"{folder.name}:")
        for match in matches if each else ():
            click.echo(f"  {match.name:42} r {match.r:.2f}  lag {match.lag * 1000:+.0f} ms")
        _print_row("  r, whole clip", [match.r for match in matches])
        _print_row("  r, speech only", [match.r_speech for match in matches])
        _print_row("  lag, seconds", [match.lag for match in matches])
    if sounds:
        pauses = {path: closed_in_silence(Speech.open(path)) for path in sorted(sounds.iterdir())}
        for path, share in pauses.items() if each else ():
            click.echo(f"  {path.name:42} closed in silence {share:.2f}")
        _print_row("lips closed in silence", [x for x in pauses.values() if not np.isnan(x)])
    spoken = [speak(text, voice=voice) for text in SENTENCES for voice in ("default", "f3")]
    closures = [closed for speech in spoken for closed in closed_in_bilabials(speech)]
    _print_row("lips closed in m, b, p (synthesis)", [float(closed) for closed in closures])


if __name__ == "__main__":
    main()
