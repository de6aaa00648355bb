"""Files signed by other programs: whether our state is the C2PA library's.

    python benchmarks/foreign.py [--libraries FOLDER] [--also FOLDER]

Pictures, a sound and a video are signed by older releases of the C2PA library, which write claims
of version 1, and by c2pie, which shares no code with it and signs only JPEG; each alone, by the
older library also with the result as an ingredient, and each again with a byte of its content
changed. They are installed into a folder (pip, without their dependencies). `--also` names a folder
of further files, by anyone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import c2pa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fuzz import make_plain

from vasari.provenance.certificates import create_leaf, create_root
from vasari.provenance.credentials import Credential
from vasari.provenance.evidence import reader_settings
from vasari.provenance.folders import credential_folder
from vasari.provenance.keyring import SIGNER_FILE
from vasari.provenance.verdict import verify
from vasari.watermark import reading

PROGRAMS = {  # and what they need
    "c2pa-python==0.5.3": (),
    "c2pa-python==0.6.1": (),
    "c2pie==0.1.1": ("cbor2", "pypdf"),
}
SUFFIXES = ("jpg", "png", "wav", "mp4")

# What the older library does in a process of its own: argv is chain, key, source, target, parent.
SIGN = """
import json, sys
from pathlib import Path
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
import c2pa
chain, key, source, target, parent = sys.argv[1:]
private = load_pem_private_key(Path(key).read_bytes(), None)
sign = lambda data: private.sign(data, ec.ECDSA(hashes.SHA256()))
name = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
acts = [{"action": "c2pa.opened"}] if parent else [{"action": "c2pa.created",
    "digitalSourceType": name}]
said = {"claim_generator": "older/1", "claim_generator_info": [{"name": "older", "version": "1"}],
    "title": "t", "assertions": [{"label": "c2pa.actions", "data": {"actions": acts}}]}
builder = c2pa.Builder(said)
if parent:
    builder.add_ingredient_file({"title": "parent", "relationship": "parentOf"}, parent)
algorithm = c2pa.SigningAlg.ES256
signer = c2pa.create_signer(sign, algorithm, Path(chain).read_bytes(), None)
builder.sign_file(signer, source, target)
"""
PIE = """
import sys
from c2pie.signing import sign_file
chain, key, source, target, parent = sys.argv[1:]
sign_file(source, target, key, chain)
"""


def main() -> None:
    """Sign, compare, and print a line for each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--libraries", type=Path, help="where they are installed, or shall be")
    parser.add_argument("--also", type=Path, help="a folder of signed files")
    options = parser.parse_args()
    reading.read_video = lambda path, **given: None  # the watermark is no part of the comparison
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_DATA_HOME"] = name
        files = list(made(folder, options.libraries or folder / "libraries"))
        files += sorted(options.also.iterdir()) if options.also else []
        agreed = [agrees(path) for path in files]
    print(f"{sum(agreed)} of {len(agreed)} states agree with the C2PA library's {c2pa.__version__}")


def made(folder: Path, libraries: Path) -> Iterator[Path]:
    """Files by each program; what it cannot sign is told and left out."""
    (folder / "chain.pem").write_bytes(Credential.default().chain)
    (folder / "key.pem").write_bytes((credential_folder() / SIGNER_FILE).read_bytes())
    write_rsa(folder)
    make_plain(folder)
    for program, needed in PROGRAMS.items():
        library = libraries / program
        if not library.exists():
            install = ["-m", "pip", "install", "-q", "--no-deps", "--target", str(library)]
            subprocess.run([sys.executable, *install, program, *needed], check=True)
        for source in (folder / f"plain.{suffix}" for suffix in SUFFIXES):
            first = folder / f"{program}.{source.name}"
            if not signed(program, library, source, first, None):
                continue
            yield from (first, changed(first))
            edit = folder / f"{program}.edit.{source.name}"
            if "c2pie" not in program and signed(program, library, source, edit, first):
                yield from (edit, changed(edit))


def write_rsa(folder: Path) -> None:
    """A certificate and key of the kind with which c2pie signs, and no other."""
    now, root_key = datetime.now(timezone.utc), ec.generate_private_key(ec.SECP256R1())
    key: Any = rsa.generate_private_key(65537, 2048)
    leaf = create_leaf("RSA", key, create_root("Root", root_key, now), root_key, now)
    pem = serialization.Encoding.PEM
    (folder / "rsa-chain.pem").write_bytes(leaf.public_bytes(pem))
    (folder / "rsa-key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def signed(program: str, library: Path, source: Path, target: Path, parent: Path | None) -> bool:
    """Let a program sign; gives whether it did."""
    code, kind = (PIE, "rsa-") if "c2pie" in program else (SIGN, "")
    files = [source.with_name(kind + name) for name in ("chain.pem", "key.pem")]
    files += [source, target]
    given = [*map(str, files), str(parent or "")]
    done = subprocess.run(
        [sys.executable, "-c", code, *given],
        env={**os.environ, "PYTHONPATH": str(library)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not target.exists():
        last = (done.stderr.strip().splitlines() or ["nothing was written"])[-1]
        print(f"{target.name}: not signed ({last[:90]})")
        return False
    return True


def changed(path: Path) -> Path:
    """A copy in which a byte of the content differs."""
    content = bytearray(path.read_bytes())
    at = content.rindex(b"mdat") + 100 if path.suffix == ".mp4" else len(content) - 100
    content[at if path.suffix != ".wav" else content.index(b"data") + 100] ^= 1
    other = path.with_name(f"changed.{path.name}")
    other.write_bytes(content)
    return other


def agrees(path: Path) -> bool:
    """Print both states of a file, and give whether they are the same."""
    ours = verify(path)
    theirs = state_of(path)
    said = ours.manifest.generator if ours.manifest else ""
    print(f"{path.name}: {ours.state.value} ({said}); the library: {theirs}", flush=True)
    return ours.state.value == theirs


def state_of(path: Path) -> str:
    """What the C2PA library says: its state, or that there is none, or that it cannot read it."""
    try:
        with (
            c2pa.Context.from_dict(reader_settings()) as context,
            path.open("rb") as file,
            c2pa.Reader(None, file, None, context=context) as reader,
        ):
            return str(json.loads(reader.json())["validation_state"]).lower()
    except c2pa.C2paError.ManifestNotFound:
        return "none"
    except c2pa.C2paError:
        return "invalid"


if __name__ == "__main__":
    main()
