"""Where a live avatar moves: one thread renders by the clock, another marks and encodes.

Frames and sound have one timeline, seconds since the session began, so that they cannot drift
apart. A frame that cannot be encoded in time gives way to a newer one; none that was encoded is
lost.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vasari.generate.controls import Controls
from vasari.generate.live_encoder import StreamEncoder, VideoPacket
from vasari.generate.live_motion import LOOK_AHEAD, Listener, LiveActor
from vasari.generate.live_sound import HOP_SECONDS, Caption, Int16Array, Voice
from vasari.generate.marking import MarkedFrame, Marker
from vasari.generate.portrait import Portrait
from vasari.generate.render import Renderer

ImageArray = npt.NDArray[np.uint8]

KEPT_DELAYS = 4000  # frames whose delays are remembered

_log = logging.getLogger(__name__)


class Audience(Protocol):
    """Who gets what the stage makes; called from its threads, and must not block."""

    def on_video(self, packet: VideoPacket) -> None:
        """A frame that is due about now."""

    def on_sound(self, seconds: float, samples: Int16Array) -> None:
        """Sound that begins at a time about LOOK_AHEAD from now."""

    def on_caption(self, seconds: float, caption: Caption) -> None:
        """What begins to be said at a time."""

    def on_failure(self) -> None:
        """The stage has stopped by an error, which was logged."""


class Stage:
    """One avatar in motion, from `start` to `stop`."""

    def __init__(
        self,
        portrait: Portrait,
        identifier: int,
        *,
        fps: float,
        controls: Controls,
        voice: Voice,
        audience: Audience,
    ) -> None:
        """Prepare the first frame.

        Args:
            portrait: who moves.
            identifier: the watermark of every frame, 48 bits.
            fps: frames per second.
            controls: the wishes at the beginning.
            voice: what it says.
            audience: who gets the packets.
        """
        self._fps = fps
        self._voice = voice
        self._audience = audience
        self._listener = Listener()
        self._actor = LiveActor(controls, self._listener)
        self._renderer = Renderer(portrait)
        self._marker = Marker(identifier, portrait.size, portrait.size)
        self._encoder = StreamEncoder(portrait.size, fps)
        self._slot = _Slot()
        self._stopping = threading.Event()
        self._keyframe = threading.Event()
        self._bit_rate = self._encoder.bit_rate
        self._hops = 0
        self._origin = 0.0
        self._delays: deque[float] = deque(maxlen=KEPT_DELAYS)
        self.frames_shown = 0  # encoded
        self.frames_lost = 0  # that were due and not rendered, or not encoded, in time
        self._play(LOOK_AHEAD)
        self.first: MarkedFrame = self._marker.mark(self._renderer.frame(self._actor.pose(0.0)))
        (self.opening,) = self._encoder.encode(self.first, 0.0, key=True)
        self._threads = [
            threading.Thread(target=self._guarded, args=(task,), name=task.__name__, daemon=True)
            for task in (self._render, self._encode)
        ]

    def start(self) -> None:
        """Begin; time starts now."""
        self._origin = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and wait for the threads."""
        self._stopping.set()
        self._slot.close()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._origin

    def steer(self, controls: Controls) -> None:
        """Follow other wishes from the next frame on."""
        self._actor.steer(controls)

    def want_keyframe(self) -> None:
        """Make the next frame one that a decoder can begin with."""
        self._keyframe.set()

    def limit(self, bit_rate: int) -> None:
        """Stay below so many bits per second from the next frame on."""
        self._bit_rate = bit_rate

    @property
    def bit_rate(self) -> int:
        """The most bits per second that the frames take."""
        return self._bit_rate

    @property
    def delays(self) -> npt.NDArray[np.float64]:
        """Seconds from when each of the last frames was due to when its packet was ready."""
        return np.array(self._delays)

    def _guarded(self, task: Callable[[], None]) -> None:
        """Run one of the threads."""
        try:
            task()
        except Exception:
            _log.exception("a live session failed")
            self._audience.on_failure()

    def _render(self) -> None:
        """Show the actor at each frame's time."""
        number = 0
        while not self._stopping.is_set():
            newest = math.floor(self.now * self._fps)
            self.frames_lost += max(newest - number - 1, 0)
            number = max(number + 1, newest)
            due = number / self._fps
            if self._stopping.wait(max(due - self.now, 0)):
                return
            self._play(due + LOOK_AHEAD)
            picture = self._renderer.frame(self._actor.pose(due))
            self.frames_lost += self._slot.put(picture, due)

    def _play(self, until: float) -> None:
        """Let the voice speak up to a time, and the actor hear it."""
        first, parts = self._hops, []
        while self._hops * HOP_SECONDS < until:
            hop = self._voice.hop()
            self._listener.hear(hop.samples)
            parts.append(hop.samples)
            for caption in hop.captions:
                self._audience.on_caption(self._hops * HOP_SECONDS, caption)
            self._hops += 1
        if parts:
            self._audience.on_sound(first * HOP_SECONDS, np.concatenate(parts))

    def _encode(self) -> None:
        """Mark and encode the newest picture, again and again."""
        while (item := self._slot.take()) is not None:
            picture, due = item
            self._encoder.limit(self._bit_rate)
            key = self._keyframe.is_set()
            if key:
                self._keyframe.clear()
            for packet in self._encoder.encode(self._marker.mark(picture), due, key=key):
                self._audience.on_video(packet)
            self._delays.append(self.now - due)
            self.frames_shown += 1


class _Slot:
    """Room for one picture: a newer one takes its place."""

    def __init__(self) -> None:
        self._item: tuple[ImageArray, float] | None = None
        self._closed = False
        self._changed = threading.Condition()

    def put(self, picture: ImageArray, due: float) -> int:
        """Leave a picture; gives how many had to go, 0 or 1."""
        with self._changed:
            lost = self._item is not None
            self._item = (picture, due)
            self._changed.notify()
        return int(lost)

    def take(self) -> tuple[ImageArray, float] | None:
        """Wait for a picture; None once the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)
            item, self._item = self._item, None
            return None if self._closed else item

    def close(self) -> None:
        """Let no one wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
