"""The whole chain: a portrait and a voice become a marked, signed talking video.

Example:
    >>> from vasari.generate.pipeline import generate
    >>> result = generate("portrait.jpg", "speech.wav", "talking.mp4")  # doctest: +SKIP
    >>> print(result.watermark, result.signer)  # doctest: +SKIP
"""

from __future__ import annotations

import io
import mimetypes
import time
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vasari.errors import InputError, MotionError, OutputError
from vasari.generate.controls import CHANGING, Controls, Keyframe
from vasari.generate.device import DEFAULT_DEVICE, check_device, renderer_on
from vasari.generate.draft import Draft, check_output, drafting
from vasari.generate.motion import Motion
from vasari.generate.portrait import DEFAULT_SIZE, Portrait
from vasari.generate.prefetch import prefetch
from vasari.generate.speech import Speech
from vasari.generate.stopwatch import Stopwatch
from vasari.threads import one_thread_each

if TYPE_CHECKING:
    from PIL.Image import Image

    from vasari.generate.captions import Cue
    from vasari.generate.marking import MarkedFrame
    from vasari.provenance.credentials import Credential
    from vasari.provenance.fingerprint import Fingerprint
    from vasari.provenance.manifest import Consent, Ingredient, Parameter
    from vasari.provenance.store import ManifestStore

ImageArray = npt.NDArray[np.uint8]
Progress = Callable[[int, int], None]  # frames done, frames in all

MIN_FPS, MAX_FPS = 24.0, 60.0
DEFAULT_FPS = 25.0
MOTION_TOLERANCE = 0.5  # seconds by which a given motion may end before the speech
STAGES = ("decode", "motion", "render", "watermark", "encode", "sign")
WAITING = "waiting"  # for a frame to be rendered: no stage of its own
MOTIONS_AHEAD = 4  # blocks: most are made while the portrait is measured, and none is waited for
RENDERED_AHEAD = 8  # frames: some take longer to render, others to mark (the first of a period)
# The portrait is a recording, its lips follow a trained model.
SOURCE_TYPE = "compositeWithTrainedAlgorithmicMedia"
SILENT_WARNING = "the speech is silent: the portrait breathes and blinks, its lips stay closed"


@dataclass(frozen=True)
class Result:
    """What was made."""

    path: Path
    duration: float  # seconds of speech
    frames: int
    frames_per_second: float  # frames made per second of wall time, from first to last
    watermark: str  # the id in the frames, 12 hexadecimal digits
    signer: str  # whom the signing certificate names
    standing: str  # what others may make of that signer
    warnings: tuple[str, ...]  # what the user may not expect of the result
    timings: Mapping[str, float]  # stage in STAGES -> ms per frame


