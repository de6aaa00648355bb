"""An hour of a live session in a few minutes: does memory grow, do lips and sound drift apart?

    python benchmarks/live_soak.py --minutes 60

The session is the service's own; only its clock jumps from each frame to the next. Another run, in
Node, plays an hour through the page's own player with a sound card whose clock is wrong.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import click
import numpy as np

SIZE, FPS = 256, 24.0  # cheaper than what is shown; what could grow is the same
RATE = 48_000
WINDOW = 40.0  # seconds at the beginning and at the end in which lips are compared with the sound
SETTLING = 120.0  # seconds after which memory should grow no more
VOWEL, PAUSE = 0.25, 1.25  # seconds
WORKLET = Path(__file__).parents[1] / "generate" / "page.worklet.js"
SKEW = 200e-6  # of the sound card's clock: twice what cheap quartz has


@dataclass
class Soak:
    """What was found."""

    minutes: float
    growth: float  # of the resident memory since SETTLING, share
    drift: float  # seconds by which lips and sound have moved apart
    took: float  # seconds


class Clock:
    """The time module, for a stage: it passes as fast as frames are made."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now


class Hurry(threading.Event):
    """A stage's event to stop; waiting for it takes no time once all frames are encoded."""

    def __init__(self, stage: Any, clock: Clock) -> None:
        super().__init__()
        self._stage, self._clock = stage, clock

    def wait(self, timeout: float | None = None) -> bool:
        """Move the clock on."""
        while self._stage._slot._item is not None and not self.is_set():
            time.sleep(0.0002)
        self._clock.now += timeout or 0.0
        return self.is_set()


