from __future__ import annotations

import io

import pytest
from rich.console import Console

from vasari.generate import progress


def test_elsewhere_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([101.0, 102.0, 106.0, 107.0, 111.5])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.reporting() as show:
        for done in (1, 21, 101, 121, 211):
            show(done, 500)
    assert capsys.readouterr().err == (
        "101/500 frames, 20.0 frames/s, 20 s left\n211/500 frames, 20.0 frames/s, 14 s left\n"
    )


def test_a_second_round_begins_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([101.0, 102.0, 112.0, 118.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.reporting("clips") as show:
        for done in (1, 2, 1, 4):
            show(done, 10)
    assert capsys.readouterr().err == "4/10 clips, 0.5 clips/s, 12 s left\n"


def test_on_a_terminal_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    with progress._bar(Console(file=screen, force_terminal=True, width=80), "frames") as show:
        for done in range(1, 501):
            show(done, 500)
    assert "reading" in screen.getvalue()
    assert "500/500" in screen.getvalue()
    assert "frames/s" in screen.getvalue()
