"""`vasari watermark`: mark videos and images that other programs made, and read the mark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vasari.errors import WatermarkError
from vasari.watermark.payload import PUBLIC_KEY, format_identifier, parse_identifier

if TYPE_CHECKING:
    from vasari.watermark.reading import Reading

NOT_FOUND = 3  # exit code
MAX_KEY = 4096  # bytes

_file = click.argument("file", type=click.Path(path_type=Path))
_key = click.option(
    "--key",
    "key_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="File with a private key; without it, the public key that anyone can read with.",
)
_method = click.option(
    "--method",
    type=click.Choice(["vasari", "dwtDct", "dwtDctSvd", "rivaGan"]),
    default="vasari",
    show_default=True,
    help="Vasari's mark, or one of the package invisible-watermark (extra peers).",
)
_bits = click.option(
    "--bits", type=int, help="Of dwtDct and dwtDctSvd, a multiple of 8.  [default: 48]"
)
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.group()
def watermark() -> None:
    """Mark videos and images invisibly, and read the mark."""


@watermark.command()
@_file
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="The marked copy."
)
@_key
@_method
@_bits
@click.option("--payload", metavar="HEX", help="What dwtDct, dwtDctSvd or rivaGan shall carry.")
def embed(
    *,
    file: Path,
    output: Path,
    key_file: Path | None,
    method: str,
    bits: int | None,
    payload: str | None,
) -> None:
    """Write a marked copy of FILE, a video or an image, and print its new identifier."""
    if method != "vasari":
        click.echo(_embed_peer(file, output, method, bits, payload))
        return
    from vasari.watermark.media import mark_file

    click.echo(format_identifier(mark_file(file, output, key=_key_of(key_file))))


@watermark.command()
@_file
@_key
@_method
@_bits
@_json
@click.pass_context
def read(
    context: click.Context,
    *,
    file: Path,
    key_file: Path | None,
    method: str,
    bits: int | None,
    as_json: bool,
) -> None:
    """Read the watermark of FILE, a video or an image. Exit code 3: there is none.

    Vasari's mark proves itself; the other methods give some bits for any picture.
    """
    if method != "vasari":
        from vasari.watermark.peers import Peer

        found = Peer(method, bits).read(file)
        click.echo(json.dumps({"method": method, "payload": found}) if as_json else found)
        return
    from vasari.watermark.reading import read_video

    reading = read_video(file, key=_key_of(key_file))
    if as_json:
        click.echo(json.dumps(_record(reading) if reading else None))
    else:
        click.echo(_line(reading) if reading else "no watermark found")
    context.exit(0 if reading else NOT_FOUND)


@watermark.command()
@_file
@click.argument("identifier")
@_key
@click.pass_context
def check(context: click.Context, file: Path, identifier: str, key_file: Path | None) -> None:
    """Say whether FILE carries IDENTIFIER (12 hexadecimal digits). Exit code 3: it does not."""
    from vasari.watermark.reading import read_video

    wanted = parse_identifier(identifier)
    reading = read_video(file, key=_key_of(key_file))
    same = reading is not None and reading.identifier == wanted
    click.echo("yes" if same else f"no: {_line(reading) if reading else 'no watermark found'}")
    context.exit(0 if same else NOT_FOUND)


def _embed_peer(
    file: Path, output: Path, method: str, bits: int | None, payload: str | None
) -> str:
    """Mark a file by a method of invisible-watermark; returns what it carries."""
    import secrets

    from vasari.watermark.peers import Peer

    peer = Peer(method, bits)
    carried = payload or secrets.token_hex(peer.bits // 8)
    peer.mark_file(file, output, carried)
    return carried


def _key_of(path: Path | None) -> bytes:
    """The bytes of a key file, or the public key."""
    if path is None:
        return PUBLIC_KEY
    try:
        key = path.read_bytes()
    except OSError as error:
        raise WatermarkError(f"{path}: the key cannot be read ({error.strerror})") from error
    if not 16 <= len(key) <= MAX_KEY:
        raise WatermarkError(f"{path}: a key has 16 to {MAX_KEY} bytes, this has {len(key)}")
    return key


def _line(reading: Reading) -> str:
    """The reading in one line."""
    seen = ", ".join(f"{start:.1f}-{end:.1f} s" for start, end in reading.intervals)
    return (
        f"{format_identifier(reading.identifier)}  p < {reading.p_value:.0e}  "
        f"{_geometry(reading)}  seen {seen or 'nowhere for sure'}"
    )


def _geometry(reading: Reading) -> str:
    """What was done to the picture, in words."""
    geometry = reading.geometry
    changes = {
        f"chips x{geometry.scale:.2f}": abs(geometry.scale - 1) > 0.02,
        f"rotated {geometry.rotation:.1f} degrees": abs(geometry.rotation) > 0.5,
        f"stretched x{geometry.aspect:.2f}": abs(geometry.aspect - 1) > 0.02,
        "mirrored": geometry.mirrored,
    }
    return ", ".join(words for words, done in changes.items() if done) or "upright"


def _record(reading: Reading) -> dict[str, Any]:
    """The reading as JSON can hold it."""
    geometry = reading.geometry
    return {
        "identifier": format_identifier(reading.identifier),
        "p_value": reading.p_value,
        "frames": reading.frames,
        "bit_errors": reading.bit_errors,
        "geometry": {
            "scale": geometry.scale,
            "rotation": geometry.rotation,
            "aspect": geometry.aspect,
            "mirrored": geometry.mirrored,
        },
        "region": reading.region._asdict(),
        "intervals": [interval._asdict() for interval in reading.intervals],
    }
