"""Do the lips fit the sound? ``python -m vasari.eval.lips FOLDER`` compares with real clips.

Does the mouth open when a real speaker's does (correlation with the opening that FaceMesh tracks,
and the lag at which it is best), and as far? What it does to sound alone is asked by
`vasari.eval.hearing`.
"""

from __future__ import annotations

import itertools
import shutil
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
from vasari.eval.alignment import phones_of
from vasari.eval.hearing import (
    LOWER_LIP,
    SILENT_DB,
    UPPER_LIP,
    accuracy,
    closed_in_bilabials,
    closed_in_silence,
    live_opening,
    loudness,
    motion_in_pauses,
    motion_in_silence,
    moving_noises,
    opening,
    opening_in_vowels,
    pauses,
    steady_noise,
)
from vasari.eval.phrases import PHRASES
from vasari.eval.replay import replay
from vasari.generate.animator import animate
from vasari.generate.controls import Controls
from vasari.generate.render import Renderer, poses
from vasari.generate.spectrum import FRAME_RATE
from vasari.generate.speech import Speech
from vasari.generate.synthesis import speak
from vasari.models import festival
from vasari.models.utterances import UNHEARD_FESTIVAL, UNHEARD_VOICES

FloatArray = npt.NDArray[np.float64]

# FaceMesh landmarks: corners of the mouth, outer corners of the eyes.
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

USUAL, WIDEST = 75, 95  # percentiles of an opening that are compared with the real one's
MAX_LAG = 0.24  # seconds that are searched on each side
NOISES = (-20.0, -10.0)  # dB re the loud level, of a steady noise
MOVING_NOISE = -15.0  # dB
ENGLISH = "en"  # what other languages are compared with


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
    r_live: float  # over the clip, of what is made while the sound comes
    likeness: float  # correlation of that with what is made from the file
    motion: float  # of the real lips in pauses, of that in speech; NaN where there is no pause
    usual: float  # opening, of the real lips'; NaN where there is no first picture to open
    widest: float  # the same where they are widest


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
    parted, width, eyes = np.array(rows).reshape(-1, 3).T
    if not fps or np.isfinite(eyes).mean() < 0.5:
        raise VideoError(f"{path} shows no face for most of its time")
    return LipTrack(fps, parted / np.nanmedian(eyes), width / np.nanmedian(eyes))


def _mouth(network: Any, frame: av.VideoFrame) -> tuple[float, float, float]:
    """Opening and width of the mouth and distance of the eyes' corners in a frame, in pixels."""
    faces = network.process(frame.to_ndarray(format="rgb24")).multi_face_landmarks
    if not faces:
        return (np.nan, np.nan, np.nan)
    points = np.array([(mark.x * frame.width, mark.y * frame.height) for mark in faces[0].landmark])
    pairs = ((UPPER_LIP, LOWER_LIP), MOUTH_CORNERS, EYE_CORNERS)
    first, second, third = (float(np.linalg.norm(points[a] - points[b])) for a, b in pairs)
    return first, second, third


def shown_opening(path: Path, fps: float) -> FloatArray:
    """The opening that a clip's first frame shows to its sound, (T,), in units of a `LipTrack`."""
    portrait, _ = replay(path)
    renderer = Renderer(portrait)
    faces = (renderer.face(pose) for pose in poses(animate(Speech.open(path), Controls(), fps)))
    pairs = ((UPPER_LIP, LOWER_LIP), EYE_CORNERS)
    lengths = [[float(np.linalg.norm((f[a] - f[b])[:2])) for a, b in pairs] for f in faces]
    parted, eyes = np.array(lengths).T
    return np.asarray(parted / np.median(eyes), np.float64)


