"""The command `vasari live`."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vasari.errors import InputError, OutputError, VasariError

if TYPE_CHECKING:
    from vasari.generate.live_registry import LiveSettings
    from vasari.generate.live_session import Speaker

INSTALL_HINT = 'vasari live needs its extra: pip install "vasari[live]"'
TOKEN_BYTES = 18
SHUTDOWN_SECONDS = 3  # that connections have to close


@click.command()
@click.option(
    "--portrait", type=click.Path(path_type=Path), help="The avatar that is there from the start."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to bind; beyond this machine, a token is asked for.",
)
@click.option("--port", default=8710, show_default=True, type=click.IntRange(0, 65535))
@click.option("--size", default="512", show_default=True, type=click.Choice(["256", "512"]))
@click.option("--fps", default=40.0, show_default=True, help="Frames per second, 24 to 60.")
@click.option(
    "--recordings",
    type=click.Path(path_type=Path),
    help="Folder for recordings; one in your data folder if none is given.",
)
@click.option(
    "--captions",
    is_flag=True,
    help="Caption sound too, as a recogniser hears it (vasari[captions]); texts always have them.",
)
@click.option(
    "--speech-url",
    metavar="URL",
    help="A service with OpenAI's interface that speaks texts instead of espeak-ng, as "
    "http://127.0.0.1:8880/v1/audio/speech. Its key is read from VASARI_SPEECH_KEY.",
)
@click.option("--speech-model", metavar="NAME", help="The model of that service [default: tts-1].")
@click.option("--speech-voice", metavar="NAME", help="The voice of that service [default: alloy].")
@click.option(
    "--credential",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="CHAIN KEY",
    help="PEM files to sign with, as for `vasari generate`.",
)
@click.option(
    "--store",
    metavar="URL",
    help="Manifest store as a database URL; your own if none is given.",
)
def live(
    *,
    portrait: Path | None,
    host: str,
    port: int,
    size: str,
    fps: float,
    recordings: Path | None,
    captions: bool,
    speech_url: str | None,
    speech_model: str | None,
    speech_voice: str | None,
    credential: tuple[Path, Path] | None,
    store: str | None,
) -> None:
    """Show an avatar in the browser that answers in real time.

    Open the address that is printed. The avatar says what you type, what your microphone hears, a
    sound file, or what a program sends (docs/live.md). Every frame carries the watermark of its
    session, whose manifest is signed before the first frame leaves. Recordings are signed when
    they end; those of a killed service when the next one starts.

    \b
    Examples:
      vasari live --portrait ada.jpg
      vasari live --portrait ada.jpg --speech-url http://127.0.0.1:8880/v1/audio/speech
      vasari live --host 0.0.0.0 --port 8000
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn
        import websockets  # noqa: F401
    except ImportError:
        raise VasariError(INSTALL_HINT) from None
    from vasari.generate.live_guard import is_loopback
    from vasari.generate.live_service import MAX_MESSAGE, create_service

    token = "" if is_loopback(host) else secrets.token_urlsafe(TOKEN_BYTES)
    settings = _settings(
        portrait,
        int(size),
        fps,
        recordings,
        captions=captions,
        speaker=_speaker(speech_url, speech_model, speech_voice),
        credential=credential,
        store=store,
    )
    service = create_service(settings, host=host, token=token)
    _announce(settings, host, port, token)
    uvicorn.run(
        service,
        host=host,
        port=port,
        log_level="warning",
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,  # the frames are compressed already
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        server_header=False,
    )


def _settings(
    portrait: Path | None,
    size: int,
    fps: float,
    recordings: Path | None,
    *,
    captions: bool,
    speaker: Speaker,
    credential: tuple[Path, Path] | None,
    store: str | None,
) -> LiveSettings:
    """The options as the service takes them."""
    from vasari.generate.command import own_credential
    from vasari.generate.live_registry import LiveSettings
    from vasari.generate.pipeline import MAX_FPS, MIN_FPS
    from vasari.generate.portrait import Portrait
    from vasari.generate.recogniser import installed
    from vasari.generate.recognition import INSTALL_HINT as RECOGNISER_HINT
    from vasari.provenance.credentials import Credential
    from vasari.provenance.folders import store_path
    from vasari.provenance.store import ManifestStore

    if not MIN_FPS <= fps <= MAX_FPS:
        raise InputError(f"fps is {fps:g}; give {MIN_FPS:g} to {MAX_FPS:g} frames per second")
    if captions and not installed():
        raise InputError(RECOGNISER_HINT)
    return LiveSettings(
        credential=own_credential(credential) or Credential.default(),
        store=ManifestStore.open(store) if store else ManifestStore.default(),
        recordings=_made(recordings or store_path().parent / "recordings"),
        portrait=Portrait.open(portrait, size=size) if portrait else None,
        size=size,
        fps=fps,
        speaker=speaker,
        captions=captions,
    )


def _speaker(url: str | None, model: str | None, voice: str | None) -> Speaker:
    """Who speaks texts."""
    from vasari.generate.speech_endpoint import (
        DEFAULT_ENDPOINT_VOICE,
        DEFAULT_MODEL,
        KEY_VARIABLE,
        SpeechEndpoint,
    )
    from vasari.generate.synthesis import speak

    if url is not None:
        key = os.environ.get(KEY_VARIABLE, "")
        return SpeechEndpoint(
            url, key, model or DEFAULT_MODEL, voice or DEFAULT_ENDPOINT_VOICE
        ).speak
    if model is not None or voice is not None:
        raise InputError("--speech-model and --speech-voice belong to --speech-url")
    return speak


def _made(folder: Path) -> Path:
    """The folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise OutputError(f"cannot keep recordings in {folder}: {error.strerror}") from error
    return folder


def _announce(settings: LiveSettings, host: str, port: int, token: str) -> None:
    """Say where the page is and who signs."""
    name = f"[{host}]" if ":" in host else host
    query = f"?token={token}" if token else ""
    click.echo(f"Open http://{name}:{port}/{query}")
    click.echo(
        f"Up to {settings.capacity} avatar(s) at {settings.size} pixels and {settings.fps:g} "
        f"frames/s; signed by {settings.credential.signer_name} ({settings.credential.standing})"
    )
    if token:
        click.echo("Browsers show video and use the microphone over HTTPS or on localhost only.")
