"""Speech: a voice as a stream, at 16 kHz for the motion and at its own quality for the output.

Example:
    >>> speech = Speech.open("talk.mp3")  # doctest: +SKIP
    >>> for block in speech.blocks(seconds=1.0):  # doctest: +SKIP
    ...     print(block.shape)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
import numpy.typing as npt

from vasari.errors import SpeechError
from vasari.generate.spectrum import FRAME_RATE, RATE, band_matrix, decibels, power_spectra

Float32Array = npt.NDArray[np.float32]

MAX_DURATION = 6 * 3600.0  # seconds; a day of picture would fill most disks
MAX_RATE = 768_000  # samples per second; no recorder goes beyond
MAX_CHANNELS = 64  # a header may claim 65,535 and ask for their memory
# Players skip damaged packets: an MP3 cut from a stream starts and ends inside one.
MAX_BAD_PACKETS = 2
# Of these containers the header tells the length; others estimate it from the bit rate.
DECLARED_DURATION = ("aiff", "au", "caf", "flac", "mov,mp4,m4a,3gp,3g2,mj2", "ogg", "w64")
RIFF_UNKNOWN = 0x7FFFF000  # bytes; from here on a WAV header's size means "not known"
MISSING_TAIL = 0.5  # seconds that may be missing from the declared length: padding, edit lists
MEMORY_BLOCK = 16_384  # samples per frame when the sound is already in memory

SPEECH_BAND = (150.0, 4000.0)  # Hz; below it is mains hum and wind
SILENCE_DB = -62.0  # dB re full scale; a quiet room through a phone's microphone
PEAK_TIME = 0.1  # seconds that the peak level lasts in all; clicks are shorter
ACTIVE_RANGE_DB = 30.0  # dB below the peak level in which speech lies
HISTOGRAM_EDGES = np.arange(-120.25, 20.5, 0.5)  # dB


@dataclass(frozen=True)
class Word:
    """A word and when it is spoken."""

    text: str
    start: float  # seconds
    end: float  # seconds


@dataclass(frozen=True)
class Phone:
    """A speech sound and when it is spoken."""

    symbol: str  # IPA, with stress and length marks
    start: float  # seconds
    end: float  # seconds


@dataclass(frozen=True)
class Level:
    """How loud a recording is in the band of speech, dB re full scale."""

    noise: float  # what the quietest tenth stays below
    loud: float  # what the loudest tenth of the speech exceeds

    @property
    def silent(self) -> bool:
        """Whether there is nothing to hear."""
        return self.loud < SILENCE_DB

    @property
    def reference(self) -> float:
        """The level that loudness is measured from, dB: in silence, full scale."""
        return 0.0 if self.silent else self.loud


@dataclass(frozen=True)
class Speech:
    """A voice: a file that is decoded anew for each use, or samples in memory.

    Make one with `Speech.open` or `Speech.from_samples`.
    """

    duration: float  # seconds
    rate: int  # samples per second of the original sound
    layout: str  # channels of the original sound: "mono", "stereo", "5.1", …
    level: Level
    path: Path | None = None  # the file, where there is one
    words: tuple[Word, ...] = ()  # in order, where known
    phones: tuple[Phone, ...] = ()  # in order, where known
    samples: Float32Array | None = field(default=None, repr=False, compare=False)
    # (channels, N) in -1..1 at `rate`, where there is no file

    @classmethod
    def open(cls, path: str | Path) -> Speech:
        """Read a sound file, or the sound of a video, once from end to end.

        Args:
            path: anything that FFmpeg decodes; its first audio stream is taken.

        Raises:
            SpeechError: the file is missing, unreadable, corrupt, truncated, empty, without
                sound, or too long.
        """
        file = Path(path)
        _check_file(file)
        return _scan(_decode(file), file)

    @classmethod
    def from_samples(
        cls,
        samples: npt.ArrayLike,
        rate: int,
        *,
        words: tuple[Word, ...] = (),
        phones: tuple[Phone, ...] = (),
    ) -> Speech:
        """Take sound that is already in memory.

        Args:
            samples: (N,) or (N, channels), in -1..1 (clipped beyond).
            rate: samples per second.
            words: the words, if known.
            phones: the speech sounds, if known.

        Raises:
            SpeechError: the array is empty, not finite, too long, or no such shape.
        """
        channels = _as_channels(samples, rate)
        speech = _scan(_memory_frames(channels, rate), None)
        return replace(speech, words=words, phones=phones, samples=channels)

    @property
    def silent(self) -> bool:
        """Whether there is nothing to hear."""
        return self.level.silent

    def original(self) -> Iterator[av.AudioFrame]:
        """Decode the sound at its own rate and channels.

        Yields:
            Frames without gaps: the time stamps count samples from 0.

        Raises:
            SpeechError: the file has changed or gone since it was opened.
        """
        if self.samples is not None:
            return _memory_frames(self.samples, self.rate)
        if self.path is None:
            raise SpeechError("this speech has neither a file nor samples")
        return _decode(self.path)

    def blocks(self, *, seconds: float = 1.0) -> Iterator[Float32Array]:
        """The sound as the analysis wants it: one channel at 16 kHz.

        Args:
            seconds: length of a block; the last may be shorter.

        Yields:
            (n,) float32 in -1..1. Sample 0 is the first sample of the original sound.

        Raises:
            SpeechError: the file has changed or gone since it was opened.
        """
        return _rechunk(_resample(self.original()), max(1, round(seconds * RATE)))


def _check_file(file: Path) -> None:
    """Name what is wrong with a path before a decoder says it less well."""
    try:
        if file.is_dir():
            raise SpeechError(f"{file} is a folder; give a sound or video file")
        size = file.stat().st_size
        with file.open("rb"):
            pass
    except FileNotFoundError:
        raise SpeechError(f"no such file: {file}") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise SpeechError(f"cannot read {file}: {error}") from None
    if size == 0:
        raise SpeechError(f"{file} is empty (0 bytes); give a sound or video file")


def _as_channels(samples: npt.ArrayLike, rate: int) -> Float32Array:
    """Samples of a caller as (channels, N) float32."""
    try:
        array = np.atleast_2d(np.asarray(samples, np.float32).T)
    except (TypeError, ValueError) as error:
        raise SpeechError(f"the samples are no array of numbers: {error}") from None
    if array.ndim != 2 or array.size == 0:
        raise SpeechError(f"samples have shape {np.shape(samples)}; give (N,) or (N, channels)")
    if not 1 <= rate <= MAX_RATE or len(array) > MAX_CHANNELS:
        raise SpeechError(f"sound with {len(array)} channels at {rate} Hz cannot be used")
    if not np.isfinite(array).all():
        raise SpeechError("the samples hold values that are not finite")
    return np.ascontiguousarray(np.clip(array, -1, 1))


def _memory_frames(channels: Float32Array, rate: int) -> Iterator[av.AudioFrame]:
    """Samples in memory as a decoder would give them."""
    names = {1: "mono", 2: "stereo"}
    layout = names.get(len(channels), f"{len(channels)}c")
    for start in range(0, channels.shape[1], MEMORY_BLOCK):
        block = np.ascontiguousarray(channels[:, start : start + MEMORY_BLOCK])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        yield _stamp(frame, rate, start)


def _stamp(frame: av.AudioFrame, rate: int, start: int) -> av.AudioFrame:
    """Number a frame by its first sample: gaps in the file's own stamps would break sync."""
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    frame.pts = start
    return frame


