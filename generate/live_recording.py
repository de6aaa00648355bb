"""Recordings of live sessions: what was sent, kept as it comes, signed when it ends.

While a recording runs, its folder holds ``.NAME.part/`` with an MPEG transport stream, which needs
no end to be read, and with what its manifest will say. If the service is killed, the next one
finds it, and signs what was recorded until then. What was said is put beside it as ``NAME.vtt``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np

from vasari.errors import OutputError, VasariError
from vasari.generate.captions import write_webvtt
from vasari.generate.live_captions import Transcript, read_transcript
from vasari.generate.live_encoder import CLOCK, VideoPacket
from vasari.generate.live_sound import RATE, Caption, Int16Array

if TYPE_CHECKING:
    from vasari.provenance.credentials import Credential
    from vasari.provenance.manifest import Parameter
    from vasari.provenance.store import ManifestStore

SUFFIX = ".part"
STREAM, NOTES, PORTRAIT, VIDEO, SIGNED, CAPTIONS = (
    "stream.ts", "notes.json", "portrait.png", "video.mp4", "signed.mp4", "captions.jsonl"
)  # fmt: skip
AAC_BIT_RATE = 144_000  # bit/s, transparent for speech
STREAM_OPTIONS = {"flush_packets": "1"}  # what was muxed is in the file if the service is killed
MAX_SECONDS = 2 * 3600.0  # a forgotten recording must not fill the disk


@dataclass(frozen=True)
class Notes:
    """What a recording's manifest will say."""

    identifier: int  # the watermark of the session, 48 bits
    controls: Mapping[str, Parameter]  # as they were when the session began


