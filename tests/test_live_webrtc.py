"""The WHEP endpoint, watched by aiortc as any other program would."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
from test_live import Server, command, home, say, settings

from vasari.generate.live_congestion import LADDER
from vasari.generate.live_encoder import CLOCK, VideoPacket
from vasari.generate.live_registry import LiveSettings
from vasari.generate.live_service import MAX_OFFER
from vasari.watermark.reading import read_frames

pytest.importorskip("aiortc")

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RTCP_PSFB_APP, RTCP_PSFB_PLI, RtcpPsfbPacket, pack_remb_fci

from vasari.generate.live_webrtc import PictureTrack, RtcViewer, SoundTrack, keep_to_loopback

WHEP = "/api/sessions/default/whep"
SDP = {"Content-Type": "application/sdp"}

__all__ = ["home", "settings"]  # fixtures


@pytest.fixture(scope="module")
def server(settings: LiveSettings) -> Iterator[Server]:
    with Server(settings) as running:
        yield running


class Client:
    """A foreign WebRTC client, and what it received."""

    def __init__(self) -> None:
        self.pictures: list[np.ndarray] = []
        self.sound: list[np.ndarray] = []
        self.states: list[str] = []
        self.location = ""

    async def watch(self, server: Server, until: Callable[[Client], bool]) -> None:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.on("connectionstatechange", lambda: self.states.append(peer.connectionState))
        peer.on("track", lambda track: asyncio.ensure_future(self._receive(track)))
        offer = await offered(peer)
        status, answer, headers = await asyncio.to_thread(server.ask, WHEP, offer.encode(), **SDP)
        assert (status, headers["content-type"]) == (201, "application/sdp")
        self.location = headers["location"]
        await peer.setRemoteDescription(RTCSessionDescription(answer.decode(), "answer"))
        limit = time.monotonic() + 30
        while not until(self):
            assert time.monotonic() < limit, "it did not come"
            await asyncio.sleep(0.05)
        await peer.close()

    async def _receive(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if track.kind == "video":
                    self.pictures.append(frame.to_ndarray()[: frame.height])
                else:
                    self.sound.append(frame.to_ndarray()[0])

    @property
    def loudest(self) -> int:
        return max((int(np.abs(block.astype(int)).max()) for block in self.sound), default=0)


async def offered(peer: RTCPeerConnection, codec: str = "video/H264") -> str:
    """An offer to receive video and sound on loopback."""
    video = peer.addTransceiver("video", direction="recvonly")
    capabilities = RTCRtpReceiver.getCapabilities("video").codecs
    video.setCodecPreferences([each for each in capabilities if each.mimeType == codec])
    peer.addTransceiver("audio", direction="recvonly")
    keep_to_loopback(peer)
    await peer.setLocalDescription(await peer.createOffer())
    return peer.localDescription.sdp


def test_another_program_sees_marked_frames_and_hears_the_voice(
    server: Server, settings: LiveSettings
) -> None:
    client = Client()
    with server.open("/api/sessions/default/speech") as program:
        say(program, 20.0)
        asyncio.run(
            client.watch(server, lambda got: len(got.pictures) >= 40 and got.loudest > 3000)
        )
        command(program, "stop")
    assert client.pictures[0].shape == (256, 256)
    reading = read_frames(client.pictures)
    (entry,) = settings.store.by_identifier(reading.identifier)
    assert entry.signer


def test_a_viewer_ends_its_connection_and_only_its_own(server: Server) -> None:
    client = Client()

    def over(client: Client) -> bool:
        if client.pictures and client.states[-1] == "connected":
            assert delete(server, f"{WHEP}/someone-else") == 404
            assert delete(server, client.location) == 200
            assert delete(server, client.location) == 404
        return client.states[-1:] == ["closed"]

    asyncio.run(client.watch(server, over))


def delete(server: Server, path: str) -> int:
    address = f"http://127.0.0.1:{server.port}{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="DELETE")) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def vp8_offer() -> bytes:
    async def make() -> str:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        offer = await offered(peer, "video/VP8")
        await peer.close()
        return offer

    return asyncio.run(make()).encode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (lambda: b"hello", "SDP offer to receive H.264"),
        (lambda: b"", "SDP offer to receive H.264"),
        (lambda: b"v=0\r\nm=video \xff\r\n", "SDP offer to receive H.264"),
        (vp8_offer, "SDP offer to receive H.264"),
        (lambda: b"\0" * (MAX_OFFER + 1), "larger than 0.0625 MB"),
    ],
)
def test_bad_offers_are_explained(server: Server, body: Callable[[], bytes], expected: str) -> None:
    status, answer, _ = server.ask(WHEP, body(), **SDP)
    assert status == 400
    assert expected in json.loads(answer)["error"]


def test_an_unknown_session_cannot_be_watched(server: Server) -> None:
    assert server.ask("/api/sessions/nobody/whep", b"v=0", **SDP)[0] == 404


def test_packets_leave_as_they_were_encoded_and_sound_with_its_frames() -> None:
    async def send() -> None:
        started = time.monotonic()
        picture, sound = PictureTrack(), SoundTrack(lambda: time.monotonic() - started)
        picture.put(VideoPacket(b"\0\0\1key", 1800, key=True))
        packet = await picture.recv()
        assert (bytes(packet), packet.pts, packet.time_base) == (
            b"\0\0\1key", 1800, Fraction(1, CLOCK)
        )  # fmt: skip
        assert picture.bit_rate == 8 * 6
        samples = np.arange(2000, dtype=np.int16)
        sound.put(0.07, samples[:1200])
        sound.put(0.095, samples[1200:])
        first, second = await sound.recv(), await sound.recv()
        assert time.monotonic() - started > 0.09
        assert (first.pts, second.pts) == (3360, 4320)
        heard = [first.to_ndarray()[0], second.to_ndarray()[0]]
        np.testing.assert_array_equal(np.concatenate(heard), samples[:1920])

    asyncio.run(send())


class StillSession:
    """Stands for a session, and notes what is asked of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def rejoin(self, viewer: RtcViewer) -> None:
        self.asked.append("key frame")

    def adapt(self) -> None:
        self.asked.append("bit rate")


def test_receivers_ask_for_key_frames_and_fewer_bits() -> None:
    async def hear() -> None:
        session = StillSession()
        viewer = RtcViewer(session, loopback=True)  # type: ignore[arg-type]
        viewer.offer_video(VideoPacket(bytes(200_000), 0, key=True))
        await asyncio.sleep(0)
        await viewer._picture.recv()
        enough, few = pack_remb_fci(2_000_000, [1]), pack_remb_fci(300_000, [1])
        for fmt, content in [
            (RTCP_PSFB_APP, b"other"), (RTCP_PSFB_APP, enough), (RTCP_PSFB_PLI, b""),
            (RTCP_PSFB_APP, few),
        ]:  # fmt: skip
            viewer.on_feedback(RtcpPsfbPacket(fmt=fmt, ssrc=1, media_ssrc=1, fci=content))
        assert session.asked == ["key frame", "bit rate"]
        assert viewer.bit_rate == LADDER[1]

    asyncio.run(hear())
