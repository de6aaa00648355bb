"""The sound of a live avatar: what it is given to say, as one stream that never stops.

>>> import numpy as np
>>> from vasari.generate.live_sound import HOP, Voice
>>> voice = Voice()
>>> voice.say(np.full(HOP, 1000, np.int16))
>>> int(voice.hop().samples[0]), int(voice.hop().samples[0])
(1000, 0)
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

from vasari.errors import SpeechError
from vasari.generate.speech import Speech, Word

Int16Array = npt.NDArray[np.int16]

RATE = 48_000  # samples per second, of everything that leaves
HOP = 480  # samples: 10 ms
HOP_SECONDS = HOP / RATE
# Sound of a sender that is faster than speech waits; a longer talk is sent as it is spoken.
MAX_WAITING = 300  # seconds
MIN_INPUT_RATE, MAX_INPUT_RATE = 8_000, 192_000  # samples per second


@dataclass(frozen=True)
class Caption:
    """What is being said."""

    text: str
    words: tuple[Word, ...] = ()  # their times count from the first sample of what is said


@dataclass(frozen=True)
class Hop:
    """The next 10 ms of the stream."""

    samples: Int16Array  # (HOP,) mono at RATE
    captions: tuple[Caption, ...] = ()  # of what begins in this hop


@dataclass
class _Block:
    samples: Int16Array
    caption: Caption | None


class Voice:
    """A queue of things to say, played hop by hop; silence where there are none.

    One thread plays, any may add or cut.
    """

    def __init__(self) -> None:
        self._blocks: deque[_Block] = deque()
        self._waiting = 0  # samples
        self._fading = np.zeros(HOP, np.int16)
        self._lock = threading.Lock()

    def say(self, samples: Int16Array, caption: Caption | None = None) -> None:
        """Add something to say after what waits already.

        Args:
            samples: (N,) mono at RATE.
            caption: what it says, given out with the hop in which it begins.

        Raises:
            SpeechError: more than MAX_WAITING seconds would wait.
        """
        with self._lock:
            if self._waiting + len(samples) > MAX_WAITING * RATE:
                raise SpeechError(
                    f"{MAX_WAITING} seconds of speech are waiting; send the rest as they are spoken"
                )
            if len(samples):
                self._blocks.append(_Block(samples, caption))
                self._waiting += len(samples)

    def cut(self) -> None:
        """Forget what waits, and let what is being said fade within one hop."""
        with self._lock:
            last, _ = self._take()
            self._fading = np.asarray(last * np.linspace(1, 0, HOP), np.int16)
            self._blocks.clear()
            self._waiting = 0

    @property
    def speaking(self) -> bool:
        """Whether anything waits to be said."""
        return self._waiting > 0

    def hop(self) -> Hop:
        """The next hop."""
        with self._lock:
            samples, captions = self._take()
            mixed = np.clip(samples.astype(np.int32) + self._fading, -32768, 32767)
            self._fading = np.zeros(HOP, np.int16)
        return Hop(mixed.astype(np.int16), captions)

    def _take(self) -> tuple[Int16Array, tuple[Caption, ...]]:
        """The next samples of the queue, with silence after its end."""
        taken, captions = np.zeros(HOP, np.int16), []
        filled = 0
        while self._blocks and filled < HOP:
            block = self._blocks[0]
            if block.caption is not None:
                captions.append(block.caption)
                block.caption = None
            part = block.samples[: HOP - filled]
            taken[filled : filled + len(part)] = part
            filled += len(part)
            block.samples = block.samples[len(part) :]
            if not len(block.samples):
                self._blocks.popleft()
        self._waiting -= filled
        return taken, tuple(captions)


class Intake:
    """Turns a sender's PCM, which comes in pieces, into samples for a `Voice`."""

    def __init__(self, rate: int) -> None:
        """Begin a stream.

        Args:
            rate: the sender's samples per second.

        Raises:
            SpeechError: the rate is outside MIN_INPUT_RATE to MAX_INPUT_RATE.
        """
        if not MIN_INPUT_RATE <= rate <= MAX_INPUT_RATE:
            raise SpeechError(
                f"rate is {rate}; give {MIN_INPUT_RATE} to {MAX_INPUT_RATE} samples per second"
            )
        self._rate = rate
        self._position = 0
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)

    def convert(self, pcm: bytes) -> Int16Array:
        """What can be said after another piece.

        Args:
            pcm: 16-bit little-endian mono samples.

        Raises:
            SpeechError: it holds half a sample.
        """
        if len(pcm) % 2:
            raise SpeechError(f"{len(pcm)} bytes of sound; 16-bit samples are expected")
        samples = np.frombuffer(pcm, "<i2").astype(np.int16)
        if not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = self._rate, self._position
        frame.time_base = Fraction(1, self._rate)
        self._position += len(samples)
        return _joined(self._resampler.resample(frame))

    def end(self) -> Int16Array:
        """The samples that the conversion still holds."""
        return _joined(self._resampler.resample(None)) if self._position else _joined([])


def samples_of(speech: Speech) -> Int16Array:
    """A whole speech, (N,) mono at RATE."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    frames = [part for frame in speech.original() for part in resampler.resample(frame)]
    return _joined(frames + resampler.resample(None))


def _joined(frames: list[av.AudioFrame]) -> Int16Array:
    """The samples of mono frames."""
    parts = [np.zeros(0, np.int16), *(frame.to_ndarray()[0] for frame in frames)]
    return np.concatenate(parts)
