"""What stands before the service: who may ask, how much, how often and for how long.

It is an ASGI application around another (ASGI 3): what it refuses never reaches a parser.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from vasari.generate.live_guard import (
    Application,
    Message,
    Receive,
    Scope,
    Send,
    host_name,
    is_loopback,
    is_origin,
)

# Everything comes from the service itself; a report has its styles and pictures inside.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", PAGE_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # with none, browsers hide the origin of our own form
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"cache-control", b"no-store"),
)
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
UPLOAD_COST = 10  # look-ups that one upload counts for
MAX_CLIENTS = 10_000  # whose budgets are remembered
MAX_QUERY = 8192  # bytes of an address; what is longer is sent in a body
MAX_DIGITS = 19  # of a length: Python refuses to read numbers of thousands of them
REQUEST_SECONDS = 180.0  # of a request, the slow upload of a large file included


@dataclass(frozen=True)
class Limits:
    """How much a caller may ask for."""

    upload_bytes: int = 256 << 20
    per_minute: int = 600  # look-ups of one address; an upload counts as UPLOAD_COST of them
    seconds: float = REQUEST_SECONDS


class Budget:
    """A leaky bucket for each caller: full at first, and filled again in a minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Give each caller as much a minute."""
        self._size = float(per_minute)
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # level, when

    def wait(self, caller: str, cost: float) -> float:
        """Seconds that a caller must wait before asking again; 0 takes the cost from the budget."""
        now = self._clock()
        level, then = self._levels.pop(caller, (self._size, now))
        level = min(self._size, level + (now - then) * self._size / 60.0)
        missing = min(cost, self._size) - level
        self._levels[caller] = (level if missing > 0 else level - cost, now)
        if len(self._levels) > MAX_CLIENTS:
            self._levels.popitem(last=False)
        return max(0.0, missing * 60.0 / self._size)


class Refusal(Exception):  # noqa: N818 - it is an answer
    """A request that is answered by a status and a sentence."""

    def __init__(self, status: int, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.status, self.reason, self.retry_after = status, reason, retry_after


class Guard:
    """Refuses what is too much, too often, too slow or from elsewhere."""

    def __init__(
        self, application: Application, *, host: str, token: str = "", limits: Limits | None = None
    ) -> None:
        """Stand before an application.

        Args:
            application: what is guarded.
            host: the address that it is bound to.
            token: what writers must show; without one nothing can be written.
            limits: how much a caller may ask for.
        """
        self._application = application
        self._names = LOOPBACK_NAMES if is_loopback(host) else ()
        self._token = token
        self._limits = limits or Limits()
        self._budget = Budget(self._limits.per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        answer = _Answer(send)
        try:
            self._check(scope)
            guarded = self._application(scope, self._counted(receive), answer)
            await asyncio.wait_for(guarded, self._limits.seconds)
        except Refusal as refusal:
            await answer.refuse(refusal)
        except asyncio.TimeoutError:
            await answer.refuse(Refusal(408, "the request took too long"))

    def _check(self, scope: Scope) -> None:
        """Refuse what its head shows to be not allowed."""
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        host = headers.get("host", "")
        if self._names and host_name(host) not in self._names:
            raise Refusal(403, "this service answers to localhost only")
        origin = headers.get("origin")
        if scope["method"] != "GET" and origin is not None and not is_origin(origin, host):
            raise Refusal(403, "other pages may not send to this service")
        if len(scope["query_string"]) > MAX_QUERY:
            raise Refusal(414, "the address is too long; send it in a body by POST")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            raise Refusal(405, "GET and POST are known")
        self._check_length(headers.get("content-length", "0"))
        if scope["method"] == "POST" and scope["path"] == "/manifests":
            self._check_token(headers.get("authorization", ""))
        caller = (scope.get("client") or ("", 0))[0]
        wait = self._budget.wait(caller, UPLOAD_COST if scope["method"] == "POST" else 1)
        if wait:
            raise Refusal(429, "that is too often; wait a little", wait)

    def _check_length(self, length: str) -> None:
        if not (length.isascii() and length.isdecimal()):
            raise Refusal(400, "the length of the body is no number")
        if len(length) > MAX_DIGITS or int(length) > self._limits.upload_bytes:
            raise self._too_large()

    def _check_token(self, authorization: str) -> None:
        given = authorization.removeprefix("Bearer ").encode()
        if not self._token or not hmac.compare_digest(given, self._token.encode()):
            raise Refusal(401, "writing needs the token of this service, as a bearer token")

    def _counted(self, receive: Receive) -> Receive:
        """The body, as far as it is allowed: its stated length may be a lie."""
        left = self._limits.upload_bytes

        async def receiving() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise self._too_large()
            return message

        return receiving

    def _too_large(self) -> Refusal:
        return Refusal(413, f"at most {self._limits.upload_bytes >> 20} MB are taken")


class _Answer:
    """Sends an answer with the headers that all have, or a refusal if none has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            present = {key for key, _ in message["headers"]}
            added = [(key, value) for key, value in HEADERS if key not in present]
            message["headers"] = [*message["headers"], *added]
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with a status and a sentence."""
        if self._begun:
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        if refusal.retry_after:
            headers.append((b"retry-after", b"%d" % (refusal.retry_after + 1)))
        if refusal.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await self({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self({"type": "http.response.body", "body": refusal.reason.encode()})
