"""The resolution service: manifests by watermark, fingerprint or file, and a page for the verdict.

It offers the C2PA Soft Binding Resolution API (C2PA 2.2, "Soft Binding API"), of which its OpenAPI
document at ``/openapi.json`` tells. Uploads are read by a worker process and removed at once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile

from vasari.errors import InputError, ProvenanceError, VasariError
from vasari.generate.live_guard import Application
from vasari.provenance import resolution
from vasari.provenance.resolution import Resolved
from vasari.provenance.service_guard import Guard, Limits, Refusal
from vasari.provenance.store import MAX_MANIFEST_BYTES, ManifestStore
from vasari.provenance.worker import isolated

MAX_RESULTS = 100
MAX_WAITING = 32  # uploads that wait for a worker; more are turned away
MAX_NAME = 100  # characters of an upload's name
C2PA_TYPE = "application/c2pa"
# A report brings its styles and pictures with it, and no scripts.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
PAGE_FILES = {
    "/": ("drop.html", "text/html"),
    "/drop.css": ("drop.css", "text/css"),
    "/drop.js": ("drop.js", "text/javascript"),
}
_ODD = re.compile(r"[^\w.\- ]", re.ASCII)

_log = logging.getLogger(__name__)

Results = Annotated[int, Query(alias="maxResults", ge=1, le=MAX_RESULTS)]
Algorithm = Annotated[str, Query(description="Name of the soft binding algorithm.")]


class Match(BaseModel):
    """A manifest that a soft binding leads to."""

    manifest_id: str = Field(alias="manifestId")
    similarity: int = Field(alias="similarityScore", ge=0, le=100)


class Matches(BaseModel):
    """The answer to a query (c2pa.softBindingQueryResult)."""

    matches: list[Match]


class Binding(BaseModel):
    """A query (c2pa.softBindingQuery)."""

    alg: str
    value: str


class Named(BaseModel):
    """The name of an algorithm."""

    alg: str


class Algorithms(BaseModel):
    """The soft bindings that are resolved (c2pa.softBindingAlgList)."""

    watermarks: list[Named]
    fingerprints: list[Named]


class Kept(BaseModel):
    """A manifest that was kept."""

    manifest_id: str = Field(alias="manifestId")


@dataclass(frozen=True)
class ServiceSettings:
    """What the service works with."""

    store_url: str | None = None  # database URL of the manifest store; the user's own if None
    trust_anchors: bytes = field(default=b"", repr=False)  # PEM
    token: str = field(default="", repr=False)  # of writers; without one nothing can be written
    workers: int = 2  # uploads that are read at once
    limits: Limits = field(default_factory=Limits)


class BusyError(VasariError):
    """More uploads than the service can read."""


class Uploads:
    """Files that are read by worker processes, a few at a time, and removed."""

    def __init__(self, workers: int) -> None:
        self._room = asyncio.Semaphore(workers)
        self._waiting = 0

    @asynccontextmanager
    async def received(self, request: Request) -> AsyncIterator[Path]:
        """The upload as a file, in a folder of its own that is removed afterwards."""
        folder = Path(tempfile.mkdtemp(prefix="vasari-upload-"))  # mode 0700
        try:
            yield await _receive(request, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def read(self, path: Path, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in a worker process, when there is room.

        Raises:
            BusyError: too many wait.
            VasariError: the function raised it, or its process failed; it does not say where the
                upload lies.
        """
        if self._waiting >= MAX_WAITING:
            raise BusyError("too many files are being read; try again in a minute")
        self._waiting += 1
        try:
            async with self._room:
                return await asyncio.to_thread(isolated, path, function, *arguments)
        except VasariError as error:
            raise type(error)(str(error).replace(f"{path.parent}/", "")) from error
        finally:
            self._waiting -= 1


