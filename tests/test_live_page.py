"""The page in headless Chromium, driven over the DevTools protocol."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_live import Server, home, settings
from websockets.sync.client import ClientConnection, connect

from vasari.generate.live_registry import LiveSettings
from vasari.provenance.verdict import verify
from vasari.watermark.reading import read_video

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-port=0", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream", "--window-size=1180,860",
)  # fmt: skip
SECONDS = 60  # that anything may take
MOUTH = (0.5, 0.72, 0.38, 0.62)  # rows and columns, shares of the canvas

__all__ = ["home", "settings"]  # fixtures

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium"),
]


class Page:
    """A tab."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._count = 0
        self.problems: list[str] = []
        for domain in ("Page", "Runtime", "DOM", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=SECONDS))
            if _is_problem(answer):
                self.problems.append(json.dumps(answer["params"]))
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return answer["result"]

    def value(self, script: str) -> Any:
        result = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, userGesture=True,
            awaitPromise=True,
        )  # fmt: skip
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, script: str) -> None:
        limit = time.monotonic() + SECONDS
        while not self.value(script):
            assert time.monotonic() < limit, script
            time.sleep(0.1)

    def choose(self, selector: str, path: Path) -> None:
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def type(self, text: str) -> None:
        self.value("document.getElementById('text').focus()")
        self.call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key="Enter", windowsVirtualKeyCode=13)

    def picture(self) -> np.ndarray:
        """The mouth as it is shown, grey."""
        top, bottom, left, right = MOUTH
        values = self.value(
            "(() => { const c = document.getElementById('picture'), s = c.width; const d = "
            f"c.getContext('2d').getImageData({left} * s, {top} * s, {right - left} * s, "
            f"{bottom - top} * s).data; return Array.from(d).filter((_, i) => i % 4 === 1); }})()"
        )
        return np.array(values, float)


def _is_problem(answer: dict[str, Any]) -> bool:
    """Whether the browser tells of an error: a script's, a refused request, a broken policy."""
    if answer.get("method") == "Runtime.exceptionThrown":
        return True
    return (
        answer.get("method") == "Log.entryAdded" and answer["params"]["entry"]["level"] == "error"
    )


@pytest.fixture
def server(settings: LiveSettings) -> Iterator[Server]:
    with Server(replace(settings, portrait=None)) as running:
        yield running


@pytest.fixture
def page(server: Server) -> Iterator[Page]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                with connect(_tab(Path(profile)), max_size=1 << 26) as connection:
                    tab = Page(connection)
                    tab.call("Page.navigate", url=f"http://127.0.0.1:{server.port}/")
                    tab.wait("window.vasari !== undefined")
                    yield tab
            finally:
                process.terminate()


def _tab(profile: Path) -> str:
    """The DevTools address of the only tab."""
    limit = time.monotonic() + SECONDS
    while not (profile / "DevToolsActivePort").exists():
        assert time.monotonic() < limit
        time.sleep(0.1)
    time.sleep(0.2)
    port = (profile / "DevToolsActivePort").read_text().splitlines()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=SECONDS) as answer:
        return next(tab["webSocketDebuggerUrl"] for tab in json.load(answer))


def test_a_visitor_makes_a_portrait_speak_and_takes_a_recording(
    page: Page, portrait_file: Path, settings: LiveSettings, tmp_path: Path
) -> None:
    no_portrait = tmp_path / "notes.png"
    no_portrait.write_bytes(b"these are only words")
    page.choose("#portrait", no_portrait)
    page.wait("document.getElementById('message').textContent.includes('no image')")
    assert page.value("document.getElementById('speak').disabled")

    page.choose("#portrait", portrait_file)
    page.wait("window.vasari.screen.total > 10")
    page.value("document.getElementById('record').click()")
    page.wait("!document.getElementById('recording-badge').hidden")
    quiet = [page.picture() for _ in range(8)]
    page.type("Hello, how are you today? Wow, what a wonderful morning.")
    page.wait("!document.getElementById('caption').hidden")
    talking = []
    while page.value("!document.getElementById('caption').hidden") and len(talking) < 40:
        talking.append(page.picture())
    assert np.std(talking, axis=0).max() > 2 * np.std(quiet, axis=0).max()
    assert page.value("window.vasari.speaker.on")
    page.wait("window.vasari.speaker.errors.length > 10")
    errors = page.value("window.vasari.speaker.errors.slice(5)")
    assert np.quantile(np.abs(errors), 0.95) < 0.04  # seconds between sound and picture

    page.value(
        "(() => { const yaw = document.getElementById('yaw'); yaw.value = 20;"
        "yaw.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    assert page.value("document.querySelector('output[for=yaw]').textContent") == "20°"
    watermark = page.value("document.querySelector('#provenance dd').textContent")
    page.wait("/^[0-9]+ frames/.test(document.getElementById('figures').textContent)")
    page.value("document.getElementById('record').click()")
    page.wait("document.querySelector('#recordings a') !== null")
    name = page.value("document.querySelector('#recordings a').download")
    recording = settings.recordings / name
    assert verify(recording).exit_code == 0
    assert f"{read_video(recording).identifier:012x}" == watermark

    address = page.value("document.querySelector('#recordings a[target]').href")
    seen = list(page.problems)
    page.call("Page.navigate", url=address)
    page.wait("document.body?.textContent.includes('Unchanged since it was signed')")
    (refused_upload,) = seen
    assert "status of 400" in refused_upload


def test_a_sample_speaks_and_the_session_can_be_verified(page: Page) -> None:
    page.value("document.querySelectorAll('.samples button')[1].click()")
    page.wait("window.vasari.screen.total > 10")
    assert page.value("document.getElementById('opening').hidden")
    page.value("document.getElementById('change').click()")
    assert not page.value("document.getElementById('opening').hidden")
    page.value("document.getElementById('keep').click()")
    page.wait("/Mbit/.test(document.getElementById('figures').textContent)")
    address = page.value("document.getElementById('verify').href")
    assert page.problems == []
    page.call("Page.navigate", url=address)
    page.wait("document.body?.textContent.includes('Unchanged since it was signed')")


def test_everything_can_be_reached_and_has_a_name(page: Page, portrait_file: Path) -> None:
    page.choose("#portrait", portrait_file)
    page.wait("window.vasari.screen.total > 5")
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = ("button", "slider", "textbox", "combobox", "link", "image", "status")
    named = [
        (node["role"]["value"], node["name"]["value"])
        for node in tree
        if not node["ignored"] and node.get("role", {}).get("value") in roles and "name" in node
    ]
    controls = [(role, name) for role, name in named if role not in ("status", "image")]
    assert len(controls) >= 14
    assert all(name for _, name in controls), controls
    assert ("slider", "Gaze, left to right") in controls
    assert ("textbox", "What the avatar says") in controls
    reached = set()
    for _ in range(30):
        for kind in ("keyDown", "keyUp"):
            page.call("Input.dispatchKeyEvent", type=kind, key="Tab", windowsVirtualKeyCode=9)
        reached.add(page.value("document.activeElement.id"))
    assert {
        "text",
        "sound",
        "mirror",
        "file",
        "hush",
        "yaw",
        "emotion",
        "record",
        "change",
    } <= reached
