"""Libraries that would spread each small sum over all cores, which are busy with others already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Let OpenCV and NumPy use no threads of their own: the stages keep the cores busy already.

    NumPy's (OpenBLAS) are worse than idle: they spin while they wait for a core.
    """
    import cv2
    from threadpoolctl import threadpool_limits

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        cv2.setNumThreads(before)
