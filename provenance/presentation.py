"""A verdict on a terminal, for people who have never heard of C2PA."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vasari.provenance.evidence import Finding, Manifest, Origin, plain
from vasari.provenance.findings import UNTRUSTED
from vasari.provenance.layers import State
from vasari.provenance.verdict import Verdict
from vasari.provenance.wording import (
    OWN_WORDS,
    detector_words,
    facts,
    history_words,
    is_own,
    lead_words,
    likeness_words,
    origin_words,
    watermark_words,
)

_MARKS = {
    State.TRUSTED: ("✔", "bold green"),
    State.VALID: ("✔", "bold yellow"),
    State.INVALID: ("✘", "bold red"),
    State.STRIPPED: ("✘", "bold red"),
    State.NONE: ("○", "bold"),
}


def show(verdict: Verdict, console: Console, objections: tuple[str, ...] = ()) -> None:
    """Print a verdict, and what a policy objects to."""
    mark, style = _MARKS[verdict.state]
    console.print(Text(plain(verdict.path), style="dim"))
    console.print(Text(f"{mark} {verdict.headline}", style))
    console.print()
    console.print(_table(_rows(verdict)))
    for title, lines in (
        ("What your policy objects to", objections),
        ("What follows", verdict.follows),
        ("What does not follow", verdict.does_not_follow),
    ):
        if lines:
            console.print()
            console.print(Text(title, style="bold"))
            console.print(_bullets(lines))


def show_manifest(manifest: Manifest, console: Console) -> None:
    """Print what a manifest says."""
    console.print(_table(_manifest_rows(manifest)))


def _table(rows: Iterator[tuple[str, RenderableType]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in rows:
        table.add_row(name, value)
    return table


def _rows(verdict: Verdict) -> Iterator[tuple[str, RenderableType]]:
    if verdict.manifest is None:
        yield "Manifest", Text(_no_manifest(verdict))
    else:
        yield from _manifest_rows(verdict.manifest)
    yield "Watermark", Text(plain(watermark_words(verdict.watermark)))
    if verdict.detector is not None:
        yield "Detector", Text(plain(detector_words(verdict.detector), limit=1000))
    for recovered in verdict.recovered:
        yield "", Text("")
        yield "Kept manifest", Text(f"“{recovered.manifest.title}”", style="bold")
        yield "Found", Text(lead_words(recovered))
        yield "Frames", Text(likeness_words(recovered))
        if is_own(recovered, verdict.manifest):
            yield "Manifest", Text(OWN_WORDS)
        else:
            yield from _manifest_rows(recovered.manifest)


def _no_manifest(verdict: Verdict) -> str:
    if verdict.elsewhere:
        return f"none in the file; it names one at {verdict.elsewhere}, which was not fetched"
    return "none that can be read" if verdict.reason else "none"


def _manifest_rows(manifest: Manifest) -> Iterator[tuple[str, RenderableType]]:
    for name, words in facts(manifest).items():
        yield name, Text(plain(words, limit=1000))
    if manifest.origins:
        yield "Made from", Group(*_origins(manifest.origins))
    yield "Checked", Group(*_findings(manifest))


def _origins(origins: tuple[Origin, ...], indent: int = 0) -> Iterator[RenderableType]:
    for origin in origins:
        digest = f", SHA-256 {origin.sha256[:16]}…" if origin.sha256 else ""
        yield Padding(Text(origin_words(origin) + digest), (0, 0, 0, indent))
        if origin.manifest is not None:
            history = Text(history_words(origin.manifest), style="dim")
            yield Padding(history, (0, 0, 0, indent + 2))
            yield from _origins(origin.manifest.origins, indent + 2)


def _findings(manifest: Manifest) -> Iterator[Text]:
    unknown, broken = _split(manifest.failures)
    for mark, style, findings in (
        ("✘", "red", broken),
        ("?", "yellow", unknown),
        ("✔", "green", manifest.successes),
        ("·", "dim", manifest.notes),
    ):
        for finding in findings:
            yield Text.assemble((f"{mark} ", style), finding.words)


def _split(
    failures: tuple[Finding, ...],
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """A signer who is merely unknown, apart from what is broken."""
    unknown = tuple(each for each in failures if each.code == UNTRUSTED)
    return unknown, tuple(each for each in failures if each.code != UNTRUSTED)


def _bullets(lines: tuple[str, ...]) -> Table:
    table = Table.grid(padding=(0, 1))
    for line in lines:
        table.add_row(Text("•"), Text(line))
    return table
