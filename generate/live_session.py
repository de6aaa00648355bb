"""One live avatar: its stage, what it says, who watches, and the statement of where it comes from.

The statement, a signed manifest that names the watermark of every frame, is in the store before the
first frame leaves: whoever records their screen holds frames that lead back to it.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vasari.errors import InputError, SpeechError, VasariError
from vasari.generate.controls import Controls
from vasari.generate.live_captions import Ear
from vasari.generate.live_congestion import LADDER
from vasari.generate.live_encoder import VideoPacket
from vasari.generate.live_recording import Notes, Recorder
from vasari.generate.live_sound import Caption, Int16Array, Voice, samples_of
from vasari.generate.live_stage import Stage
from vasari.generate.pipeline import as_jpeg, as_png, control_parameters
from vasari.generate.portrait import Portrait
from vasari.generate.speech import Speech, Word
from vasari.generate.synthesis import DEFAULT_VOICE, languages, speak, voices
from vasari.watermark.payload import ALGORITHM, format_identifier, new_identifier

if TYPE_CHECKING:
    from vasari.provenance.credentials import Credential
    from vasari.provenance.store import ManifestStore

MAX_VIEWERS = 16  # of one avatar: each costs a copy of the stream
MAX_TEXT = 2_000  # characters at once; an assistant sends sentences

_SENTENCE_END = re.compile(r"(?<=[.!?;:…])\s+|(?<=[。！？])")  # noqa: RUF001


class Speaker(Protocol):
    """What speaks texts: `vasari.generate.synthesis.speak`, or a `SpeechEndpoint`'s."""

    def __call__(self, text: str, *, language: str, voice: str) -> Speech:
        """The text as sound; raises SpeechError where that cannot be."""


class Viewer(Protocol):
    """Who watches; called from the session's threads, and must not block."""

    @property
    def bit_rate(self) -> int:
        """The most bits per second of picture that it can take; a change calls for `adapt`."""

    def offer_video(self, packet: VideoPacket) -> None:
        """A frame; the first is a key frame, and none is left out."""

    def offer_sound(self, seconds: float, samples: Int16Array) -> None:
        """Sound that begins at a time of the session."""

    def offer_event(self, event: Mapping[str, Any]) -> None:
        """Something that happened, as JSON can hold it."""


