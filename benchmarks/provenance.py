"""Figures of the provenance layer: signing, verifying, tampering, recovery, copies, the store.

    python benchmarks/provenance.py [--only NAME] [--clips FOLDER] [--records 1000000]
    python benchmarks/provenance.py --only recovery --portraits FOLDER --voices FOLDER [--limit 60]

NAME is one of timing, tampering, recovery, copies, store. With portraits and voices the clips are
outputs of `vasari.generate`, with a folder of videos these, marked and signed, and else
scikit-image's pictures, each moved about for two seconds. `benchmarks/fuzz.py` damages files,
`benchmarks/service.py` loads the service.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from vasari.eval.watermark import interval
from vasari.provenance.certificates import create_leaf, create_root
from vasari.provenance.credentials import Credential
from vasari.provenance.evidence import MANIFEST_STORE_UUID, Manifest, read_manifest
from vasari.provenance.fingerprint import (
    HASH_BYTES,
    MAX_DISTANCE,
    WINDOWS,
    Fingerprint,
    distance,
    fingerprint_of,
    index_keys,
)
from vasari.provenance.manifest import Ingredient, ManifestRecord, SoftBinding, sign
from vasari.provenance.sourcetype import IPTC
from vasari.provenance.store import ManifestStore
from vasari.provenance.verdict import verify
from vasari.watermark.embedding import Embedder
from vasari.watermark.payload import ALGORITHM, new_identifier

LumaArray = npt.NDArray[np.uint8]

SECONDS, SIZE, FPS = 10, 512, 25  # of the clip that is timed
SHORT = 2  # seconds of the others
REPEATS = 20
POSITIONS = 200
LOOKS = 6  # frames of a record in the large store
PIECE = 20_000  # records that are written to it at once
FILL_CACHE = 2 << 20  # KiB for the index, which each piece touches in all places


@dataclass(frozen=True)
class Clip:
    """A marked and signed clip."""

    path: Path
    manifest: bytes
    identifier: int
    name: str  # what it was made of


def main() -> None:
    """Print the figures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--clips", type=Path, help="a folder of videos")
    parser.add_argument("--portraits", type=Path, nargs="+", help="folders of pictures")
    parser.add_argument("--voices", type=Path, nargs="+", help="folders of sounds")
    parser.add_argument("--limit", type=int, default=12, help="clips at most")
    parser.add_argument("--changes", choices=CHANGES, nargs="+", default=list(CHANGES))
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--database", type=Path, help="file of the large store, kept for next time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_DATA_HOME"] = name
        for part in [options.only] if options.only else PARTS:
            PARTS[part](Path(name), options)


def timing(folder: Path, options: argparse.Namespace) -> None:
    """How long signing and verifying a clip takes, by the clock and of processor time."""
    picture = pictures()[0]
    unsigned, identifier = mark(moved(picture, SECONDS * FPS), folder / "unsigned.mp4", SIZE)
    from PIL import Image

    Image.fromarray(picture).save(folder / "portrait.jpg")
    (folder / "speech.wav").write_bytes(bytes(32_000 * SECONDS))
    ingredients = (
        Ingredient(folder / "portrait.jpg", "portrait", "portrait.jpg", "image/jpeg"),
        Ingredient(folder / "speech.wav", "sound", "speech.wav", "audio/wav"),
    )
    record = ManifestRecord("t.mp4", ingredients, SoftBinding(ALGORITHM, identifier))
    credential, signed = Credential.default(), folder / "signed.mp4"
    print(f"clip: {SECONDS} s, {SIZE}x{SIZE}, {unsigned.stat().st_size / 1e6:.2f} MB")
    report("sign", lambda: sign(unsigned, signed, record, credential))
    with ManifestStore.default() as store:
        store.add(sign(unsigned, signed, record, credential), signed)
        report("read the manifest", lambda: read_manifest(signed))
        report("verify: manifest, watermark, store", lambda: verify(signed, store=store), 5)
        report("verify without its manifest", lambda: verify(unsigned, store=store), 5)
        report("fingerprint", lambda: fingerprint_of(signed), 5)
        frames = moved(picture, SECONDS * FPS)
        plain, _ = mark(frames, folder / "plain.mp4", SIZE, marked=False)
        report(
            "verify a clip without manifest and watermark", lambda: verify(plain, store=store), 5
        )
        pieces = [sign(unsigned, signed, record, credential) for _ in range(REPEATS + 1)]
        looks, kept = fingerprint_of(signed), iter(pieces)
        report("record it", lambda: store.add(next(kept), fingerprint=looks))


