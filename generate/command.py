"""The command `vasari generate`."""

from __future__ import annotations

import dataclasses
import json
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vasari.errors import ControlsError, InputError
from vasari.generate.device import DEFAULT_DEVICE, DEVICES

if TYPE_CHECKING:
    from vasari.generate.captions import Cue
    from vasari.generate.pipeline import Result
    from vasari.generate.speech import Speech
    from vasari.provenance.credentials import Credential
    from vasari.provenance.store import ManifestStore


def _gaze(context: click.Context, option: click.Parameter, value: str) -> tuple[float, float]:
    """Read YAW,PITCH in degrees."""
    try:
        yaw, pitch = (float(part) for part in value.split(","))
    except ValueError:
        raise ControlsError(f"gaze is '{value}'; give YAW,PITCH in degrees, as 10,-5") from None
    return yaw, pitch


def _emotion(context: click.Context, option: click.Parameter, value: str) -> dict[str, float]:
    """Read NAME=WEIGHT,... with weights in 0..1."""
    try:
        pairs = [part.split("=") for part in value.split(",") if value]
        return {name.strip(): float(weight) for name, weight in pairs}
    except ValueError:
        raise ControlsError(
            f"emotion is '{value}'; give NAME=WEIGHT,... with weights 0 to 1, as happy=0.6"
        ) from None


@click.command(no_args_is_help=True)
@click.argument("portrait", type=click.Path(path_type=Path))
@click.option(
    "--speech", type=click.Path(path_type=Path), help="Sound or video file with the voice."
)
@click.option("--text", help="Text to speak instead, at most 10,000 characters.")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The .mp4 to write."
)
@click.option("--size", default="512", show_default=True, type=click.Choice(["256", "512", "1024"]))
@click.option("--fps", default=25.0, show_default=True, help="Frames per second, 24 to 60.")
@click.option("--face", default=1, show_default=True, help="Which face, 1 for the largest.")
@click.option(
    "--gaze",
    default="0,0",
    show_default=True,
    metavar="YAW,PITCH",
    callback=_gaze,
    help="Where the eyes look: degrees to the viewer's right (-30 to 30) and up (-20 to 20).",
)
@click.option(
    "--distance",
    default=1.0,
    show_default=True,
    help="Head to camera, 0.7 to 1.4 times the portrait's own.",
)
@click.option(
    "--emotion",
    default="",
    metavar="NAME=WEIGHT,...",
    callback=_emotion,
    help="Weights 0 to 1 of angry, contempt, disgusted, fearful, happy, neutral, sad, surprised.",
)
@click.option(
    "--head-motion", default=1.0, show_default=True, help="Gain 0 to 2; 0 holds the head still."
)
@click.option(
    "--expression",
    default=1.0,
    show_default=True,
    help="Gain 0 to 2 on the face's expression, lips excepted.",
)
@click.option(
    "--blink-rate", default=18.0, show_default=True, help="Blinks per minute, 0 to 60, on average."
)
@click.option(
    "--controls",
    "keyframes",
    type=click.Path(path_type=Path),
    help="TOML file of [[keyframe]] tables: gaze, distance, emotion, head_motion and expression "
    "that change over time, each with its time in seconds.",
)
@click.option(
    "--motion",
    type=click.Path(path_type=Path),
    help="Motion file from `vasari track`, or a .csv of the Live Link Face app, shown instead of "
    "motion made from the voice.",
)
@click.option("--seed", default=0, show_default=True, help="The same seed moves the same way.")
@click.option(
    "--touch-up",
    default="on",
    show_default=True,
    type=click.Choice(["on", "off"]),
    help="Whether a small network repairs eyes and mouth; off leaves pure geometry.",
)
@click.option(
    "--device",
    default=DEFAULT_DEVICE,
    show_default=True,
    type=click.Choice(DEVICES),
    help="Where frames are rendered; auto is cuda if there is any. CUDA needs vasari[gpu].",
)
@click.option(
    "--captions",
    type=click.Choice(["burn", "vtt", "both"]),
    help="Captions in the picture, beside the output as .vtt, or both. Those of --speech need a "
    "recogniser: vasari[captions].",
)
@click.option("--voice", help="Voice that speaks the text, the language's own if none is given.")
@click.option("--language", help="Language of the text, as en (the default), de or fr.")
@click.option("--author", default="", help="Who made it, for the manifest.")
@click.option(
    "--consent",
    nargs=2,
    metavar="WHO BASIS",
    help="Who agreed to be shown, and on what basis, for the manifest: your statement.",
)
@click.option(
    "--credential",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="CHAIN KEY",
    help="PEM files to sign with: certificate chain and private key. The password of an "
    "encrypted key is read from VASARI_KEY_PASSWORD.",
)
@click.option(
    "--timestamp",
    metavar="URL",
    help="Time-stamping authority (RFC 3161) that is sent a hash of the signature.",
)
@click.option(
    "--store",
    metavar="URL",
    help="Manifest store that keeps a copy of the manifest, as a database URL; your own if none "
    "is given.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def generate(
    portrait: Path,
    *,
    speech: Path | None,
    text: str | None,
    output: Path,
    size: str,
    fps: float,
    face: int,
    gaze: tuple[float, float],
    distance: float,
    emotion: dict[str, float],
    head_motion: float,
    expression: float,
    blink_rate: float,
    keyframes: Path | None,
    motion: Path | None,
    seed: int,
    touch_up: str,
    device: str,
    captions: str | None,
    voice: str | None,
    language: str | None,
    author: str,
    consent: tuple[str, str] | None,
    credential: tuple[Path, Path] | None,
    timestamp: str | None,
    store: str | None,
    as_json: bool,
) -> None:
    """Make PORTRAIT speak: a marked and signed talking video.

    PORTRAIT is a photo or a work of art (JPEG, PNG, WebP, HEIC) that shows a face, from 200
    pixels to 50 megapixels. The voice is a file or a text; the output keeps the file's sound.

    \b
    Examples:
      vasari generate ada.jpg --speech talk.wav -o ada.mp4
      vasari generate ada.jpg --text "Good morning!" -o ada.mp4
      vasari generate ada.jpg --text "Guten Morgen!" --language de -o ada.mp4
      vasari generate ada.jpg --speech talk.wav --emotion happy=0.6 --gaze 10,-5 -o ada.mp4
      vasari generate ada.jpg --speech talk.wav --controls moods.toml -o ada.mp4
      vasari generate ada.jpg --speech me.mp4 --motion me.npz -o ada.mp4

    Every output carries a watermark in its frames and a signed C2PA manifest. It is written
    under a hidden name beside OUT.mp4 and appears there when it is complete. `vasari verify`
    reads what it carries. Exit codes: 0 made, 1 could not be written or signed, 2 unusable
    input or option.
    """
    from vasari.generate.captions import write_webvtt
    from vasari.generate.controls import Controls
    from vasari.generate.keyframes import read_keyframes
    from vasari.generate.pipeline import generate as make
    from vasari.generate.progress import reporting
    from vasari.provenance.manifest import Consent

    controls = Controls(
        gaze=gaze,
        distance=distance,
        emotion=emotion,
        head_motion=head_motion,
        expression=expression,
        blink_rate=blink_rate,
        seed=seed,
        keyframes=read_keyframes(keyframes) if keyframes else (),
    )
    if motion is not None and controls != Controls():
        raise InputError("--motion shows a motion as it is; leave out the options that shape one")
    spoken = _voice(speech, text, language, voice)
    shown = _cues(spoken, text) if captions else ()
    with _store(store) as kept, reporting() as progress:
        result = make(
            portrait,
            spoken,
            output,
            controls=controls,
            motion=motion,
            size=int(size),
            fps=fps,
            face=face,
            touch_up=touch_up == "on",
            device=device,
            captions=shown if captions in ("burn", "both") else (),
            author=author,
            consent=Consent(*consent) if consent else None,
            credential=own_credential(credential),
            time_authority=timestamp,
            store=kept,
            progress=progress,
        )
    if captions in ("vtt", "both"):
        write_webvtt(shown, output.with_suffix(".vtt"))
    _report(result, as_json)


