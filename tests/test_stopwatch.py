from __future__ import annotations

import itertools

import pytest

from vasari.generate import stopwatch
from vasari.generate.stopwatch import Stopwatch


@pytest.fixture(autouse=True)
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock finds it a second later."""
    ticks = itertools.count()
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: float(next(ticks)))


def test_an_inner_stage_takes_its_time_from_the_outer() -> None:
    watch = Stopwatch()
    with watch.stage("outer"), watch.stage("inner"):
        pass
    assert watch.seconds == {"outer": 2.0, "inner": 1.0}


def test_making_items_is_counted_and_using_them_is_not() -> None:
    watch = Stopwatch()
    for _ in watch.each("make", "ab"):
        with watch.stage("use"):
            pass
    assert watch.seconds == {"make": 3.0, "use": 2.0}


def test_a_stage_that_fails_is_counted() -> None:
    watch = Stopwatch()
    with pytest.raises(ZeroDivisionError), watch.stage("fails"):
        raise ZeroDivisionError
    assert watch.seconds == {"fails": 1.0}
