"""The plain words for what a manifest and a watermark say, shared by terminal and report."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from vasari.provenance.evidence import Action, Consent, Manifest, Origin
from vasari.provenance.layers import Detector, Lead, Recovered, Watermark

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
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


def facts(manifest: Manifest) -> dict[str, str]:
    """What a manifest says, name -> words, without what it was made from; nothing is left empty."""
    issuer = f" ({manifest.issuer})" if manifest.issuer not in ("", manifest.signer) else ""
    said = {
        "Signed by": (manifest.signer or "a certificate without a name") + issuer,
        "Signed at": _time(manifest),
        "Made with": manifest.generator or "unnamed software",
        "Declared as": manifest.source_words or "nothing: its kind is not stated",
        "What was done": ", ".join(_deed(each) for each in manifest.actions),
        "Made by": manifest.author,
        "Consent": _consent(manifest.consent),
        "Training AI on it": _USES.get(manifest.training, manifest.training),
        "Models": ", ".join(
            f"{name} (SHA-256 {digest[:16]}…)" for name, digest in manifest.models.items()
        ),
        "Settings": _settings(manifest.controls),
    }
    return {name: words for name, words in said.items() if words}


def watermark_words(watermark: Watermark) -> str:
    """What reading the watermark gave."""
    if watermark.identifier is None or watermark.p_value is None:
        return watermark.note
    rarity = max(1, min(-math.log10(max(watermark.p_value, 1e-99)), 99))
    return (
        f"{watermark.identifier}: {watermark.note} (of unmarked clips fewer than one in "
        f"10{str(round(rarity)).translate(_RAISED)} read so by chance)"
    )


def likeness_words(recovered: Recovered) -> str:
    """Whether the frames look like those of the original that a kept manifest belongs to."""
    words = {
        True: "look like those of the original",
        False: "look different from those of the original",
        None: "could not be compared with those of the original",
    }[recovered.looks_alike]
    return "; ".join((words, *recovered.differences))


def is_own(recovered: Recovered, manifest: Manifest | None) -> bool:
    """Whether a kept manifest is the one that the file carries itself, and says the same."""
    kept = recovered.manifest
    return (
        manifest is not None
        and (manifest.label, manifest.origins) == (kept.label, kept.origins)
        and facts(manifest) == facts(kept)
    )


OWN_WORDS = "the one that the file carries: what it says is told above"


def lead_words(recovered: Recovered) -> str:
    """What leads to a kept manifest."""
    return {
        Lead.WATERMARK: "found by the watermark",
        Lead.FINGERPRINT: "found by what the frames look like",
    }[recovered.lead]


def detector_words(detector: Detector) -> str:
    """What the detector makes of a file, with how often it errs."""
    if detector.probability is None or detector.threshold is None:
        return f"cannot say: {detector.note}" if detector.note else "cannot say"
    said = f"{detector.decision}: {detector.note}" if detector.note else detector.decision
    words = f"{said}, probability {detector.probability:.2f}"
    words += f" (called generated from {detector.threshold:.2f}"
    if detector.false_alarm_rate is not None and detector.miss_rate is not None:
        words += (
            f"; of real clips {detector.false_alarm_rate:.1%} are called so, "
            f"of generated ones {detector.miss_rate:.1%} are missed"
        )
    return f"{words}). A guess from pixels, which convicts no one."


def origin_words(origin: Origin) -> str:
    """Something that the file was made from, in one line."""
    role = _RELATIONSHIPS.get(origin.role, origin.role)
    kind = f" ({origin.mime_type})" if origin.mime_type else ""
    return f"{role}: {origin.title or 'untitled'}{kind}"


def history_words(manifest: Manifest) -> str:
    """The manifest of an ingredient in one line."""
    state = "with a manifest of its own" if manifest.intact else "with a broken manifest"
    words = f", {manifest.source_words}" if manifest.source_words else ""
    return f"{state}: signed by {manifest.signer or 'no one'}, {manifest.generator}{words}"


def _time(manifest: Manifest) -> str:
    stated = manifest.time_stamp or manifest.stated_time
    if not stated:
        return "not stated"
    moment = manifest.signed_at
    words = f"{moment:%Y-%m-%d %H:%M %Z}" if moment else stated
    return f"{words}, " + (
        "confirmed by a time stamp" if manifest.time_stamp else "by the maker's own clock"
    )


def _deed(action: Action) -> str:
    return _DEEDS.get(action.name, action.name)


def _consent(consent: Consent | None) -> str:
    if consent is None:
        return ""
    return f"{consent.person} agreed, by the maker's account: {consent.basis}"


def _settings(controls: Mapping[str, Any]) -> str:
    """Nested settings on one line: "gaze yaw 3, emotion happy 0.6, seed 7"."""
    parts = []
    for name, value in controls.items():
        words = re.sub("([A-Z])", r" \1", name).lower()
        if isinstance(value, dict):
            parts += [f"{words} {inner} {content}" for inner, content in value.items()]
        else:
            parts.append(f"{words} {value}")
    return ", ".join(parts)