def tampering(folder: Path, options: argparse.Namespace) -> None:
    """Which changes after signing are found."""
    one, other = (signed_clip(folder, picture, n) for n, picture in enumerate(pictures()[:2]))
    content = one.path.read_bytes()
    print("\n| change after signing | found |\n|---|---:|")
    tell("one bit in each of 200 places of the media", one_bit_changed(content, folder))
    for name, changed in {
        "sound replaced": remade(one.path, other.path, folder, sound=True),
        "cut to the first half": remade(one.path, other.path, folder, share=0.5),
        "frames of another clip put in": remade(one.path, other.path, folder, splice=True),
    }.items():
        for what, manifest in (
            ("its manifest put back", one.manifest),
            ("another's", other.manifest),
        ):
            tell(f"{name}, {what}", [broken(with_manifest(changed, manifest, folder))])
    tell("manifest of another output", [broken(swapped(content, other, folder))])
    tell("a changed word in the manifest", [broken(write(folder / "x.mp4", edited(content)))])
    tell("last kilobyte missing", [broken(write(folder / "x.mp4", content[:-1000]))])
    for what, noticed in signed_by_others(folder / "u0.mp4", folder):
        tell(what, [noticed])


def recovery(folder: Path, options: argparse.Namespace) -> None:
    """After what the watermark, or else the fingerprint, leads back to the manifest."""
    clips = marked_clips(folder, options)
    print(
        f"\n{len(clips)} clips\n"
        "| change | by the watermark (95 % interval) | or by the fingerprint |\n|---|---:|---:|"
    )
    with ManifestStore.default() as store:
        for clip in clips:
            store.add(clip.manifest, clip.path)
        for name in options.changes:
            leads = [
                lead_of(CHANGES[name](clip.path, folder / "changed.mp4"), store, clip)
                for clip in clips
            ]
            marks, found = leads.count("watermark"), sum(lead != "" for lead in leads)
            low, high = interval(marks, len(leads))
            share = f"{marks} of {len(leads)} ({low:.1%} to {high:.1%})"
            print(f"| {name} | {share} | {found} |", flush=True)
            for clip, lead in zip(clips, leads, strict=True):
                if lead != "watermark":
                    print(f"  {clip.name}: {lead or 'nothing'}", flush=True)


def lead_of(path: Path, store: ManifestStore, clip: Clip) -> str:
    """What leads from a changed clip to its own manifest, or ""."""
    for found in verify(path, store=store).recovered:
        if f"{clip.identifier:012x}" in found.manifest.watermarks:
            return found.lead.value
    return ""


def copies(folder: Path, options: argparse.Namespace) -> None:
    """How often a copied watermark is noticed, and an honest copy is suspected."""
    clips = marked_clips(folder, options)
    looks = [fingerprint_of(clip.path) for clip in clips]
    pairs = [
        distance(clip, original)
        for (i, clip), (j, original) in itertools.product(enumerate(looks), repeat=2)
        if i != j
    ]
    noticed = [bits is not None and bits > MAX_DISTANCE for bits in pairs]
    print(f"\nwatermark copied onto another clip: noticed in {sum(noticed)} of {len(noticed)}")
    for name in options.changes:
        changed = [
            fingerprint_of(CHANGES[name](clip.path, folder / "changed.mp4")) for clip in clips
        ]
        bits = [distance(one, original) for one, original in zip(changed, looks, strict=True)]
        wrong = sum(each is None or each > MAX_DISTANCE for each in bits)
        print(f"{name}: suspected in {wrong} of {len(bits)}", flush=True)