class Recorder:
    """Keeps one recording.

    Give it packets from one thread at a time. Writing never raises: `error` says what failed.
    """

    def __init__(self, folder: Path, notes: Notes, portrait: bytes, *, size: int) -> None:
        """Begin a recording.

        Args:
            folder: where recordings go, made if need be.
            notes: what the manifest will say.
            portrait: PNG.
            size: side of the frames, pixels.

        Raises:
            OutputError: the folder cannot be written.
        """
        self.name = f"vasari-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(3)}.mp4"
        self.error = ""
        self._part = folder / f".{self.name}{SUFFIX}"
        with _named(folder):
            self._part.mkdir(parents=True, mode=0o700)
            self._lock = _lock(self._part)
            (self._part / PORTRAIT).write_bytes(portrait)
            (self._part / NOTES).write_text(json.dumps(asdict(notes)))
            self._file = av.open(
                str(self._part / STREAM), "w", format="mpegts", options=STREAM_OPTIONS
            )
        self._video = self._file.add_mux_stream("h264", width=size, height=size)
        self._audio = self._file.add_stream("aac", rate=RATE, layout="mono")
        self._audio.bit_rate = AAC_BIT_RATE
        self._transcript = Transcript(self._part / CAPTIONS)
        self._origin: int | None = None  # ticks of the first key frame
        self._position = 0  # samples of sound written
        self._waiting: list[tuple[int, Int16Array]] = []  # sound before the first key frame

    @property
    def full(self) -> bool:
        """Whether it is as long as a recording may be."""
        return self._position > MAX_SECONDS * RATE

    def on_video(self, packet: VideoPacket) -> None:
        """Keep a frame, from the first key frame on."""
        if self._origin is None:
            if not packet.key:
                return
            self._origin = packet.ticks
            self._transcript.begin(packet.seconds)
            for start, samples in self._waiting:
                self._write_sound(start, samples)
            self._waiting.clear()
        kept = av.Packet(packet.data)
        kept.stream = self._video
        kept.pts = kept.dts = packet.ticks - self._origin
        kept.time_base, kept.is_keyframe = Fraction(1, CLOCK), packet.key
        self._mux([kept])

    def on_sound(self, seconds: float, samples: Int16Array) -> None:
        """Keep sound that begins at a time of the session."""
        start = round(seconds * RATE)
        if self._origin is None:
            self._waiting.append((start, samples))
        else:
            self._write_sound(start, samples)

    def on_caption(self, seconds: float, caption: Caption) -> None:
        """Keep what begins to be said at a time of the session."""
        self._transcript.add(seconds, caption)

    def on_cut(self, seconds: float) -> None:
        """Keep that what was being said ended at a time of the session."""
        self._transcript.cut(seconds)

    def _write_sound(self, start: int, samples: Int16Array) -> None:
        """Append sound; before the picture it is left out, and a gap is silence."""
        assert self._origin is not None
        gap = start - round(self._origin / CLOCK * RATE) - self._position
        padded = np.pad(samples, (gap, 0)) if gap > 0 else samples[-gap:]
        if not len(padded):
            return
        frame = av.AudioFrame.from_ndarray(padded[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._position
        frame.time_base = Fraction(1, RATE)
        self._position += len(padded)
        self._mux(self._audio.encode(frame))

    def _mux(self, packets: list[av.Packet[Any]]) -> None:
        """Write packets, unless something has failed already."""
        if self.error:
            return
        try:
            self._file.mux(packets)
        except (av.error.FFmpegError, OSError) as error:
            self.error = error.strerror or "it cannot be written"

    def finish(self, credential: Credential, store: ManifestStore) -> Path:
        """End the recording; gives the signed file.

        Raises:
            OutputError: it cannot be written.
            ProvenanceError: it cannot be signed.
        """
        with contextlib.closing(_Lock(self._lock)):
            self._mux(self._audio.encode(None) if self._position else [])
            with contextlib.suppress(av.error.FFmpegError, OSError):
                self._file.close()
            return _finalise(self._part, credential, store)


def recover(folder: Path, credential: Credential, store: ManifestStore) -> list[Path]:
    """Sign the recordings that killed services left in a folder; gives the files.

    What cannot be read is left where it is.
    """
    recovered = []
    for part in sorted(folder.glob(f".*{SUFFIX}")):
        # A lock that cannot be had is a recording that runs.
        with contextlib.suppress(OSError, VasariError), contextlib.closing(_Lock(_lock(part))):
            recovered.append(_finalise(part, credential, store))
    return recovered


def _finalise(part: Path, credential: Credential, store: ManifestStore) -> Path:
    """Make a signed MP4 from a recording's folder, and remove that."""
    from vasari.provenance.manifest import Ingredient, ManifestRecord, SoftBinding, sign
    from vasari.watermark.payload import ALGORITHM

    output = part.with_name(part.name[1 : -len(SUFFIX)])
    with _named(part.parent):
        notes = _read_notes(part / NOTES)
        _remux(part / STREAM, part / VIDEO)
        record = ManifestRecord(
            title=output.name,
            ingredients=(Ingredient(part / PORTRAIT, "portrait", "portrait.png", "image/png"),),
            watermark=SoftBinding(ALGORITHM, notes.identifier),
            controls=notes.controls,
        )
        store.add(sign(part / VIDEO, part / SIGNED, record, credential))
        if shown := read_transcript(part / CAPTIONS):
            write_webvtt(shown, output.with_suffix(".vtt"))
        os.replace(part / SIGNED, output)
        shutil.rmtree(part, ignore_errors=True)
    return output


def _read_notes(path: Path) -> Notes:
    """What a recording's manifest will say."""
    try:
        return Notes(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise OutputError(f"the recording's notes {path.name} are damaged") from error


def _remux(source: Path, destination: Path) -> None:
    """Copy the packets of a transport stream, perhaps cut short, into an MP4 file."""
    options = {"movflags": "+faststart"}
    with av.open(str(source)) as stream, av.open(str(destination), "w", options=options) as file:
        copies = {each.index: file.add_stream_from_template(each) for each in stream.streams}
        for packet in _packets(stream):
            packet.stream = copies[packet.stream.index]
            file.mux(packet)


def _packets(stream: av.container.InputContainer) -> Iterator[av.Packet[Any]]:
    """The packets, their times counted from the first."""
    first: Fraction | None = None
    for packet in stream.demux():
        if packet.dts is None or packet.pts is None:
            continue
        base = Fraction(packet.time_base)
        first = packet.dts * base if first is None else min(first, packet.dts * base)
        shift = round(first / base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        yield packet


class _Lock:
    """A descriptor whose closing gives the lock back."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        os.close(self._descriptor)


def _lock(folder: Path) -> int:
    """Lock a folder until the descriptor is closed or the process dies."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Turn a failure to write into one line that names the folder."""
    try:
        yield
    except (OSError, av.error.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"cannot keep a recording in {folder}: {reason}") from error
