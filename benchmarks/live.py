"""How live the live service is: what a frame costs, how many arrive, and how late.

    python benchmarks/live.py

Starts a service in a process of its own and watches it over a WebSocket. Needs the extra ``dev``.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import av
import click
import numpy as np
from websockets.sync.client import ClientConnection, connect

PORT = 8719
HEADER = struct.Struct(">Bd")
SOUND = 3
RATE = 48_000
VOWEL = 0.25  # seconds that the click, a vowel, lasts
PAUSE = 1.25  # seconds between two of them
START_SECONDS = 60
STAGES = ("motion", "render", "watermark", "encode")
MOUTH = ((0.5, 0.72), (0.38, 0.62))  # rows and columns of the frame, shares of its side


@dataclass
class Watch:
    """What a viewer saw."""

    offset: float = 0.0  # the session's time is the local time plus this
    times: list[float] = field(default_factory=list)  # of the frames, seconds of the session
    received: list[float] = field(default_factory=list)  # local seconds
    packets: list[bytes] = field(default_factory=list)

    def take(self, message: str | bytes) -> None:
        """Note a message."""
        if isinstance(message, str):
            return
        kind, seconds = HEADER.unpack_from(message)
        if kind != SOUND:
            self.times.append(seconds)
            self.received.append(time.monotonic())
            self.packets.append(message[HEADER.size :])

    @property
    def delays(self) -> np.ndarray:
        """Seconds from when each frame was due to when it came."""
        return np.array(self.received) + self.offset - np.array(self.times)


@click.command()
@click.option("--seconds", default=20.0, show_default=True, help="How long to watch.")
@click.option("--fps", default=40.0, show_default=True)
@click.option("--clicks", default=12, show_default=True, help="Sounds whose mouth is waited for.")
def main(seconds: float, fps: float, clicks: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name:
        portrait = _portrait(Path(name))
        costs = _costs(portrait, fps)
        with _service(portrait, Path(name), fps) as process:
            started = time.monotonic()
            with _viewer() as (connection, watch):
                first = time.monotonic() - started
                used = _processor_seconds(process)
                _collect(connection, watch, seconds)
                share = (_processor_seconds(process) - used) / seconds
            with _viewer() as (connection, seen):
                answers = _click(connection, seen, clicks)
    _report(fps=fps, costs=costs, share=share, watch=watch, answers=answers, first=first)


def _portrait(folder: Path) -> Path:
    """scikit-image's public-domain portrait as a PNG."""
    import skimage.data
    from PIL import Image

    path = folder / "portrait.png"
    Image.fromarray(skimage.data.astronaut()).save(path)
    return path


