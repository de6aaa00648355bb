"""A verdict as one HTML page: self-contained, printable, readable on a phone, without scripts."""

from __future__ import annotations

import base64
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from html import escape
from importlib.metadata import version
from pathlib import Path

from vasari.errors import OutputError
from vasari.provenance.evidence import Finding, Manifest, Origin, plain
from vasari.provenance.findings import UNTRUSTED
from vasari.provenance.fingerprint import frames_of
from vasari.provenance.layers import Span, State
from vasari.provenance.pictures import duration, key_frames, thumbnails
from vasari.provenance.store import ManifestStore
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

KEY_FRAMES = 6
Pictures = Mapping[str, bytes]  # address in a manifest store -> JPEG

_TITLES = {
    State.TRUSTED: ("Intact, known signer", "good"),
    State.VALID: ("Intact, unknown signer", "fair"),
    State.INVALID: ("Not to be relied on", "bad"),
    State.STRIPPED: ("Manifest removed", "bad"),
    State.NONE: ("No provenance", "none"),
}

# Nothing may be loaded from anywhere, whatever stands in a stranger's text.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_STYLE = """
:root { --ink: #1c1d1f; --soft: #5c6066; --line: #dcdfe3; --paper: #fff; --wash: #f5f6f8;
  --seen: #5b7186; --good: #146c36; --fair: #8a5a00; --bad: #a31621; --none: #3d4450; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e9eb; --soft: #a3a8b0; --line: #34383e;
  --paper: #16181b; --wash: #1f2226; --seen: #8fa6bc; --good: #58c27d; --fair: #e0aa4a;
  --bad: #ff7b84; --none: #b4bcc8; } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 52rem; padding: 1.5rem 1rem 3rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere }
.state { border-left: .4rem solid var(--tone); padding: .2rem 0 .2rem 1rem; margin: 1rem 0 1.5rem }
.state b { color: var(--tone); text-transform: uppercase; letter-spacing: .06em;
  font-size: .85rem }
.good { --tone: var(--good) } .fair { --tone: var(--fair) } .bad { --tone: var(--bad) }
.none { --tone: var(--none) }
h1 { font-size: 1.4rem; line-height: 1.3; margin: .2rem 0 0 }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem }
p.file, footer, figcaption, .soft { color: var(--soft); font-size: .875rem }
dl { display: grid; grid-template-columns: minmax(7rem, 11rem) 1fr; gap: .35rem 1rem; margin: 0 }
dt { color: var(--soft) } dd { margin: 0 }
ul { margin: 0; padding-left: 1.2rem } li { margin: .25rem 0 }
ul.tree { list-style: none; padding-left: 0 }
ul.tree ul.tree { border-left: 2px solid var(--line); margin-left: .5rem; padding-left: 1rem }
.tree li { margin: 0 0 .8rem }
.tree img { height: 5rem; border-radius: .3rem; display: block; margin: .3rem 0 }
.checks { list-style: none; padding: 0 }
.checks li { padding-left: 1.4rem }
.checks li::before { display: inline-block; width: 1.4rem; margin-left: -1.4rem; content: "\\00b7" }
.checks .ok::before { content: "\\2714"; color: var(--good) }
.checks .no::before { content: "\\2718"; color: var(--bad) }
.checks .unknown::before { content: "?"; color: var(--fair) }
.strip { display: grid; grid-template-columns: repeat(6, 1fr); gap: .5rem }
figure { margin: 0 0 .8rem } figure img { width: 100%; border-radius: .3rem; display: block }
.pairs figure { display: grid; gap: .25rem }
.line { position: relative; height: .75rem; border-radius: .375rem; background: var(--line);
  overflow: hidden; print-color-adjust: exact }
.line i { position: absolute; top: 0; bottom: 0; min-width: 2px; background: var(--seen) }
.ends { display: flex; justify-content: space-between; gap: 1rem; margin: .25rem 0 }
code { font-size: .875em }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: .6rem }
@media (max-width: 32rem) { .strip { grid-template-columns: repeat(3, 1fr) }
  dl { grid-template-columns: 1fr; gap: 0 } dd { margin-bottom: .6rem } }