@dataclass(eq=False)
class Witness:
    """A viewer that keeps what it got in a span of time."""

    bit_rate: int = 8_000_000
    since: float = 0.0
    until: float = WINDOW
    frames: list[tuple[float, bytes]] = field(default_factory=list)
    sound: list[tuple[float, np.ndarray]] = field(default_factory=list)

    def offer_video(self, packet: Any) -> None:
        """Keep a frame; the first is a key frame."""
        if self.since <= packet.seconds < self.until and (self.frames or packet.key):
            self.frames.append((packet.seconds, packet.data))

    def offer_sound(self, seconds: float, samples: np.ndarray) -> None:
        """Keep sound."""
        if self.since <= seconds < self.until:
            self.sound.append((seconds, samples))

    def offer_event(self, event: Mapping[str, Any]) -> None:
        """Events are not kept."""

    def offset(self) -> float:
        """Seconds from a vowel's beginning to the mouth's being half open, median."""
        decoder = av.CodecContext.create("h264", "r")
        pictures = [part for _, data in self.frames for part in decoder.decode(av.Packet(data))]
        times = np.array([seconds for seconds, _ in self.frames])[: len(pictures)]
        lips = np.stack([_lips(picture.to_ndarray()) for picture in pictures])
        opening = np.abs(lips - np.median(lips, axis=0)).mean(axis=(1, 2))
        return float(np.median([_half(times, opening, start) for start in self._onsets(times)]))

    def _onsets(self, times: np.ndarray) -> Iterator[float]:
        """When vowels begin."""
        sound = np.concatenate([samples for _, samples in self.sound])
        loud = np.abs(sound.astype(int)) > 500
        quiet_before = np.convolve(loud, np.ones(RATE // 4), "full")[: len(loud)] <= 1
        for index in np.flatnonzero(loud & quiet_before):
            start = self.sound[0][0] + index / RATE
            if times[0] + PAUSE < start < times[-1] - PAUSE:
                yield start


def _lips(planes: np.ndarray) -> np.ndarray:
    return planes[int(0.5 * SIZE) : int(0.72 * SIZE), int(0.38 * SIZE) : int(0.62 * SIZE)].astype(
        np.float32
    )


def _half(times: np.ndarray, opening: np.ndarray, start: float) -> float:
    """Seconds after a start at which the mouth has gone half of its way, between two frames."""
    near = (times > start - 0.2) & (times < start + 0.5)
    before = opening[near & (times < start)].mean()
    middle = (before + opening[near].max()) / 2
    after = np.flatnonzero(near & (times > start - 0.1) & (opening > middle))[0]
    pair = slice(after - 1, after + 1)
    return float(np.interp(middle, opening[pair], times[pair]) - start)


def soak(portrait: Path, minutes: float) -> Soak:
    """Run a session for so many minutes of its own time."""
    import cv2

    from vasari.generate import live_stage
    from vasari.generate.controls import Controls
    from vasari.generate.live_session import LiveSession
    from vasari.generate.portrait import Portrait
    from vasari.provenance.credentials import Credential
    from vasari.provenance.store import ManifestStore

    cv2.setNumThreads(1)
    clock, started = Clock(), time.monotonic()
    first, last = Witness(), Witness(since=60 * minutes - WINDOW, until=60 * minutes)
    with (
        tempfile.TemporaryDirectory() as folder,
        ManifestStore.open(f"sqlite:///{folder}/manifests.sqlite") as store,
    ):
        live_stage.time = clock  # type: ignore[attr-defined]
        try:
            session = LiveSession(
                Portrait.open(portrait, size=SIZE),
                fps=FPS,
                controls=Controls(head_motion=0.0, blink_rate=0.0),
                credential=Credential.default(),
                store=store,
                recordings=Path(folder),
            )
            session.stage._stopping = Hurry(session.stage, clock)
            for witness in (first, last):
                session.join(witness)
            session.start()
            early = _feed(session, clock, 60 * minutes)
            growth = _memory() / early - 1
            session.close("the soak is over")
        finally:
            live_stage.time = time  # type: ignore[attr-defined]
    return Soak(minutes, growth, last.offset() - first.offset(), time.monotonic() - started)


def _feed(session: Any, clock: Clock, seconds: float) -> int:
    """Let the session say vowels until a time; gives the memory at SETTLING."""
    turn, early, said = session.begin_turn(), 0, 0.0
    while clock.now < seconds:
        if said < clock.now + 10:
            session.say(turn, vowel())
            said += PAUSE
        else:
            time.sleep(0.002)
        if not early and clock.now > min(SETTLING, seconds / 2):
            early = _memory()
    return early


def vowel() -> np.ndarray:
    """A vowel like a, then silence: (N,) int16 at RATE."""
    clock = np.arange(round(VOWEL * RATE)) / RATE
    harmonics = np.arange(120, 4000, 120)
    gains = sum(1 / (1 + ((harmonics - peak) / 80) ** 2) for peak in (700, 1150, 2600))
    sound = gains @ np.sin(2 * np.pi * np.outer(harmonics, clock))
    voiced = 12_000 * sound / np.abs(sound).max()
    return np.pad(voiced, (0, round((PAUSE - VOWEL) * RATE))).astype("<i2")


def _memory() -> int:
    """Bytes that are resident (proc_pid_statm(5))."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# Plays through the page's processor, whose sound card gains SKEW on the session's clock; the page
# steers twice a second. Prints the largest error in seconds after the first minute.
_PLAY = """
globalThis.sampleRate = 48000; globalThis.currentTime = 0;
let Processor;
globalThis.AudioWorkletProcessor = class { constructor() { this.port = { postMessage() {} }; } };
globalThis.registerProcessor = (name, kind) => { if (name === "player") Processor = kind; };
require("node:vm").runInThisContext(require("node:fs").readFileSync(process.argv[1], "utf8"));
const [skew, seconds] = process.argv.slice(2).map(Number);
const player = new Processor(), out = [[new Float32Array(128)]];
let worst = 0, fed = 0, steered = -1;
while (currentTime < seconds) {
  const session = currentTime / (1 + skew); // what the wall clock says
  while (fed < (session + 0.1) * 48000) {
    player.port.onmessage({ data: { start: fed, samples: new Int16Array(4800) } });
    fed += 4800;
  }
  if (session > steered + 0.5) {
    steered = session;
    player.port.onmessage({ data: { time: currentTime, position: session * 48000 } });
  }
  player.process([], out);
  currentTime += 128 / 48000;
  if (currentTime > 60) worst = Math.max(worst, Math.abs(session - player.position / 48000));
}
console.log(worst);
"""


def play(minutes: float) -> float | None:
    """The page's largest A/V offset, in seconds, in so many minutes; None without Node."""
    node = shutil.which("node")
    if node is None:
        return None
    command = [node, "-e", _PLAY, str(WORKLET), str(SKEW), str(60 * minutes)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    return float(answer.stdout)


@click.command()
@click.option("--minutes", default=60.0, show_default=True, help="How long the session runs.")
def main(minutes: float) -> None:
    """Print what was found."""
    from live import portrait_file

    with tempfile.TemporaryDirectory() as name:
        print(soak(portrait_file(Path(name)), minutes))
    print(play(minutes))


if __name__ == "__main__":
    main()