def _decode(file: Path) -> Iterator[av.AudioFrame]:
    """Decode the first audio stream of a file, with one error for each kind of damage."""
    seconds = 0.0
    try:
        # Only this file: a playlist that calls itself a sound may not fetch others.
        with av.open(str(file.absolute()), options={"protocol_whitelist": "file"}) as container:
            stream = _audio_stream(container, file)
            for frame in _stamped_frames(container, stream):
                yield frame
                seconds += frame.samples / frame.sample_rate
                if seconds > MAX_DURATION:
                    hours = MAX_DURATION / 3600
                    raise SpeechError(f"{file} is longer than {hours:g} hours; cut it in parts")
            _check_length(seconds, container, stream, file)
    except (av.error.FFmpegError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "malformed data"
        where = f"corrupt or truncated at {seconds:.1f} s" if seconds else "no readable sound"
        raise SpeechError(f"{file}: {where} ({reason})") from None


def _audio_stream(
    container: av.container.InputContainer, file: Path
) -> av.audio.stream.AudioStream:
    """The first audio stream of a container."""
    if "hls" in container.format.name or container.format.name in ("concat", "dash"):
        raise SpeechError(f"{file} is a playlist; give a sound or video file")
    if not container.streams.audio:
        raise SpeechError(f"{file} has no sound; give a file with an audio stream")
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        raise SpeechError(f"{file} holds sound in a format that cannot be decoded")
    if not 1 <= stream.channels <= MAX_CHANNELS or not 1 <= stream.rate <= MAX_RATE:
        raise SpeechError(f"{file}: {stream.channels} channels at {stream.rate} Hz cannot be used")
    return stream


def _stamped_frames(
    container: av.container.InputContainer, stream: av.audio.stream.AudioStream
) -> Iterator[av.AudioFrame]:
    """Decoded frames numbered by sample, without the few damaged packets players skip."""
    position = bad = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            bad += 1
            if bad > MAX_BAD_PACKETS:
                raise
            continue
        for frame in frames:
            yield _stamp(frame, frame.sample_rate, position)
            position += frame.samples


def _check_length(
    seconds: float,
    container: av.container.InputContainer,
    stream: av.audio.stream.AudioStream,
    file: Path,
) -> None:
    """Refuse a file that ends before the length that its header declares."""
    if seconds == 0:
        raise SpeechError(f"{file} holds no sound: it is 0 seconds long")
    declared = _declared_duration(container, stream)
    if container.format.name == "wav" and stream.bit_rate:
        declared = seconds + _missing_bytes(file) * 8 / stream.bit_rate
    if declared - seconds > MISSING_TAIL:
        raise SpeechError(f"{file}: truncated at {seconds:.1f} s of {declared:.1f} s")


def _declared_duration(
    container: av.container.InputContainer, stream: av.audio.stream.AudioStream
) -> float:
    """The length in seconds that a file's header promises; 0 if it only can be guessed."""
    if container.format.name in DECLARED_DURATION and stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    # A Matroska file has one length for all its streams; only a lone one must last as long.
    if "matroska" in container.format.name and len(container.streams) == 1:
        return (container.duration or 0) / av.time_base
    return 0.0


def _missing_bytes(file: Path) -> int:
    """How much shorter a WAV file is than its header says; FFmpeg takes the file's own length.

    Programs that write to a pipe put a huge number into the header, and some leave it 0.
    """
    with file.open("rb") as stream:
        header = stream.read(8)
    size = int.from_bytes(header[4:], "little") if header[:4] == b"RIFF" else 0
    return size + len(header) - file.stat().st_size if size < RIFF_UNKNOWN else 0


def _resample(frames: Iterable[av.AudioFrame]) -> Iterator[Float32Array]:
    """Frames of any kind as one channel of float32 at RATE, clipped to -1..1."""
    resampler, kind, gain = None, None, 1.0
    for frame in frames:
        if kind != (frame.format.name, frame.layout.name, frame.sample_rate):
            if resampler is not None:
                yield from _flush(resampler, gain)
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
            # FFmpeg sums two channels as (L + R) / sqrt 2, which can exceed full scale.
            gain = 1.0 if frame.layout.nb_channels == 1 else math.sqrt(0.5)
        assert resampler is not None
        for part in resampler.resample(frame):
            yield _mono(part, gain)
    if resampler is not None:
        yield from _flush(resampler, gain)


def _flush(resampler: av.AudioResampler, gain: float) -> Iterator[Float32Array]:
    """What a resampler still holds."""
    for part in resampler.resample(None):
        yield _mono(part, gain)


def _mono(frame: av.AudioFrame, gain: float) -> Float32Array:
    """The samples of a resampled frame."""
    samples = np.nan_to_num(frame.to_ndarray()[0], posinf=1.0, neginf=-1.0)
    return np.asarray(np.clip(gain * samples, -1, 1), np.float32)


def _rechunk(parts: Iterable[Float32Array], size: int) -> Iterator[Float32Array]:
    """The same samples in blocks of one size, the last one shorter."""
    pending: list[Float32Array] = []
    count = 0
    for part in parts:
        pending.append(part)
        count += len(part)
        if count >= size:
            whole = np.concatenate(pending)
            for start in range(0, count - count % size, size):
                yield whole[start : start + size]
            pending, count = [whole[count - count % size :]], count % size
    if count:
        yield np.concatenate(pending)


def _layout_name(layout: av.AudioLayout) -> str:
    """The name of a layout; where a file only counts its channels, of the usual one."""
    count = layout.nb_channels
    return av.AudioLayout(f"{count}c").name if layout.name == f"{count} channels" else layout.name


class _Tally:
    """Passes frames through and remembers how long and of what kind they were."""

    def __init__(self, frames: Iterable[av.AudioFrame]) -> None:
        self.frames = frames
        self.duration = Fraction(0)  # seconds, exact however many frames are added
        self.rate = 0
        self.layout = ""

    def __iter__(self) -> Iterator[av.AudioFrame]:
        for frame in self.frames:
            self.rate = self.rate or frame.sample_rate
            self.layout = self.layout or _layout_name(frame.layout)
            self.duration += Fraction(frame.samples, frame.sample_rate)
            yield frame


def _scan(frames: Iterator[av.AudioFrame], path: Path | None) -> Speech:
    """Read a sound from end to end and note what the motion needs to know beforehand."""
    tally = _Tally(frames)
    band = band_matrix([SPEECH_BAND])
    histogram = np.zeros(len(HISTOGRAM_EDGES) - 1, np.int64)
    for spectra in power_spectra(_rechunk(_resample(tally), RATE)):
        levels = decibels(spectra @ band)
        histogram += np.histogram(levels, HISTOGRAM_EDGES)[0]
    return Speech(float(tally.duration), tally.rate, tally.layout, level_of(histogram), path)


def level_of(histogram: npt.NDArray[np.int64]) -> Level:
    """Noise and speech level from how many spectra had each level.

    The share of speech in a recording is unknown (an hour may hold one sentence), so the loud
    level is taken among the spectra near the peak, as in ITU-T P.56.
    """
    centres = (HISTOGRAM_EDGES[:-1] + HISTOGRAM_EDGES[1:]) / 2
    from_top = np.cumsum(histogram[::-1])[::-1]
    peak_count = min(PEAK_TIME * FRAME_RATE, histogram.sum())
    peak = centres[np.flatnonzero(from_top >= peak_count)[-1]]
    active = np.where(centres > peak - ACTIVE_RANGE_DB, histogram, 0)
    return Level(_quantile(centres, histogram, 0.1), _quantile(centres, active, 0.9))


def _quantile(values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], q: float) -> float:
    """The value below which a share q of the counts lies."""
    return float(values[np.searchsorted(np.cumsum(counts), q * counts.sum())])
