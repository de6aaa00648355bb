from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from vasari.generate.prefetch import prefetch


def test_items_come_in_their_order() -> None:
    assert list(prefetch(range(100), 3)) == list(range(100))
    assert list(prefetch([], 3)) == []


def test_items_are_made_in_another_thread_and_not_too_far_ahead() -> None:
    made, threads = [], set()

    def making() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            threads.add(threading.get_ident())
            yield number

    for number in prefetch(making(), 2):
        assert len(made) <= number + 3
    assert len(made) == 10
    assert threads.isdisjoint({threading.get_ident()})


def test_the_making_begins_at_once() -> None:
    begun = threading.Event()

    def making() -> Iterator[int]:
        begun.set()
        yield 1

    items = prefetch(making(), 1)
    assert begun.wait(10)
    assert list(items) == [1]


def test_a_failure_comes_when_its_turn_has_come() -> None:
    def making() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    items = prefetch(making(), 2)
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        next(items)


def counting(made: list[int]) -> Iterator[int]:
    """Numbers, each noted when it is made."""
    for number in range(100):
        made.append(number)
        yield number


def test_nothing_is_made_after_the_end_of_use() -> None:
    made: list[int] = []
    before = threading.active_count()
    items = prefetch(counting(made), 2)
    next(items)
    items.close()
    assert len(made) <= 4
    assert threading.active_count() == before


def test_nothing_is_made_for_an_iterator_that_nobody_uses() -> None:
    made: list[int] = []
    before = threading.active_count()
    items = prefetch(counting(made), 2)
    del items
    assert len(made) <= 2
    assert threading.active_count() == before
