"""What the watermark survives and what it costs, beside invisible-watermark's; what chance reads.

    vasari eval watermark robustness CLIP_OR_STILL ... --results results.jsonl
    vasari eval watermark negatives CLIP_OR_STILL ... --plot scores.png

A method is an object that marks clips and reads files; all are measured on the same clips.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import click
import numpy as np

from vasari.eval.watermark_attacks import ATTACKS, SECONDS, Attack
from vasari.eval.watermark_clips import Clip, encoded, load, luma, picture_of, planes_of
from vasari.watermark.embedding import Embedder
from vasari.watermark.payload import format_identifier
from vasari.watermark.peers import METHODS, Peer
from vasari.watermark.reading import read_video

WILSON = 1.96  # for intervals of 95 %
COST = "cost"  # stands for an attack where a line of the results tells what marking costs
SSIM_STEP = 25  # of how many frames the similarity of one is taken
# Frames of each clip that are marked: rivaGan takes more than a second for one.
PEER_FRAMES = {"dwtDct": 25, "dwtDctSvd": 25, "rivaGan": 4}


class Method(Protocol):
    """A way to mark clips."""

    frames: int | None  # that it is given of a clip; None for all

    def mark(self, clip: Clip, payload: str) -> Clip:
        """A marked copy of a clip."""

    def read(self, path: Path) -> str | None:
        """The payload of a file, if it tells one."""

    def payload(self) -> str:
        """A random payload, in hexadecimal digits."""


class Vasari:
    """Our own."""

    frames: int | None = None

    def mark(self, clip: Clip, payload: str) -> Clip:
        """A marked copy of a clip."""
        height, width = clip[0].shape[:2]
        embedder = Embedder(int(payload, 16), height, width)
        copies = [planes_of(picture) for picture in clip]
        for planes in copies:
            embedder.mark(planes[:height], planes[height:].reshape(2, height // 2, width // 2))
        return [picture_of(planes) for planes in copies]

    def read(self, path: Path) -> str | None:
        """The identifier that a file carries."""
        reading = read_video(path)
        return format_identifier(reading.identifier) if reading else None

    def payload(self) -> str:
        """A random identifier."""
        return secrets.token_hex(6)


class Other:
    """One of invisible-watermark's; what it reads always is some payload."""

    def __init__(self, name: str) -> None:
        self._peer = Peer(name)
        self.frames: int | None = PEER_FRAMES[name]

    def mark(self, clip: Clip, payload: str) -> Clip:
        """A marked copy of a clip."""
        return [self._peer.mark(picture[..., ::-1], payload)[..., ::-1] for picture in clip]

    def read(self, path: Path) -> str | None:
        """What most frames of a file say."""
        return self._peer.read(path)

    def payload(self) -> str:
        """Random bits."""
        return secrets.token_hex(self._peer.bits // 8)


def method_of(name: str) -> Method:
    """The method of a name."""
    return Vasari() if name == "vasari" else Other(name)


@dataclass(frozen=True)
class Trial:
    """One clip, marked by one method, after one attack, or what marking it cost."""

    clip: str  # name of the file
    method: str
    attack: str
    read: bool = False  # whether the payload came back
    seconds: float = 0.0  # processor time of reading; of marking a frame, for the cost
    psnr: float = 0.0  # dB, of luma
    ssim: float = 0.0  # of luma (Wang et al. 2004)
    growth: float = 0.0  # share by which a file at CRF 23 grows


class Results:
    """Trials that were made, one line of JSON each, so that a run that was cut off goes on."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path and path.exists() else []
        self.trials = [Trial(**json.loads(line)) for line in lines]
        self._done = {(trial.clip, trial.method, trial.attack) for trial in self.trials}

    def add(self, trial: Trial) -> None:
        """Keep a trial."""
        self.trials.append(trial)
        if self._path:
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(trial)) + "\n")

    def lack(self, clip: str, method: str, attack: str) -> bool:
        """Whether a trial is still to be made."""
        return (clip, method, attack) not in self._done


class _MarkedClip:
    """A clip and its marked copies, of the lengths that attacks ask for, each made once."""

    def __init__(self, path: Path, method: Method) -> None:
        self._path, self._method = path, method
        self.payload = method.payload()
        self._copies: dict[float, tuple[Clip, Clip]] = {}

    def copies(self, seconds: float) -> tuple[Clip, Clip]:
        """The clip without and with the mark."""
        if seconds not in self._copies:
            clip = load(self._path, seconds)[: self._method.frames]
            self._copies[seconds] = clip, self._method.mark(clip, self.payload)
        return self._copies[seconds]


def attacked(attack: Attack, clip: Clip) -> bytes:
    """The file that an attack makes of a marked clip."""
    return encoded(attack.change(clip), attack.crf, attack.codec, attack.fps)


def _tried(marked: _MarkedClip, method: Method, name: str) -> tuple[bool, float]:
    """Whether the payload comes back after an attack, and the processor time of reading."""
    attack = ATTACKS[name]
    data = attacked(attack, marked.copies(attack.seconds)[1])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        path.write_bytes(data)
        begun = time.process_time()
        read = method.read(path)
        return read == marked.payload, time.process_time() - begun


def _cost(path: Path, marked: _MarkedClip, name: str, method: Method) -> Trial:
    """What marking a clip costs."""
    from skimage.metrics import structural_similarity

    clip, copy = marked.copies(SECONDS)
    before, after = luma(clip), luma(copy)
    pairs = list(zip(before, after, strict=True))
    error = float(np.mean([np.mean((a.astype(float) - b) ** 2) for a, b in pairs]))
    begun = time.process_time()
    method.mark(clip, marked.payload)
    spent = (time.process_time() - begun) / len(clip)
    similar = [structural_similarity(a, b, data_range=255) for a, b in pairs[::SSIM_STEP]]
    growth = len(encoded(copy, 23)) / len(encoded(clip, 23)) - 1
    psnr = 10 * math.log10(255**2 / error)
    return Trial(path.name, name, COST, False, spent, psnr, float(np.mean(similar)), growth)


# --- commands ------------------------------------------------------------------------------------

_clips = click.argument(
    "clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)


@click.group()
def watermark() -> None:
    """Measure the watermark."""


@watermark.command()
@_clips
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=click.Choice(["vasari", *METHODS]),
    default=["vasari"],
    show_default=True,
    help="May be repeated; dwtDct, dwtDctSvd and rivaGan need the extra peers.",
)
@click.option("--attack", "names", multiple=True, help="Only this attack; may be repeated.")
@click.option(
    "--results",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that keeps each trial, so that a run that was cut off goes on.",
)
def robustness(
    clips: tuple[Path, ...], methods: tuple[str, ...], names: tuple[str, ...], results: Path | None
) -> None:
    """Print how often the payload is read back after each attack, and what the mark costs."""
    wanted = names or (*ATTACKS, COST)
    if unknown := set(wanted) - {*ATTACKS, COST}:
        raise click.BadParameter(f"{', '.join(unknown)}: one of {', '.join(ATTACKS)} is expected")
    kept = Results(results)
    for path in clips:
        for name in methods:
            _run(path, name, [w for w in wanted if kept.lack(path.name, name, w)], kept)
    for line in table(kept.trials):
        click.echo(line)


def _run(path: Path, name: str, wanted: list[str], kept: Results) -> None:
    """Make the trials of one clip and method that are still to be made."""
    if not wanted:
        return
    method = method_of(name)
    marked = _MarkedClip(path, method)
    for attack in wanted:
        if attack == COST:
            kept.add(_cost(path, marked, name, method))
        else:
            read, seconds = _tried(marked, method, attack)
            kept.add(Trial(path.name, name, attack, read, seconds))


def table(trials: list[Trial]) -> list[str]:
    """The lines of a table: attacks against methods, then what each method costs."""
    methods = sorted({trial.method for trial in trials}, key=lambda name: name != "vasari")
    lines = ["| attack | " + " | ".join(methods) + " |", "|---" * (len(methods) + 1) + "|"]
    for attack in ATTACKS:
        groups = [[t for t in trials if (t.method, t.attack) == (m, attack)] for m in methods]
        if any(groups):
            lines.append(f"| {attack} | " + " | ".join(map(_share, groups)) + " |")
    costs = [[t for t in trials if (t.method, t.attack) == (m, COST)] for m in methods]
    for title, value in _COSTS.items():
        cells = " | ".join(value(group) if group else "" for group in costs)
        lines.append(f"| {title} | {cells} |")
    return lines


def _share(trials: list[Trial]) -> str:
    """How many payloads came back, with the interval of 95 %, and the time of reading."""
    if not trials:
        return ""
    hits = sum(trial.read for trial in trials)
    low, high = interval(hits, len(trials))
    seconds = np.median([trial.seconds for trial in trials])
    return f"{hits}/{len(trials)} ({low:.0%}-{high:.0%}), {seconds:.1f} s"


def _spread(values: list[float], form: str) -> str:
    return (
        f"{format(np.median(values), form)} ({format(min(values), form)} to "
        f"{format(max(values), form)})"
    )


_COSTS: dict[str, Callable[[list[Trial]], str]] = {
    "PSNR, dB": lambda group: _spread([t.psnr for t in group], ".1f"),
    "SSIM": lambda group: _spread([t.ssim for t in group], ".4f"),
    "bit rate at CRF 23": lambda group: _spread([t.growth for t in group], "+.1%"),
    "marking, ms per frame": lambda group: _spread([1000 * t.seconds for t in group], ".1f"),
}


def interval(hits: int, count: int) -> tuple[float, float]:
    """Wilson's interval of 95 % for a share (Wilson 1927)."""
    share, square = hits / count, WILSON**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = WILSON / (1 + square / count)
    half *= math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


@watermark.command()
@_clips
@click.option("--keys", default=100, show_default=True, help="Keys tried on each crop of a clip.")
@click.option("--crops", default=4, show_default=True, help="Crops of each clip.")
@click.option("--searched", default=0, show_default=True, help="Clips searched for geometries.")
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="PNG of the scores' shares."
)
def negatives(
    clips: tuple[Path, ...], keys: int, crops: int, searched: int, plot: Path | None
) -> None:
    """Try keys on unmarked clips; print false reads and the scores against the derived ones."""
    from vasari.eval.watermark_negatives import draw, report, search, try_keys

    scores = try_keys(clips, keys, crops)
    for line in report(scores):
        click.echo(line)
    if searched:
        click.echo(search(clips[:searched]))
    if plot:
        draw(scores, plot)


if __name__ == "__main__":
    watermark()