def generate(
    portrait: Portrait | Path | str,
    speech: Speech | Path | str,
    output: Path | str,
    *,
    controls: Controls | None = None,
    motion: Motion | Path | str | None = None,
    size: int = DEFAULT_SIZE,
    fps: float = DEFAULT_FPS,
    face: int = 1,
    touch_up: bool = True,
    device: str = DEFAULT_DEVICE,
    captions: Sequence[Cue] = (),
    author: str = "",
    consent: Consent | None = None,
    credential: Credential | None = None,
    time_authority: str | None = None,
    store: ManifestStore | None = None,
    progress: Progress | None = None,
) -> Result:
    """Make a talking video. The output appears when it is marked and signed, or not at all.

    Args:
        portrait: a picture file, or a portrait that was opened before.
        speech: a sound or video file, or a speech that was opened or synthesised before.
        output: an .mp4 file, replaced when the new one is complete.
        controls: gaze, distance, emotion, liveliness and seed.
        motion: shown instead of motion made from the voice, controls then having no effect: a
            performer's, or a file that `Motion.save` wrote. At least as long as the speech.
        size: the side of the frame, 256, 512 or 1024 pixels, where the portrait is a file.
        fps: frames per second, 24 to 60.
        face: which face of the picture, 1 for the largest, where the portrait is a file.
        touch_up: whether a small network repairs eyes and mouth; without it all is geometry.
        device: where frames are rendered: cpu, cuda, or auto for CUDA if there is any.
        captions: painted into the frames, in order of time.
        author: who made it, for the manifest.
        consent: the statement that the person shown agreed, for the manifest.
        credential: who signs; by default this machine's own, which is on no trust list.
        time_authority: URL of an authority (RFC 3161) that stamps when it was signed.
        store: keeps a copy of the manifest, by which the watermark leads back to it when the
            file has lost its own; by default this user's.
        progress: called after each frame.

    Raises:
        InputError: an input or an option cannot be used.
        OutputError: the output cannot be written.
        ProvenanceError: the output cannot be signed.
    """
    from vasari.provenance.credentials import Credential
    from vasari.provenance.store import ManifestStore

    started = time.perf_counter()
    output = Path(output)
    check_output(output, _files(portrait, speech))
    keeping = ManifestStore.default() if store is None else nullcontext(store)
    with drafting(output) as draft, keeping as kept, one_thread_each():
        credential = credential or Credential.default()
        clip = _Clip.prepare(
            portrait,
            speech,
            controls=controls,
            motion=motion,
            size=size,
            fps=fps,
            face=face,
            touch_up=touch_up,
            device=device,
        )
        clip.captions = tuple(captions)
        said = Statements(author, consent, time_authority)
        with ThreadPoolExecutor(1, "fingerprint") as other:
            fingerprint = other.submit(clip.fingerprint)
            try:
                thumbnail = clip.write(draft.video, progress)
            finally:
                clip.looks.put(None)  # else it would wait for more
            manifest = clip.sign(draft, thumbnail, credential, said)
            # Before the output appears: its watermark must not lead nowhere.
            kept.add(manifest, fingerprint=fingerprint.result())
        draft.publish()
    return clip.result(output, credential, time.perf_counter() - started)


def frames(
    portrait: Portrait | Path | str,
    speech: Speech | Path | str,
    *,
    controls: Controls | None = None,
    motion: Motion | Path | str | None = None,
    size: int = DEFAULT_SIZE,
    fps: float = DEFAULT_FPS,
    face: int = 1,
    touch_up: bool = True,
    device: str = DEFAULT_DEVICE,
) -> Iterator[ImageArray]:
    """Make the frames of a talking video one by one, marked like those of a file.

    Arguments and errors are those of `generate`.

    Yields:
        (size, size, 3) uint8 sRGB, one for each started 1 / fps of the speech.
    """
    clip = _Clip.prepare(
        portrait,
        speech,
        controls=controls,
        motion=motion,
        size=size,
        fps=fps,
        face=face,
        touch_up=touch_up,
        device=device,
    )
    return _pictures(clip)


def _pictures(clip: _Clip) -> Iterator[ImageArray]:
    """The marked frames of a clip as pictures."""
    with one_thread_each():
        for marked in clip.marked_frames():
            yield marked.rgb()


def _set_up_numba() -> None:
    """Let Numba look through Python's builtins while no other thread imports what changes them."""
    from numba.core.registry import cpu_target

    _ = cpu_target.target_context


def _new_identifier() -> int:
    """An id for the watermark of one clip."""
    from vasari.watermark.payload import new_identifier

    return new_identifier()


@dataclass(frozen=True)
class Statements:
    """What the maker adds to the manifest."""

    author: str = ""
    consent: Consent | None = None  # of the person shown
    time_authority: str | None = None  # URL


