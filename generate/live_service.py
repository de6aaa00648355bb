"""The live service: a FastAPI application for the page, its sessions and their recordings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from functools import lru_cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse, JSONResponse

from vasari.errors import InputError, VasariError
from vasari.generate.controls import (
    EMOTIONS,
    MAX_DISTANCE,
    MAX_GAIN,
    MAX_GAZE_PITCH,
    MAX_GAZE_YAW,
    MIN_DISTANCE,
)
from vasari.generate.live_encoder import codec_name
from vasari.generate.live_guard import Application, Guard, is_loopback
from vasari.generate.live_registry import (
    FullError,
    LiveSettings,
    Registry,
    UnknownSessionError,
)
from vasari.generate.live_session import MAX_TEXT, LiveSession
from vasari.generate.live_socket import Commander, SocketViewer
from vasari.generate.live_sound import RATE

if TYPE_CHECKING:
    from vasari.generate.live_webrtc import RtcViewers

MAX_UPLOAD = 32 << 20  # bytes: a photo of 50 megapixels
SWEEP_SECONDS = 5.0  # between two looks for sessions to end
MAX_OFFER = 64 << 10  # bytes of an SDP offer: browsers' have a few thousand
SWITCH_SECONDS = 0.0005  # ten times as often as usual
MAX_MESSAGE = 1 << 20  # bytes of one WebSocket message: 5 s of sound at 96 kHz
PAGE_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.worklet.js": ("page.worklet.js", "text/javascript; charset=utf-8"),
    "/sample_astronaut.jpg": ("sample_astronaut.jpg", "image/jpeg"),
    "/sample_ada.jpg": ("sample_ada.jpg", "image/jpeg"),
    "/sample_noor.jpg": ("sample_noor.jpg", "image/jpeg"),
}
_RECORDING = re.compile(r"vasari-[0-9]{8}-[0-9]{6}-[0-9a-f]{6}\.mp4")
# Reports bring their styles and pictures with them, and no scripts.
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_log = logging.getLogger(__name__)


def create_service(settings: LiveSettings, *, host: str, token: str = "") -> Application:
    """The guarded ASGI application.

    Args:
        settings: how avatars are shown.
        host: the address that it will be bound to.
        token: what callers must know; needed unless the host is loopback.
    """
    _one_thread_each()
    return Guard(_application(settings, loopback=is_loopback(host)), host=host, token=token)


def _one_thread_each() -> None:
    """Let the avatars share the cores, and not each of their small sums spread over all of them."""
    import cv2
    from threadpoolctl import threadpool_limits

    threadpool_limits(1, user_api="blas")  # NumPy's spin while they wait for a core
    cv2.setNumThreads(1)
    # A thread that comes back from native code waits so long for the interpreter.
    sys.setswitchinterval(SWITCH_SECONDS)


def _application(settings: LiveSettings, *, loopback: bool) -> FastAPI:
    """The routes."""
    app = FastAPI(lifespan=_running, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.registry = Registry(settings)
    app.state.rtc_viewers = _rtc_viewers(loopback)
    app.add_exception_handler(VasariError, _explain)
    app.add_exception_handler(Exception, _hide)
    for path in PAGE_FILES:
        app.get(path)(_page)
    app.get("/api/status")(_status)
    app.post("/api/sessions", status_code=201)(_begin)
    app.get("/api/sessions/{name}")(_describe)
    app.delete("/api/sessions/{name}", status_code=204)(_end)
    app.websocket("/api/sessions/{name}/live")(_live)
    app.websocket("/api/sessions/{name}/speech")(_speech)
    app.get("/api/sessions/{name}/report")(_session_report)
    app.post("/api/sessions/{name}/whep", status_code=201)(_watch)
    app.delete("/api/sessions/{name}/whep/{viewer}")(_unwatch)
    app.get("/api/recordings/{name}")(_download)
    app.get("/api/recordings/{name}/captions")(_captions)
    app.get("/api/recordings/{name}/report")(_report)
    return app


@contextlib.asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    """Sweep while the service runs; end all sessions with it."""
    sweeper = asyncio.create_task(_sweep(app.state.registry))
    yield
    sweeper.cancel()
    await asyncio.to_thread(app.state.registry.close)
    if app.state.rtc_viewers is not None:
        await app.state.rtc_viewers.close()


def _rtc_viewers(loopback: bool) -> RtcViewers | None:
    """Who watches over WebRTC, where aiortc is installed."""
    if find_spec("aiortc") is None:
        return None
    from vasari.generate.live_webrtc import RtcViewers

    return RtcViewers(loopback=loopback)


async def _sweep(registry: Registry) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        await asyncio.to_thread(registry.expire)


async def _explain(request: Request, error: Exception) -> Response:
    """One line for what Vasari refuses."""
    status = 503 if isinstance(error, FullError) else 404
    if not isinstance(error, FullError | UnknownSessionError):
        status = 400 if isinstance(error, InputError) else 500
    if status == 500:
        _log.error("%s", error)  # it may name a path
        return JSONResponse({"error": "the service could not do that"}, status)
    return JSONResponse({"error": str(error)}, status)


async def _hide(request: Request, error: Exception) -> Response:
    """Nothing of what went wrong inside; it is in the log."""
    return JSONResponse({"error": "internal error"}, 500)


@lru_cache
def _file(name: str) -> bytes:
    return (resources.files("vasari.generate") / name).read_bytes()


async def _page(request: Request) -> Response:
    """The page's files."""
    name, kind = PAGE_FILES[request.url.path]
    return Response(_file(name), media_type=kind)


