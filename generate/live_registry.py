"""The avatars of one service: as many as the cores can move, each until no one needs it."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from vasari.errors import InputError, VasariError
from vasari.generate.controls import Controls
from vasari.generate.live_recording import recover
from vasari.generate.live_session import LiveSession, Speaker
from vasari.generate.portrait import Portrait
from vasari.generate.synthesis import speak
from vasari.provenance.credentials import Credential
from vasari.provenance.store import ManifestStore
from vasari.provenance.worker import isolated

# Of a core, for an avatar of 512 pixels at 40 frames/s: `benchmarks/live.py` prints it.
CORE_SHARE = 0.9
REFERENCE_SIZE, REFERENCE_FPS = 512, 40.0
UNATTENDED_SECONDS = 60.0  # that an avatar waits for a viewer
MAX_AGE_SECONDS = 12 * 3600.0  # of a session
DEFAULT = "default"  # the name of the avatar that the service was started with

_log = logging.getLogger(__name__)


class FullError(VasariError):
    """No core is left for another avatar."""


class UnknownSessionError(InputError):
    """There is no session of this name, or it is over."""


@dataclass(frozen=True)
class LiveSettings:
    """How a service shows its avatars."""

    credential: Credential  # who signs
    store: ManifestStore  # keeps the manifests
    recordings: Path  # the folder for recordings
    portrait: Portrait | None = None  # the avatar that is there from the start
    size: int = REFERENCE_SIZE  # side of the frames, pixels
    fps: float = REFERENCE_FPS  # frames per second
    controls: Controls = field(default_factory=Controls)  # at the beginning of a session
    speaker: Speaker = speak  # speaks texts
    captions: bool = False  # whether sound gets captions too, from a recogniser
    cores: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))

    @property
    def capacity(self) -> int:
        """How many avatars move at once."""
        share = CORE_SHARE * self.fps / REFERENCE_FPS * (self.size / REFERENCE_SIZE) ** 2
        return max(1, int(self.cores / share))


class Registry:
    """The sessions of a service. Its calls may take seconds: keep them off the event loop."""

    def __init__(self, settings: LiveSettings) -> None:
        """Sign what a killed service has recorded, and begin without avatars."""
        self.settings = settings
        self._sessions: dict[str, LiveSession] = {}
        self._default = ""
        self._lock = threading.RLock()
        self._reading = threading.Lock()  # one stranger's picture at a time
        for path in recover(settings.recordings, settings.credential, settings.store):
            _log.warning("recovered and signed the recording %s", path.name)

    def get(self, name: str) -> LiveSession:
        """A session by its name; the default one begins when it is asked for.

        Raises:
            UnknownSessionError: there is none.
            FullError: no core is left for the default one.
        """
        with self._lock:
            self._end_failed()
            if name == DEFAULT:
                return self._sessions.get(self._default) or self._begin_default()
            if name not in self._sessions:
                raise UnknownSessionError("this session is over, or never was")
            return self._sessions[name]

    def begin(self, picture: bytes, *, replacing: str = "") -> LiveSession:
        """Begin a session with an uploaded picture.

        Args:
            picture: an image file.
            replacing: the name of a session to end for it, if no one else is watching that.

        Raises:
            PortraitError: the picture is no portrait.
            FullError: no core is left.
        """
        self._check_room(self._replaceable(replacing))
        with self._reading:
            portrait = read_portrait(picture, self.settings.size)
        with self._lock:
            replaced = self._replaceable(replacing)
            self._check_room(replaced)
            if replaced is not None:
                self._end(replaced, "another portrait was chosen")
            return self._add(portrait)

    def end(self, name: str, reason: str) -> None:
        """End a session.

        Raises:
            UnknownSessionError: there is none.
        """
        with self._lock:
            self._end(self.get(name), reason)

    def expire(self) -> None:
        """End the sessions that no one attends, or that are too old."""
        now = time.monotonic()
        with self._lock:
            for session in list(self._sessions.values()):
                if not session.attended and now - session.left_at > UNATTENDED_SECONDS:
                    self._end(session, "no one was watching")
                elif session.now > MAX_AGE_SECONDS:
                    self._end(session, "sessions last at most 12 hours")

    def close(self) -> None:
        """End all sessions."""
        with self._lock:
            for session in list(self._sessions.values()):
                self._end(session, "the service is shutting down")

    @property
    def room(self) -> int:
        """How many more avatars can begin."""
        return self.settings.capacity - len(self._sessions)

    def _end_failed(self) -> None:
        for session in [each for each in self._sessions.values() if each.failed]:
            self._end(session, "the avatar stopped by an internal error")

    def _begin_default(self) -> LiveSession:
        if self.settings.portrait is None:
            raise UnknownSessionError("this service has no avatar of its own; give it a portrait")
        self._check_room(None)
        session = self._add(self.settings.portrait)
        self._default = session.name
        return session

    def _add(self, portrait: Portrait) -> LiveSession:
        settings = self.settings
        session = LiveSession(
            portrait,
            fps=settings.fps,
            controls=settings.controls,
            credential=settings.credential,
            store=settings.store,
            recordings=settings.recordings,
            speaker=settings.speaker,
            captions=settings.captions,
        )
        self._sessions[session.name] = session
        session.start()
        return session

    def _end(self, session: LiveSession, reason: str) -> None:
        del self._sessions[session.name]
        session.close(reason)

    def _replaceable(self, name: str) -> LiveSession | None:
        """The session of this name, if only who asks is watching it."""
        with self._lock:
            session = self._sessions.get(self._default if name == DEFAULT else name)
        return session if session is not None and session.viewers <= 1 else None

    def _check_room(self, replaced: LiveSession | None) -> None:
        if self.room + (replaced is not None) < 1:
            raise FullError(
                f"this machine moves {self.settings.capacity} avatar(s) at once, and all are in "
                "use; try again when one has ended"
            )


def read_portrait(picture: bytes, size: int) -> Portrait:
    """A stranger's picture as a portrait, decoded in a process of its own.

    Raises:
        PortraitError: it is none; the message names no path.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture")
        path.write_bytes(picture)
        try:
            return isolated(path, Portrait.open, path, size=size)
        except InputError as error:
            raise type(error)(str(error).replace(str(path), "the picture")) from None
