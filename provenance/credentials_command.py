"""`vasari credentials`: who signs your videos, and whose signatures you trust."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vasari.provenance.keyring import Summary

EXPIRY_WARNING = 90  # days


@click.group()
def credentials() -> None:
    """Who signs your videos, and whose signatures you trust.

    Vasari makes a credential for you on first use: good to show that two videos have the same
    maker, vouched for by no one. `import` replaces it by a certificate of your own.
    """


@credentials.command()
@click.option(
    "--algorithm",
    type=click.Choice(["es256", "es384", "ed25519"]),
    default="es256",
    show_default=True,
    help="How it signs.",
)
@click.option("--name", help="Whom the certificate shall name.")
def create(algorithm: str, name: str | None) -> None:
    """Make a root and a signer of your own."""
    from vasari.provenance import keyring

    _print(keyring.create(algorithm=algorithm, name=name))


@credentials.command()
def show() -> None:
    """Say who signs, and until when."""
    from vasari.provenance import keyring

    _print(keyring.summary())


@credentials.command()
def rotate() -> None:
    """Give your signer a new key; who trusts your root goes on trusting you."""
    from vasari.provenance import keyring

    _print(keyring.rotate())


@credentials.command("import")
@click.argument("chain", type=click.Path(path_type=Path))
@click.argument("key", type=click.Path(path_type=Path))
def import_(chain: Path, key: Path) -> None:
    """Sign with your own CHAIN and KEY (PEM files) from now on.

    The chain begins with the signer's certificate. The password of an encrypted key is read from
    VASARI_KEY_PASSWORD, now and whenever it signs. What signed before is put aside, not removed.
    """
    from vasari.provenance import keyring
    from vasari.provenance.credentials import PASSWORD_VARIABLE

    password = os.environ.get(PASSWORD_VARIABLE)
    _print(keyring.install(chain, key, password=password.encode() if password else None))


@credentials.command()
@click.argument("anchors", required=False, type=click.Path(path_type=Path))
@click.option("--remove", metavar="SHA256", help="Trust this root no longer: its first digits.")
def trust(anchors: Path | None, remove: str | None) -> None:
    """Trust the signers under the root certificates in ANCHORS (PEM); without it, list them."""
    from vasari.provenance import trust as roots

    if remove is not None:
        click.echo(f"no longer trusted: {roots.distrust(remove).name}")
        return
    added = roots.trust(anchors) if anchors else roots.trusted()
    for anchor in added:
        click.echo(f"{anchor.digest[:16]}  until {anchor.expires}  {anchor.name}")
    if not added:
        click.echo("no root is trusted")


def _print(summary: Summary) -> None:
    """Describe a credential; never its key."""
    click.echo(f"signer     {summary.signer}")
    click.echo(f"algorithm  {summary.algorithm}")
    click.echo(f"expires    {summary.expires}")
    if summary.root:
        click.echo(f"root       SHA-256 {summary.root}")
    click.echo(f"kept in    {summary.folder}")
    if summary.self_made:
        click.echo("This signer is on no trust list: it was made on this machine.")
    if summary.root:
        click.echo("Give root.pem to those who shall recognise your videos: `credentials trust`.")
    if summary.days_left < EXPIRY_WARNING:
        click.echo(f"vasari: warning: it expires in {summary.days_left} days", err=True)
