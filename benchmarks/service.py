"""The resolution service under load: many clients on loopback, for two minutes.

    python benchmarks/service.py [--clients 50] [--seconds 120] [--records 10000]

Each client looks up a watermark or a manifest, waits a little, and goes on; every tenth of them
now and then asks for the verdict on a picture. Printed are times, errors, and how much memory and
how many open files the service has gained in the second half.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import httpx
import numpy as np

from vasari.watermark.payload import ALGORITHM

PAUSE = 0.5  # seconds between two requests of a client
UPLOAD_SHARE = 0.02  # of the requests of a client that uploads
SIDE = 256  # pixels of the uploaded picture


@dataclass
class Times:
    """What the clients saw."""

    look_ups: list[float] = field(default_factory=list)  # seconds
    uploads: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


def main() -> None:
    """Load the service and print what it did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--records", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_DATA_HOME"] = name
        url = f"sqlite:///{name}/store.sqlite"
        fill(url, options.records)
        port = free_port()
        command = ["-m", "vasari", "serve", "--port", str(port), "--store", url]
        process = subprocess.Popen([sys.executable, *command, "--rate", "10000000"])
        try:
            asyncio.run(load(f"http://127.0.0.1:{port}", process.pid, options))
        finally:
            process.terminate()
            process.wait()


def fill(url: str, count: int) -> None:
    """Records to look up, written at once."""
    import sqlalchemy as sql

    from vasari.provenance.store import ManifestStore, _manifests

    now = datetime.now(timezone.utc)
    ManifestStore.open(url).close()
    rows = [
        {"identifier": n, "label": f"urn:c2pa:{n}", "title": "t", "signer": "s", "created": now,
         "manifest": bytes(30_000)}
        for n in range(count)
    ]  # fmt: skip
    engine = sql.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sql.insert(_manifests), rows)
    engine.dispose()


async def load(address: str, pid: int, options: argparse.Namespace) -> None:
    """Run the clients and watch the service."""
    times = Times()
    limits = httpx.Limits(max_connections=options.clients)
    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=120) as client:
        await ready(client)
        clients = [
            asyncio.create_task(ask(client, number, times, options))
            for number in range(options.clients)
        ]
        await asyncio.sleep(options.seconds / 2)
        middle = resources_of(pid)
        await asyncio.gather(*clients)
        end = resources_of(pid)
    tell(times, options.clients)
    print(f"processor {1000 * end[2] / sum(times.statuses.values()):.1f} ms a request")
    print(f"memory {middle[0]:.0f} MB half way, {end[0]:.0f} MB at the end")
    print(f"open files {middle[1]} half way, {end[1]} at the end")


async def ready(client: httpx.AsyncClient) -> None:
    """Wait until the service answers."""
    for _ in range(600):
        try:
            await client.get("/services/supportedAlgorithms")
        except httpx.TransportError:
            await asyncio.sleep(0.1)
        else:
            return
    raise SystemExit("the service did not start")


async def ask(
    client: httpx.AsyncClient, number: int, times: Times, options: argparse.Namespace
) -> None:
    """What one client does."""
    rng, picture = random.Random(number), jpeg()
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        wanted = rng.randrange(options.records)
        uploads = number % 10 == 0 and rng.random() < UPLOAD_SHARE
        started = time.perf_counter()
        if uploads:
            answer = await client.post("/verdict", content=picture)
        elif rng.random() < 0.5:
            query = {"alg": ALGORITHM, "value": f"{wanted:012x}"}
            answer = await client.get("/matches/byBinding", params=query)
        else:
            answer = await client.get(f"/manifests/urn:c2pa:{wanted}")
        spent = time.perf_counter() - started
        (times.uploads if uploads else times.look_ups).append(spent)
        times.statuses[answer.status_code] += 1
        await asyncio.sleep(rng.uniform(0.5, 1.5) * PAUSE)


def tell(times: Times, clients: int) -> None:
    """Print the times."""
    print(f"{clients} clients, answers by status: {dict(times.statuses)}")
    for what, seen in (("look-ups", times.look_ups), ("uploads", times.uploads)):
        if seen:
            p50, p95 = np.percentile(np.array(seen) * 1000, (50, 95))
            print(f"{what}: {len(seen)}, p50 {p50:.0f} ms, p95 {p95:.0f} ms")


def resources_of(pid: int) -> tuple[float, int, float]:
    """Memory in MB, open files, and seconds of processor time of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    seconds = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return int(kilobytes) / 1024, len(list(Path(f"/proc/{pid}/fd").iterdir())), seconds


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def jpeg() -> bytes:
    """A picture without provenance."""
    from PIL import Image

    output = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    Image.fromarray(pixels).save(output, "JPEG")
    return output.getvalue()


if __name__ == "__main__":
    main()
