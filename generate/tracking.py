"""Tracking many videos: each becomes a motion file and, where it has sound, a sound file."""

from __future__ import annotations

import multiprocessing
import os
import wave
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vasari.errors import OutputError, SpeechError, VasariError
from vasari.generate.motion import LIVELINK_SUFFIX, Motion
from vasari.generate.spectrum import RATE
from vasari.generate.speech import Speech


@dataclass(frozen=True)
class Tracked:
    """What became of one video."""

    video: Path
    motion: Path  # .npz, as Motion.save writes it
    sound: Path | None  # .wav, mono at 16 kHz; None where the video has none
    frames: int  # of the motion, 0 where tracking failed
    error: str | None  # one line, where tracking failed


def track(video: Path, folder: Path, *, table: bool = False) -> Tracked:
    """Track one video into a folder.

    The motion file is written last: where it is there, the video is done, and is not tracked
    again.

    Args:
        video: a video that shows one face.
        folder: where the results go.
        table: whether the motion is written as a Live Link Face CSV, too.

    Raises:
        VideoError: the video cannot be read or shows no face.
        OutputError: the folder cannot be written.
    """
    from vasari.generate.perform import perform

    motion_file, sound_file = (folder / f"{video.stem}{end}" for end in (".npz", ".wav"))
    if not motion_file.exists():
        tracked = Motion.concatenate(perform(video))
        _save_sound(video, sound_file)
        tracked.save(motion_file)
    motion = Motion.load(motion_file)
    if table:
        motion.save(motion_file.with_suffix(LIVELINK_SUFFIX))
    frames = len(motion)
    return Tracked(video, motion_file, sound_file if sound_file.exists() else None, frames, None)


def track_all(
    videos: Sequence[Path], folder: Path, *, jobs: int, tables: bool = False
) -> Iterator[Tracked]:
    """Track videos side by side, giving each as it is done; one that fails does not stop the rest.

    Args:
        videos: files with different names.
        folder: where the results go; made if it is not there.
        jobs: how many processes.
        tables: whether each motion is written as a Live Link Face CSV, too.

    Raises:
        OutputError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    # Spawned, not forked: MediaPipe's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(videos)), mp_context=context) as pool:
        for done in as_completed(pool.submit(_try, video, folder, tables) for video in videos):
            yield done.result()


def _try(video: Path, folder: Path, table: bool) -> Tracked:
    """Track one video; a failure becomes a line."""
    try:
        return track(video, folder, table=table)
    except VasariError as error:
        return Tracked(video, folder / f"{video.stem}.npz", None, 0, str(error))


def _save_sound(video: Path, file: Path) -> None:
    """Write a video's sound as a 16-bit WAV, streaming; nothing where it has none."""
    try:
        speech = Speech.open(video)
    except SpeechError:
        return
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with wave.open(str(draft), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(RATE)
            for block in speech.blocks():
                sound.writeframes((np.clip(block, -1, 1) * 32767).astype("<i2").tobytes())
        os.replace(draft, file)
    except OSError as error:
        raise OutputError(f"cannot write {file}: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)
