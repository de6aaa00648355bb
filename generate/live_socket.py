"""The two ends of a live session's WebSocket: packets out, commands in (docs/live.md)."""

from __future__ import annotations

import asyncio
import json
import math
import struct
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vasari.errors import ControlsError, InputError
from vasari.generate.controls import Controls
from vasari.generate.live_congestion import MAX_LAG, Allowance
from vasari.generate.live_encoder import VideoPacket
from vasari.generate.live_sound import Int16Array, Intake
from vasari.generate.synthesis import DEFAULT_VOICE

if TYPE_CHECKING:
    from vasari.generate.live_session import LiveSession

# Kinds of binary message; each begins with its kind and its time in seconds of the session.
KEY_FRAME, FRAME, SOUND = 1, 2, 3
HEADER = struct.Struct(">Bd")
ASSESSING = 0.5  # seconds between two looks at how a viewer keeps up
MAX_BACKLOG = 240  # packets, about 3 s: a viewer who is further behind begins again


def pack(kind: int, seconds: float, payload: bytes) -> bytes:
    """One binary message."""
    return HEADER.pack(kind, seconds) + payload


class SocketViewer:
    """A viewer whose packets wait for the event loop to send them.

    How fast its way is shows in the age of what waits here, and in the delay that the viewer tells
    with its pings: the machines between keep packets waiting too.
    """

    def __init__(self, session: LiveSession, loop: asyncio.AbstractEventLoop) -> None:
        self._session = session
        self._loop = loop
        self._waiting: deque[bytes | str] = deque()
        self._changed = asyncio.Event()
        self._skipping = False
        self._allowance = Allowance()
        self._assessed = 0.0  # when, seconds of the session
        self._shortest = math.inf  # delay that the viewer has told of, seconds
        self._excess = 0.0  # of the last delay over the shortest

    @property
    def bit_rate(self) -> int:
        """See `vasari.generate.live_session.Viewer`."""
        return self._allowance.bit_rate

    def note_delay(self, delay: float) -> None:
        """Take in how many seconds the last frames took from their time to the viewer."""
        self._shortest = min(self._shortest, delay)
        self._excess = delay - self._shortest

    def offer_video(self, packet: VideoPacket) -> None:
        """See `vasari.generate.live_session.Viewer`."""
        kind = KEY_FRAME if packet.key else FRAME
        self._post(pack(kind, packet.seconds, packet.data))

    def offer_sound(self, seconds: float, samples: Int16Array) -> None:
        """See `vasari.generate.live_session.Viewer`."""
        self._post(pack(SOUND, seconds, samples.astype("<i2").tobytes()))

    def offer_event(self, event: Mapping[str, Any]) -> None:
        """See `vasari.generate.live_session.Viewer`."""
        self._post(json.dumps(event))

    async def next(self) -> bytes | str:
        """Wait for the next message."""
        while not self._waiting:
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()

    def _post(self, message: bytes | str) -> None:
        """Hand a message to the event loop, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._put, message)

    def _put(self, message: bytes | str) -> None:
        if isinstance(message, bytes):
            self._skipping &= message[0] != KEY_FRAME
            if self._skipping:
                return
            if len(self._waiting) >= MAX_BACKLOG:
                self._begin_again()
                return
            self._assess(message)
        self._waiting.append(message)
        self._changed.set()

    def _assess(self, newest: bytes) -> None:
        """Ask now and then for fewer bits, or for more."""
        _, now = HEADER.unpack_from(newest)
        if now - self._assessed < ASSESSING:
            return
        oldest = next((each for each in self._waiting if isinstance(each, bytes)), newest)
        behind = now - HEADER.unpack_from(oldest)[1]
        slow = max(behind, self._excess) > MAX_LAG
        self._assessed, self._excess = now, 0.0
        if self._allowance.report(now, slow=slow):
            self._session.adapt()

    def _begin_again(self) -> None:
        """Leave out what is late, up to a key frame: without one, a decoder shows garbage."""
        self._waiting = deque(each for each in self._waiting if isinstance(each, str))
        self._skipping = True
        self._session.rejoin(self)


class Commander:
    """Carries out what a client asks of a session. Its calls may block for a moment."""

    def __init__(self, session: LiveSession, viewer: SocketViewer | None = None) -> None:
        self._session = session
        self._viewer = viewer
        self._turn = 0
        self._intake: Intake | None = None

    def sound(self, pcm: bytes) -> None:
        """Say PCM, after the command "speech".

        Raises:
            SpeechError: it is no 16-bit PCM, or too much waits.
            InputError: no "speech" came before it.
        """
        if self._intake is None:
            raise InputError('sound without a beginning; send {"type": "speech", "rate": …} first')
        self._session.say(self._turn, self._intake.convert(pcm))

    def command(self, text: str) -> Mapping[str, Any] | None:
        """Carry out one command in JSON; gives the answer, if there is one.

        Raises:
            VasariError: it cannot be carried out.
        """
        try:
            message = json.loads(text)
        except ValueError:
            raise InputError("a command must be JSON") from None
        kind = message.get("type") if isinstance(message, dict) else None
        action = getattr(self, f"_on_{kind}", None) if kind in COMMANDS else None
        if action is None:
            raise InputError(f"unknown command; known are {', '.join(COMMANDS)}")
        answer: Mapping[str, Any] | None = action(message)
        return answer

    def _on_ping(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._viewer is not None and "delay" in message:
            self._viewer.note_delay(_number(message, "delay"))
        return {"type": "pong", "time": _number(message, "time"), "now": self._session.now}

    def _on_keyframe(self, message: Mapping[str, Any]) -> None:
        if self._viewer is not None:
            self._session.rejoin(self._viewer)

    def _on_text(self, message: Mapping[str, Any]) -> None:
        self._intake = None
        self._session.say_text(
            _text(message, "text", None),
            follow=message.get("follow") is True,
            language=_text(message, "language", "en"),
            voice=_text(message, "voice", DEFAULT_VOICE),
        )

    def _on_speech(self, message: Mapping[str, Any]) -> None:
        self._intake = Intake(round(_number(message, "rate")))
        self._turn = self._session.begin_turn()

    def _on_end(self, message: Mapping[str, Any]) -> None:
        if self._intake is not None:
            self._session.say(self._turn, self._intake.end())
        self._intake = None

    def _on_stop(self, message: Mapping[str, Any]) -> None:
        self._intake = None
        self._session.begin_turn()

    def _on_controls(self, message: Mapping[str, Any]) -> None:
        self._session.steer(_controls(self._session.controls, message))

    def _on_record(self, message: Mapping[str, Any]) -> None:
        if message.get("on") is True:
            self._session.start_recording()
        else:
            self._session.stop_recording()


COMMANDS = ("ping", "keyframe", "text", "speech", "end", "stop", "controls", "record")


def _controls(now: Controls, message: Mapping[str, Any]) -> Controls:
    """Controls with what a message changes; what it leaves out stays."""
    gaze, emotion = message.get("gaze", now.gaze), message.get("emotion", now.emotion)
    if not isinstance(gaze, list | tuple) or len(gaze) != 2 or not isinstance(emotion, Mapping):
        raise ControlsError("gaze is [yaw, pitch], emotion {name: weight}")
    values = {
        "distance": message.get("distance", now.distance),
        "headMotion": message.get("headMotion", now.head_motion),
        "yaw": gaze[0],
        "pitch": gaze[1],
    }
    numbers = {name: _number(values, name) for name in values}
    return Controls(
        gaze=(numbers["yaw"], numbers["pitch"]),
        distance=numbers["distance"],
        emotion={name: _number(emotion, name) for name in emotion},
        head_motion=numbers["headMotion"],
        expression=now.expression,
        blink_rate=now.blink_rate,
        seed=now.seed,
    )


def _number(message: Mapping[str, Any], name: str) -> float:
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e12:
        raise InputError(f"'{name}' must be a number")
    return float(value)


def _text(message: Mapping[str, Any], name: str, default: str | None) -> str:
    value = message.get(name, default)
    if not isinstance(value, str):
        raise InputError(f"'{name}' must be a text")
    return value