@dataclass
class _Clip:
    """One talking video on its way through the chain."""

    portrait: Portrait
    speech: Speech
    controls: Controls
    motions: Iterator[Motion]  # in blocks
    fps: float
    touch_up: bool
    device: str  # cpu or cuda
    ingredients: tuple[Ingredient, ...]
    watch: Stopwatch
    captions: tuple[Cue, ...] = ()
    identifier: int = field(default_factory=_new_identifier)
    count: int = 0  # frames written
    # Frames to know the clip again by, and then None.
    looks: SimpleQueue[ImageArray | None] = field(default_factory=SimpleQueue)

    @classmethod
    def prepare(
        cls,
        portrait: Portrait | Path | str,
        speech: Speech | Path | str,
        *,
        controls: Controls | None,
        motion: Motion | Path | str | None,
        size: int,
        fps: float,
        face: int,
        touch_up: bool,
        device: str,
    ) -> _Clip:
        """Read the inputs."""
        device = check_device(device)
        if not MIN_FPS <= fps <= MAX_FPS:
            raise InputError(f"fps is {fps:g}; give {MIN_FPS:g} to {MAX_FPS:g} frames per second")
        watch = Stopwatch()
        wishes = controls or Controls()
        with watch.stage("decode"):
            voice = speech if isinstance(speech, Speech) else Speech.open(speech)
            _set_up_numba()
            # Begun before the portrait is read: there is a core for each.
            moved = watch.each("motion", _motions(voice, wishes, motion, fps))
            motions = prefetch(moved, MOTIONS_AHEAD)
            head = (
                portrait
                if isinstance(portrait, Portrait)
                else Portrait.open(portrait, size=size, face=face)
            )
        ingredients = (_portrait_ingredient(portrait), _speech_ingredient(voice))
        return cls(head, voice, wishes, motions, fps, touch_up, device, ingredients, watch)

    def marked_frames(self) -> Iterator[MarkedFrame]:
        """The frames, each of which carries the watermark.

        Motion and pictures are made in threads of their own while earlier frames are marked and
        encoded.
        """
        from vasari.generate.captions import CaptionPainter
        from vasari.generate.marking import Marker

        with self.watch.stage("render"):
            renderer = renderer_on(
                self.device,
                self.portrait,
                touch_up=self.touch_up,
                planes=not self.captions,  # which are painted into pictures
            )
        with self.watch.stage("watermark"):
            marker = Marker(self.identifier, self.portrait.size, self.portrait.size)
        painter = CaptionPainter(self.captions)
        rendered = self.watch.each("render", renderer.frames(self.motions))
        ahead = max(RENDERED_AHEAD, renderer.batch)  # while one batch is used, the next is made
        for number, picture in enumerate(self.watch.each(WAITING, prefetch(rendered, ahead))):
            painter.paint(picture, number / self.fps)
            with self.watch.stage("watermark"):
                marked = marker.mark(picture)
            yield marked

    def write(self, path: Path, progress: Progress | None) -> bytes:
        """Write the marked frames and the sound to a file; gives a JPEG of the first frame."""
        from vasari.generate.animator import frame_total
        from vasari.generate.video import VideoWriter
        from vasari.provenance.fingerprint import moments

        total = frame_total(self.speech.duration, self.fps)
        shown = moments(total)
        thumbnail = b""
        with (
            self.watch.stage("encode"),
            VideoWriter(path, size=self.portrait.size, fps=self.fps, speech=self.speech) as file,
        ):
            for marked in self.marked_frames():
                file.write(marked)
                if self.count in shown:
                    self.looks.put(marked.rgb())
                self.count += 1
                thumbnail = thumbnail or as_jpeg(marked.rgb())
                if progress is not None:
                    progress(self.count, total)
        return thumbnail

    def fingerprint(self) -> Fingerprint:
        """What the clip looks like, so that it is known again when it has lost its watermark.

        Meant for a thread of its own: it waits for the frames that `write` shows it.
        """
        from vasari.provenance.fingerprint import fingerprint_of_images

        return fingerprint_of_images(self._shown(), self.speech.duration)

    def _shown(self) -> Iterator[Image]:
        """The frames to know the clip again by, as they come."""
        from PIL.Image import fromarray

        while (look := self.looks.get()) is not None:
            yield fromarray(look)

    def sign(
        self, draft: Draft, thumbnail: bytes, credential: Credential, said: Statements
    ) -> bytes:
        """Sign the written file; gives the manifest."""
        from vasari.models.digests import generative_weights
        from vasari.provenance.manifest import ManifestRecord, SoftBinding, sign
        from vasari.watermark.payload import ALGORITHM

        record = ManifestRecord(
            title=draft.output.name,
            ingredients=self.ingredients,
            watermark=SoftBinding(ALGORITHM, self.identifier),
            source_type=SOURCE_TYPE,
            controls=control_parameters(self.controls),
            thumbnail=thumbnail,
            models=generative_weights(),
            author=said.author,
            consent=said.consent,
        )
        try:
            with self.watch.stage("sign"):
                return sign(
                    draft.video,
                    draft.signed,
                    record,
                    credential,
                    time_authority=said.time_authority,
                )
        except OutputError as error:  # the user knows the output by its own name
            raise OutputError(str(error).replace(str(draft.signed), str(draft.output))) from error

    def result(self, output: Path, credential: Credential, seconds: float) -> Result:
        """What was made."""
        from vasari.watermark.payload import format_identifier

        spent = self.watch.seconds
        return Result(
            path=output,
            duration=self.speech.duration,
            frames=self.count,
            frames_per_second=self.count / seconds,
            watermark=format_identifier(self.identifier),
            signer=credential.signer_name,
            standing=credential.standing,
            warnings=(SILENT_WARNING,) if self.speech.silent else (),
            timings={name: 1000 * spent.get(name, 0.0) / self.count for name in STAGES},
        )


