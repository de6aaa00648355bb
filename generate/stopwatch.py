"""Where the time goes: wall time by stage, in each thread each second counted once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class _Running(threading.local):
    """The stages that run in a thread."""

    def __init__(self) -> None:
        self.stages: list[str] = []  # the innermost last
        self.since = 0.0  # when the last change was


class Stopwatch:
    """Adds up wall time by stage; while a stage runs inside another, only the inner one counts.

    Threads are timed apart. Each stage must keep to one thread.

    >>> watch = Stopwatch()
    >>> with watch.stage("render"):
    ...     with watch.stage("motion"):
    ...         pass
    >>> sorted(watch.seconds)
    ['motion', 'render']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}  # stage -> seconds so far
        self._running = _Running()

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what runs in the context to a stage."""
        self._charge()
        self._running.stages.append(name)
        try:
            yield
        finally:
            self._charge()
            self._running.stages.pop()

    def each(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Pass items on, counting the making of each to a stage."""
        iterator = iter(items)
        while True:
            with self.stage(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def _charge(self) -> None:
        """Give the time since the last change to the innermost stage."""
        now = time.perf_counter()
        if self._running.stages:
            stage = self._running.stages[-1]
            self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._running.since
        self._running.since = now
