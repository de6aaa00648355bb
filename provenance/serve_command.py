"""`vasari serve`: the resolution service and its page."""

from __future__ import annotations

import os
from pathlib import Path

import click

from vasari.errors import VasariError

INSTALL_HINT = 'vasari serve needs its extra: pip install "vasari[serve]"'
TOKEN_VARIABLE = "VASARI_SERVE_TOKEN"  # noqa: S105 - the name of a variable, no token
MAX_CONNECTIONS = 256
IDLE_SECONDS = 5  # that a connection may stay open between two requests


@click.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Address to bind; 0.0.0.0 for all."
)
@click.option("--port", default=8720, show_default=True, type=click.IntRange(0, 65535))
@click.option(
    "--store",
    metavar="URL",
    help="Manifest store in which to look, as a database URL; your own by default.",
)
@click.option(
    "--trust",
    metavar="ANCHORS.pem",
    type=click.Path(path_type=Path),
    help="Root certificates of signers whom you trust.",
)
@click.option(
    "--upload", default=256, show_default=True, metavar="MB", type=click.IntRange(1, 4096),
    help="Largest file that is taken.",
)  # fmt: skip
@click.option(
    "--rate", default=600, show_default=True, type=click.IntRange(1),
    help="Look-ups a minute for each address; an upload counts as ten.",
)  # fmt: skip
@click.option(
    "--workers", default=2, show_default=True, type=click.IntRange(1, 64),
    help="Files that are read at once, each in a process of its own.",
)  # fmt: skip
def serve(
    *,
    host: str,
    port: int,
    store: str | None,
    trust: Path | None,
    upload: int,
    rate: int,
    workers: int,
) -> None:
    """Answer where clips come from: a page to drop files on, and an API.

    The API is the C2PA soft binding resolution API: it leads from a watermark, a fingerprint or a
    file to the manifest that is kept for it. /openapi.json describes it.

    Files are read in processes of their own and removed at once. Manifests are kept only from who
    shows the token in VASARI_SERVE_TOKEN; without that variable, from no one. Beyond this machine,
    put it behind a server that speaks HTTPS.

    \b
    Examples:
      vasari serve
      vasari serve --store postgresql+psycopg://localhost/manifests --rate 6000
    """
    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn
    except ImportError:
        raise VasariError(INSTALL_HINT) from None
    from vasari.provenance.resolution import opened
    from vasari.provenance.service import ServiceSettings, create_service
    from vasari.provenance.service_guard import Limits
    from vasari.provenance.trust import trusted_roots
    from vasari.provenance.verdict import load_trust_anchors

    settings = ServiceSettings(
        store_url=store,
        trust_anchors=trusted_roots() + (load_trust_anchors(trust) if trust else b""),
        token=os.environ.get(TOKEN_VARIABLE, ""),
        workers=workers,
        limits=Limits(upload_bytes=upload << 20, per_minute=rate),
    )
    with opened(store) as kept:
        click.echo(f"Open http://{f'[{host}]' if ':' in host else host}:{port}/")
        click.echo(f"Manifests kept: {len(kept)}; writing {_writers(settings.token)}")
        uvicorn.run(
            create_service(settings, kept, host=host),
            host=host,
            port=port,
            log_level="warning",
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=IDLE_SECONDS,
            server_header=False,
        )


def _writers(token: str) -> str:
    return "needs the token" if token else f"is off ({TOKEN_VARIABLE} is not set)"
