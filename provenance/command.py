"""`vasari verify`: the verdict on a file's origin, on a terminal or as JSON."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vasari.provenance.folders import store_path

if TYPE_CHECKING:
    from vasari.provenance.store import ManifestStore
    from vasari.provenance.verdict import Verdict


NOT_ACCEPTED = 5  # exit code for what is intact and does not satisfy the policy


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the whole verdict as JSON.")
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
    file: Path,
    *,
    as_json: bool,
    trust: Path | None,
    store: str | None,
    policy: Path | None,
    report: Path | None,
) -> None:
    """Say where FILE comes from, who says so, and whether it was changed since.

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

    Exit code 0 does not mean that the signer is known: anyone can sign under any name. Get the
    root certificate of the supposed maker over a channel that you trust, and pass it with --trust,
    or keep it with `vasari credentials trust`.
    """
    from rich.console import Console

    from vasari.provenance.policy import load_policy
    from vasari.provenance.presentation import show
    from vasari.provenance.trust import trusted_roots
    from vasari.provenance.verdict import load_trust_anchors
    from vasari.provenance.worker import isolated

    asked = load_policy(policy) if policy else None
    anchors = trusted_roots() + (load_trust_anchors(trust) if trust else b"")
    verdict = isolated(file, _examine, file, anchors, store, report)
    objections = asked.objections(verdict) if asked else ()
    if as_json:
        told = {**verdict.to_dict(), "objections": list(objections)} if asked else verdict.to_dict()
        click.echo(json.dumps(told, indent=2))
    else:
        show(verdict, Console(highlight=False, markup=False, emoji=False), objections)
    context.exit(verdict.exit_code or (NOT_ACCEPTED if objections else 0))


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
