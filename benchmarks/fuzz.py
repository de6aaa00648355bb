"""Mutants of signed files, each given to `verify`: nothing may escape, hang or eat memory.

    python benchmarks/fuzz.py [--mutants 100000] [--processes 2] [--first 0] [--sum FILE]

Signed MP4, JPEG, PNG and WAV files and a bare manifest store (JUMBF) are damaged in their bytes,
their boxes and their lengths, most often in and around the manifest. Each mutant is judged in a
process under the limits of `vasari.provenance.worker`, as the command does; unlike there, one
process judges many, because starting one takes longer than a verdict. What ends a process is
counted, and its number printed: `--first N --mutants 1` makes that mutant again. All frames are
decoded, but a watermark, which is arithmetic on decoded frames, is looked for in one mutant of 211,
and one in 23 is also looked up in a store by what it looks like. `--sum` keeps the count in a file:
a run that was ended goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import struct
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from vasari.errors import VasariError
from vasari.provenance.credentials import Credential
from vasari.provenance.evidence import MANIFEST_STORE_UUID
from vasari.provenance.manifest import Ingredient, ManifestRecord, SoftBinding, sign
from vasari.provenance.store import ManifestStore
from vasari.provenance.worker import limit_process

SIDE, FRAMES = 48, 6  # small, so that many mutants are judged
BATCH = 500  # mutants of one process
STORED = 23  # one mutant of so many is looked up in a store; prime, so of all kinds
SEARCHED = 211  # in one mutant of so many a watermark is looked for; prime, so of all kinds
MAX_SECONDS = 10.0  # of one mutant
# A process that says nothing for so long hangs; on a busy machine it may only wait for its turn.
SILENT_SECONDS = 300
POLL_SECONDS = 1.0  # in which silence is counted: a process that was stopped is not silent
MAX_BYTES = 1 << 30  # of memory in use at once
INTERESTING = (0, 1, 7, 8, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass
class Tally:
    """What became of the mutants."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int] = (0.0, -1)  # seconds of the processor, number of the mutant
    peak: tuple[int, int] = (0, -1)  # bytes of the largest process, number of the mutant
    crashes: list[tuple[int, str]] = field(default_factory=list)  # number, what happened

    @classmethod
    def read(cls, path: Path | None) -> Tally:
        """What runs before have counted."""
        if path is None or not path.exists():
            return cls()
        told = json.loads(path.read_text())
        pairs = {name: tuple(told[name]) for name in ("slowest", "peak")}
        return cls(Counter(told["outcomes"]), **pairs, crashes=list(map(tuple, told["crashes"])))

    def write(self, path: Path | None) -> None:
        """Keep the count for later runs."""
        if path is not None:
            path.write_text(json.dumps(vars(self)))

    @property
    def total(self) -> int:
        """The mutants that were judged."""
        return sum(self.outcomes.values())

    def add(self, other: Tally) -> None:
        """Count what another process has judged."""
        self.outcomes += other.outcomes
        self.slowest = max(self.slowest, other.slowest)
        self.peak = max(self.peak, other.peak)
        self.crashes += other.crashes


