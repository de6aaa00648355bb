"""How live the live service is: what a frame costs, how many arrive, how late, and after an hour.

    python benchmarks/live.py            # a quarter of an hour, and an hour's soak
    python benchmarks/live.py --short    # less than four minutes

Starts services in processes of their own, and watches them over WebSockets and in Chromium, where
that is installed. Needs the extra ``dev``.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import vasari  # noqa: F401 - first, as in the service: it names its kernels to NumPy

# isort: split
import av
import click
import numpy as np
from live_page import browser, watch_page
from live_soak import PAUSE, RATE, VOWEL, play, soak, vowel
from setting import portrait_file
from websockets.sync.client import ClientConnection, connect

PORT = 8719
FPS = 40.0
LATE = 0.15  # seconds after its time at which a frame is of no use: the page waits no longer
HEADER = struct.Struct(">Bd")
SOUND = 3
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
@click.option("--short", is_flag=True, help="Watch for half a minute, soak for three.")
@click.option("--minutes", type=float, help="How long to watch for lost frames.", default=10.0)
@click.option("--soak", "soaked", default=60.0, help="Minutes of the time-compressed soak.")
def main(short: bool, minutes: float, soaked: float) -> None:
    """Print the figures."""
    minutes, soaked = (0.5, 3.0) if short else (minutes, soaked)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        portrait = portrait_file(folder)
        print(
            f"{date.today()}, {len(os.sched_getaffinity(0))} cores, "
            f"load {os.getloadavg()[0]:.1f} before, 512x512\n"
        )
        _print_costs(_costs(portrait, FPS))
        print("| measure | must | aim | measured |\n|---|---|---|---:|")
        for fps in (40.0, 60.0):
            _print_page(portrait, folder, fps, 15.0)
        _print_stream(portrait, folder, minutes, 10 if short else 40)
        _print_soak(portrait, soaked)


def _row(measure: str, measured: str, must: str = "", aim: str = "") -> None:
    """Print a row of the table, with the figures that were asked for."""
    print(f"| {measure} | {must} | {aim} | {measured} |", flush=True)


def _milliseconds(seconds: Sequence[float]) -> str:
    """Median and 95th percentile."""
    half, most = np.quantile(seconds, [0.5, 0.95]) * 1000
    return f"{half:.0f} / {most:.0f} ms"


def _print_page(portrait: Path, folder: Path, fps: float, seconds: float) -> None:
    """What Chromium shows, by the page's own count."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("Chromium is not installed: nothing is seen in the page.")
        return
    address = f"http://127.0.0.1:{PORT}/"
    with _service(portrait, folder, fps), browser(chromium) as tab:
        seen = watch_page(tab, address, seconds)
    name = f"the page, asked for {fps:g} frames/s"
    _row(f"{name}: frames/s", f"{seen['rate']:.1f}", "40", "60")
    _row(f"{name}: frame due → shown, p50 / p95", _milliseconds(seen["lags"]))
    _row(f"{name}: A/V offset, p50 / p95", _milliseconds(seen["errors"]), "40 ms", "20 ms")


def _print_stream(portrait: Path, folder: Path, minutes: float, clicks: int) -> None:
    """What a client of the WebSocket receives."""
    with _service(portrait, folder, FPS) as process:
        first = [_first_frame() for _ in range(5)]
        with _viewer() as (connection, seen):
            answers = _click(connection, seen, clicks)
        with _viewer() as (connection, _):
            cuts = [_barge_in(connection) for _ in range(clicks)]
        with _viewer() as (connection, watch):
            used = _processor_seconds(process)
            _collect(connection, watch, 60 * minutes)
            share = (_processor_seconds(process) - used) / (60 * minutes)
    half, most = np.quantile(answers, [0.5, 0.95]) * 1000
    _row("sound sent → frame with its mouth received, p50", f"{half:.0f} ms")
    _row("the same, p95", f"{most:.0f} ms", "170 ms", "100 ms")
    _row("first frame after connecting", f"{np.median(first):.2f} s", "1 s", "0.3 s")
    _row("new speech sent → its sound received, p50 / p95", _milliseconds(cuts), "200 ms")
    asked = round((watch.times[-1] - watch.times[0]) * FPS) + 1
    late = asked - len(watch.times) + int((watch.delays > LATE).sum())
    _row(
        f"frames left out or more than {1000 * LATE:g} ms late in {minutes:g} minutes",
        f"{100 * late / asked:.2f} %", "1 %", "0.1 %",
    )  # fmt: skip
    _row("frame due → received, p50 / p95", _milliseconds(watch.delays))
    _row("cores that the service takes, one avatar and viewer", f"{share:.2f}")


def _print_soak(portrait: Path, minutes: float) -> None:
    """What an hour does."""
    found = soak(portrait, minutes)
    after = f"after {minutes:g} minutes, compressed"
    _row(f"memory {after}", f"{100 * found.growth:+.1f} %", "+5 %", "flat")
    drift = f"{1000 * found.drift:+.0f} ms"
    _row(f"lips against sound in the stream {after}", drift, "40 ms", "20 ms")
    if (worst := play(60.0)) is not None:
        measure = "A/V offset of the page's player in an hour, sound card 200 ppm off, at most"
        _row(measure, f"{1000 * worst:.0f} ms", "40 ms", "20 ms")


def _print_costs(costs: dict[str, float]) -> None:
    """What a frame costs."""
    print("| stage | ms of a core per frame |\n|---|---:|")
    for stage, spent in [*costs.items(), ("all", sum(costs.values()))]:
        print(f"| {stage} | {spent:.2f} |")
    print(flush=True)


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
    voice.say(np.tile(vowel(), 40))
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


def _first_frame() -> float:
    """Seconds from connecting to the first frame."""
    started = time.monotonic()
    with _viewer():
        return time.monotonic() - started


def _barge_in(connection: ClientConnection) -> float:
    """Seconds from sending something new to receiving its sound, while something else is said."""
    talk = (8000 * np.sin(np.arange(5 * RATE) / 20)).astype("<i2")
    connection.send(json.dumps({"type": "speech", "rate": RATE}))
    connection.send(talk.tobytes())
    _hear(connection, lambda samples: np.abs(samples.astype(int)).max() > 4000)
    sent = time.monotonic()
    connection.send(json.dumps({"type": "speech", "rate": RATE}))
    connection.send(np.full(RATE // 2, 1000, "<i2").tobytes())
    _hear(connection, lambda samples: samples[-1] == 1000)
    return time.monotonic() - sent


def _hear(connection: ClientConnection, found: Callable[[np.ndarray], object]) -> None:
    """Receive until a block of sound is found."""
    while True:
        message = connection.recv(timeout=10)
        if not isinstance(message, bytes) or message[0] != SOUND:
            continue
        if found(np.frombuffer(message, "<i2", offset=HEADER.size)):
            return


def _click(connection: ClientConnection, watch: Watch, clicks: int) -> list[float]:
    """Seconds from sending a vowel to receiving the frame in which the mouth has half opened."""
    for command in ({"type": "controls", "headMotion": 0}, {"type": "speech", "rate": RATE}):
        connection.send(json.dumps(command))
    _collect(connection, watch, 2.0)
    sent = []
    for _ in range(clicks):
        sent.append(time.monotonic())
        connection.send(vowel()[: round(VOWEL * RATE)].tobytes())
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


if __name__ == "__main__":
    main()
