"""Watching over WebRTC: the same packets as over a WebSocket, for other programs and far networks.

A viewer sends an SDP offer to the WHEP endpoint (draft-ietf-wish-whep) and gets the answer. The
service's own H.264 packets go into RTP as they are (RFC 6184); only the sound is coded once more,
as Opus, by aiortc. Needs aiortc, which comes with the extra ``vasari[live]``.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from fractions import Fraction
from functools import partial
from typing import Any

import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    unpack_remb_fci,
)

from vasari.errors import InputError
from vasari.generate.live_congestion import Allowance
from vasari.generate.live_encoder import CLOCK, VideoPacket
from vasari.generate.live_session import MAX_VIEWERS, LiveSession
from vasari.generate.live_sound import RATE, Int16Array

GATHERING_SECONDS = 5.0
SOUND_BLOCK = RATE // 50  # samples: an Opus packet of 20 ms
LOOPBACK = "127.0.0.1"


class PictureTrack(MediaStreamTrack):  # type: ignore[misc]  # aiortc is not checked
    """Encoded frames for RTP."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._packets: asyncio.Queue[VideoPacket] = asyncio.Queue()
        self._sent: deque[tuple[float, int]] = deque()  # when, and bits, of the last second

    def put(self, packet: VideoPacket) -> None:
        """Send a frame as soon as may be."""
        self._packets.put_nowait(packet)

    async def recv(self) -> av.Packet[Any]:
        """The next frame."""
        frame = await self._packets.get()
        self._sent.append((time.monotonic(), 8 * len(frame.data)))
        packet = av.Packet(frame.data)
        packet.pts, packet.time_base = frame.ticks, Fraction(1, CLOCK)
        return packet

    @property
    def bit_rate(self) -> int:
        """Bits that were sent in the last second."""
        while self._sent and self._sent[0][0] < time.monotonic() - 1:
            self._sent.popleft()
        return sum(bits for _, bits in self._sent)


class SoundTrack(MediaStreamTrack):  # type: ignore[misc]
    """Sound for RTP, kept until the frames that belong to it leave.

    aiortc tells receivers that what leaves together belongs together (RFC 3550, section 6.4.1).
    """

    kind = "audio"

    def __init__(self, clock: Callable[[], float]) -> None:
        """Wait by a clock that gives the session's time."""
        super().__init__()
        self._clock = clock
        self._blocks: asyncio.Queue[tuple[float, Int16Array]] = asyncio.Queue()
        self._rest = np.zeros(0, np.int16)
        self._position: int | None = None  # of the next block, samples of the session

    def put(self, seconds: float, samples: Int16Array) -> None:
        """Send sound that begins at a time of the session."""
        self._blocks.put_nowait((seconds, samples))

    async def recv(self) -> av.AudioFrame:
        """The next 20 ms."""
        while len(self._rest) < SOUND_BLOCK:
            seconds, samples = await self._blocks.get()
            if self._position is None:
                self._position = round(seconds * RATE)
            self._rest = np.concatenate([self._rest, samples])
        block, self._rest = self._rest[:SOUND_BLOCK], self._rest[SOUND_BLOCK:]
        assert self._position is not None
        await asyncio.sleep(self._position / RATE - self._clock())
        frame = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        frame.pts = self._position
        self._position += SOUND_BLOCK
        return frame


