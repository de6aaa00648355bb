"""A verdict in words on a terminal, for people who have never heard of C2PA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vasari.provenance.evidence import Action, Finding, Manifest, Origin, plain
from vasari.provenance.findings import UNTRUSTED
from vasari.provenance.verdict import State, Verdict, Watermark

_MARKS = {
    State.TRUSTED: ("✔", "bold green"),
    State.VALID: ("✔", "bold yellow"),
    State.INVALID: ("✘", "bold red"),
    State.STRIPPED: ("✘", "bold red"),
    State.NONE: ("○", "bold"),
}

# What was done, in the past tense (C2PA 2.2, section 18.15.4.7). Others are shown as they are.
_DEEDS = {
    "c2pa.created": "created",
    "c2pa.opened": "opened",
    "c2pa.placed": "something placed in it",
    "c2pa.edited": "edited",
    "c2pa.cropped": "cropped",
    "c2pa.resized": "resized",
    "c2pa.transcoded": "re-encoded",
    "c2pa.color_adjustments": "colours adjusted",
    "c2pa.drawing": "drawn on",
    "c2pa.filtered": "filtered",
    "c2pa.published": "published",
    "c2pa.repackaged": "repackaged",
    "c2pa.watermarked": "watermarked",
    "c2pa.watermarked.bound": "watermarked",
    "c2pa.dubbed": "dubbed",
    "c2pa.translated": "translated",
    "c2pa.unknown": "something unnamed",
}
# How an ingredient is related (C2PA 2.2, section 18.16.3), where its role is not told otherwise.
_RELATIONSHIPS = {
    "parentOf": "earlier version",
    "componentOf": "part",
    "inputTo": "input",
}
_USES = {
    "allowed": "allowed",
    "notAllowed": "not allowed",
    "constrained": "allowed under conditions",
}


def show(verdict: Verdict, console: Console) -> None:
    """Print a verdict."""
    mark, style = _MARKS[verdict.state]
    console.print(Text(plain(verdict.path), style="dim"))
    console.print(Text.assemble((f"{mark} ", style), (verdict.headline, style)), soft_wrap=False)
    console.print()
    console.print(_table(verdict))
    for title, lines in (
        ("What follows", verdict.follows),
        ("What does not follow", verdict.does_not_follow),
    ):
        if lines:
            console.print()
            console.print(Text(title, style="bold"))
            console.print(_bullets(lines))


def _table(verdict: Verdict) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in _rows(verdict):
        table.add_row(name, value)
    return table


def _rows(verdict: Verdict) -> Iterator[tuple[str, RenderableType]]:
    if verdict.manifest is None:
        yield "Manifest", Text(_no_manifest(verdict))
    else:
        yield from _manifest_rows(verdict.manifest)
    yield "Watermark", Text(plain(_watermark(verdict.watermark)))
    for manifest in verdict.recovered:
        yield "", Text("")
        yield "Kept manifest", Text(f"“{manifest.title}”", style="bold")
        yield from _manifest_rows(manifest)


def _no_manifest(verdict: Verdict) -> str:
    if verdict.elsewhere:
        return f"none in the file; it names one at {verdict.elsewhere}, which was not fetched"
    return "none that can be read" if verdict.reason else "none"


def _watermark(watermark: Watermark) -> str:
    if watermark.identifier is None or watermark.p_value is None:
        return watermark.note
    chance = f"{watermark.p_value:.0e}" if watermark.p_value >= 1e-99 else "below 1e-99"
    return f"{watermark.identifier}: {watermark.note} (chance of a false reading: {chance})"


def _manifest_rows(manifest: Manifest) -> Iterator[tuple[str, RenderableType]]:
    issuer = f" ({manifest.issuer})" if manifest.issuer not in ("", manifest.signer) else ""
    yield "Signed by", Text((manifest.signer or "a certificate without a name") + issuer)
    yield "Signed at", Text(_time(manifest))
    yield "Made with", Text(manifest.generator or "unnamed software")
    yield "Declared as", Text(manifest.source_words or "nothing: its kind is not stated")
    if manifest.origins:
        yield "Made from", Group(*_origins(manifest.origins))
    if manifest.actions:
        yield "What was done", Text(", ".join(_deed(each) for each in manifest.actions))
    if manifest.controls:
        yield "Settings", Text(plain(_settings(manifest.controls)))
    if manifest.training:
        yield "Training AI on it", Text(_USES.get(manifest.training, manifest.training))
    yield "Checked", Group(*_findings(manifest))


def _time(manifest: Manifest) -> str:
    if manifest.time_stamp:
        return f"{_moment(manifest.time_stamp)}, confirmed by a time stamp"
    stated = next((each.when for each in manifest.actions if each.when), "")
    if stated:
        return f"{_moment(stated)}, by the maker's own clock"
    return "not stated"


def _moment(stamp: str) -> str:
    """An ISO 8601 time for people; what is none is shown as it is."""
    try:
        return f"{datetime.fromisoformat(stamp.replace('Z', '+00:00')):%Y-%m-%d %H:%M %Z}"
    except ValueError:
        return stamp


def _origins(origins: tuple[Origin, ...], indent: int = 0) -> Iterator[RenderableType]:
    for origin in origins:
        role = _RELATIONSHIPS.get(origin.role, origin.role)
        kind = f" ({origin.mime_type})" if origin.mime_type else ""
        digest = f", SHA-256 {origin.sha256[:16]}…" if origin.sha256 else ""
        line = Text(f"{role}: {origin.title or 'untitled'}{kind}{digest}")
        yield Padding(line, (0, 0, 0, indent))
        if origin.manifest is not None:
            yield Padding(Text(_history(origin.manifest), style="dim"), (0, 0, 0, indent + 2))
            yield from _origins(origin.manifest.origins, indent + 2)


def _history(manifest: Manifest) -> str:
    """The manifest of an ingredient in one line."""
    state = "with a manifest of its own" if manifest.intact else "with a broken manifest"
    words = f", {manifest.source_words}" if manifest.source_words else ""
    return f"{state}: signed by {manifest.signer or 'no one'}, {manifest.generator}{words}"


def _deed(action: Action) -> str:
    return _DEEDS.get(action.name, action.name)


def _settings(controls: Mapping[str, Any]) -> str:
    """Nested settings on one line: "gaze yaw 3, seed 7"."""
    parts = []
    for name, value in controls.items():
        if isinstance(value, dict):
            parts += [f"{name} {inner} {content}" for inner, content in value.items()]
        else:
            parts.append(f"{name} {value}")
    return ", ".join(parts)


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