def _voice(
    speech: Path | None, text: str | None, language: str | None, voice: str | None
) -> Speech | Path:
    """The speech that was asked for: a file, or a text that is spoken."""
    if (speech is None) == (text is None):
        raise InputError("give the voice either as --speech FILE or as --text TEXT")
    if speech is not None:
        if language is not None or voice is not None:
            raise InputError("--language and --voice say how --text is spoken, not --speech")
        return speech
    from vasari.generate.synthesis import DEFAULT_VOICE, speak

    return speak(str(text), language=language or "en", voice=voice or DEFAULT_VOICE)


def _cues(spoken: Speech | Path, text: str | None) -> tuple[Cue, ...]:
    """The captions of a text, or of what a recogniser hears in a file."""
    from vasari.generate.captions import cues
    from vasari.generate.recognition import recognise
    from vasari.generate.speech import Speech

    if isinstance(spoken, Speech):
        return cues(spoken.words, text=text)
    return cues(recognise(Speech.open(spoken)))


def own_credential(files: tuple[Path, Path] | None) -> Credential | None:
    """The user's own credential, if it was given."""
    if not files:
        return None
    from vasari.provenance.credentials import PASSWORD_VARIABLE, Credential

    password = os.environ.get(PASSWORD_VARIABLE)
    return Credential.load(*files, password=password.encode() if password else None)


def _store(url: str | None) -> AbstractContextManager[ManifestStore | None]:
    """The manifest store at a URL, if one was given."""
    if url is None:
        return nullcontext()
    from vasari.provenance.store import ManifestStore

    return ManifestStore.open(url)


def _report(result: Result, as_json: bool) -> None:
    """Say what was made: on stdout the result, on stderr what to be careful about."""
    for warning in result.warnings:
        click.echo(f"vasari: warning: {warning}", err=True)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(result), default=str))
        return
    click.echo(
        f"{result.path}: {result.duration:.1f} s, {result.frames} frames at "
        f"{result.frames_per_second:.1f} frames/s, watermark {result.watermark}, "
        f"signed by {result.signer} ({result.standing})"
    )
