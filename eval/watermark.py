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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import click
import numpy as np

from vasari.eval.watermark_attacks import ATTACKS, SECONDS, Attack
from vasari.eval.watermark_clips import FPS, Clip, encoded, load, luma, picture_of, planes_of
from vasari.watermark.embedding import Embedder
from vasari.watermark.payload import format_identifier
from vasari.watermark.peers import METHODS, Peer
from vasari.watermark.reading import read_video

NORMAL = 1.96  # standard deviations on each side of an interval of 95 %
# In place of an attack: what marking costs, and a clip whose second third is not marked.
COST, SPLICE = "cost", "spliced"
SSIM_STEP = 25  # of how many frames the similarity of one is taken
# Frames of each clip that are marked: rivaGan takes more than a second for one.
PEER_FRAMES = {"dwtDct": 25, "dwtDctSvd": 25, "rivaGan": 4}


class Method(Protocol):
    """A way to mark clips."""

    frames: int | None  # that it is given of a clip; None for all

    def mark(self, clip: Clip, payload: str) -> tuple[Clip, float]:
        """A marked copy of a clip, and the processor time that marking took, in seconds."""

    def read(self, path: Path) -> str | None:
        """The payload of a file, if it tells one."""

    def payload(self) -> str:
        """A random payload, in hexadecimal digits."""


