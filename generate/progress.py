"""How far the work is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

if TYPE_CHECKING:
    from vasari.generate.pipeline import Progress

REPORT_INTERVAL = 5.0  # seconds between plain lines


@contextlib.contextmanager
def reporting(unit: str = "frames") -> Iterator[Progress]:
    """Show progress on stderr, in some unit, while the context is open."""
    if sys.stderr.isatty():
        with _bar(Console(stderr=True), unit) as show:
            yield show
    else:
        yield _Lines(unit)


@contextlib.contextmanager
def _bar(console: Console, unit: str) -> Iterator[Progress]:
    """A bar that goes away when the work is done."""
    columns = (MofNCompleteColumn(), BarColumn(), _Speed(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(unit, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Speed(ProgressColumn):
    """Units per second, once there are any."""

    def render(self, task: Task) -> Text:
        """Draw the column."""
        speed = task.finished_speed or task.speed
        return Text("reading" if speed is None else f"{speed:.1f} {task.description}/s")


class _Lines:
    """Progress as plain lines."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._done = self._first = 0  # units: so far, and when their time was first taken
        self._started = self._reported = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        begins, self._done = self._done == 0 or done <= self._done, done
        if begins:  # the work may have several rounds
            self._first, self._started, self._reported = done, now, now
        elif now - self._reported >= REPORT_INTERVAL:
            self._reported = now
            speed = (done - self._first) / (now - self._started)
            left = (total - done) / speed
            click.echo(
                f"{done}/{total} {self._unit}, {speed:.1f} {self._unit}/s, {left:.0f} s left",
                err=True,
            )
