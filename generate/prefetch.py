"""Working ahead: items are made in a thread of their own while earlier ones are used."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetch(items: Iterable[T], ahead: int) -> Iterator[T]:
    """Give the same items; the first are made at once, the next while one is used.

    What fails in the making is raised when its turn has come. When the iterator is closed, nothing
    more is made.

    Args:
        items: made one by one in another thread; each must stay valid while others are made.
        ahead: how many may wait to be used, 1 or more: so many are held in memory.
    """
    made = _made(iter(items), ahead)
    next(made)
    return (item[0] for item in made)


def _made(iterator: Iterator[T], ahead: int) -> Generator[tuple[T, ...], None, None]:
    """Nothing, as soon as the making has begun; then the items one by one."""
    with ThreadPoolExecutor(1, "prefetch") as worker:

        def order() -> Future[tuple[T, ...]]:
            return worker.submit(_next, iterator)

        orders = deque(order() for _ in range(ahead))
        try:
            yield ()
            while item := orders.popleft().result():
                orders.append(order())
                yield item
        finally:
            for waiting in orders:
                waiting.cancel()


def _next(iterator: Iterator[T]) -> tuple[T, ...]:
    """The next item, or none at the end."""
    for item in iterator:
        return (item,)
    return ()