def _motions(
    speech: Speech, controls: Controls, given: Motion | Path | str | None, fps: float
) -> Iterator[Motion]:
    """The motion to be shown, in blocks: made from the voice, or given and long enough for it."""
    from vasari.generate.animator import animate, frame_total

    if given is None:
        return animate(speech, controls, fps)
    track = given if isinstance(given, Motion) else Motion.load(given)
    if track.duration < speech.duration - MOTION_TOLERANCE:
        raise MotionError(
            f"the motion lasts {track.duration:.1f} s and the speech {speech.duration:.1f} s; "
            "give a motion at least as long"
        )
    return iter([track.resampled(fps, frame_total(speech.duration, fps))])


def _files(portrait: Portrait | Path | str, speech: Speech | Path | str) -> list[Path]:
    """The files that the inputs come from."""
    given = speech.path if isinstance(speech, Speech) else speech
    return [Path(each) for each in (portrait, given) if isinstance(each, Path | str)]


def _portrait_ingredient(portrait: Portrait | Path | str) -> Ingredient:
    """The portrait as the manifest lists it."""
    from vasari.provenance.manifest import Ingredient

    if isinstance(portrait, Portrait):
        return Ingredient(as_png(portrait.image), "portrait", "portrait.png", "image/png")
    return _file_ingredient(Path(portrait), "portrait")


def _speech_ingredient(speech: Speech) -> Ingredient:
    """The sound as the manifest lists it."""
    from vasari.provenance.manifest import Ingredient

    if speech.path is None:
        return Ingredient(_wav(speech), "sound", "speech.wav", "audio/wav")
    return _file_ingredient(speech.path, "sound")


def _file_ingredient(path: Path, role: str) -> Ingredient:
    """A file as the manifest lists it, without the folder it came from."""
    from vasari.provenance.manifest import UNKNOWN_MIME_TYPE, Ingredient

    mime_type = mimetypes.guess_type(path.name)[0] or UNKNOWN_MIME_TYPE
    return Ingredient(path, role, path.name, mime_type)


def control_parameters(controls: Controls) -> dict[str, Parameter]:
    """Controls as the manifest keeps them: no lists, plain names."""
    yaw, pitch = controls.gaze
    parameters: dict[str, Parameter] = {
        "gazeYaw": yaw,
        "gazePitch": pitch,
        "distance": controls.distance,
        "emotion": dict(controls.emotion),
        "headMotion": controls.head_motion,
        "expression": controls.expression,
        "blinkRate": controls.blink_rate,
        "seed": controls.seed,
    }
    if controls.keyframes:
        parameters["keyframes"] = {f"{key.time:g}": _wishes(key) for key in controls.keyframes}
    return parameters


def _wishes(keyframe: Keyframe) -> str:
    """What a keyframe asks for, in words."""
    given = {name: getattr(keyframe, name) for name in CHANGING}
    return ", ".join(
        f"{name} {dict(value) if isinstance(value, Mapping) else value}"
        for name, value in given.items()
        if value is not None
    )


def as_jpeg(picture: ImageArray) -> bytes:
    """A thumbnail of a frame."""
    from PIL import Image

    from vasari.provenance.manifest import THUMBNAIL_EDGE

    image = Image.fromarray(picture)
    image.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def as_png(picture: ImageArray) -> bytes:
    """A picture as a PNG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _wav(speech: Speech) -> bytes:
    """Samples in memory as a WAV file, 16 bits."""
    assert speech.samples is not None
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(len(speech.samples))
        file.setsampwidth(2)
        file.setframerate(speech.rate)
        file.writeframes((speech.samples.T * 32767).astype("<i2").tobytes())
    return buffer.getvalue()