def _costs(path: Path, fps: float, frames: int = 200) -> dict[str, float]:
    """Milliseconds of a core for each stage of one frame, medians."""
    import cv2

    from vasari.generate.controls import Controls
    from vasari.generate.live_encoder import StreamEncoder
    from vasari.generate.live_motion import LOOK_AHEAD, Listener, LiveActor
    from vasari.generate.live_sound import HOP_SECONDS, Voice
    from vasari.generate.marking import Marker
    from vasari.generate.portrait import Portrait
    from vasari.generate.render import Renderer

    cv2.setNumThreads(1)  # as the service does
    portrait = Portrait.open(path)
    voice, listener, renderer = Voice(), Listener(), Renderer(portrait)
    marker = Marker(0, portrait.size, portrait.size)
    encoder = StreamEncoder(portrait.size, fps)
    actor, hops = LiveActor(Controls(), listener), 0
    voice.say(np.tile(_vowel(), 40))
    spent: dict[str, list[float]] = {}
    for number in range(1, frames):
        due, marks = number / fps, [time.thread_time()]
        while hops * HOP_SECONDS < due + LOOK_AHEAD:
            listener.hear(voice.hop().samples)
            hops += 1
        pose = actor.pose(due)
        marks.append(time.thread_time())
        picture = renderer.frame(pose)
        marks.append(time.thread_time())
        marked = marker.mark(picture)
        marks.append(time.thread_time())
        encoder.encode(marked, due, key=False)
        marks.append(time.thread_time())
        for stage, used in zip(
            ("motion", "render", "watermark", "encode"), np.diff(marks), strict=True
        ):
            spent.setdefault(stage, []).append(1000 * used)
    return {stage: float(np.median(times[frames // 4 :])) for stage, times in spent.items()}


@contextmanager
def _service(portrait: Path, folder: Path, fps: float) -> Iterator[int]:
    """A running service whose avatar is there; gives its process id."""
    command = ["live", "--portrait", str(portrait), "--port", str(PORT), "--fps", str(fps)]
    command += ["--recordings", str(folder)]
    homes = {"XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    process = subprocess.Popen(
        [sys.executable, "-m", "vasari", *command],
        env={**os.environ, **homes},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for_avatar()
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _processor_seconds(process: int) -> float:
    """Seconds of a core that a process has used (proc_pid_stat(5), fields 14 and 15)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait_for_avatar() -> None:
    limit = time.monotonic() + START_SECONDS
    while time.monotonic() < limit:
        try:
            with connect(_address("speech")) as connection:
                connection.send(json.dumps({"type": "ping", "time": 0}))
                connection.recv(timeout=10)
                return
        except OSError:
            time.sleep(0.2)
    raise click.ClickException("the service did not start")


def _address(end: str) -> str:
    return f"ws://127.0.0.1:{PORT}/api/sessions/default/{end}"


@contextmanager
def _viewer() -> Iterator[tuple[ClientConnection, Watch]]:
    """A connection that has seen its first frame, and knows the session's time."""
    with connect(_address("live"), close_timeout=1) as connection:
        watch = Watch()
        watch.offset = _offset(connection, watch)
        while not watch.times:
            watch.take(connection.recv(timeout=10))
        yield connection, watch


def _offset(connection: ClientConnection, watch: Watch) -> float:
    """The session's time less the local time, from the quickest of some pings."""
    trips = []
    for _ in range(10):
        sent = time.monotonic()
        connection.send(json.dumps({"type": "ping", "time": sent}))
        while True:
            message = connection.recv(timeout=10)
            watch.take(message)
            if isinstance(message, str) and (answer := json.loads(message))["type"] == "pong":
                break
        received = time.monotonic()
        trips.append((received - sent, answer["now"] - (sent + received) / 2))
    return min(trips)[1]


def _collect(connection: ClientConnection, watch: Watch, seconds: float) -> None:
    """Watch for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watch.take(connection.recv(timeout=10))


def _vowel() -> np.ndarray:
    """A vowel like a, then silence: (N,) int16 at RATE."""
    clock = np.arange(round(VOWEL * RATE)) / RATE
    harmonics = np.arange(120, 4000, 120)
    gains = sum(1 / (1 + ((harmonics - peak) / 80) ** 2) for peak in (700, 1150, 2600))
    sound = gains @ np.sin(2 * np.pi * np.outer(harmonics, clock))
    voiced = 12_000 * sound / np.abs(sound).max()
    return np.pad(voiced, (0, round((PAUSE - VOWEL) * RATE))).astype("<i2")


def _click(connection: ClientConnection, watch: Watch, clicks: int) -> list[float]:
    """Seconds from sending a vowel to receiving the frame in which the mouth has half opened."""
    for command in ({"type": "controls", "headMotion": 0}, {"type": "speech", "rate": RATE}):
        connection.send(json.dumps(command))
    _collect(connection, watch, 2.0)
    sent = []
    for _ in range(clicks):
        sent.append(time.monotonic())
        connection.send(_vowel()[: round(VOWEL * RATE)].tobytes())
        _collect(connection, watch, PAUSE)
    openings = _mouth(watch.packets)
    return [_answer(np.array(watch.received), openings, start) for start in sent]


def _mouth(packets: list[bytes]) -> np.ndarray:
    """How the mouth's picture differs from the frame before the first vowel, for each frame."""
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for data in packets for frame in decoder.decode(av.Packet(data))]
    side = frames[0].height
    rows, columns = (
        slice(int(0.5 * side), int(0.72 * side)),
        slice(int(0.38 * side), int(0.62 * side)),
    )
    lips = [frame.to_ndarray()[:side][rows, columns].astype(np.float32) for frame in frames]
    closed = np.median(lips[20:60], axis=0)
    return np.array([np.abs(picture - closed).mean() for picture in lips])


def _answer(received: np.ndarray, openings: np.ndarray, start: float) -> float:
    """Seconds until the mouth has gone half of its way."""
    count = len(openings)
    window = (received[:count] > start) & (received[:count] < start + 0.6)
    before = openings[(received[:count] < start) & (received[:count] > start - 0.2)].mean()
    middle = (before + openings[window].max()) / 2
    first = np.flatnonzero(window & (openings > middle))[0]
    return float(received[first] - start)


def _report(
    *,
    fps: float,
    costs: dict[str, float],
    share: float,
    watch: Watch,
    answers: list[float],
    first: float,
) -> None:
    """Print the tables."""
    print(
        f"{date.today()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}, "
        f"512x512 at {fps:g} frames/s\n"
    )
    print("| stage | ms of a core per frame |\n|---|---:|")
    for stage, spent in costs.items():
        print(f"| {stage} | {spent:.2f} |")
    print(f"| all | {sum(costs.values()):.2f} |\n")
    print(f"The service with one avatar and one viewer takes {share:.2f} of a core.\n")
    lasting = watch.times[-1] - watch.times[0]
    half, most = np.quantile(watch.delays, [0.5, 0.95]) * 1000
    late = round(lasting * fps) + 1 - len(watch.times)
    print("| at a client | |\n|---|---:|")
    print(f"| frames/s | {(len(watch.times) - 1) / lasting:.1f} |")
    print(f"| frames left out | {late} of {round(lasting * fps) + 1} |")
    print(f"| frame due to frame received, p50 / p95 | {half:.0f} / {most:.0f} ms |")
    print(f"| first frame after connecting | {1000 * first:.0f} ms |")
    half, most = np.quantile(answers, [0.5, 0.95]) * 1000
    print(f"| sound sent to mouth half open, p50 / p95 | {half:.0f} / {most:.0f} ms |")


if __name__ == "__main__":
    main()
