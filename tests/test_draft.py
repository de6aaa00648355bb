from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vasari.errors import InputError, OutputError
from vasari.generate.draft import check_output, drafting


def test_publish_replaces_the_output_only_then(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    output.write_bytes(b"old")
    with drafting(output) as draft:
        draft.signed.write_bytes(b"new")
        assert output.read_bytes() == b"old"
        draft.publish()
    assert output.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_draft_is_hidden_and_names_its_process(tmp_path: Path) -> None:
    with drafting(tmp_path / "out.mp4") as draft:
        assert draft.folder.name.startswith(f".out.mp4.{os.getpid()}.")
        assert draft.folder.name.endswith(".draft")


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        _fail(tmp_path / "out.mp4", ZeroDivisionError())
    assert not list(tmp_path.iterdir())


def test_a_failure_to_write_names_the_output(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with pytest.raises(OutputError, match=r"cannot write .*out\.mp4: No space left"):
        _fail(output, OSError(28, "No space left on device"))


def _fail(output: Path, error: Exception) -> None:
    with drafting(output) as draft:
        draft.video.write_bytes(b"half")
        raise error


KILLED_RUN = """
import os, signal, sys
from pathlib import Path
from vasari.generate.draft import drafting
with drafting(Path(sys.argv[1])) as draft:
    draft.video.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_run_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    output, other = tmp_path / "out.mp4", tmp_path / "other.mp4"
    for path in (output, other):
        subprocess.run([sys.executable, "-c", KILLED_RUN, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    with drafting(output):
        pass
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".other.mp4.")


def test_a_living_run_keeps_its_draft(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    with drafting(output) as first, drafting(output) as second:
        assert first.folder.is_dir()
        assert second.folder != first.folder


def test_a_name_with_wildcards_is_taken_literally(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED_RUN, str(tmp_path / "ab.mp4")], check=False)
    with drafting(tmp_path / "*.mp4"):
        assert len(list(tmp_path.glob(".ab.mp4.*"))) == 1


@pytest.mark.parametrize("name", ["out.avi", "out", "out.mp4.txt"])
def test_another_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"ends in \.mp4"):
        check_output(tmp_path / name, [])


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        check_output(tmp_path / "folder.mp4", [])


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is no folder"):
        check_output(tmp_path / "missing" / "out.mp4", [])


def test_a_null_byte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        check_output(tmp_path / "a\0b.mp4", [])


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    output = tmp_path / f"{'x' * 250}.mp4"
    with pytest.raises(OutputError, match="File name too long"), drafting(output):
        pass


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    speech = tmp_path / "talk.mp4"
    speech.write_bytes(b"speech")
    with pytest.raises(InputError, match="one of the inputs"):
        check_output(tmp_path / "." / "talk.mp4", [speech])