def create_service(settings: ServiceSettings, store: ManifestStore, *, host: str) -> Application:
    """The guarded ASGI application.

    Args:
        settings: what it works with.
        store: the store at the settings' URL.
        host: the address that it will be bound to.
    """
    app = FastAPI(
        title="Vasari: C2PA soft binding resolution",
        version=version("vasari"),
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.settings, app.state.store = settings, store
    app.state.uploads = Uploads(settings.workers)
    app.add_exception_handler(VasariError, _explain)
    app.add_exception_handler(Refusal, _refuse)
    app.add_exception_handler(Exception, _hide)
    for path in PAGE_FILES:
        app.get(path, include_in_schema=False)(_page)
    app.get("/matches/byBinding", tags=["query"], response_model=Matches)(by_binding)
    app.post("/matches/byBinding", tags=["query"], response_model=Matches)(by_large_binding)
    app.post("/matches/byContent", tags=["query"], response_model=Matches)(by_content)
    app.get("/manifests/{manifest_id}", tags=["fetch"], response_class=Response)(manifest)
    app.get("/services/supportedAlgorithms", tags=["service"], response_model=Algorithms)(
        algorithms
    )
    app.post("/manifests", tags=["write"], status_code=201, response_model=Kept)(keep)
    app.post("/verdict", tags=["verdict"], response_class=JSONResponse)(verdict)
    return Guard(app, host=host, token=settings.token, limits=settings.limits)


def by_binding(request: Request, alg: Algorithm, value: str, limit: Results = 10) -> Matches:
    """Manifests that a soft binding leads to."""
    return _matches(resolution.by_binding(request.app.state.store, alg, value, limit))


def by_large_binding(request: Request, binding: Binding, limit: Results = 10) -> Matches:
    """The same for a value that is too long for an address."""
    store = request.app.state.store
    return _matches(resolution.by_binding(store, binding.alg, binding.value, limit))


async def by_content(
    request: Request,
    alg: Algorithm = "",
    limit: Results = 10,
    hint_alg: Annotated[str, Query(alias="hintAlg")] = "",
    hint_value: Annotated[str, Query(alias="hintValue")] = "",
) -> Matches:
    """Manifests that a file leads to: by its watermark, or else by what it looks like."""
    state = request.app.state
    found: list[Resolved] = []
    if hint_alg and hint_value:
        found = await asyncio.to_thread(
            resolution.by_binding, state.store, hint_alg, hint_value, limit
        )
    async with state.uploads.received(request) as path:
        url = state.settings.store_url
        found += await state.uploads.read(path, resolution.by_content, path, url, alg, limit)
    return _matches(list({each.label: each for each in found}.values())[:limit])


def manifest(
    request: Request,
    manifest_id: str,
    active: Annotated[bool, Query(alias="returnActiveManifest")] = False,
) -> Response:
    """A kept manifest store, or the active manifest in it alone."""
    entry = request.app.state.store.by_label(manifest_id)
    if entry is None:
        return JSONResponse({"error": "no manifest is kept under this identifier"}, 404)
    content = resolution.active_manifest(entry.manifest) if active else entry.manifest
    return Response(content, media_type=C2PA_TYPE)


def algorithms() -> Algorithms:
    """The soft bindings that are resolved. They are on no list of the C2PA's."""
    from vasari.provenance.fingerprint import ALGORITHM as FINGERPRINT
    from vasari.watermark.payload import ALGORITHM as WATERMARK

    return Algorithms(watermarks=[Named(alg=WATERMARK)], fingerprints=[Named(alg=FINGERPRINT)])


async def keep(request: Request) -> Kept:
    """Keep the manifest store in the body (application/c2pa); this needs the service's token."""
    state = request.app.state
    async with state.uploads.received(request) as path:
        if path.stat().st_size > MAX_MANIFEST_BYTES:
            raise InputError(f"a manifest has at most {MAX_MANIFEST_BYTES >> 20} MB")
        label = await state.uploads.read(path, resolution.keep, path, state.settings.store_url)
    return Kept(manifestId=label)


async def verdict(request: Request) -> Response:
    """The verdict on a file, in the body or in a form: a page for browsers, JSON for programs."""
    state, page = request.app.state, "text/html" in request.headers.get("accept", "")
    settings = state.settings
    async with state.uploads.received(request) as path:
        arguments = (path, settings.store_url, settings.trust_anchors, page)
        found, report = await state.uploads.read(path, resolution.judge, *arguments)
    if page:
        return HTMLResponse(report, headers={"content-security-policy": REPORT_POLICY})
    return JSONResponse(dataclasses.replace(found, path=path.name).to_dict())


async def _receive(request: Request, folder: Path) -> Path:
    """Write the body, or the file of a form, under a harmless name."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=1, max_fields=4) as form:
            given = form.get("file")
            if not isinstance(given, UploadFile) or not given.filename:
                raise InputError("choose a file")
            path = folder / _harmless(given.filename)
            with path.open("wb") as file:
                await asyncio.to_thread(shutil.copyfileobj, given.file, file)
        return path
    path = folder / "upload"
    with path.open("wb") as file:
        async for part in request.stream():
            await asyncio.to_thread(file.write, part)
    return path


def _harmless(name: str) -> str:
    """A stranger's file name without folders and odd characters."""
    return _ODD.sub("_", Path(name).name)[-MAX_NAME:].lstrip(".") or "upload"


def _matches(found: list[Resolved]) -> Matches:
    return Matches(
        matches=[Match(manifestId=each.label, similarityScore=each.similarity) for each in found]
    )


async def _page(request: Request) -> Response:
    """The page's files."""
    name, kind = PAGE_FILES[request.url.path]
    limit = request.app.state.settings.limits.upload_bytes
    content = _file(name).replace("{{megabytes}}", str(limit >> 20))
    return Response(content, media_type=f"{kind}; charset=utf-8")


@lru_cache
def _file(name: str) -> str:
    return (resources.files("vasari.provenance") / name).read_text()


async def _explain(request: Request, error: Exception) -> Response:
    """One line for what is refused. Our own failures go to the log, for they may name paths."""
    status, words = 500, "the service could not do that"
    if isinstance(error, BusyError):
        status, words = 503, str(error)
    elif isinstance(error, InputError | ProvenanceError):
        status, words = _status(request), str(error)
    else:
        _log.error("%s", error)
    if "text/html" in request.headers.get("accept", ""):
        return HTMLResponse(_error_page(words), status)
    return JSONResponse({"error": words}, status)


def _status(request: Request) -> int:
    """415 is what the API answers to a file that cannot be read, 400 to a query."""
    return 415 if request.url.path == "/matches/byContent" else 400


def _error_page(words: str) -> str:
    from html import escape

    return _file("refused.html").replace("{{words}}", escape(words))


async def _refuse(request: Request, error: Exception) -> Response:
    """What the guard refuses while the body is read."""
    assert isinstance(error, Refusal)
    return Response(error.reason, error.status, {"connection": "close"}, "text/plain")


async def _hide(request: Request, error: Exception) -> Response:
    """Nothing of what went wrong inside; it is in the log."""
    return JSONResponse({"error": "internal error"}, 500)
