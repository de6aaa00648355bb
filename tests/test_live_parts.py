"""The parts of the live path, each on its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import runpy
import shutil
import signal
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from conftest import RATE as SYLLABLE_RATE
from conftest import syllables

from vasari.errors import SpeechError
from vasari.generate.animator import animate
from vasari.generate.controls import Controls
from vasari.generate.live_captions import Transcript, read_transcript
from vasari.generate.live_congestion import LADDER
from vasari.generate.live_encoder import CLOCK, StreamEncoder, VideoPacket, codec_name
from vasari.generate.live_guard import Guard, is_loopback
from vasari.generate.live_motion import LOOK_AHEAD, Listener, LiveActor
from vasari.generate.live_recording import Notes, Recorder, recover
from vasari.generate.live_socket import FRAME, KEY_FRAME, MAX_BACKLOG, SocketViewer
from vasari.generate.live_sound import (
    HOP,
    HOP_SECONDS,
    MAX_WAITING,
    RATE,
    Caption,
    Intake,
    Voice,
    samples_of,
)
from vasari.generate.marking import Marker
from vasari.generate.motion import ARKIT_INDEX, Motion
from vasari.generate.speech import Speech, Word
from vasari.provenance.credentials import Credential
from vasari.provenance.store import ManifestStore
from vasari.provenance.verdict import verify

SIZE = 128
JAW = ARKIT_INDEX["jawOpen"]


def tone(seconds: float, rate: int = RATE) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)


def test_a_voice_says_what_it_is_given_in_order() -> None:
    voice = Voice()
    first, second = np.full(700, 1, np.int16), np.full(400, 2, np.int16)
    voice.say(first, Caption("one"))
    voice.say(second, Caption("two"))
    assert voice.speaking
    hops = [voice.hop() for _ in range(4)]
    said = np.concatenate([hop.samples for hop in hops])
    assert said[: len(first) + len(second)].tolist() == [*first, *second]
    assert not said[len(first) + len(second) :].any()
    assert [[caption.text for caption in hop.captions] for hop in hops] == [
        ["one"], ["two"], [], []
    ]  # fmt: skip
    assert not voice.speaking


def test_a_cut_fades_within_one_hop() -> None:
    voice = Voice()
    voice.say(np.full(RATE, 10_000, np.int16))
    voice.hop()
    voice.cut()
    fading, silent = voice.hop().samples, voice.hop().samples
    assert fading[0] == 10_000
    assert fading[-1] == 0
    assert np.abs(np.diff(fading.astype(int))).max() < 50
    assert not silent.any()


def test_too_much_to_say_is_refused() -> None:
    voice = Voice()
    voice.say(np.zeros(MAX_WAITING * RATE, np.int16))
    with pytest.raises(SpeechError, match="300 seconds"):
        voice.say(np.zeros(1, np.int16))


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_intake_keeps_pitch_and_length(rate: int) -> None:
    intake = Intake(rate)
    pcm = tone(1.0, rate).tobytes()
    pieces = [intake.convert(pcm[start : start + 1234]) for start in range(0, len(pcm), 1234)]
    samples = np.concatenate([*pieces, intake.end()])
    assert len(samples) == pytest.approx(RATE, abs=RATE / 100)
    spectrum = np.abs(np.fft.rfft(samples[:RATE], RATE))
    assert spectrum.argmax() == pytest.approx(440, abs=1)


def test_intake_refuses_half_samples_and_strange_rates() -> None:
    with pytest.raises(SpeechError, match="16-bit"):
        Intake(16_000).convert(b"odd")
    with pytest.raises(SpeechError, match="8000 to 192000"):
        Intake(1)
    assert len(Intake(16_000).end()) == 0


def live_poses(samples: np.ndarray, fps: float, frames: int, look: float = LOOK_AHEAD) -> list:
    voice, listener = Voice(), Listener()
    voice.say(samples)
    actor, hops, poses = LiveActor(Controls(), listener), 0, []
    for number in range(frames):
        while hops * HOP_SECONDS < number / fps + look:
            listener.hear(voice.hop().samples)
            hops += 1
        poses.append(actor.pose(number / fps))
    return poses


def test_live_motion_is_near_to_that_of_the_whole_speech() -> None:
    speech = Speech.from_samples(syllables(4.0), SYLLABLE_RATE)
    whole = Motion.concatenate(animate(speech, Controls(), 40.0))
    poses = live_poses(samples_of(speech), 40.0, len(whole))
    live = np.array([pose.expression[JAW] for pose in poses])
    assert np.corrcoef(live[40:], whole.expression[40:, JAW])[0, 1] > 0.8
    head = np.array([pose.rotation for pose in poses])
    jerk = np.abs(np.diff(head, 2, axis=0)).mean()
    assert jerk < 3 * np.abs(np.diff(whole.rotation, 2, axis=0)).mean()


def test_live_motion_closes_the_mouth_in_silence_and_breathes() -> None:
    poses = live_poses(np.zeros(0, np.int16), 25.0, 250)
    assert max(pose.expression[JAW] for pose in poses) < 0.05
    head = np.array([pose.rotation for pose in poses])
    assert head[25:].std(axis=0).max() > 0.2
    blinks = np.array([pose.expression[ARKIT_INDEX["eyeBlinkLeft"]] for pose in poses])
    assert blinks.max() > 0.7


def test_a_long_silence_reads_as_silence_and_ends_with_a_sound() -> None:
    voice, listener = Voice(), Listener()
    for _ in range(400):
        listener.hear(voice.hop().samples)
    mouth, melody = listener.read(3.9)
    assert mouth.opening[0] < 0.05
    assert melody.talk[0] == 0
    voice.say(samples_of(Speech.from_samples(syllables(0.25), SYLLABLE_RATE)))
    for _ in range(25):
        listener.hear(voice.hop().samples)
    assert max(listener.read(4.0 + number / 100)[0].opening[0] for number in range(20)) > 0.2


def test_one_vowel_again_and_again_moves_the_lips_as_far_as_at_first() -> None:
    clock = np.arange(RATE // 4) / RATE
    vowel = sum(np.sin(2 * np.pi * 120 * k * clock) / k for k in range(1, 30))
    samples = np.pad(4000 * vowel, (0, RATE * 3 // 4)).astype(np.int16)
    listener, openings = Listener(), []
    for number in range(20 * 100):  # seconds, hops
        start = number % 100 * HOP
        listener.hear(samples[start : start + HOP])
        if number % 100 == 25:
            openings.append(listener.read(number / 100 - 0.1)[0].opening[0])
    assert np.mean(openings[:3]) > 0.3
    assert np.mean(openings[-3:]) > 0.9 * np.mean(openings[:3])


def test_steering_is_quick_and_smooth() -> None:
    listener = Listener()
    actor = LiveActor(Controls(head_motion=0, blink_rate=0), listener)
    for _ in range(200):
        listener.hear(np.zeros(HOP, np.int16))
    actor.pose(1.0)
    actor.steer(Controls(head_motion=0, blink_rate=0, distance=0.8, emotion={"happy": 1.0}))
    poses = [actor.pose(1.0 + number / 40) for number in range(1, 41)]
    nearer = np.array([pose.translation[2] for pose in poses])
    assert nearer[8] > 0.6 * nearer[-1]
    assert np.abs(np.diff(nearer, prepend=0)).max() < 0.25 * nearer[-1]
    assert poses[-1].expression[ARKIT_INDEX["mouthSmileLeft"]] > 0.4


def marked_packets(count: int, *, keys: tuple[int, ...] = (0,)) -> list[VideoPacket]:
    marker, encoder = Marker(7, SIZE, SIZE), StreamEncoder(SIZE, 25.0)
    packets = []
    for number in range(count):
        picture = np.full((SIZE, SIZE, 3), 100 + number, np.uint8)
        packets += encoder.encode(marker.mark(picture), number / 25, key=number in keys)
    return packets


def test_each_frame_is_one_packet_at_once() -> None:
    packets = marked_packets(20, keys=(0, 7))
    assert [packet.ticks for packet in packets] == [number * CLOCK // 25 for number in range(20)]
    assert [number for number, packet in enumerate(packets) if packet.key] == [0, 7]
    decoder = av.CodecContext.create("h264", "r")
    late = [frame for packet in packets[7:] for frame in decoder.decode(av.Packet(packet.data))]
    assert len(late + decoder.decode(None)) == 13
    assert codec_name(packets[0]).startswith("avc1.42C0")


class StillSession:
    """Stands for a session, and counts who must begin again."""

    def __init__(self) -> None:
        self.begun_again = self.adapted = 0

    def rejoin(self, viewer: SocketViewer) -> None:
        self.begun_again += 1

    def adapt(self) -> None:
        self.adapted += 1


def test_a_slow_viewer_begins_again_with_a_key_frame() -> None:
    async def watch() -> None:
        session = StillSession()
        viewer = SocketViewer(session, asyncio.get_running_loop())  # type: ignore[arg-type]
        viewer.offer_event({"type": "caption"})
        for number in range(MAX_BACKLOG + 50):
            viewer.offer_video(VideoPacket(b"delta", number, key=False))
        viewer.offer_video(VideoPacket(b"key", 9000, key=True))
        viewer.offer_video(VideoPacket(b"delta", 9001, key=False))
        await asyncio.sleep(0)
        assert session.begun_again == 1
        messages = [await viewer.next() for _ in range(3)]
        assert isinstance(messages[0], str)
        assert [message[0] for message in messages[1:]] == [KEY_FRAME, FRAME]

    asyncio.run(watch())


def slow_ways(delays: list[float]) -> list[int]:
    """The bit rates of a viewer that tells of a delay in each second, none of which waits."""

    async def watch() -> list[int]:
        session, rates = StillSession(), []
        viewer = SocketViewer(session, asyncio.get_running_loop())  # type: ignore[arg-type]
        for second, delay in enumerate(delays, 1):
            viewer.note_delay(delay)
            viewer.offer_video(VideoPacket(b"key", second * CLOCK, key=True))
            await asyncio.sleep(0)
            await viewer.next()
            rates.append(viewer.bit_rate)
        assert session.adapted == np.count_nonzero(np.diff([LADDER[0], *rates]))
        return rates

    return asyncio.run(watch())


def test_a_viewer_that_falls_behind_gets_fewer_bits_and_later_more() -> None:
    rates = slow_ways([0.05] * 3 + [0.5] * 3 + [0.05] * 30)
    assert rates[:6] == [LADDER[0]] * 3 + list(LADDER[1:4])
    assert rates[6:11] == [LADDER[3]] * 5
    assert rates[-1] == LADDER[0]


def test_a_rung_that_was_too_high_is_tried_again_later() -> None:
    rates = slow_ways([0.05, 0.5, 0.5] + [0.05] * 6 + [0.5] * 2 + [0.05] * 12)
    assert rates[2] == LADDER[2]
    assert rates[8] == LADDER[1]
    assert rates[10] == LADDER[3]
    climbs = np.flatnonzero(np.diff(rates[10:]) > 0)
    assert climbs[0] > 8


def test_waiting_packets_count_as_delay() -> None:
    async def watch() -> int:
        session = StillSession()
        viewer = SocketViewer(session, asyncio.get_running_loop())  # type: ignore[arg-type]
        for number in range(40):
            viewer.offer_video(VideoPacket(b"key", number * CLOCK // 20, key=True))
        await asyncio.sleep(0)
        return viewer.bit_rate

    assert asyncio.run(watch()) < LADDER[0]


def test_the_encoder_keeps_to_its_limit() -> None:
    marker, encoder = Marker(7, SIZE, SIZE), StreamEncoder(SIZE, 25.0)
    pictures = np.random.default_rng(0).integers(0, 256, (50, SIZE, SIZE, 3), np.uint8)
    encoder.encode(marker.mark(pictures[0]), 0.0, key=True)
    encoder.limit(LADDER[-1])
    packets = []
    for number, picture in enumerate(pictures, 1):
        packets += encoder.encode(marker.mark(picture), number / 25, key=False)
    assert packets[0].key
    assert sum(len(packet.data) for packet in packets) * 8 / 2 < 1.3 * LADDER[-1]


def keep_recording(folder: Path, seconds: float) -> Recorder:
    """A recording that runs; its sound starts a moment before its picture."""
    recorder = Recorder(folder, Notes(7, {"seed": 0}), png(), size=SIZE)
    packets = marked_packets(round(seconds * 25), keys=(0, 3))
    sound = tone(seconds)
    for number, packet in enumerate(packets[1:], 1):
        recorder.on_sound(number / 25, sound[number * 1920 :][:1920])
        recorder.on_video(packet)
    return recorder


def png() -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def store(tmp_path: Path):
    with ManifestStore.open(f"sqlite:///{tmp_path}/manifests.sqlite") as opened:
        yield opened


def check_recording(path: Path, frames: int) -> None:
    assert verify(path).exit_code == 0
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
        assert len(times) == frames
        assert times[0] == pytest.approx(0, abs=0.03)
    with av.open(str(path)) as container:
        sound = np.concatenate([part.to_ndarray()[0] for part in container.decode(audio=0)])
    assert len(sound) / RATE == pytest.approx(frames / 25, abs=0.1)


def test_a_recording_begins_with_a_key_frame_and_its_sound(
    tmp_path: Path, store: ManifestStore
) -> None:
    recorder = keep_recording(tmp_path, 2.0)
    path = recorder.finish(Credential.default(), store)
    assert path.parent == tmp_path
    assert not list(tmp_path.glob(".*.part"))
    assert store.by_identifier(7)
    check_recording(path, 47)


def test_captions_of_a_recording_count_from_its_beginning(
    tmp_path: Path, store: ManifestStore
) -> None:
    recorder = keep_recording(tmp_path, 2.0)  # begins at 0.12 s of the session
    recorder.on_caption(0.32, Caption("Good day.", (Word("Good", 0, 0.2), Word("day", 0.2, 0.5))))
    recorder.on_caption(1.12, Caption("Never", (Word("Never", 0, 0.9),)))
    recorder.on_cut(1.62)
    recorder.on_caption(5.0, Caption("Waits", (Word("Waits", 0, 0.5),)))
    recorder.on_cut(1.7)
    path = recorder.finish(Credential.default(), store)
    assert path.with_suffix(".vtt").read_text().splitlines() == [
        "WEBVTT", "", "00:00:00.200 --> 00:00:01.000", "Good day.",
        "", "00:00:01.000 --> 00:00:01.500", "Never",
    ]  # fmt: skip


def test_an_unfinished_line_of_a_transcript_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "captions.jsonl"
    transcript = Transcript(path)
    transcript.begin(0.0)
    transcript.add(0.0, Caption("yes", (Word("yes", 0, 1),)))
    with path.open("a") as file:
        file.write('{"time": 3, "text": "n')
    assert [cue.text for cue in read_transcript(path)] == ["yes"]
    assert read_transcript(tmp_path / "none") == ()


def test_a_running_recording_is_not_recovered(tmp_path: Path, store: ManifestStore) -> None:
    recorder = keep_recording(tmp_path, 1.0)
    assert recover(tmp_path, Credential.default(), store) == []
    recorder.finish(Credential.default(), store)


def killed(folder: Path) -> None:
    keep_recording(folder, 6.0)
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_recording_of_a_killed_service_is_signed(tmp_path: Path, store: ManifestStore) -> None:
    process = multiprocessing.get_context("spawn").Process(target=killed, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert not list(tmp_path.glob("*.mp4"))
    (path,) = recover(tmp_path, Credential.default(), store)
    verdict = verify(path)
    assert verdict.exit_code == 0
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) > 50
    assert recover(tmp_path, Credential.default(), store) == []


def test_what_cannot_be_recovered_stays(tmp_path: Path, store: ManifestStore) -> None:
    broken = tmp_path / ".vasari-20260101-000000-abcdef.mp4.part"
    broken.mkdir()
    (broken / "notes.json").write_text("{")
    assert recover(tmp_path, Credential.default(), store) == []
    assert broken.is_dir()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True), ("::1", True), ("localhost", True), ("127.8.8.8", True),
        ("0.0.0.0", False), ("192.168.1.2", False), ("example.org", False),
    ],
)  # fmt: skip
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_no_service_without_a_token_beyond_this_machine() -> None:
    async def nothing(*given: object) -> None: ...

    with pytest.raises(AssertionError, match="token"):
        Guard(nothing, host="0.0.0.0")


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "[::1"}, {"host": "localhost]"}, {}, {"host": "localhost", "origin": "http://[x"},
        {"host": "localhost", "origin": "null"}, {"host": "evil.example"},
        {"host": "localhost", "cookie": "a/b=1"},
    ],
)  # fmt: skip
def test_malformed_headers_are_refused(headers: dict[str, str]) -> None:
    """None of them is an error of ours, nor do they reach the application."""

    async def nothing(*given: object) -> None:
        raise AssertionError("it was let in")

    async def send(message: MutableMapping[str, Any]) -> None:
        answers.append(message)

    answers: list[MutableMapping[str, Any]] = []
    guard = Guard(nothing, host="127.0.0.1", token="guess")
    told = [(key.encode(), value.encode()) for key, value in headers.items()]
    scope = {
        "type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": told
    }  # fmt: skip
    asyncio.run(guard(scope, nothing, send))
    assert answers[0]["status"] == 403


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_the_player_keeps_to_the_session_although_its_clock_is_wrong() -> None:
    benchmarks = Path(__file__).resolve().parent.parent / "benchmarks"
    assert runpy.run_path(str(benchmarks / "live_soak.py"))["play"](10.0) < 0.02  # seconds
