"""The page of `vasari live` in headless Chromium, over the DevTools protocol."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from websockets.sync.client import ClientConnection, connect

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-port=0", "--autoplay-policy=no-user-gesture-required",
    "--window-size=1180,860",
)  # fmt: skip
SECONDS = 60  # that anything may take
SETTLING = 5.0  # seconds in which the page finds its delay


class Tab:
    """The only tab of a browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._count = 0

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Carry out one command."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=SECONDS))
            if answer.get("id") == self._count:
                return dict(answer["result"])

    def value(self, script: str) -> Any:
        """What a script gives."""
        result = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, userGesture=True,
            awaitPromise=True,
        )  # fmt: skip
        return result["result"].get("value")

    def wait(self, script: str) -> None:
        """Wait until a script gives something true."""
        limit = time.monotonic() + SECONDS
        while not self.value(script):
            if time.monotonic() > limit:
                raise TimeoutError(script)
            time.sleep(0.1)


@contextmanager
def browser(chromium: str) -> Iterator[Tab]:
    """A browser with an empty tab."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [chromium, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with connect(_address(Path(profile)), max_size=1 << 26) as connection:
                yield Tab(connection)
        finally:
            process.terminate()
            process.wait()


def _address(profile: Path) -> str:
    """The DevTools address of the only tab."""
    limit = time.monotonic() + SECONDS
    while not (profile / "DevToolsActivePort").exists():
        if time.monotonic() > limit:
            raise TimeoutError("the browser did not start")
        time.sleep(0.1)
    time.sleep(0.2)
    port = (profile / "DevToolsActivePort").read_text().splitlines()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=SECONDS) as answer:
        return str(next(tab["webSocketDebuggerUrl"] for tab in json.load(answer)))


def watch_page(tab: Tab, address: str, seconds: float) -> dict[str, Any]:
    """Watch the service's own avatar, with sound; frames/s, and delays in seconds."""
    tab.call("Page.navigate", url=address)
    tab.wait("window.vasari !== undefined && window.vasari.screen.total > 20")
    tab.value("document.getElementById('sound').click()")
    tab.wait("window.vasari.speaker.on")
    time.sleep(SETTLING)
    before = tab.value("[performance.now(), window.vasari.screen.total, window.vasari.screen.late]")
    time.sleep(seconds)
    after = tab.value("[performance.now(), window.vasari.screen.total, window.vasari.screen.late]")
    took, total, late = np.subtract(after, before)
    return {
        "rate": 1000 * (total - late) / took,
        "lags": tab.value("window.vasari.screen.lags"),
        "errors": np.abs(tab.value("window.vasari.speaker.errors")),
    }