async def _status(request: Request) -> dict[str, Any]:
    """What the page needs to know before it has a session."""
    registry = _registry(request)
    return {
        "default": registry.settings.portrait is not None,
        "capacity": registry.settings.capacity,
        "room": registry.room,
        "maxUpload": MAX_UPLOAD,
        "maxText": MAX_TEXT,
        "emotions": EMOTIONS,
        "gaze": [MAX_GAZE_YAW, MAX_GAZE_PITCH],
        "distance": [MIN_DISTANCE, MAX_DISTANCE],
        "headMotion": MAX_GAIN,
    }


async def _begin(request: Request) -> dict[str, Any]:
    """A new session from the picture in the body."""
    picture = await _body(request, MAX_UPLOAD)
    if not picture:
        raise InputError("the body is empty; send an image file")
    replacing = request.query_params.get("replacing", "")
    session = await asyncio.to_thread(_registry(request).begin, picture, replacing=replacing)
    return _description(session)


async def _body(request: Request, most: int) -> bytes:
    """The body, up to so many bytes."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise InputError(f"the body is larger than {most / (1 << 20):g} MB")
    return bytes(body)


async def _describe(request: Request, name: str) -> dict[str, Any]:
    """What a session is."""
    return _description(await asyncio.to_thread(_registry(request).get, name))


async def _end(request: Request, name: str) -> Response:
    await asyncio.to_thread(_registry(request).end, name, "it was ended")
    return Response(status_code=204)


def _description(session: LiveSession) -> dict[str, Any]:
    stage = session.stage
    return {
        "name": session.name,
        "size": session.size,
        "fps": session.fps,
        "rate": RATE,
        "watermark": session.watermark,
        "signer": session.signer,
        "standing": session.standing,
        "viewers": session.viewers,
        "seconds": session.now,
        "framesShown": stage.frames_shown,
        "framesLost": stage.frames_lost,
        "bitRate": stage.bit_rate,
        "codec": codec_name(stage.opening),
    }


async def _live(socket: WebSocket, name: str) -> None:
    """Watch a session and command it."""
    session = await _joined(socket, name)
    if session is None:
        return
    viewer = SocketViewer(session, asyncio.get_running_loop())
    viewer.offer_event({"type": "session", **_description(session)})
    try:
        session.join(viewer)
    except InputError as error:
        await _turn_away(socket, error)
        return
    sending = asyncio.create_task(_send(socket, viewer))
    try:
        await _obey(socket, session, viewer)
    finally:
        sending.cancel()
        session.leave(viewer)


async def _watch(request: Request, name: str) -> Response:
    """Watch over WebRTC: the WHEP endpoint of a session."""
    viewers: RtcViewers | None = request.app.state.rtc_viewers
    if viewers is None:
        return JSONResponse({"error": 'WebRTC needs aiortc: pip install "aiortc>=1.14"'}, 501)
    session = await asyncio.to_thread(_registry(request).get, name)
    offer = await _body(request, MAX_OFFER)
    viewer, answer = await viewers.answer(session, offer.decode(errors="replace"))
    headers = {"location": f"/api/sessions/{name}/whep/{viewer}"}
    return Response(answer, 201, headers, media_type="application/sdp")


async def _unwatch(request: Request, name: str, viewer: str) -> Response:
    """End a viewer's WebRTC connection."""
    viewers: RtcViewers | None = request.app.state.rtc_viewers
    session = await asyncio.to_thread(_registry(request).get, name)
    if viewers is None or not await viewers.end(session, viewer):
        raise UnknownSessionError("no one watches under this name")
    return Response()


