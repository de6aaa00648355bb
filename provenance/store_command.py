"""`vasari store`: the manifests that are kept for when a file has lost its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vasari.provenance.store import ManifestStore


@click.group()
@click.option("--store", "url", metavar="URL", help="Another store than your own: a database URL.")
@click.pass_context
def store(context: click.Context, url: str | None) -> None:
    """Manifests that are kept for when a file has lost its own.

    `generate` keeps the manifest of every video under the id of its watermark, and `verify` looks
    there when it finds the watermark without a manifest.
    """
    context.obj = url


@store.command("list")
@click.option("--limit", default=20, show_default=True, help="How many, newest first.")
@click.pass_obj
def list_(url: str | None, limit: int) -> None:
    """List what is kept: watermark id, when, signer, title."""
    with _opened(url) as kept:
        for entry in kept.newest(limit):
            click.echo(
                f"{entry.identifier:012x}  {entry.created:%Y-%m-%d %H:%M}  "
                f"{entry.signer}  {entry.title}"
            )
        click.echo(f"{len(kept)} kept", err=True)


@store.command()
@click.argument("identifier", metavar="ID")
@click.pass_obj
def show(url: str | None, identifier: str) -> None:
    """Show the manifests that are kept under a watermark ID (12 hexadecimal digits)."""
    from rich.console import Console

    from vasari.errors import InputError
    from vasari.provenance.evidence import read_stored
    from vasari.provenance.presentation import show_manifest
    from vasari.watermark.payload import parse_identifier

    with _opened(url) as kept:
        entries = kept.by_identifier(parse_identifier(identifier))
    if not entries:
        raise InputError(f"no manifest is kept under the watermark {identifier}")
    for entry in entries:
        _, manifest = read_stored(entry.manifest)
        click.echo(f"“{entry.title}”, kept {entry.created:%Y-%m-%d %H:%M} UTC, {entry.label}")
        show_manifest(manifest, Console(highlight=False, markup=False, emoji=False))


@store.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.pass_obj
def export(url: str | None, folder: Path) -> None:
    """Write every manifest into FOLDER as <id>-<label>.c2pa, its fingerprint beside it."""
    from vasari.provenance.archive import export_entries

    with _opened(url) as kept:
        click.echo(f"{export_entries(kept, folder)} written")


@store.command("import")
@click.argument("folder", type=click.Path(path_type=Path))
@click.pass_obj
def import_(url: str | None, folder: Path) -> None:
    """Keep the manifests of a FOLDER that `export` wrote; what is kept already stays."""
    from vasari.provenance.archive import import_entries

    with _opened(url) as kept:
        click.echo(f"{import_entries(kept, folder)} read")


@store.command()
@click.option(
    "--before", required=True, metavar="DATE", type=click.DateTime(["%Y-%m-%d"]), help="YYYY-MM-DD."
)
@click.confirmation_option(prompt="Videos with these watermarks will lead nowhere. Go on?")
@click.pass_obj
def prune(url: str | None, before: datetime) -> None:
    """Remove what was kept before a date."""
    with _opened(url) as kept:
        count = kept.remove_before(before.replace(tzinfo=timezone.utc))
    click.echo(f"{count} removed")


@contextlib.contextmanager
def _opened(url: str | None) -> Iterator[ManifestStore]:
    from vasari.provenance.store import ManifestStore

    with ManifestStore.open(url) if url else ManifestStore.default() as kept:
        yield kept