def match_clip(path: Path, track: LipTrack) -> Match:
    """Compare the motion made from a clip's sound with the clip's own lips."""
    speech = Speech.open(path)
    made, live = opening(speech, track.fps), live_opening(speech, track.fps)
    frames = min(len(made), len(track.opening))
    times = np.arange(frames) / track.fps
    sound_times = times - PICTURE_LAG.get(path.stem, 0.0)
    real = track.opening[:frames]
    grid = np.arange(len(made)) / track.fps
    everything = np.ones(frames, np.bool_)

    def correlate(
        track: FloatArray, lag: float = 0.0, span: npt.NDArray[np.bool_] = everything
    ) -> float:
        late = np.interp(sound_times + lag, grid, track)
        use = span & np.isfinite(real)
        return float(np.corrcoef(late[use], real[use])[0, 1]) if late[use].std() > 0 else 0.0

    loud = np.flatnonzero(loudness(speech) > SILENT_DB) / FRAME_RATE
    spoken = (sound_times >= loud[0]) & (sound_times <= loud[-1])
    lags = np.arange(-MAX_LAG, MAX_LAG + 0.001, 0.02)
    best = lags[np.argmax([correlate(made, lag) for lag in lags])]
    return Match(
        path.stem,
        correlate(made),
        correlate(made, span=spoken),
        float(best),
        correlate(live),
        float(np.corrcoef(made, live)[0, 1]),
        motion_in_pauses(real, pauses(speech, frames, track.fps)),
        *_extent(path, track.fps, sound_times[spoken], real[spoken]),
    )


def _extent(path: Path, fps: float, times: FloatArray, real: FloatArray) -> tuple[float, float]:
    """How far lips open as usual and at their widest, of how far the real ones do.

    Args:
        path: the clip; where its first frame shows no face, nothing is known.
        fps: frames per second.
        times: (T,) seconds of its sound.
        real: (T,) the opening then; NaN where no face is seen.
    """
    try:
        made = shown_opening(path, fps)
    except VideoError:
        return np.nan, np.nan
    shown = np.interp(times, np.arange(len(made)) / fps, made)
    usual, widest = (np.percentile(shown, q) / np.nanpercentile(real, q) for q in (USUAL, WIDEST))
    return float(usual), float(widest)


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
    """A line of the table: mean, 95 % interval, number; what could not be measured is left out."""
    known = [value for value in values if not np.isnan(value)]
    if known:
        mean, low, high = interval(known)
        click.echo(f"  {name:36} {mean:6.3f}  [{low:.3f}, {high:.3f}]  n={len(known)}")


def _print_matches(paths: Sequence[Path], each: bool) -> None:
    """How the mouth goes with that of real speakers."""
    matches = [match_clip(path, track_lips(path)) for path in paths]
    for match in matches if each else ():
        click.echo(f"  {match.name:42} r {match.r:.2f}  lag {match.lag * 1000:+.0f} ms")
    _print_row("r, whole clip", [match.r for match in matches])
    _print_row("r, speech only", [match.r_speech for match in matches])
    _print_row("lag, seconds", [match.lag for match in matches])
    _print_row("r, whole clip, live", [match.r_live for match in matches])
    _print_row("r of live and file", [match.likeness for match in matches])
    _print_row("real lips in pauses, of speech", [match.motion for match in matches])
    _print_row("usual opening, of the real one", [match.usual for match in matches])
    _print_row("widest opening, of the real one", [match.widest for match in matches])


def _print_alignment(paths: Sequence[Path]) -> None:
    """What becomes of the phones of real English speech."""
    pairs = [(Speech.open(path), phones_of(path)) for path in paths]
    known = [(speech, phones) for speech, phones in pairs if phones]
    closed = [closed_in_bilabials(*pair, closures_shown=True) for pair in known]
    _print_row("lips closed in m, b, p", [float(np.mean(one)) for one in closed if one])
    shares = [accuracy(*pair) for pair in known]
    _print_row("sounds heard right, all spectra", [whole for whole, _ in shares])
    _print_row("sounds heard right, speech only", [speech for _, speech in shares])


