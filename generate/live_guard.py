"""Who may talk to the service: known hosts, the page's own origin, and beyond this machine a token.

A service on loopback can be reached by every page in the user's browser. Browsers say which page
asks (Origin, RFC 6454) and under which name (Host); both are checked, the latter against DNS
rebinding.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

Scope: TypeAlias = "MutableMapping[str, Any]"
Message: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[Message]]"
Send: TypeAlias = "Callable[[Message], Awaitable[None]]"
Application: TypeAlias = "Callable[[Scope, Receive, Send], Awaitable[None]]"

COOKIE = "vasari_token"
POLICY_VIOLATION = 1008  # close code (RFC 6455, section 7.4.1)
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

# Everything comes from the service itself; reports have their styles and pictures inside.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", _PAGE_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"microphone=(self), camera=()"),
    (b"cache-control", b"no-store"),
)


def is_loopback(host: str) -> bool:
    """Whether an address or name means this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def host_name(authority: str) -> str:
    """The name that a Host header asks for (RFC 9110, section 7.2), or "" if it is malformed."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return ""


def is_origin(origin: str, authority: str) -> bool:
    """Whether a page of this origin (RFC 6454) was served under the name in a Host header."""
    try:
        return urlsplit(origin).netloc == authority
    except ValueError:
        return False


class Guard:
    """Refuses what is not allowed before the application sees it."""

    def __init__(self, application: Application, *, host: str, token: str = "") -> None:
        """Stand before an application.

        Args:
            application: what is guarded.
            host: the address that it is bound to.
            token: what callers must know; needed unless the host is loopback.
        """
        assert token or is_loopback(host), "a service beyond this machine needs a token"
        self._application = application
        self._token = token
        self._hosts = _LOOPBACK_NAMES if is_loopback(host) else ()  # otherwise the token protects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or connection (ASGI 3)."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        query = parse_qs(scope["query_string"].decode("latin-1"))
        refusal = self._refusal(headers, query)
        if refusal:
            await _refuse(scope, receive, send, refusal)
        elif scope["type"] == "http" and scope["path"] == "/" and "token" in query:
            await _let_in(send, self._token)
        else:
            await self._application(scope, receive, _with_headers(send))

    def _refusal(self, headers: dict[str, str], query: dict[str, list[str]]) -> str:
        """Why a caller is refused, or ""."""
        host = headers.get("host", "")
        if self._hosts and host_name(host) not in self._hosts:
            return "this service answers to localhost only"
        origin = headers.get("origin")
        if origin is not None and not is_origin(origin, host):
            return "other pages may not use this service"
        if self._token and not any(
            hmac.compare_digest(given.encode(), self._token.encode())
            for given in _tokens(headers, query)
        ):
            return "open the address with the token that the service printed when it started"
        return ""


def _tokens(headers: dict[str, str], query: dict[str, list[str]]) -> list[str]:
    """The tokens that a caller shows: in a cookie, a header or the address."""
    bearer = headers.get("authorization", "").removeprefix("Bearer ")
    return [*query.get("token", []), bearer, *_cookies(headers.get("cookie", ""))]


def _cookies(header: str) -> list[str]:
    """Our cookie in a Cookie header, if it holds it and is well formed."""
    try:
        cookie = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return []
    return [cookie.value] if cookie else []


async def _refuse(scope: Scope, receive: Receive, send: Send, reason: str) -> None:
    """Answer 403, or close a WebSocket before it opens, which is the same to a browser."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": reason})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *HEADERS]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": reason.encode()})


async def _let_in(send: Send, token: str) -> None:
    """Keep the token in a cookie, and out of the address."""
    cookie = f"{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/"
    headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), *HEADERS]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _with_headers(send: Send) -> Send:
    """Add the headers to an answer, except those that it sets itself."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            present = {key for key, _ in message["headers"]}
            added = [(key, value) for key, value in HEADERS if key not in present]
            message["headers"] = [*message["headers"], *added]
        await send(message)

    return sending
