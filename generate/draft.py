"""The unfinished output: a hidden folder beside it, and one rename when everything is done.

While OUT.mp4 is being made, its folder holds ``.OUT.mp4.<pid>.<random>.draft/``, locked by the
process that works in it. A run that is killed leaves that folder behind and nothing else; the
next run for the same OUT.mp4 removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av.error

from vasari.errors import InputError, OutputError

SUFFIX = ".draft"


@dataclass(frozen=True)
class Draft:
    """The files of an output that is being made."""

    output: Path  # what the user asked for
    folder: Path  # the hidden folder beside it

    @property
    def video(self) -> Path:
        """Where the marked video goes before it is signed."""
        return self.folder / "video.mp4"

    @property
    def signed(self) -> Path:
        """Where the signed video goes."""
        return self.folder / "signed.mp4"

    def publish(self) -> None:
        """Put the signed video in the output's place, which until now is as it was before."""
        with self.signed.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(self.signed, self.output)


def check_output(output: Path, inputs: Iterable[Path]) -> None:
    """Refuse, before any work, an output that could not be written.

    Raises:
        InputError: it is no .mp4, or is one of the inputs.
        OutputError: it is a folder, or its folder does not exist.
    """
    if output.suffix.lower() != ".mp4" or "\0" in output.name:
        raise InputError(f"cannot write {output}: give a name that ends in .mp4")
    with _named(output):
        if output.is_dir():
            raise OutputError(f"cannot write {output}: it is a folder")
        if not output.parent.is_dir():
            raise OutputError(f"cannot write {output}: there is no folder {output.parent}")
        for path in inputs:
            if output.exists() and path.exists() and output.samefile(path):
                raise InputError(f"cannot write {output}: it is one of the inputs")


@contextlib.contextmanager
def drafting(output: Path) -> Iterator[Draft]:
    """Make a draft folder, and remove it at the end whatever happens.

    Raises:
        OutputError: something inside could not be written: no permission, no space left.
    """
    with _named(output):
        _remove_stale(output)
        folder = tempfile.mkdtemp(
            prefix=f".{output.name}.{os.getpid()}.", suffix=SUFFIX, dir=output.parent
        )
        with _removing(Path(folder)), _locked(Path(folder)):
            yield Draft(output, Path(folder))


@contextlib.contextmanager
def _named(output: Path) -> Iterator[None]:
    """Turn a failure to write into one line that names the output."""
    try:
        yield
    except (OSError, av.error.FFmpegError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"cannot write {output}: {reason}") from error


@contextlib.contextmanager
def _removing(folder: Path) -> Iterator[None]:
    """Remove a folder at the end."""
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, which the system drops when the process dies.

    A process id alone says little: it may have been reused, or belong to another container.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_stale(output: Path) -> None:
    """Remove what killed runs for this output left behind."""
    for folder in output.parent.iterdir():
        if folder.name.startswith(f".{output.name}.") and folder.name.endswith(SUFFIX):
            # A lock that cannot be had is a run that lives.
            with contextlib.suppress(OSError), _locked(folder):
                shutil.rmtree(folder, ignore_errors=True)
