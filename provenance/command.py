"""`vasari verify`: the verdict on a file's origin, on a terminal or as JSON."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from vasari.errors import InputError, OutputError
from vasari.provenance.folders import store_path

if TYPE_CHECKING:
    from vasari.provenance.policy import Policy
    from vasari.provenance.store import ManifestStore
    from vasari.provenance.verdict import Verdict


NOT_ACCEPTED = 5  # exit code for what is intact and does not satisfy the policy
COLUMNS = (
    "file",
    "state",
    "exit_code",
    "signer",
    "made_with",
    "watermark",
    "kept_manifest",
    "objections",
    "headline",
)


@click.command()
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the whole verdict as JSON; of several files, one on each line.",
)
@click.option(
    "--trust",
    metavar="ANCHORS.pem",
    type=click.Path(path_type=Path),
    help="Root certificates of signers whom you trust.",
)
@click.option(
    "--store",
    metavar="URL",
    help="Manifest store in which to look up the watermark, as a database URL; your own by "
    "default.",
)
@click.option(
    "--policy",
    metavar="FILE.toml",
    type=click.Path(path_type=Path),
    help="What the file must show to be accepted.",
)
@click.option(
    "--report",
    metavar="FILE.html",
    type=click.Path(path_type=Path),
    help="Write the verdict as a web page, with pictures and the history of the file.",
)
@click.option(
    "--csv",
    "table",
    metavar="FILE.csv",
    type=click.Path(path_type=Path),
    help="Write a line about each file into a table.",
)
@click.option("--detect", is_flag=True, help="Ask also a detector of generated faces.")
@click.option(
    "--fetch",
    is_flag=True,
    help="Get a manifest that lies elsewhere, from a public address by HTTPS.",
)
@click.option(
    "--schema",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, option, asked: _print_schema(context) if asked else None,
    help="Print the JSON schema of --json, and exit.",
)
@click.pass_context
def verify(
    context: click.Context,
    files: tuple[Path, ...],
    *,
    as_json: bool,
    trust: Path | None,
    store: str | None,
    policy: Path | None,
    report: Path | None,
    table: Path | None,
    detect: bool,
    fetch: bool,
) -> None:
    """Say where a file comes from, who says so, and whether it was changed since.

    FILE is a video, picture or sound, made by Vasari or by anyone else. Two things are looked for:
    the C2PA manifest, a signed statement inside the file that breaks if one byte changes, and
    Vasari's watermark, which stays in the frames when the manifest is lost. Nothing is fetched
    from a network, unless --fetch allows it.

    \b
    Exit codes:
      0  intact provenance: unchanged since it was signed
      2  unusable input: missing, empty, or no media
      3  no provenance found, which proves nothing
      4  broken: changed since it was signed, or the manifest was
         removed and only the watermark is left
      5  intact, but not accepted by --policy
    Of several files, which get a line each, the highest.

    Exit code 0 does not mean that the signer is known: anyone can sign under any name. Get the
    root certificate of the supposed maker over a channel that you trust, and pass it with --trust,
    or keep it with `vasari credentials trust`.
    """
    from vasari.provenance.policy import load_policy
    from vasari.provenance.trust import trusted_roots
    from vasari.provenance.verdict import load_trust_anchors

    if report is not None and len(files) > 1:
        raise InputError("--report is about one file; give one")
    asked = load_policy(policy) if policy else None
    anchors = trusted_roots() + (load_trust_anchors(trust) if trust else b"")
    request = Request(anchors, store, report, asked, detect=detect, fetch=fetch)
    if len(files) == 1 and table is None:
        outcome = _outcome(files[0], request)
        if outcome.error is not None:
            raise outcome.error
        _tell(outcome, as_json)
        context.exit(outcome.exit_code)
    with _progress(len(files)) as advance, _rows(table) as write:
        codes = [_tell_briefly(_outcome(file, request), as_json, write, advance) for file in files]
    context.exit(max(codes))


@dataclass(frozen=True)
class Request:
    """What is asked about each file."""

    anchors: bytes  # PEM
    store: str | None  # URL
    report: Path | None
    policy: Policy | None
    detect: bool
    fetch: bool


@dataclass(frozen=True)
class Outcome:
    """What came of one file."""

    file: Path
    verdict: Verdict | None = None
    objections: tuple[str, ...] | None = None  # of a policy, if there is one
    error: InputError | None = None  # why the file cannot be used

    @property
    def exit_code(self) -> int:
        """What the program exits with for this file."""
        if self.verdict is None:
            return InputError.exit_code
        return self.verdict.exit_code or (NOT_ACCEPTED if self.objections else 0)

    def to_dict(self) -> dict[str, Any]:
        """The outcome as JSON can hold it."""
        told: dict[str, Any] = {}
        if self.verdict is None:
            told.update(path=str(self.file), state="unusable", headline=str(self.error))
        else:
            told.update(self.verdict.to_dict())
        if self.objections is not None:
            told["objections"] = list(self.objections)
        return {**told, "exit_code": self.exit_code}


def _outcome(file: Path, request: Request) -> Outcome:
    from vasari.provenance.worker import isolated

    # The policy stays here: it is about the verdict, and not about the file.
    asked = dataclasses.replace(request, policy=None)
    try:
        verdict = isolated(file, _examine, file, asked)
    except InputError as error:
        return Outcome(file, error=error)
    return Outcome(file, verdict, request.policy.objections(verdict) if request.policy else None)


def _tell(outcome: Outcome, as_json: bool) -> None:
    """Print everything about one file."""
    from rich.console import Console

    from vasari.provenance.presentation import show

    assert outcome.verdict is not None
    if as_json:
        click.echo(json.dumps(outcome.to_dict(), indent=2))
        return
    console = Console(highlight=False, markup=False, emoji=False)
    show(outcome.verdict, console, outcome.objections or ())


def _tell_briefly(
    outcome: Outcome, as_json: bool, write: Callable[[Outcome], None], advance: Callable[[], None]
) -> int:
    """Print a line about one of several files, and give its exit code."""
    from vasari.provenance.evidence import plain

    told = outcome.to_dict()
    if as_json:
        click.echo(json.dumps(told))
    else:
        objections = "; ".join(outcome.objections or ())
        words = plain(f"{told['headline']} {objections}".strip(), limit=500)
        click.echo(f"{outcome.exit_code}  {told['state']:<8}  {plain(told['path'])}: {words}")
    write(outcome)
    advance()
    return outcome.exit_code


@contextlib.contextmanager
def _progress(count: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr, where that is a terminal and there are several files."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("files", total=count)
        yield lambda: bar.advance(task)


@contextlib.contextmanager
def _rows(table: Path | None) -> Iterator[Callable[[Outcome], None]]:
    """Write a CSV file, which appears when it is complete; without a path, write nothing."""
    if table is None:
        yield lambda outcome: None
        return
    with _replacing(table) as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        yield lambda outcome: writer.writerow(_row(outcome))


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", newline="", encoding="utf-8") as file:
                yield file
            Path(name).chmod(0o644)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _row(outcome: Outcome) -> list[str]:
    """What stands in a table, in the order of COLUMNS."""
    from vasari.provenance.evidence import plain

    verdict = outcome.verdict
    told = outcome.to_dict()
    manifest = verdict.manifest if verdict else None
    cells = [
        told["path"],
        told["state"],
        str(outcome.exit_code),
        manifest.signer if manifest else "",
        manifest.generator if manifest else "",
        verdict.watermark.identifier or "" if verdict else "",
        verdict.recovered[0].label if verdict and verdict.recovered else "",
        "; ".join(outcome.objections or ()),
        told["headline"],
    ]
    return [_inert(plain(cell, limit=1000)) for cell in cells]


def _inert(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _print_schema(context: click.Context) -> None:
    from importlib import resources

    click.echo((resources.files("vasari.provenance") / "verdict.schema.json").read_text(), nl=False)
    context.exit()


def _examine(file: Path, request: Request) -> Verdict:
    """Everything that reads the stranger's file."""
    from vasari.provenance.verdict import verify as judge

    with _opened_store(request.store) as opened:
        verdict = judge(
            file,
            trust_anchors=request.anchors,
            store=opened,
            fetch=request.fetch,
            detect=request.detect,
        )
        if request.report is not None:
            from vasari.provenance.report import write_report

            write_report(verdict, request.report, opened)
    return verdict


@contextlib.contextmanager
def _opened_store(url: str | None) -> Iterator[ManifestStore | None]:
    """The store at a URL, or else the user's own if there is one."""
    if url is None and not store_path().exists():
        yield None
        return
    from vasari.provenance.store import ManifestStore

    with ManifestStore.open(url) if url else ManifestStore.default() as store:
        yield store