def store(folder: Path, options: argparse.Namespace) -> None:
    """How long look-ups in a large store take; its manifests are shorter than real ones.

    Each bit of the fingerprints is set in a share of them that differs from bit to bit, as it does
    in portraits.
    """
    import sqlalchemy as sql

    count = options.records
    shares = np.random.default_rng(4).beta(2, 2, 8 * HASH_BYTES)
    path = options.database or folder / "store.sqlite"
    with ManifestStore.open(f"sqlite:///{path}") as kept:
        if len(kept) < count:
            engine = sql.create_engine(f"sqlite:///{path}")
            started, spent = time.perf_counter(), time.process_time()
            fill(engine, range(len(kept), count), shares)
            engine.dispose()
            print(
                f"\nfilled up to {count} records in {time.perf_counter() - started:.0f} s, "
                f"{time.process_time() - spent:.0f} s of the processor"
            )
        count, rng = len(kept), np.random.default_rng(5)
        print(f"{count} records, {path.stat().st_size / 2**30:.2f} GB")
        numbers = [int(each) for each in rng.integers(0, count, REPEATS + 1)]
        identifiers = iter(numbers)
        report("look up by id", lambda: kept.by_identifier(next(identifiers)))
        strangers = iter([looks(shares, rng) for _ in range(REPEATS + 1)])
        report(
            "look up by the fingerprint of a stranger", lambda: kept.by_fingerprint(next(strangers))
        )
        entries = [kept.by_identifier(number)[0] for number in numbers]
        known = iter([flipped(entry.fingerprint, rng) for entry in entries])
        found: list[bool] = []
        report(
            "look up by the fingerprint of a record, 5 of 256 bits changed",
            lambda: found.append(bool(kept.by_fingerprint(next(known)))),
        )
        print(f"found: {sum(found)} of {len(found)}")


def fill(engine: Any, wanted: range, shares: npt.NDArray[Any]) -> None:
    """Write records at once: `add` one by one makes each safe on the disk, which takes hours."""
    import sqlalchemy as sql

    from vasari.provenance.store import _fingerprints, _index, _manifests

    now = datetime.now(timezone.utc)
    for start in range(wanted.start, wanted.stop, PIECE):
        numbers, rng = wanted[start - wanted.start :][:PIECE], np.random.default_rng((4, start))
        with engine.begin() as connection:
            connection.exec_driver_sql(f"PRAGMA cache_size = -{FILL_CACHE}")
            prints = [looks(shares, rng) for _ in numbers]
            rows = [
                {"number": n + 1, "identifier": n, "label": f"urn:c2pa:{n}", "title": "t",
                 "signer": "s", "created": now, "manifest": bytes(100)}
                for n in numbers
            ]  # fmt: skip
            connection.execute(sql.insert(_manifests), rows)
            connection.execute(
                sql.insert(_fingerprints),
                [
                    {"manifest": n + 1, "hashes": each.hashes, "strip": b"", "seconds": 10.0,
                     "width": 512, "height": 512}
                    for n, each in zip(numbers, prints, strict=True)
                ],
            )  # fmt: skip
            keys = sorted(
                (key, n + 1, bits)
                for n, each in zip(numbers, prints, strict=True)
                for key, bits in index_keys(each).items()
            )
            connection.execute(
                sql.insert(_index),
                [{"key": key, "manifest": n, "bits": bits} for key, n, bits in keys],
            )


def looks(shares: npt.NDArray[Any], rng: np.random.Generator) -> Fingerprint:
    """The fingerprint of a clip whose frames differ a little; its windows are left empty."""
    first = rng.random(8 * HASH_BYTES) < shares
    frames = [first ^ (rng.random(8 * HASH_BYTES) < 0.05) for _ in range(LOOKS)]
    windows = bytes(HASH_BYTES * (len(WINDOWS) - 1))
    return Fingerprint(b"".join(np.packbits(each).tobytes() + windows for each in frames))


def flipped(fingerprint: Fingerprint, rng: np.random.Generator) -> Fingerprint:
    """A fingerprint with 5 bits of each frame changed, as compression does."""
    wholes = np.unpackbits(fingerprint.wholes, axis=1)
    for row in wholes:
        row[rng.choice(row.size, 5, replace=False)] ^= 1
    windows = bytes(HASH_BYTES * (len(WINDOWS) - 1))
    return Fingerprint(b"".join(np.packbits(row).tobytes() + windows for row in wholes))


def pictures() -> list[LumaArray]:
    """Public-domain and freely licensed pictures, (H, W, 3) uint8."""
    import skimage.data

    names = ("astronaut", "chelsea", "coffee", "rocket", "immunohistochemistry", "retina")
    return [np.asarray(getattr(skimage.data, name)())[..., :3] for name in names]


def moved(picture: LumaArray, count: int) -> Iterator[LumaArray]:
    """Frames (SIZE, SIZE, 3) in which a picture moves and swells a little."""
    import cv2

    height, width = picture.shape[:2]
    for index in range(count):
        phase = 2 * np.pi * index / 50
        scale = SIZE / min(height, width) * (1.1 + 0.03 * np.sin(phase))
        shift = (SIZE - scale * width) / 2 + 6 * np.cos(phase), (SIZE - scale * height) / 2
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)
        yield cv2.warpAffine(picture, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT)