@media print { body { max-width: none; padding: 0 } h2, h3 { break-after: avoid }
  figure, li { break-inside: avoid } }
"""


def write_report(verdict: Verdict, destination: Path, store: ManifestStore | None = None) -> None:
    """Write a verdict as an HTML page, which appears when it is complete.

    Args:
        verdict: of a file that is still where it was.
        destination: an .html file, replaced if it is there.
        store: where the kept manifests of the verdict came from.

    Raises:
        OutputError: the page cannot be written.
    """
    page = render_report(verdict, store).encode()
    try:
        handle, name = tempfile.mkstemp(prefix=f".{destination.name}.", dir=destination.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(page)
            Path(name).chmod(0o644)
            Path(name).replace(destination)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {destination}: {error.strerror}") from error


def render_report(verdict: Verdict, store: ManifestStore | None = None) -> str:
    """The page for a verdict."""
    path = Path(verdict.path)
    frames, seconds = key_frames(path, KEY_FRAMES), duration(path)
    parts = (
        _opening(verdict),
        _frames(verdict, frames, _originals(verdict, store)),
        _evidence(verdict, seconds, store),
    )
    body = "".join(itertools.chain.from_iterable(parts))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{_text(path.name)}: {_TITLES[verdict.state][0]}</title>"
        f"<style>{_STYLE}</style></head><body><main>{body}</main>{_footer()}</body></html>\n"
    )


def _originals(verdict: Verdict, store: ManifestStore | None) -> list[bytes]:
    """The frames of the original that were kept with its manifest."""
    if store is None or not verdict.recovered:
        return []
    entry = store.by_label(verdict.recovered[0].label)
    return frames_of(entry.fingerprint) if entry else []


def _opening(verdict: Verdict) -> Iterator[str]:
    title, tone = _TITLES[verdict.state]
    yield f'<p class="file">{_text(Path(verdict.path).name)} · {verdict.kind.value}</p>'
    yield f'<header class="state {tone}"><b>{title}</b><h1>{_text(verdict.headline)}</h1></header>'
    for heading, lines in (
        ("What follows", verdict.follows),
        ("What does not follow", verdict.does_not_follow),
    ):
        if lines:
            yield f"<h2>{heading}</h2>{_list(_text(line) for line in lines)}"


def _frames(verdict: Verdict, frames: list[bytes], originals: list[bytes]) -> Iterator[str]:
    """Frames of the clip; beneath each the original's at the same moment, where it is kept."""
    if not frames:
        return
    yield f"<h2>This {verdict.kind.value}{' and the kept original' if originals else ''}</h2>"
    if originals:
        yield (
            f'<p class="soft">Above this {verdict.kind.value}, below the original at the same '
            f"share of its length. The frames {_text(likeness_words(verdict.recovered[0]))}.</p>"
        )
    yield f'<div class="strip{" pairs" if originals else ""}">'
    for index, frame in enumerate(frames):
        yield f"<figure>{_image(frame, f'frame {index + 1} of this {verdict.kind.value}')}"
        if originals:
            original = originals[min(index, len(originals) - 1)]
            yield _image(original, f"frame {index + 1} of the original")
        yield "</figure>"
    yield "</div>"


def _evidence(verdict: Verdict, seconds: float, store: ManifestStore | None) -> Iterator[str]:
    yield "<h2>Manifest</h2>"
    if verdict.manifest is None:
        yield f"<p>{_text(verdict.reason or 'There is none in the file.')}</p>"
    else:
        yield from _manifest(verdict.manifest, Path(verdict.path))
    if verdict.elsewhere:
        yield f"<p>It names one at <code>{_text(verdict.elsewhere)}</code>, which was not fetched."
    yield "<h2>Watermark</h2>"
    yield f"<p>{_text(watermark_words(verdict.watermark))}</p>"
    yield from _timeline(verdict.watermark.intervals, seconds, "Plainly seen")
    if verdict.detector is not None:
        yield f"<h2>Detector</h2><p>{_text(detector_words(verdict.detector))}</p>"
        yield from _timeline(verdict.detector.suspicious, seconds, "Most suspicious")
    for recovered in verdict.recovered:
        manifest = recovered.manifest
        yield f"<h2>Kept manifest “{_text(manifest.title)}”</h2>"
        yield f"<p>It was {lead_words(recovered)}. The frames {_text(likeness_words(recovered))}. "
        yield f'<span class="soft">Kept on {recovered.kept[:10]}.</span></p>'
        if is_own(recovered, verdict.manifest):
            yield f"<p>It is {OWN_WORDS}.</p>"
            continue
        entry = store.by_label(recovered.label) if store is not None else None
        yield from _manifest(manifest, entry.manifest if entry else b"")


