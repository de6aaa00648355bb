"""Figures of the provenance layer: signing, verifying, tampering, damaged files, the store.

    python benchmarks/provenance.py [--records 1000000] [--mutants 2000]

The watermark's reading has a benchmark of its own: here the clip carries none, and none is looked
for.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from vasari.errors import VasariError
from vasari.provenance import store as stores
from vasari.provenance.credentials import Credential
from vasari.provenance.evidence import MANIFEST_STORE_UUID, Manifest, read_manifest
from vasari.provenance.fingerprint import fingerprint_of
from vasari.provenance.manifest import Ingredient, ManifestRecord, SoftBinding, sign
from vasari.provenance.media import media_kind

SECONDS, SIZE, FPS = 10, 512, 25
REPEATS = 20
POSITIONS = 200


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--mutants", type=int, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CONFIG_HOME"] = name
        unsigned = write_clip(folder / "unsigned.mp4")
        signed = signing(unsigned, folder)
        verifying(signed)
        tampering(signed, folder)
        damage(signed, folder, options.mutants)
        looking_up(folder, options.records)


def write_clip(path: Path) -> Path:
    """A clip of the length and size that the figures are about."""
    import av

    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (SIZE // 8, SIZE // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for index in range(SECONDS * FPS):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, index, 1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    print(f"clip: {SECONDS} s, {SIZE}x{SIZE}, {path.stat().st_size / 1e6:.2f} MB")
    return path


def signing(unsigned: Path, folder: Path) -> Path:
    """Time to sign, with a picture and a sound as ingredients."""
    from PIL import Image

    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 256, (512, 512, 3), np.uint8)).save(folder / "portrait.jpg")
    (folder / "speech.wav").write_bytes(bytes(32_000 * SECONDS))
    ingredients = (
        Ingredient(folder / "portrait.jpg", "portrait", "portrait.jpg", "image/jpeg"),
        Ingredient(folder / "speech.wav", "sound", "speech.wav", "audio/wav"),
    )
    record = ManifestRecord("t.mp4", ingredients, SoftBinding("org.vasari.watermark.1", 1))
    credential, signed = Credential.default(), folder / "signed.mp4"
    report("sign", lambda: sign(unsigned, signed, record, credential))
    grown = signed.stat().st_size - unsigned.stat().st_size
    print(f"manifest: {grown / 1e3:.1f} kB")
    return signed


def verifying(signed: Path) -> None:
    """Time of the parts of a verification, but for the watermark."""
    report("read and validate the manifest", lambda: read_manifest(signed))
    report("find out the kind of file", lambda: media_kind(signed))
    report("fingerprint", lambda: fingerprint_of(signed))


def tampering(signed: Path, folder: Path) -> None:
    """One changed byte at each of many places of the media."""
    content, rng = signed.read_bytes(), random.Random(2)
    start = content.index(b"mdat") + 4
    size = struct.unpack(">I", content[start - 8 : start - 4])[0]
    found = 0
    for position in rng.sample(range(start, start + size - 8), POSITIONS):
        changed = bytearray(content)
        changed[position] ^= 1 << rng.randrange(8)
        manifest = read_manifest(write(folder / "changed.mp4", changed))
        found += not (isinstance(manifest, Manifest) and manifest.intact)
    print(f"one changed byte of the media: {found} of {POSITIONS} found")


def damage(signed: Path, folder: Path, count: int) -> None:
    """What becomes of mutants, and how long the slowest takes."""
    content, rng = signed.read_bytes(), random.Random(3)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for _ in range(count):
        path = write(folder / "mutant.mp4", mutant(content, rng))
        started = time.perf_counter()
        try:
            outcomes[type(read_manifest(path)).__name__] += 1
            media_kind(path)
        except VasariError as error:
            outcomes[type(error).__name__] += 1
        slowest = max(slowest, time.perf_counter() - started)
    print(f"{count} mutants: {dict(outcomes)}, slowest {slowest:.2f} s")


def mutant(content: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, numbers overwritten, pieces removed or inserted, mostly in the manifest."""
    changed = bytearray(content)
    manifest = content.index(MANIFEST_STORE_UUID)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(manifest - 60, manifest + 4000) if rng.random() < 0.7 else 0
        at = at or rng.randrange(len(content))
        kind = rng.randrange(4)
        if kind == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[at : at + 4] = struct.pack(">I", rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF)))
        elif kind == 2:
            del changed[at : at + rng.choice((1, 4, 100))]
        else:
            changed[at:at] = rng.randbytes(rng.choice((1, 4, 100)))
    return bytes(changed)


def looking_up(folder: Path, count: int) -> None:
    """Time to find one record among many; the records are shorter than real ones."""
    import sqlalchemy as sql

    url = f"sqlite:///{folder}/store.sqlite"
    now, rng = datetime.now(timezone.utc), random.Random(4)
    identifiers = [rng.getrandbits(48) for _ in range(count)]
    with stores.ManifestStore.open(url) as store:
        engine = sql.create_engine(url)
        with engine.begin() as connection:
            for start in range(0, count, 10_000):
                rows = [
                    {
                        "identifier": identifier,
                        "label": f"urn:c2pa:{start + index}",
                        "title": "t.mp4",
                        "signer": "s",
                        "created": now,
                        "manifest": bytes(100),
                    }
                    for index, identifier in enumerate(identifiers[start : start + 10_000])
                ]
                connection.execute(sql.insert(stores._manifests), rows)  # add() one by one is slow
        engine.dispose()
        report(f"look up one of {count}", lambda: store.by_identifier(rng.choice(identifiers)))


def write(path: Path, content: bytes | bytearray) -> Path:
    """Write a file and name it."""
    path.write_bytes(content)
    return path


def report(what: str, call: Callable[[], object]) -> None:
    """Print the median time of a call; the first, which imports, does not count."""
    call()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    print(f"{what}: {1000 * statistics.median(times):.1f} ms (median of {REPEATS})")


if __name__ == "__main__":
    main()
