"""H.264 as it is shown live: each marked frame becomes one packet at once.

The same packets go to every viewer and into recordings. They are of the constrained baseline
profile, the one that every WebRTC client decodes (RFC 7742, section 6.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.frame import PictureType

from vasari.generate.live_congestion import LADDER
from vasari.generate.marking import MarkedFrame
from vasari.generate.video import tag_colours

CLOCK = 90_000  # ticks per second, as in MPEG transport streams
KEYFRAME_SECONDS = 4  # a viewer who comes gets one at once
# Packets may not be late, so no frame refers to a later one and none waits (x264's zerolatency);
# one thread each, since avatars share the cores.
OPTIONS = {
    "preset": "superfast",
    "tune": "zerolatency",
    "profile": "baseline",
    "level": "3.1",
    "crf": "20",
    "threads": "1",
    "forced-idr": "1",
    "sc_threshold": "0",  # one scene
    "x264-params": "chromaloc=1",
}
BUFFER_SECONDS = 0.5  # over which the bit rate stays below its limit

_SEQUENCE_PARAMETERS = 7  # nal_unit_type (H.264, table 7-1)
_START_CODE = b"\x00\x00\x01"


@dataclass(frozen=True)
class VideoPacket:
    """One encoded frame: an access unit in Annex B form, parameter sets before each key frame."""

    data: bytes
    ticks: int  # of CLOCK, since the session began
    key: bool  # whether a decoder can begin here

    @property
    def seconds(self) -> float:
        """Its time since the session began."""
        return self.ticks / CLOCK


class StreamEncoder:
    """Encodes the frames of one session."""

    def __init__(self, size: int, fps: float) -> None:
        """Open the encoder for square frames of a side in pixels, even."""
        self._size = size
        self._rate = Fraction(fps).limit_denominator(1001)
        self._bit_rate = LADDER[0]
        self._context = self._opened()

    @property
    def bit_rate(self) -> int:
        """The most bits per second that it makes; a still face takes fewer."""
        return self._bit_rate

    def limit(self, bit_rate: int) -> None:
        """Stay below a bit rate; the next frame is a key frame if that is a change."""
        if bit_rate != self._bit_rate:
            self._bit_rate = bit_rate
            self._context = self._opened()

    def _opened(self) -> av.VideoCodecContext:
        """An encoder that has encoded nothing yet."""
        context = av.CodecContext.create("libx264", "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width = context.height = self._size
        context.pix_fmt = "yuv420p"
        context.time_base, context.framerate = Fraction(1, CLOCK), self._rate
        context.options = {
            **OPTIONS,
            "g": str(round(KEYFRAME_SECONDS * self._rate)),
            "maxrate": str(self._bit_rate),
            "bufsize": str(round(BUFFER_SECONDS * self._bit_rate)),
        }
        tag_colours(context)
        return context

    def encode(self, frame: MarkedFrame, seconds: float, *, key: bool) -> list[VideoPacket]:
        """Encode the next frame.

        Args:
            frame: it carries the watermark, as every `MarkedFrame`.
            seconds: its time since the session began, later than the one before.
            key: whether a decoder must be able to begin with it.
        """
        picture = av.VideoFrame.from_ndarray(frame.planes, format="yuv420p")
        picture.pts, picture.time_base = round(seconds * CLOCK), Fraction(1, CLOCK)
        if key:
            picture.pict_type = PictureType.I
        return [
            VideoPacket(bytes(packet), packet.pts or 0, packet.is_keyframe)
            for packet in self._context.encode(picture)
        ]


def codec_name(packet: VideoPacket) -> str:
    """The name by which browsers know the coding of a key frame (RFC 6381, section 3.3)."""
    for unit in packet.data.split(_START_CODE)[1:]:
        if unit and unit[0] & 0x1F == _SEQUENCE_PARAMETERS:
            return f"avc1.{unit[1:4].hex().upper()}"
    raise ValueError("a key frame without sequence parameters")