def _timeline(spans: tuple[Span, ...], seconds: float, words: str) -> Iterator[str]:
    """A bar as long as the clip, on which stretches are marked."""
    if not spans or not seconds:
        return
    told = ", ".join(f"{start:.1f} to {end:.1f} s" for start, end in spans)
    marks = "".join(
        f'<i style="left:{100 * min(start / seconds, 1):.2f}%;'
        f'width:{100 * min(max(end - start, 0) / seconds, 1):.2f}%"></i>'
        for start, end in spans
    )
    yield f'<div class="line" role="img" aria-label="{words}: {told}">{marks}</div>'
    yield f'<p class="soft ends"><span>0 s</span><span>{words}: {told}</span>'
    yield f"<span>{seconds:.1f} s</span></p>"


def _manifest(manifest: Manifest, source: Path | bytes) -> Iterator[str]:
    pictures = thumbnails(source, set(_addresses(manifest)))
    own = pictures.get(manifest.thumbnail)
    if own:
        yield f'<div class="strip"><figure>{_image(own, "thumbnail")}'
        yield "<figcaption>When it was signed</figcaption></figure></div>"
    cells = (f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in facts(manifest).items())
    yield f"<dl>{''.join(cells)}</dl>"
    if manifest.origins:
        yield f"<h3>Made from</h3>{_tree(manifest.origins, pictures)}"
    yield f"<h3>Checked</h3>{_checks(manifest)}"


def _addresses(manifest: Manifest) -> Iterator[str]:
    yield manifest.thumbnail
    for origin in manifest.origins:
        yield origin.thumbnail
        if origin.manifest is not None:
            yield from _addresses(origin.manifest)


def _tree(origins: tuple[Origin, ...], pictures: Pictures) -> str:
    return f'<ul class="tree">{"".join(_branch(each, pictures) for each in origins)}</ul>'


def _branch(origin: Origin, pictures: Pictures) -> str:
    named = _text(origin_words(origin))
    digest = f'<div class="soft">SHA-256 <code>{_text(origin.sha256)}</code></div>'
    picture = pictures.get(origin.thumbnail)
    below = ""
    if origin.manifest is not None:
        below = f'<div class="soft">{_text(history_words(origin.manifest))}</div>'
        below += _tree(origin.manifest.origins, pictures) if origin.manifest.origins else ""
    shown = _image(picture, origin.role) if picture else ""
    return f"<li>{named}{digest if origin.sha256 else ''}{shown}{below}</li>"


def _checks(manifest: Manifest) -> str:
    broken = [each for each in manifest.failures if each.code != UNTRUSTED]
    lines = [
        *(_check("no", each) for each in broken),
        *(_check("unknown", each) for each in manifest.failures if each not in broken),
        *(_check("ok", each) for each in manifest.successes),
        *(_check("note", each) for each in manifest.notes),
    ]
    return f'<ul class="checks">{"".join(lines)}</ul>'


def _check(kind: str, finding: Finding) -> str:
    return f'<li class="{kind}" title="{_text(finding.code)}">{_text(finding.words)}</li>'


def _footer() -> str:
    now = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
    return f"<footer>Checked with Vasari {version('vasari')} on {now}.</footer>"


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>"


def _image(jpeg: bytes, description: str) -> str:
    content = base64.b64encode(jpeg).decode()
    return f'<img alt="{_text(description)}" src="data:image/jpeg;base64,{content}">'


def _text(value: str) -> str:
    """Text from anyone, as it may stand in HTML."""
    return escape(plain(value, limit=1000))