class Vasari:
    """Our own."""

    frames: int | None = None

    def mark(self, clip: Clip, payload: str) -> tuple[Clip, float]:
        """A marked copy of a clip, and the time it took: the planes are what an encoder has."""
        height, width = clip[0].shape[:2]
        copies = [planes_of(picture) for picture in clip]
        begun = time.process_time()
        embedder = Embedder(int(payload, 16), height, width)
        for planes in copies:
            embedder.mark(planes[:height], planes[height:].reshape(2, height // 2, width // 2))
        spent = time.process_time() - begun
        return [picture_of(planes) for planes in copies], spent

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

    def mark(self, clip: Clip, payload: str) -> tuple[Clip, float]:
        """A marked copy of a clip, and the time it took."""
        begun = time.process_time()
        copy = [self._peer.mark(picture[..., ::-1], payload)[..., ::-1] for picture in clip]
        return copy, time.process_time() - begun

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
    told: float = 0.0  # share of a spliced clip of which it is told right whether it is marked


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

    def __init__(self, path: Path, voice: Path | None, method: Method) -> None:
        self._path, self._voice, self._method = path, voice, method
        self.payload = method.payload()
        self._clip: Clip = []  # the longest that was asked for
        self._copies: dict[float, tuple[Clip, Clip, float]] = {}

    def copies(self, seconds: float) -> tuple[Clip, Clip, float]:
        """The clip without and with the mark, and the processor time of marking a frame."""
        if seconds not in self._copies:
            count = round(seconds * FPS)
            if len(self._clip) < count:
                self._clip = load(self._path, seconds, self._voice)
            clip = self._clip[: min(count, self._method.frames or count)]
            copy, spent = self._method.mark(clip, self.payload)
            self._copies[seconds] = clip, copy, spent / len(clip)
        return self._copies[seconds]


def attacked(attack: Attack, clip: Clip) -> bytes:
    """The file that an attack makes of a marked clip."""
    return encoded(attack.change(clip), attack.crf, attack.codec, attack.fps)


@contextmanager
def _file_of(data: bytes) -> Iterator[Path]:
    """A file for as long as it is read."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        path.write_bytes(data)
        yield path


def _tried(marked: _MarkedClip, method: Method, name: str) -> tuple[bool, float]:
    """Whether the payload comes back after an attack, and the processor time of reading."""
    attack = ATTACKS[name]
    with _file_of(attacked(attack, marked.copies(attack.seconds)[1])) as path:
        begun = time.process_time()
        read = method.read(path)
        return read == marked.payload, time.process_time() - begun


def _cost(path: Path, marked: _MarkedClip, name: str) -> Trial:
    """What marking a clip costs."""
    from skimage.metrics import structural_similarity

    clip, copy, spent = marked.copies(SECONDS)
    before, after = luma(clip), luma(copy)
    pairs = list(zip(before, after, strict=True))
    error = float(np.mean([np.mean((a.astype(float) - b) ** 2) for a, b in pairs]))
    similar = [structural_similarity(a, b, data_range=255) for a, b in pairs[::SSIM_STEP]]
    growth = len(encoded(copy, 23)) / len(encoded(clip, 23)) - 1
    psnr = 10 * math.log10(255**2 / error)
    return Trial(path.name, name, COST, False, spent, psnr, float(np.mean(similar)), growth)


def _spliced(path: Path, marked: _MarkedClip, name: str) -> Trial:
    """What is told of a clip whose second third was replaced by the same without a mark."""
    clip, copy, _ = marked.copies(SECONDS)
    third = len(clip) // 3
    data = encoded([*copy[:third], *clip[third : 2 * third], *copy[2 * third :]], 23)
    with _file_of(data) as file:
        begun = time.process_time()
        reading = read_video(file)
        spent = time.process_time() - begun
    if reading is None:
        return Trial(path.name, name, SPLICE, False, spent)
    middles = (np.arange(len(clip)) + 0.5) / FPS
    shown = [any(start <= m < end for start, end in reading.intervals) for m in middles]
    true = [not third <= index < 2 * third for index in range(len(clip))]
    told = float(np.mean(np.array(shown) == true))
    same = format_identifier(reading.identifier) == marked.payload
    return Trial(path.name, name, SPLICE, same, spent, told=told)


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
    "--speech",
    "voices",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Sound that stills speak; more than one are taken in turn.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File that keeps each trial, so that a run that was cut off goes on.",
)
def robustness(
    clips: tuple[Path, ...],
    methods: tuple[str, ...],
    names: tuple[str, ...],
    voices: tuple[Path, ...],
    results: Path | None,
) -> None:
    """Print how often the payload is read back after each attack, and what the mark costs."""
    known = (*ATTACKS, SPLICE, COST)
    wanted = names or known
    if unknown := set(wanted) - set(known):
        raise click.BadParameter(f"{', '.join(unknown)}: one of {', '.join(known)} is expected")
    kept = Results(results)
    for number, path in enumerate(clips):
        voice = voices[number % len(voices)] if voices else None
        for name in methods:
            _run(path, voice, name, [w for w in wanted if kept.lack(path.name, name, w)], kept)
    for line in table(kept.trials):
        click.echo(line)


def _run(path: Path, voice: Path | None, name: str, wanted: list[str], kept: Results) -> None:
    """Make the trials of one clip and method that are still to be made."""
    if not wanted:
        return
    method = method_of(name)
    marked = _MarkedClip(path, voice, method)
    for attack in wanted:
        if attack == COST:
            kept.add(_cost(path, marked, name))
        elif attack != SPLICE:
            read, seconds = _tried(marked, method, attack)
            kept.add(Trial(path.name, name, attack, read, seconds))
        elif isinstance(method, Vasari):  # the others do not tell where they are
            kept.add(_spliced(path, marked, name))


def table(trials: list[Trial]) -> list[str]:
    """The lines of a table: attacks against methods, then what each method costs."""
    methods = sorted({trial.method for trial in trials}, key=lambda name: name != "vasari")
    lines = ["| attack | " + " | ".join(methods) + " |", "|---" * (len(methods) + 1) + "|"]
    for attack in (*ATTACKS, SPLICE):
        groups = [[t for t in trials if (t.method, t.attack) == (m, attack)] for m in methods]
        if any(groups):
            lines.append(f"| {attack} | " + " | ".join(map(_share, groups)) + " |")
    for title, (attack, value, form) in _MEANS.items():
        groups = [[t for t in trials if (t.method, t.attack) == (m, attack)] for m in methods]
        cells = " | ".join(_mean([value(t) for t in group], form) for group in groups)
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


def _mean(values: list[float], form: str) -> str:
    """The mean, with its interval of 95 %, and the least and the greatest value."""
    if not values:
        return ""
    mean, half = float(np.mean(values)), NORMAL * float(np.std(values)) / math.sqrt(len(values))
    low, high, least, most = (
        format(v, form) for v in (mean - half, mean + half, min(values), max(values))
    )
    return f"{mean:{form}} ({low} to {high}; {least} to {most})"


# What a line of the table tells: trials of which attack, which value, its form.
_MEANS: dict[str, tuple[str, Callable[[Trial], float], str]] = {
    "spliced: time told right": (SPLICE, lambda trial: trial.told, ".1%"),
    "PSNR, dB": (COST, lambda trial: trial.psnr, ".1f"),
    "SSIM": (COST, lambda trial: trial.ssim, ".4f"),
    "bit rate at CRF 23": (COST, lambda trial: trial.growth, "+.1%"),
    "marking, ms per frame": (COST, lambda trial: 1000 * trial.seconds, ".2f"),
}


def interval(hits: int, count: int) -> tuple[float, float]:
    """Wilson's interval of 95 % for a share (Wilson 1927)."""
    share, square = hits / count, NORMAL**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = NORMAL / (1 + square / count)
    half *= math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


@watermark.command()
@_clips
@click.option("--keys", default=100, show_default=True, help="Keys tried on each crop of a clip.")
@click.option("--crops", default=4, show_default=True, help="Crops of each clip.")
@click.option("--searched", default=0, show_default=True, help="Crops searched for geometries.")
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
        click.echo(search(clips, searched))
    if plot:
        draw(scores, plot)


if __name__ == "__main__":
    watermark()
