"""Fetching a manifest that lies elsewhere, where that was asked for.

The address comes out of a stranger's file: it must not reach into the network of who verifies.
"""

from __future__ import annotations

import http.client
import ipaddress
import math
import socket
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

from vasari.errors import InputError

MAX_SECONDS = 10.0  # of the whole exchange: a slow server must not hold a verdict up
MAX_BYTES = 16 << 20  # a manifest store with the manifests of its ingredients
PIECE = 1 << 16
HTTPS = 443


def fetch(address: str) -> bytes:
    """Get a manifest store by HTTPS from a public address; redirections are not followed.

    Raises:
        InputError: another scheme or port, a private address, or no answer that is short and quick
            enough.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port or HTTPS
    except ValueError as error:
        raise InputError(f"the manifest's address {address} is malformed") from error
    if parts.scheme != "https" or not host or port != HTTPS or parts.username is not None:
        raise InputError(f"the manifest lies at {address}; only plain https addresses are fetched")
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    deadline = time.monotonic() + MAX_SECONDS
    try:
        return _get(host, public_address(host, port), path, deadline)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise InputError(f"the manifest at {address} cannot be fetched: {error}") from error


def public_address(host: str, port: int) -> tuple[str, int]:
    """The address that a name stands for. It is resolved once: a second time could differ.

    Raises:
        InputError: the name stands for an address that is not public.
        OSError: it stands for none.
    """
    found = [each[4] for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for address in found:
        if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global:
            raise InputError(f"the manifest's address {host} is not on the public internet")
    return str(found[0][0]), port


class _TimedSocket(ssl.SSLSocket):
    """A connection all of whose reads together end at a deadline, however little each waits for."""

    deadline = math.inf  # of `time.monotonic`

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - its name
        """What `recv` and `recv_into` come down to."""
        self.settimeout(_left(self.deadline))
        return super().read(len, buffer)


def _get(host: str, address: tuple[str, int], path: str, deadline: float) -> bytes:
    context = ssl.create_default_context()
    context.sslsocket_class = _TimedSocket
    with socket.create_connection(address, timeout=_left(deadline)) as raw:
        raw.settimeout(_left(deadline))  # of the whole handshake: it is one call
        with context.wrap_socket(raw, server_hostname=host) as secure:
            assert isinstance(secure, _TimedSocket)
            secure.deadline = deadline
            connection = http.client.HTTPSConnection(host, address[1])
            connection.sock = secure
            connection.request("GET", path, headers={"Accept": "application/c2pa"})
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise InputError(
                    f"the manifest at {host} cannot be fetched: status {response.status}"
                )
            return _limited(response)


def _limited(response: http.client.HTTPResponse) -> bytes:
    """A body that is short."""
    content = bytearray()
    while piece := response.read1(PIECE):
        content += piece
        if len(content) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES >> 20} MB")
    return bytes(content)


def _left(deadline: float) -> float:
    """Seconds until a deadline.

    Raises:
        TimeoutError: it is over.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError(f"it took more than {MAX_SECONDS:.0f} s")
    return left
