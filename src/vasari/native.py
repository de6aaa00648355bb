"""What the native libraries below Vasari print, and what they lack."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Iterator

from vasari.errors import VasariError

# MediaPipe and TensorFlow Lite report their normal working on stderr, whatever the log level in
# the environment. Lines of severity error (E0000 …) and fatal (F0000 …) are not in this pattern.
CHATTER = re.compile(
    rb"^(INFO: |WARNING: All log messages before absl::InitializeLog|[IW]\d{4} \d\d:\d\d:)"
)

FILTER_PATIENCE = 0.5  # seconds that the end of a command waits for its last words

# Shared libraries that OpenCV's build with a window system asks for, and their Debian packages.
_DEBIAN_PACKAGES = {
    "libGL.so": "libgl1",
    "libglib-2.0.so": "libglib2.0-0",
    "libgthread-2.0.so": "libglib2.0-0",
}


class MissingLibraryError(VasariError):
    """A shared library of the system that a dependency needs."""


def explain_missing_library(error: ImportError) -> MissingLibraryError | None:
    """Say in one line how to get the library that an import failed for; None for other failures."""
    if not any(library in str(error) for library in _DEBIAN_PACKAGES):
        return None
    packages = " ".join(sorted(set(_DEBIAN_PACKAGES.values())))
    return MissingLibraryError(
        f"OpenCV cannot load ({error}): install the Debian packages {packages}, or replace "
        "opencv-contrib-python by opencv-contrib-python-headless of the same version"
    )


@contextlib.contextmanager
def filtered_stderr() -> Iterator[None]:
    """Drop the chatter of native libraries from stderr while the context is open.

    The filter is a child process, so that the last words of a crash still come through. Python's
    own sys.stderr goes to the terminal directly.
    """
    # Matplotlib, which makes plots, tells of the cache that it builds when first used.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    sys.stderr.flush()
    terminal = os.dup(2)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        _copy_without_chatter(reader, terminal)
        os._exit(0)
    os.close(reader)
    os.dup2(writer, 2)
    os.close(writer)
    python_stderr = sys.stderr
    sys.stderr = os.fdopen(terminal, "w", buffering=1, errors="backslashreplace")
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        _wait_briefly(child)
        sys.stderr.close()
        sys.stderr = python_stderr


def _wait_briefly(child: int) -> None:
    """Let the filter write its last lines.

    It ends when nobody can write to it any more. A process that this one leaves behind, such as
    multiprocessing's resource tracker, still can, and itself waits for this one to end.
    """
    deadline = time.monotonic() + FILTER_PATIENCE
    while os.waitpid(child, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.005)


def _copy_without_chatter(source: int, destination: int) -> None:
    """Copy lines from one descriptor to another until the source is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with os.fdopen(source, "rb") as lines:
        for line in lines:
            if not CHATTER.match(line):
                os.write(destination, line)
