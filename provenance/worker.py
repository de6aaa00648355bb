"""A process of its own for reading strangers' files: what crashes there crashes nothing else.

Manifests and video are parsed by native code. A file made to break it ends a worker, and is
reported as what it is.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from vasari.errors import InputError, VasariError

Parameters = ParamSpec("Parameters")
Outcome = TypeVar("Outcome")

# Of processor time: an honest file takes a second or two, and some ten if a watermark is searched
# for. On a busy machine that can be a long time.
BASE_SECONDS = 60.0
BYTES_PER_SECOND = 20 << 20  # a slow disk
PATIENCE = 5  # how many times as long it may take by the clock
# Of memory of its own, for a manifest of kilobytes can ask for gigabytes: so much, and for each
# core what threads reserve and hardly use. On two cores it is 1 GiB, enough for videos of 8K.
BASE_MEMORY = 896 << 20  # bytes
CORE_MEMORY = 64 << 20  # bytes


def isolated(
    path: Path,
    function: Callable[Parameters, Outcome],
    *arguments: Parameters.args,
    **options: Parameters.kwargs,
) -> Outcome:
    """Call a function in a new process, with limits on its time and memory.

    Args:
        path: the stranger's file that it reads, for the error and the time that it may take.
        function: importable by name; its arguments and its outcome can be pickled.
        arguments: for the function.
        options: for the function.

    Raises:
        InputError: the process crashed, took too long, or needed too much memory.
        VasariError: the function raised it.
    """
    seconds = _seconds(path)
    call = b"".join(map(pickle.dumps, (sys.path, seconds, (function, arguments, options))))
    try:
        process = subprocess.run(  # noqa: S603 - this very module
            [sys.executable, "-m", __name__],
            input=call,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # the last words of native code help no one
            timeout=PATIENCE * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{path} could not be read in {PATIENCE * seconds:.0f} s: it is corrupt, or this "
            "machine has too much else to do"
        ) from error
    if process.returncode == -signal.SIGXCPU:
        raise InputError(
            f"{path} is corrupt: reading it took more than {seconds:.0f} s of the processor"
        )
    if process.returncode != 0:
        raise InputError(f"{path} is corrupt: reading it crashed the reader")
    outcome = pickle.loads(process.stdout)  # noqa: S301 - from our own process
    if isinstance(outcome, VasariError):
        raise outcome
    return outcome  # type: ignore[no-any-return]


def _seconds(path: Path) -> float:
    size = 0
    with contextlib.suppress(OSError, ValueError):
        size = path.stat().st_size
    return BASE_SECONDS + size / BYTES_PER_SECOND


def limit_process(seconds: float) -> None:
    """Limit the memory and the processor time that this process may take, for good."""
    soft = max(math.ceil(seconds), 1)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, soft + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (max_memory(),) * 2)


def max_memory() -> int:
    """Bytes that a process may have of its own."""
    return BASE_MEMORY + CORE_MEMORY * (os.cpu_count() or 1)


def _work() -> None:
    """What the process does: read a call, make it, and write what came of it."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what native code prints is no part of the outcome
    try:
        sys.path = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our parent
        limit_process(pickle.load(sys.stdin.buffer))  # noqa: S301
        function, arguments, options = pickle.load(sys.stdin.buffer)  # noqa: S301
        outcome = function(*arguments, **options)
    except VasariError as error:
        outcome = error
    except MemoryError:
        most = max_memory() >> 20
        outcome = InputError(f"the file is corrupt, or too large: it needed more than {most} MB")
    pickle.dump(outcome, output)
    output.close()


if __name__ == "__main__":
    _work()
