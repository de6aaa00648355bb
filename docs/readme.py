"""Put the program's own help into the README: `python docs/readme.py`, run by `make readme`.

A block that begins with ``$ vasari … --help`` is replaced by what that command prints.
"""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from vasari.cli import vasari

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(r"(?<=```console\n)\$ vasari ([^\n]*--help)\n.*?(?=```)", re.DOTALL)


def with_help(text: str) -> str:
    """The text with every help block as the program prints it now."""
    return BLOCK.sub(_block, text)


def _block(match: re.Match[str]) -> str:
    """One block."""
    arguments = match[1].split()
    output = CliRunner().invoke(vasari, arguments, prog_name="vasari").output
    return f"$ vasari {match[1]}\n{output}"


if __name__ == "__main__":
    README.write_text(with_help(README.read_text()))