def _print_sounds(folders: Sequence[Path]) -> None:
    """What the mouth does to the recordings of folders, by the language that they begin with."""
    groups: dict[str, list[Speech]] = {}
    for path in (path for folder in folders for path in sorted(folder.iterdir())):
        name = f"{path.parent.name}, {path.stem.partition('_')[0]}"
        groups.setdefault(name, []).append(Speech.open(path))
    english = next((group for name, group in groups.items() if name.endswith(f", {ENGLISH}")), [])
    usual = np.mean(list(map(opening_in_vowels, english))) if english else np.nan
    steady, moving = steady_noise(), moving_noises()
    for name, speeches in groups.items():
        click.echo(f"{name}:")
        _print_vowels(speeches, float(usual))
        _print_row("motion in pauses, of that in speech", list(map(motion_in_silence, speeches)))
        for level in NOISES:
            noisy = [motion_in_silence(speech, steady, level) for speech in speeches]
            _print_row(f"  with steady noise at {level:+.0f} dB", noisy)
        noisy = [
            motion_in_silence(speech, noise, MOVING_NOISE)
            for speech, noise in zip(speeches, itertools.cycle(moving), strict=False)
        ]
        _print_row(f"  with moving noise at {MOVING_NOISE:+.0f} dB", noisy)


def _print_vowels(speeches: Sequence[Speech], usual: float) -> None:
    """How closed lips are in pauses, and how open in vowels, also relative to English."""
    _print_row("lips closed in pauses", list(map(closed_in_silence, speeches)))
    vowels = list(map(opening_in_vowels, speeches))
    _print_row("opening in vowels, cm", vowels)
    _print_row("  relative to English", [one / usual for one in vowels])


def _print_synthesis() -> None:
    """Sentences full of m, b and p, whose times are exact, in voices that were not trained on."""
    usual = np.nan
    for language, sentences in PHRASES.items():
        spoken = [
            speak(text, language=language, voice=voice)
            for text in sentences
            for voice in UNHEARD_VOICES
        ]
        if language == ENGLISH:
            usual = float(np.mean(list(map(opening_in_vowels, spoken))))
        click.echo(f"synthesised sentences, {language}:")
        _print_closures(spoken, closures_shown=False)
        _print_vowels(spoken, usual)
    for voice in UNHEARD_FESTIVAL if shutil.which("festival") else ():
        language = festival.VOICES[voice]
        spoken = [festival.say(text, voice) for text in PHRASES[language]]
        click.echo(f"sentences of recorded pieces, {language}:")
        _print_closures(spoken, closures_shown=True)
        _print_vowels(spoken, usual)


def _print_closures(speeches: Sequence[Speech], *, closures_shown: bool) -> None:
    """In how many m, b and p of speech whose phones are known the lips close."""
    closed = [
        closed_in_bilabials(speech, speech.phones, closures_shown=closures_shown)
        for speech in speeches
    ]
    _print_row("lips closed in m, b, p", [float(np.mean(one)) for one in closed if one])


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--only", multiple=True, default=["*"], help="Pattern of the clips' names.")
@click.option(
    "--sounds",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Folder of recordings whose names begin with a language: de_…",
)
@click.option("--aligned", is_flag=True, help="Align the clips with their English words, too.")
@click.option("--each", is_flag=True, help="A line for every clip, too.")
def main(
    *,
    folders: tuple[Path, ...],
    only: tuple[str, ...],
    sounds: tuple[Path, ...],
    aligned: bool,
    each: bool,
) -> None:
    """Print how well the lips fit, over the talking clips in FOLDERS."""
    for folder in folders:
        paths = _clips(folder, only)
        if not paths:
            raise VideoError(f"no .mp4 to compare with in {folder}")
        click.echo(f"{folder.name}:")
        _print_matches(paths, each)
        if aligned:
            _print_alignment(paths)
    _print_sounds(sounds)
    _print_synthesis()


if __name__ == "__main__":
    main()
