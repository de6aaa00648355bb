"""What each layer of a verdict found: the state, the watermark, kept manifests, the detector."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from vasari.provenance.evidence import Manifest

Span = tuple[float, float]  # seconds from the start: when something begins and ends


class State(enum.Enum):
    """The outcome; the first three are the C2PA library's own."""

    TRUSTED = "trusted"  # intact, by a signer under a trust anchor in use
    VALID = "valid"  # intact, by a signer whom no trust anchor covers
    INVALID = "invalid"  # broken or tampered with
    STRIPPED = "stripped"  # no manifest, but Vasari's watermark is in the frames
    NONE = "none"  # no provenance of any kind


class Lead(enum.Enum):
    """What leads from a file to a kept manifest."""

    WATERMARK = "watermark"  # the number in its frames
    FINGERPRINT = "fingerprint"  # what its frames look like: a hint, for others may look alike


@dataclass(frozen=True)
class Watermark:
    """What reading Vasari's watermark gave."""

    identifier: str | None  # 12 hexadecimal digits, None if none was read
    p_value: float | None  # chance that unmarked frames look like this, None if none was read
    # Whether the manifest names this watermark; None if there is nothing to compare.
    agrees: bool | None
    note: str  # in plain words
    intervals: tuple[Span, ...] = ()  # when it is seen, as far as frames were looked at


@dataclass(frozen=True)
class Recovered:
    """A kept manifest that the frames lead to."""

    manifest: Manifest
    label: str  # of the manifest in the store
    kept: str  # when it was kept, ISO 8601
    lead: Lead
    # Whether the frames look like those of the original; None if that cannot be said.
    looks_alike: bool | None
    differences: tuple[str, ...]  # from the original, in plain words: length and size


@dataclass(frozen=True)
class Detector:
    """What a detector of generated faces makes of the pixels: evidence, and no provenance."""

    decision: str  # "generated", "not generated" or "cannot say"
    probability: float | None  # calibrated, 0 to 1; None where there was nothing to score
    threshold: float | None  # probability from which a clip is called generated
    false_alarm_rate: float | None  # of real clips at the threshold
    miss_rate: float | None  # of generated clips at the threshold
    suspicious: tuple[Span, ...]  # most suspicious first
    note: str  # why it cannot say, or ""
