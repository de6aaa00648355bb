"""`vasari verify`: the verdict on a file's origin, on a terminal or as JSON."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vasari.errors import InputError
from vasari.provenance.folders import store_path

if TYPE_CHECKING:
    from vasari.provenance.policy import Policy
    from vasari.provenance.store import ManifestStore
    from vasari.provenance.verdict import Verdict


NOT_ACCEPTED = 5  # exit code for what is intact and does not satisfy the policy


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
) -> None:
    """Say where a file comes from, who says so, and whether it was changed since.

    FILE is a video, picture or sound, made by Vasari or by anyone else. Two things are looked for:
    the C2PA manifest, a signed statement inside the file that breaks if one byte changes, and
    Vasari's watermark, which stays in the frames when the manifest is lost. Nothing is fetched
    from a network.

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
    outcomes = (_outcome(file, anchors, store, report, asked) for file in files)
    if len(files) == 1:
        outcome = next(outcomes)
        if outcome.error is not None:
            raise outcome.error
        _tell(outcome, as_json)
        context.exit(outcome.exit_code)
    context.exit(max(_tell_all(outcomes, as_json)))


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


def _outcome(
    file: Path, anchors: bytes, store: str | None, report: Path | None, policy: Policy | None
) -> Outcome:
    from vasari.provenance.worker import isolated

    try:
        verdict = isolated(file, _examine, file, anchors, store, report)
    except InputError as error:
        return Outcome(file, error=error)
    return Outcome(file, verdict, policy.objections(verdict) if policy else None)


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


def _tell_all(outcomes: Iterable[Outcome], as_json: bool) -> list[int]:
    """Print a line about each file as soon as it is known, and give the exit codes."""
    from vasari.provenance.evidence import plain

    codes = []
    for outcome in outcomes:
        told = outcome.to_dict()
        codes.append(outcome.exit_code)
        if as_json:
            click.echo(json.dumps(told))
            continue
        objections = "; ".join(outcome.objections or ())
        words = plain(f"{told['headline']} {objections}".strip(), limit=500)
        click.echo(f"{outcome.exit_code}  {told['state']:<8}  {plain(told['path'])}: {words}")
    return codes


def _examine(file: Path, anchors: bytes, store: str | None, report: Path | None) -> Verdict:
    """Everything that reads the stranger's file."""
    from vasari.provenance.verdict import verify as judge

    with _opened_store(store) as opened:
        verdict = judge(file, trust_anchors=anchors, store=opened)
        if report is not None:
            from vasari.provenance.report import write_report

            write_report(verdict, report, opened)
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
