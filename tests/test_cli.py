from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from vasari import cli
from vasari.cli import COMMANDS, run
from vasari.errors import InputError, OutputError
from vasari.lazy import Entry
from vasari.native import explain_missing_library

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException | None], None]:
    """Replace the table by one command, `act`, that raises what it is told to."""

    def install(error: BaseException | None) -> None:
        @click.command()
        def act() -> None:
            if error is not None:
                raise error

        monkeypatch.setattr(cli, "ACT", act, raising=False)
        monkeypatch.setitem(COMMANDS, "act", Entry("vasari.cli:ACT", "Act."))

    return install


def test_a_command_that_returns_is_a_success(command: Callable[..., None]) -> None:
    command(None)
    assert run(["act"]) == 0


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("no such\nfile"), 2, "vasari: no such file\n"),
        (OutputError("disk full"), 1, "vasari: disk full\n"),
        (click.exceptions.Exit(4), 4, ""),
        (KeyboardInterrupt(), 130, "vasari: interrupted\n"),
        (ImportError("libGL.so.1: cannot open shared object file"), 1, "vasari: OpenCV cannot"),
    ],
)
def test_errors_are_one_line_and_a_code(
    command: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    line: str,
) -> None:
    command(error)
    assert run(["act"]) == code
    stderr = capsys.readouterr().err.lstrip("\n")
    assert stderr.startswith(line)
    assert stderr.count("\n") == (1 if line else 0)


def test_a_mistake_of_ours_keeps_its_traceback(command: Callable[..., None]) -> None:
    command(ImportError("no module named 'vasarj'"))
    with pytest.raises(ImportError, match="vasarj"):
        run(["act"])


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["--nonsense"], ["generate", "a.png"], ["verify"]]
)
def test_misuse_is_one_line_and_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(arguments) == 2
    stderr = capsys.readouterr().err
    assert re.fullmatch(r"vasari: [^\n]+\n", stderr)


def test_missing_libraries_are_named_with_their_packages() -> None:
    error = ImportError("libgthread-2.0.so.0: cannot open shared object file")
    explained = str(explain_missing_library(error))
    assert "libgl1 libglib2.0-0" in explained
    assert "opencv-contrib-python-headless" in explained


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert re.fullmatch(r"vasari, version \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_a_summary(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: vasari {name}" in shown
    assert "\\b" not in shown, "a raw docstring hides click's backspace"
    assert re.fullmatch(r"[A-Z].{10,60}\.", COMMANDS[name].summary)


def test_the_readme_shows_the_help_as_it_is() -> None:
    readme = runpy.run_path(str(ROOT / "docs" / "readme.py"))
    text = (ROOT / "README.md").read_text()
    assert {"--help", "generate --help", "verify --help"} <= set(readme["BLOCK"].findall(text))
    assert readme["with_help"](text) == text, "run `make readme`"


FILTER = """
import logging, os, sys
from vasari.native import filtered_stderr
with filtered_stderr():
    logging.getLogger("matplotlib.font_manager").warning("building the font cache")
    os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\\n")
    os.write(2, b"W0000 00:00:1700000000.000000 1 graph.cc:1] chatter\\n")
    os.write(2, b"E0000 00:00:1700000000.000000 1 graph.cc:1] native error\\n")
    print("from Python", file=sys.stderr)
    {last}
print("after", file=sys.stderr)
"""


def filtered(last: str) -> list[str]:
    """The lines on stderr of a process that ends in its own way inside the filter."""
    done = subprocess.run(
        [sys.executable, "-c", FILTER.format(last=last)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return sorted(done.stderr.splitlines())


NATIVE_ERROR = "E0000 00:00:1700000000.000000 1 graph.cc:1] native error"


def test_chatter_is_dropped_and_errors_are_not() -> None:
    assert filtered("pass") == [NATIVE_ERROR, "after", "from Python"]


def test_the_last_words_of_a_crash_come_through() -> None:
    lines = filtered("os.write(2, b'F0000 check failed'); os.abort()")
    assert lines == [NATIVE_ERROR, "F0000 check failed", "from Python"]


TERMINATED = """
import os, signal, sys, time
import click
from vasari import cli

@click.command()
def act():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    finally:
        print("cleaned up")

cli.ACT = act
cli.COMMANDS["act"] = cli.Entry("vasari.cli:ACT", "Act.")
sys.argv = ["vasari", "act"]
cli.main()
"""


def test_a_program_that_is_terminated_cleans_up() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TERMINATED], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, "cleaned up\n", "")


def test_a_reader_that_leaves_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m vasari --help | true"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