class LiveSession:
    """An avatar from `start` to `close`."""

    def __init__(
        self,
        portrait: Portrait,
        *,
        fps: float,
        controls: Controls,
        credential: Credential,
        store: ManifestStore,
        recordings: Path,
        speaker: Speaker = speak,
        captions: bool = False,
    ) -> None:
        """Prepare the avatar and sign its manifest.

        Args:
            portrait: who speaks.
            fps: frames per second.
            controls: the wishes at the beginning.
            credential: who signs.
            store: keeps the manifests.
            recordings: the folder for recordings.
            speaker: speaks texts.
            captions: whether sound gets captions too, from a recogniser.

        Raises:
            SpeechError: no recogniser is installed, and captions of sound are wanted.
            OutputError: the store cannot be written.
            ProvenanceError: the manifest cannot be signed.
        """
        self.name = secrets.token_urlsafe(9)
        self.size, self.fps = portrait.size, fps
        self.controls = controls
        self.signer, self.standing = credential.signer_name, credential.standing
        self.left_at = time.monotonic()  # when the last viewer or speaker went
        self.failed = False  # whether an error has stopped the stage
        self._identifier = new_identifier()
        self._credential, self._store, self._recordings = credential, store, recordings
        self._portrait = as_png(portrait.image)
        self._notes = Notes(self._identifier, control_parameters(controls))
        self._speaker = speaker
        self._ear = Ear(self._on_words) if captions else None
        self._voice = Voice()
        self._turn = 0
        self._typed = False  # whether this turn's words are known
        self._viewers: dict[Viewer, bool] = {}  # whether they have had a key frame
        self._speakers = 0
        self._recorder: Recorder | None = None
        self._lock = threading.RLock()
        self._talk = ThreadPoolExecutor(1, "talk")
        self._stage = Stage(
            portrait,
            self._identifier,
            fps=fps,
            controls=controls,
            voice=self._voice,
            audience=self,
        )
        self.statement = self._declare(as_jpeg(self._stage.first.rgb()))  # a signed JPEG

    @property
    def watermark(self) -> str:
        """The id in every frame, 12 hexadecimal digits."""
        return format_identifier(self._identifier)

    @property
    def now(self) -> float:
        """Seconds since the session began."""
        return self._stage.now

    @property
    def stage(self) -> Stage:
        """Its figures."""
        return self._stage

    @property
    def attended(self) -> bool:
        """Whether someone watches or speaks."""
        return bool(self._viewers) or self._speakers > 0

    @property
    def viewers(self) -> int:
        """How many watch."""
        return len(self._viewers)

    def start(self) -> None:
        """Begin to move."""
        self._stage.start()
        if self._speaker is speak:
            self._talk.submit(_learn_to_speak)

    def close(self, reason: str) -> None:
        """End, tell the viewers why, and finish the recording."""
        self._talk.shutdown(wait=False, cancel_futures=True)
        self._stage.stop()
        if self._ear is not None:
            self._ear.stop()
        self.stop_recording()
        self._announce({"type": "closed", "reason": reason})

    # What is said.

    def begin_turn(self) -> int:
        """Cut what is being said for something new; gives the turn to pass to `say`."""
        with self._lock:
            self._turn += 1
            self._typed = False
            self._voice.cut()
            turn, now = self._turn, self.now
        self._record(lambda recorder: recorder.on_cut(now))
        self._announce({"type": "cut", "time": now})
        return turn

    def say(self, turn: int, samples: Int16Array, caption: Caption | None = None) -> None:
        """Say samples at 48 kHz, unless their turn is over.

        Raises:
            SpeechError: too much waits to be said.
        """
        with self._lock:
            if turn == self._turn:
                self._typed = caption is not None
                self._voice.say(samples, caption)

    def say_text(
        self, text: str, *, follow: bool, language: str = "en", voice: str = DEFAULT_VOICE
    ) -> None:
        """Say a text, sentence by sentence.

        Args:
            text: at most MAX_TEXT characters.
            follow: after what is being said, rather than in its place.
            language: as for `speak`.
            voice: as for `speak`.

        Raises:
            InputError: the text is too long. Viewers are told of what cannot be spoken.
        """
        if len(text) > MAX_TEXT:
            raise InputError(f"the text has {len(text)} characters; {MAX_TEXT} is the most at once")
        turn = self._turn if follow else self.begin_turn()
        for sentence in filter(str.strip, _SENTENCE_END.split(text)):
            self._talk.submit(self._say_sentence, turn, sentence, language, voice)

    def _say_sentence(self, turn: int, sentence: str, language: str, voice: str) -> None:
        if turn != self._turn:
            return
        try:
            speech = self._speaker(sentence, language=language, voice=voice)
            self.say(turn, samples_of(speech), Caption(sentence, speech.words))
        except VasariError as error:
            self._announce({"type": "error", "message": str(error)})

    def steer(self, controls: Controls) -> None:
        """Follow other wishes at once."""
        self.controls = controls
        self._stage.steer(controls)

    # Who is there.

    def join(self, viewer: Viewer) -> None:
        """Let someone watch, from the next frame on.

        Raises:
            InputError: MAX_VIEWERS watch already.
        """
        with self._lock:
            if len(self._viewers) >= MAX_VIEWERS:
                raise InputError(
                    f"{MAX_VIEWERS} viewers watch this avatar already, the most it has"
                )
            self._viewers = {**self._viewers, viewer: False}
        self._stage.want_keyframe()

    def rejoin(self, viewer: Viewer) -> None:
        """Let a viewer that lost packets begin again with a key frame."""
        with self._lock:
            if viewer in self._viewers:
                self._viewers = {**self._viewers, viewer: False}
        self._stage.want_keyframe()

    def leave(self, viewer: Viewer) -> None:
        """Let someone go."""
        with self._lock:
            self._viewers = {each: had for each, had in self._viewers.items() if each != viewer}
        self.left_at = time.monotonic()
        self.adapt()

    def adapt(self) -> None:
        """Make no more bits than the slowest viewer can take: all get the same packets."""
        with self._lock:
            bit_rate = min((viewer.bit_rate for viewer in self._viewers), default=LADDER[0])
            changed = bit_rate != self._stage.bit_rate
            self._stage.limit(bit_rate)
        if changed:
            self._announce({"type": "rate", "bitRate": bit_rate})

    def attend(self, change: int) -> None:
        """Count a speaker who came (1) or went (-1)."""
        with self._lock:
            self._speakers += change
        self.left_at = time.monotonic()

    # What the stage gives.

    def on_video(self, packet: VideoPacket) -> None:
        """Pass a frame on; a newcomer's first is a key frame."""
        with self._lock:
            if packet.key and not all(self._viewers.values()):
                self._viewers = dict.fromkeys(self._viewers, True)
            ready = [viewer for viewer, had_key in self._viewers.items() if had_key]
        self._record(lambda recorder: recorder.on_video(packet))
        for viewer in ready:
            viewer.offer_video(packet)

    def on_sound(self, seconds: float, samples: Int16Array) -> None:
        """Pass sound on."""
        self._record(lambda recorder: recorder.on_sound(seconds, samples))
        if self._ear is not None and not self._typed:
            self._ear.hear(seconds, samples)
        for viewer in self._viewers:
            viewer.offer_sound(seconds, samples)

    def on_caption(self, seconds: float, caption: Caption) -> None:
        """Tell what is being said."""
        self._record(lambda recorder: recorder.on_caption(seconds, caption))
        words = [[word.text, seconds + word.start, seconds + word.end] for word in caption.words]
        self._announce({"type": "caption", "time": seconds, "text": caption.text, "words": words})

    def _on_words(self, words: tuple[Word, ...]) -> None:
        """Tell what was heard, which is over by now."""
        text = " ".join(word.text for word in words)
        self._record(lambda recorder: recorder.on_caption(0.0, Caption(text, words)))
        told = [[word.text, word.start, word.end] for word in words]
        self._announce({"type": "heard", "time": words[0].start, "text": text, "words": told})

    def on_failure(self) -> None:
        """Tell that the avatar is gone."""
        self.failed = True
        self._announce({"type": "closed", "reason": "the avatar stopped by an internal error"})

    def _announce(self, event: Mapping[str, Any]) -> None:
        for viewer in self._viewers:
            viewer.offer_event(event)

    # What is kept.

    def start_recording(self) -> str:
        """Begin a recording; gives its name.

        Raises:
            InputError: one is running.
            OutputError: it cannot be written.
        """
        with self._lock:
            if self._recorder is not None:
                raise InputError("a recording of this avatar is running; stop it first")
            self._recorder = Recorder(self._recordings, self._notes, self._portrait, size=self.size)
            name = self._recorder.name
        self._stage.want_keyframe()
        self._announce({"type": "recording", "name": name})
        return name

    def stop_recording(self) -> None:
        """End the recording, if there is one, and tell the viewers its name."""
        with self._lock:
            recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        try:
            path = recorder.finish(self._credential, self._store)
        except VasariError:
            self._announce({"type": "unrecorded", "message": "the recording could not be kept"})
            return
        captions = path.with_suffix(".vtt").is_file()
        self._announce(
            {"type": "recorded", "name": path.name, "note": recorder.error, "captions": captions}
        )

    def _record(self, keep: Callable[[Recorder], None]) -> None:
        """Give something to the recording, if there is one, and end it when it is full."""
        with self._lock:
            if self._recorder is None:
                return
            keep(self._recorder)
            full = self._recorder.full
        if full:
            threading.Thread(target=self.stop_recording, daemon=True).start()

    def _declare(self, jpeg: bytes) -> bytes:
        """Sign the session's manifest, bound to its first frame, and keep it; gives both."""
        from vasari.provenance.manifest import Ingredient, ManifestRecord, SoftBinding, sign

        record = ManifestRecord(
            title=f"live session {self.watermark}",
            ingredients=(Ingredient(self._portrait, "portrait", "portrait.png", "image/png"),),
            watermark=SoftBinding(ALGORITHM, self._identifier),
            controls=self._notes.controls,
            thumbnail=jpeg,
            mime_type="image/jpeg",
        )
        with tempfile.TemporaryDirectory() as name:
            first = Path(name, "first.jpg")
            first.write_bytes(jpeg)
            signed = Path(name, "signed.jpg")
            self._store.add(sign(first, signed, record, self._credential))
            return signed.read_bytes()


def _learn_to_speak() -> None:
    """Ask what can be spoken before the first sentence comes: it would wait for that."""
    with contextlib.suppress(SpeechError):
        languages()
        voices()