class RtcViewer:
    """One viewer over WebRTC, from `answer` until it goes or the session ends."""

    def __init__(self, session: LiveSession, *, loopback: bool) -> None:
        """Prepare a connection.

        Args:
            session: what it will watch.
            loopback: whether only this machine may connect.
        """
        self.name = secrets.token_urlsafe(9)
        self.session = session
        self._loop = asyncio.get_running_loop()
        self._loopback = loopback
        self._allowance = Allowance()
        self._picture, self._sound = PictureTrack(), SoundTrack(lambda: session.now)
        self._tasks: set[asyncio.Task[None]] = set()
        # No servers: the default one is a stranger's, and would be asked for our address.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("connectionstatechange", self._follow)

    @property
    def bit_rate(self) -> int:
        """See `vasari.generate.live_session.Viewer`."""
        return self._allowance.bit_rate

    @property
    def over(self) -> bool:
        """Whether the connection has ended."""
        return self._peer.connectionState in ("closed", "failed")

    async def answer(self, offer: str) -> str:
        """Accept an SDP offer to receive video, and sound if wanted; gives the answer.

        Raises:
            InputError: it is no such offer, or has no H.264.
        """
        video = self._peer.addTransceiver(self._picture, direction="sendonly")
        self._peer.addTransceiver(self._sound, direction="sendonly")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        video.setCodecPreferences(
            [codec for codec in codecs if codec.mimeType in ("video/H264", "video/rtx")]
        )
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            if video.mid is None or len(self._peer.getTransceivers()) > 2:
                raise InputError("not one video and at most one sound to receive")
            if self._loopback:
                keep_to_loopback(self._peer)
            self._listen(video.sender)
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except Exception as error:  # aiortc raises what its parser comes upon
            await self._peer.close()
            raise InputError(
                "the body must be an SDP offer to receive H.264 video, and Opus if sound is wanted"
            ) from error
        return str(self._peer.localDescription.sdp)

    async def close(self) -> None:
        """End the connection."""
        self.session.leave(self)
        await self._peer.close()

    def offer_video(self, packet: VideoPacket) -> None:
        """See `vasari.generate.live_session.Viewer`."""
        self._loop.call_soon_threadsafe(self._picture.put, packet)

    def offer_sound(self, seconds: float, samples: Int16Array) -> None:
        """See `vasari.generate.live_session.Viewer`."""
        self._loop.call_soon_threadsafe(self._sound.put, seconds, samples)

    def offer_event(self, event: Mapping[str, Any]) -> None:
        """See `vasari.generate.live_session.Viewer`: only the end can be told."""
        if event["type"] == "closed":
            self._loop.call_soon_threadsafe(self._begin, self.close())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside what is running."""
        task = self._loop.create_task(work)
        self._tasks.add(task)  # the loop itself would forget it
        task.add_done_callback(self._tasks.discard)

    def _follow(self) -> None:
        """Join once packets can be sent; leave when they cannot any more."""
        if self._peer.connectionState == "connected":
            try:
                self.session.join(self)
            except InputError:
                self._begin(self.close())
        elif self.over:
            self.session.leave(self)

    def _listen(self, sender: RTCRtpSender) -> None:
        """Hear what the receiver asks for, which aiortc would tell its own encoder."""
        handle = sender._handle_rtcp_packet

        async def hear(packet: AnyRtcpPacket) -> None:
            if isinstance(packet, RtcpPsfbPacket):
                self.on_feedback(packet)
            await handle(packet)

        sender._handle_rtcp_packet = hear

    def on_feedback(self, packet: RtcpPsfbPacket) -> None:
        """Follow a receiver that lost a frame (RFC 4585), or that tells how much it can take.

        The latter is REMB (draft-alvestrand-rmcat-remb). Estimators cannot know of more than is
        sent, so an estimate counts as a limit only where it is below that.
        """
        if packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
            self.session.rejoin(self)
        elif packet.fmt == RTCP_PSFB_APP:
            try:
                estimate, _ = unpack_remb_fci(packet.fci)
            except ValueError:
                return  # another application's
            if self._allowance.report(time.monotonic(), slow=estimate < self._picture.bit_rate):
                self.session.adapt()


class RtcViewers:
    """All that watch a service over WebRTC."""

    def __init__(self, *, loopback: bool) -> None:
        """Begin without any; `loopback` keeps them to this machine."""
        self._loopback = loopback
        self._viewers: dict[str, RtcViewer] = {}

    async def answer(self, session: LiveSession, offer: str) -> tuple[str, str]:
        """Let someone watch a session; gives the viewer's name and the SDP answer.

        Raises:
            InputError: the offer cannot be used, or MAX_VIEWERS watch or wait already.
        """
        self._viewers = {name: each for name, each in self._viewers.items() if not each.over}
        if sum(each.session is session for each in self._viewers.values()) >= MAX_VIEWERS:
            raise InputError(f"{MAX_VIEWERS} viewers watch this avatar already, the most it has")
        viewer = RtcViewer(session, loopback=self._loopback)
        answer = await asyncio.wait_for(viewer.answer(offer), GATHERING_SECONDS)
        self._viewers[viewer.name] = viewer
        return viewer.name, answer

    async def end(self, session: LiveSession, name: str) -> bool:
        """End one viewer's connection; gives whether there was one."""
        viewer = self._viewers.get(name)
        if viewer is None or viewer.session is not session:
            return False
        del self._viewers[name]
        await viewer.close()
        return True

    async def close(self) -> None:
        """End all."""
        viewers, self._viewers = self._viewers, {}
        await asyncio.gather(*(viewer.close() for viewer in viewers.values()))


def keep_to_loopback(peer: RTCPeerConnection) -> None:
    """Let a connection use this machine's loopback alone, which aioice leaves out otherwise."""
    for transceiver in peer.getTransceivers():
        connection = transceiver.sender.transport.transport.iceGatherer._connection
        gather = partial(connection.get_component_candidates, addresses=[LOOPBACK])
        there = partial(_gather_there, gather)
        connection.get_component_candidates = there


def _gather_there(gather: Callable[..., Any], *, addresses: list[str], **options: Any) -> Any:
    """Gather candidates at the addresses that `gather` knows, instead of these."""
    return gather(**options)