def mark(
    frames: Iterator[LumaArray], path: Path, size: int, *, marked: bool = True
) -> tuple[Path, int]:
    """Mark and encode frames; gives the file and its watermark."""
    import av

    identifier = new_identifier()
    embedder = Embedder(identifier, size, size)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "18"})
        stream.width = stream.height = size
        stream.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=16_000)
        count = 0
        for picture in frames:
            planes = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            pixels = planes.to_ndarray()
            if marked:
                embedder.mark(pixels[:size])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="yuv420p")))
            count += 1
        hum = 3000 * np.sin(np.arange(16_000 * count // FPS) * (0.05 + identifier % 7 / 100))
        samples = av.AudioFrame.from_ndarray(hum[None].astype(np.int16), "s16", "mono")
        samples.rate = 16_000
        container.mux(sound.encode(samples))
        container.mux([*stream.encode(), *sound.encode()])
    return path, identifier


def signed_clip(folder: Path, picture: LumaArray, number: int) -> Clip:
    """A marked and signed clip of a picture."""
    unsigned, identifier = mark(moved(picture, SHORT * FPS), folder / f"u{number}.mp4", SIZE)
    return signed(unsigned, folder / f"s{number}.mp4", identifier, f"picture {number}")


def signed(unsigned: Path, path: Path, identifier: int, name: str) -> Clip:
    """Sign a marked clip."""
    record = ManifestRecord("clip.mp4", (), SoftBinding(ALGORITHM, identifier))
    return Clip(path, sign(unsigned, path, record, Credential.default()), identifier, name)


def outputs(folder: Path, options: argparse.Namespace) -> Iterator[Clip]:
    """What `vasari.generate` makes of pictures of each folder and of sounds, each in turn.

    A third of them hold their heads still, and a third move it twice as much.
    """
    from vasari.errors import VasariError
    from vasari.generate.controls import Controls
    from vasari.generate.pipeline import generate

    rng = random.Random(6)
    shuffled = [rng.sample(each, len(each)) for each in map(files_of, options.portraits)]
    in_turn = (path for turn in itertools.zip_longest(*shuffled) for path in turn if path)
    sounds = [shortened(path, folder) for each in options.voices for path in files_of(each)]
    with ManifestStore.default() as kept:
        for number, portrait in enumerate(itertools.islice(in_turn, options.limit)):
            path = folder / f"s{number}.mp4"
            controls = Controls(head_motion=float(number % 3), seed=number)
            voice = sounds[number % len(sounds)]
            name = f"{portrait.stem} with {voice.stem}"
            try:
                result = generate(
                    portrait, voice, path, size=SIZE, fps=FPS, controls=controls, store=kept
                )
            except VasariError as error:
                print(f"{name}: {error}", flush=True)
                continue
            (entry,) = kept.by_identifier(int(result.watermark, 16))
            yield Clip(path, entry.manifest, entry.identifier, name)


def files_of(folder: Path) -> list[Path]:
    """The files in a folder, in order."""
    return [path for path in sorted(folder.iterdir()) if path.is_file()]


def shortened(path: Path, folder: Path) -> Path:
    """The first seconds of a sound, as a WAV file."""
    import av

    short = folder / f"{path.stem}.wav"
    with av.open(str(path)) as old, av.open(str(short), "w") as new:
        stream = new.add_stream("pcm_s16le", rate=16_000, layout="mono")
        resampler = av.AudioResampler("s16", "mono", 16_000)
        for frame in old.decode(audio=0):
            if frame.time is not None and frame.time >= SHORT:
                break
            for piece in resampler.resample(frame):
                new.mux(stream.encode(piece))
        new.mux(stream.encode())
    return short


def marked_clips(folder: Path, options: argparse.Namespace) -> list[Clip]:
    """Outputs, the clips of the user's folder, marked and signed, or those that are made here."""
    if options.portraits is not None:
        return list(outputs(folder, options))
    if options.clips is None:
        return [signed_clip(folder, picture, n) for n, picture in enumerate(pictures())]
    paths = sorted(options.clips.glob("*.mp4"))[: options.limit]
    clips = []
    for number, path in enumerate(paths):
        unsigned, identifier = mark(square_frames(path), folder / f"u{number}.mp4", SIZE)
        clips.append(signed(unsigned, folder / f"s{number}.mp4", identifier, path.stem))
    return clips


def square_frames(path: Path) -> Iterator[LumaArray]:
    """The middle of the first frames of a video."""
    import av
    import cv2

    with av.open(str(path)) as container:
        for frame in itertools.islice(container.decode(video=0), 3 * FPS):
            picture = frame.to_ndarray(format="rgb24")
            side = min(picture.shape[:2])
            top, left = ((length - side) // 2 for length in picture.shape[:2])
            yield cv2.resize(picture[top : top + side, left : left + side], (SIZE, SIZE))


def encoded(
    source: Path, path: Path, change: Callable[[LumaArray], LumaArray], crf: str = "23"
) -> Path:
    """A copy without manifest and sound, its frames changed and encoded again."""
    import av

    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = None
        for frame in old.decode(video=0):
            picture = change(frame.to_ndarray(format="rgb24"))
            height, width = (side // 2 * 2 for side in picture.shape[:2])
            if stream is None:
                stream = new.add_stream("libx264", rate=FPS, options={"crf": crf})
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            pixels = np.ascontiguousarray(picture[:height, :width])
            new.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        if stream is not None:
            new.mux(stream.encode())
    return path


def remuxed(source: Path, path: Path) -> Path:
    """A copy of the picture's packets, without the manifest."""
    import av

    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return path


def half(picture: LumaArray) -> LumaArray:
    """Half the size."""
    import cv2

    return cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def cropped(picture: LumaArray) -> LumaArray:
    """80 % of each side, from the middle."""
    height, width = picture.shape[:2]
    return picture[height // 10 : height - height // 10, width // 10 : width - width // 10]


CHANGES: dict[str, Callable[[Path, Path], Path]] = {
    "remux": remuxed,
    "re-encode, CRF 23": lambda source, path: encoded(source, path, lambda each: each),
    "re-encode, CRF 28": lambda source, path: encoded(source, path, lambda each: each, "28"),
    "half size": lambda source, path: encoded(source, path, half),
    "crop to 80 %": lambda source, path: encoded(source, path, cropped),
}


def one_bit_changed(content: bytes, folder: Path) -> list[bool]:
    """Whether one changed bit is found, at each of many places of the media."""
    rng = random.Random(2)
    start = content.rindex(b"mdat") + 4  # the manifest names the box, too
    size = struct.unpack(">I", content[start - 8 : start - 4])[0]
    found = []
    for position in rng.sample(range(start, start + size - 8), POSITIONS):
        changed = bytearray(content)
        changed[position] ^= 1 << rng.randrange(8)
        found.append(broken(write(folder / "x.mp4", bytes(changed))))
    return found


def remade(
    one: Path,
    other: Path,
    folder: Path,
    *,
    sound: bool = False,
    share: float = 1,
    splice: bool = False,
) -> Path:
    """The packets of a clip again: with other sound, fewer frames, or another's in the middle."""
    import av

    path = folder / "remade.mp4"
    with av.open(str(one)) as a, av.open(str(other)) as b, av.open(str(path), "w") as new:
        stream = new.add_stream("libx264", rate=FPS)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        track = new.add_stream_from_template((b if sound else a).streams.audio[0])
        frames = zip(a.decode(video=0), b.decode(video=0), strict=False)
        for index, (ours, theirs) in enumerate(frames):
            if index >= share * SHORT * FPS:
                break
            frame = theirs if splice and 20 <= index < 30 else ours
            frame.pts = None
            new.mux(stream.encode(frame))
        new.mux(stream.encode())
        with av.open(str(other if sound else one)) as source:
            for packet in source.demux(audio=0):
                if packet.dts is not None:
                    packet.stream = track
                    new.mux(packet)
    return path


def with_manifest(path: Path, manifest: bytes, folder: Path) -> Path:
    """A file with a manifest store put into the box in which C2PA looks for one."""
    content = path.read_bytes()
    kind = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
    body = kind + bytes(4) + b"manifest\0" + bytes(8) + manifest
    box = struct.pack(">I4s", 8 + len(body), b"uuid") + body
    size = struct.unpack(">I", content[:4])[0]
    return write(folder / "x.mp4", content[:size] + box + content[size:])


def swapped(content: bytes, other: Clip, folder: Path) -> Path:
    """A signed file whose manifest box is that of another."""
    theirs = other.path.read_bytes()
    return write(folder / "x.mp4", _replaced(content, theirs[slice(*_manifest_box(theirs))]))


def _replaced(content: bytes, box: bytes) -> bytes:
    start, end = _manifest_box(content)
    return content[:start] + box + content[end:]


def _manifest_box(content: bytes) -> tuple[int, int]:
    """Where the box with the manifest begins and ends."""
    position = 0
    while position < len(content):
        size = struct.unpack(">I", content[position : position + 4])[0]
        if MANIFEST_STORE_UUID in content[position : position + min(size, 200)]:
            return position, position + size
        position += size
    raise ValueError("no manifest")


def edited(content: bytes) -> bytes:
    """The declared source type, changed to that of a camera's recording."""
    return content.replace(b"compositeSynthetic", b"digitalCaptureXXXX")


def signed_by_others(path: Path, folder: Path) -> Iterator[tuple[str, bool]]:
    """Clips signed with certificates that must not be believed: whether each is noticed."""
    email, code = ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CODE_SIGNING
    for what, days, purpose in (
        ("signed with a good certificate (nothing to be found)", (-1, 90), email),
        ("signed with an expired certificate", (-90, -1), email),
        ("signed with a certificate that is not valid yet", (1, 90), email),
        ("signed with a certificate for another use", (-1, 90), code),
    ):
        signed = sign_with_library(path, folder / "x.mp4", *chain(days, purpose))
        yield what, signed is None or broken(signed)


def chain(days: tuple[int, int], purpose: x509.ObjectIdentifier) -> tuple[bytes, bytes]:
    """A signer's certificate and key as PEM, valid from and until so many days from now."""
    key, root_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    now = datetime.now(timezone.utc)
    root = create_root("Root", root_key, now - timedelta(days=200))
    good = create_leaf("Leaf", key, root, root_key, now)
    builder = (
        x509.CertificateBuilder()
        .subject_name(good.subject)
        .issuer_name(good.issuer)
        .public_key(key.public_key())
        .serial_number(good.serial_number)
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
    )
    for extension in good.extensions:
        value = extension.value
        if isinstance(value, x509.ExtendedKeyUsage):
            value = x509.ExtendedKeyUsage([purpose])
        builder = builder.add_extension(value, extension.critical)
    pem = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    leaf = builder.sign(root_key, hashes.SHA256())
    return leaf.public_bytes(pem), key.private_bytes(pem, form, plain)


def sign_with_library(path: Path, signed: Path, leaf: bytes, key: bytes) -> Path | None:
    """Sign with the C2PA library alone, which our own checks do not stop; None if it refuses."""
    import c2pa

    when = {"action": "c2pa.created", "digitalSourceType": f"{IPTC}digitalCapture"}
    actions = {"label": "c2pa.actions.v2", "data": {"actions": [when]}}
    definition = {"claim_generator_info": [{"name": "other"}], "assertions": [actions]}
    settings = {"version": 1, "verify": {"verify_after_sign": False}}
    try:
        with (
            c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", leaf, key, None)) as signer,
            c2pa.Context.from_dict(settings) as context,
            c2pa.Builder(definition, context=context) as builder,
            path.open("rb") as source,
            signed.open("w+b") as target,
        ):
            builder.sign(signer, "video/mp4", source, target)
    except c2pa.C2paError:
        return None
    return signed


def broken(path: Path) -> bool:
    """Whether the manifest of a file is found not to hold."""
    found = read_manifest(path)
    return not (isinstance(found, Manifest) and found.intact)


def tell(what: str, found: list[bool]) -> None:
    """Print a line of a table."""
    print(f"| {what} | {sum(found)} of {len(found)} |", flush=True)


def write(path: Path, content: bytes) -> Path:
    """Write a file and name it."""
    path.write_bytes(content)
    return path


def report(what: str, call: Callable[[], object], repeats: int = REPEATS) -> None:
    """Print the median times of a call; the first, which imports, does not count."""
    call()
    walls, spent = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        spent.append(time.process_time() - cpu)
    print(
        f"{what}: {1000 * statistics.median(walls):.1f} ms, of the processor "
        f"{1000 * statistics.median(spent):.1f} ms (medians of {repeats})",
        flush=True,
    )


PARTS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "timing": timing,
    "tampering": tampering,
    "recovery": recovery,
    "copies": copies,
    "store": store,
}

if __name__ == "__main__":
    main()