def main() -> None:
    """Judge the mutants and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--sum", type=Path, help="a file in which runs are summed")
    options = parser.parse_args()
    tally = Tally.read(options.sum)
    numbers = range(options.first, options.first + options.mutants)[tally.total :]
    batches = [numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH)]
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_DATA_HOME"] = name
        seeds = make_seeds(Path(name))
        # Forked from a process that has no threads yet and everything imported.
        server = multiprocessing.get_context("forkserver")
        server.set_forkserver_preload(["vasari.provenance.verdict", "c2pa", "av", "cv2"])
        with ThreadPoolExecutor(options.processes) as pool:
            for done in pool.map(lambda batch: judged(server, seeds, batch, Path(name)), batches):
                tally.add(done)
                tally.write(options.sum)
                print(
                    f"{tally.total} mutants: slowest {tally.slowest[0]:.1f} s, "
                    f"{tally.peak[0] / 2**20:.0f} MB, {len(tally.crashes)} crashes",
                    flush=True,
                )
    tell(tally, time.monotonic() - started)


def tell(tally: Tally, seconds: float) -> None:
    """Print a table."""
    print(f"{tally.total} mutants; this run took {seconds:.0f} s")
    for outcome, count in tally.outcomes.most_common():
        print(f"  {count:8d}  {outcome}")
    print(
        f"slowest {tally.slowest[0]:.2f} s of the processor (mutant {tally.slowest[1]}), "
        f"{MAX_SECONDS:.0f} allowed"
    )
    print(
        f"largest process {tally.peak[0] / 2**20:.0f} MB (mutant {tally.peak[1]}), "
        f"{MAX_BYTES / 2**20:.0f} allowed"
    )
    for number, what in tally.crashes:
        print(f"mutant {number}: {what}")


def make_seeds(folder: Path) -> list[tuple[str, bytes]]:
    """Signed files (suffix, content) of all kinds that are read."""
    make_plain(folder)
    kinds = {"jpg": "image/jpeg", "png": "image/png", "mp4": "video/mp4", "wav": "audio/wav"}
    seeds, store = [], b""
    for suffix, mime_type in kinds.items():
        store = sign_seed(folder / f"plain.{suffix}", folder / f"signed.{suffix}", mime_type)
        seeds.append((suffix, (folder / f"signed.{suffix}").read_bytes()))
    return [*seeds, ("c2pa", store)]


def make_plain(folder: Path) -> None:
    """Files `plain.SUFFIX` of all kinds, without a manifest."""
    import av
    from PIL import Image

    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    for suffix in ("jpg", "png"):
        Image.fromarray(picture).save(folder / f"plain.{suffix}")
    with av.open(str(folder / "plain.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, index, 1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    pcm = bytes(1600)
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(pcm), b"WAVE", b"fmt ", 16, 1, 1,
                         8000, 16000, 2, 16, b"data", len(pcm))  # fmt: skip
    (folder / "plain.wav").write_bytes(header + pcm)


def sign_seed(plain: Path, signed: Path, mime_type: str) -> bytes:
    """Sign a file with a signed picture as an ingredient, and keep its manifest, which is given."""
    origin = plain.with_name("signed.jpg")
    ingredients = (
        (Ingredient(origin, "portrait", "p.jpg", "image/jpeg"),) if origin.exists() else ()
    )
    binding = SoftBinding("org.vasari.watermark.1", 0x00C0FFEE1234)
    record = ManifestRecord("t", ingredients, binding, mime_type=mime_type)
    manifest = sign(plain, signed, record, Credential.default())
    with ManifestStore.default() as store:
        store.add(manifest, signed)
    return manifest


def mutant(content: bytes, rng: random.Random) -> bytes:
    """A file with a few bytes changed, lengths overwritten, pieces removed, repeated or cut off."""
    changed = bytearray(content)
    marker = max(content.find(MANIFEST_STORE_UUID), 0)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        near = rng.random() < 0.5
        at = (
            rng.randrange(max(marker - 60, 0), marker + 4000)
            if near
            else rng.randrange(len(content))
        )
        at = min(at, max(len(changed) - 1, 0))
        size = rng.choice((1, 2, 4, 16, 100, 1000))
        kind = rng.randrange(8)
        if kind <= 1 and changed:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            changed[at : at + 4] = struct.pack(">I", rng.choice(INTERESTING))
        elif kind == 3:
            changed[at : at + 8] = struct.pack(">Q", rng.choice((*INTERESTING, 2**63, 2**64 - 1)))
        elif kind == 4:
            del changed[at : at + size]
        elif kind == 5:
            changed[at:at] = rng.randbytes(size)
        elif kind == 6:
            changed[at:at] = changed[at : at + size] * rng.choice((1, 2, 50))
        elif rng.random() < 0.2:
            del changed[max(at, 1) :]
    return bytes(changed) or b"\0"


def judged(
    server: multiprocessing.context.ForkServerContext,
    seeds: list[tuple[str, bytes]],
    numbers: range,
    folder: Path,
) -> Tally:
    """Judge a batch in processes, a new one after each crash."""
    tally = Tally()
    while numbers:
        ours, theirs = server.Pipe()
        process = server.Process(target=work, args=(theirs, seeds, numbers, str(folder)))
        process.start()
        theirs.close()
        done = listen(ours, tally)
        if done < len(numbers):
            process.kill()
        process.join()
        if done < len(numbers):
            tally.outcomes["ended its process: reported as corrupt"] += 1
            tally.crashes.append((numbers[done], f"exit code {process.exitcode}"))
            done += 1
        numbers = numbers[done:]
    return tally


def listen(pipe: Connection, tally: Tally) -> int:
    """Count what a process says, until it ends or hangs; gives the mutants that it judged."""
    done = 0
    while any(pipe.poll(POLL_SECONDS) for _ in range(round(SILENT_SECONDS / POLL_SECONDS))):
        try:
            number, outcome, seconds, peak = pipe.recv()
        except EOFError:
            break
        done += 1
        tally.outcomes[outcome.splitlines()[0]] += 1
        tally.slowest = max(tally.slowest, (seconds, number))
        if peak > tally.peak[0]:
            tally.peak = peak, number
        if outcome.startswith("TRACEBACK"):
            tally.crashes.append((number, outcome))
    return done


def work(pipe: Connection, seeds: list[tuple[str, bytes]], numbers: range, folder: str) -> None:
    """What a process does: make each mutant, judge it, and say what came of it."""
    import resource

    from vasari.provenance.verdict import verify
    from vasari.watermark import reading

    read, searched = reading._read, False

    def decode(frames: Any, key: Any, transformed: bool) -> Any:
        return read(frames, key, transformed) if searched or not reading._reduced(frames) else None

    reading._read = decode
    limit_process(BATCH * MAX_SECONDS)
    store = ManifestStore.default()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # native code has a lot to say
    for number in numbers:
        rng, searched = random.Random(number), number % SEARCHED == 0
        suffix, content = seeds[number % len(seeds)]
        path = Path(folder) / f"mutant-{os.getpid()}.{suffix}"
        path.write_bytes(mutant(content, rng))
        kept = store if number % STORED == 0 else None
        started = time.process_time()
        try:
            outcome = f"verdict: {verify(path, store=kept).state.value}"
        except VasariError as error:
            outcome = f"refused: {type(error).__name__}"
        except MemoryError:
            outcome = "refused: needs too much memory"
        except Exception:
            outcome = f"TRACEBACK\n{traceback.format_exc()}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        pipe.send((number, outcome, time.process_time() - started, peak))
    path.unlink()


if __name__ == "__main__":
    main()