async def _speech(socket: WebSocket, name: str) -> None:
    """Command a session without watching it."""
    session = await _joined(socket, name)
    if session is None:
        return
    session.attend(1)
    try:
        await _obey(socket, session, None)
    finally:
        session.attend(-1)


async def _joined(socket: WebSocket, name: str) -> LiveSession | None:
    """Accept a connection, if its session is there."""
    await socket.accept()
    try:
        session: LiveSession = await asyncio.to_thread(socket.app.state.registry.get, name)
    except VasariError as error:
        await _turn_away(socket, error)
        return None
    return session


async def _turn_away(socket: WebSocket, error: VasariError) -> None:
    """Say why, and close."""
    await socket.send_json({"type": "closed", "reason": str(error)})
    await socket.close()


async def _send(socket: WebSocket, viewer: SocketViewer) -> None:
    """Send what waits, until the connection ends."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            message = await viewer.next()
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_text(message)


async def _obey(socket: WebSocket, session: LiveSession, viewer: SocketViewer | None) -> None:
    """Carry out commands until the client goes."""
    commander = Commander(session, viewer)

    async def answer(event: Any) -> None:
        if viewer is None:
            await socket.send_json(event)
        else:
            viewer.offer_event(event)

    while (message := await socket.receive())["type"] != "websocket.disconnect":
        try:
            if message.get("bytes") is not None:
                commander.sound(message["bytes"])
            else:
                answered = await asyncio.to_thread(commander.command, message["text"])
                if answered is not None:
                    await answer(answered)
        except InputError as error:
            await answer({"type": "error", "message": str(error)})
        except VasariError as error:
            _log.error("%s", error)
            await answer({"type": "error", "message": "the service could not do that"})


async def _download(request: Request, name: str) -> Response:
    """A finished recording."""
    return FileResponse(_recording(request, name), media_type="video/mp4", filename=name)


async def _captions(request: Request, name: str) -> Response:
    """What is said in a recording, as WebVTT."""
    path = _recording(request, name).with_suffix(".vtt")
    if not path.is_file():
        raise UnknownSessionError("this recording has no captions")
    return FileResponse(path, media_type="text/vtt", filename=path.name)


async def _session_report(request: Request, name: str) -> Response:
    """What the statement of a session proves, which was signed when it began, as a page."""
    registry = _registry(request)
    session = await asyncio.to_thread(registry.get, name)
    return await asyncio.to_thread(_statement_report, session, registry)


def _statement_report(session: LiveSession, registry: Registry) -> Response:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"live session {session.watermark}.jpg")
        path.write_bytes(session.statement)
        return _verified(path, registry)


async def _report(request: Request, name: str) -> Response:
    """What the provenance of a recording proves, as a page."""
    return await asyncio.to_thread(_verified, _recording(request, name), _registry(request))


def _verified(path: Path, registry: Registry) -> Response:
    """The report of a file, without the folder that it is in."""
    from vasari.provenance.report import render_report
    from vasari.provenance.trust import trusted_roots
    from vasari.provenance.verdict import verify

    store = registry.settings.store
    verdict = verify(path, trust_anchors=trusted_roots(), store=store)
    html = render_report(verdict, store).replace(str(path), path.name)
    headers = {"content-security-policy": _REPORT_POLICY}
    return Response(html, media_type="text/html; charset=utf-8", headers=headers)


def _recording(request: Request, name: str) -> Path:
    """The file of a finished recording."""
    path = _registry(request).settings.recordings / name
    if not _RECORDING.fullmatch(name) or not path.is_file():
        raise UnknownSessionError("there is no such recording")
    return path


def _registry(request: Request) -> Registry:
    registry: Registry = request.app.state.registry
    return registry
