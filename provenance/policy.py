"""Policies: what a file must show to be accepted, as objects that compose.

>>> from vasari.provenance.policy import AllOf, Intact, MaximumAge, Trusted
>>> policy = AllOf((Trusted(), MaximumAge(days=30)))
>>> policy.objections(verdict)  # doctest: +SKIP
('it was signed 41 days ago; at most 30 are accepted',)

An empty policy accepts nothing: whoever forgets to say what is asked for must notice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import tomli

from vasari.errors import InputError
from vasari.provenance.layers import State
from vasari.provenance.sourcetype import source_type_uri
from vasari.provenance.verdict import Verdict

MAX_POLICY_BYTES = 1 << 20
EMPTY = ("an empty policy accepts nothing",)


class Policy(Protocol):
    """Something that accepts a verdict or objects to it."""

    def objections(self, verdict: Verdict) -> tuple[str, ...]:
        """Why the file is not accepted; nothing if it is."""


@dataclass(frozen=True)
class Intact:
    """Unchanged since it was signed, by whomever."""

    def objections(self, verdict: Verdict) -> tuple[str, ...]:
        """Object to all that is not intact."""
        intact = verdict.state in (State.TRUSTED, State.VALID)
        return () if intact else (f"its provenance is {verdict.state.value}, not intact",)


@dataclass(frozen=True)
class Trusted:
    """Intact, and signed under a trust anchor."""

    def objections(self, verdict: Verdict) -> tuple[str, ...]:
        """Object to all that is not trusted."""
        if verdict.state is State.TRUSTED:
            return ()
        return (f"its provenance is {verdict.state.value}, not trusted",)


@dataclass(frozen=True)
class Signer:
    """Trusted, and signed by one of these.

    A name alone is no evidence: anyone can put it into a certificate of their own.
    """

    names: tuple[str, ...]  # as certificates name them

    def objections(self, verdict: Verdict) -> tuple[str, ...]:
        """Object to other signers, and to those who are not trusted."""
        signer = verdict.manifest.signer if verdict.manifest else ""
        if signer not in self.names:
            return (f"it is signed by “{signer}”, not by {' or '.join(self.names)}",)
        return Trusted().objections(verdict)


@dataclass(frozen=True)
class Assertions:
    """Intact, and its manifest makes these statements."""

    labels: tuple[str, ...]  # of C2PA, without number of version or copy: "c2pa.actions"

    def objections(self, verdict: Verdict) -> tuple[str, ...]:
        """Object to statements that are missing."""
        present = verdict.manifest.assertions if verdict.manifest else ()
        missing = [label for label in self.labels if not any(_fits(label, has) for has in present)]
        return Intact().objections(verdict) + tuple(
            f"its manifest holds no {label}" for label in missing
        )


@dataclass(frozen=True)
class MaximumAge:
    """Intact, and signed in the last days, by a time stamp or else by the maker's own clock."""

    days: float

    def objections(self, verdict: Verdict) -> tuple[str, ...]:
        """Object to what is older, comes from the future, or does not say."""
        signed = verdict.manifest.signed_at if verdict.manifest else None
        if signed is None:
            return (*Intact().objections(verdict), "it does not say when it was signed")
        age = (datetime.now(timezone.utc) - signed).total_seconds() / 86_400
        if -1 <= age <= self.days:  # clocks differ by a day at most
            return Intact().objections(verdict)
        return (
            *Intact().objections(verdict),
            f"it was signed {age:.0f} days ago; at most {self.days:g} are accepted",
        )


@dataclass(frozen=True)
class SourceTypes:
    """Intact, and declared as one of these IPTC terms."""

    terms: tuple[str, ...]

    def objections(self, verdict: Verdict) -> tuple[str, ...]:
        """Object to other declarations."""
        declared = verdict.manifest.source_type if verdict.manifest else ""
        if declared in {source_type_uri(term) for term in self.terms}:
            return Intact().objections(verdict)
        stated = verdict.manifest.source_words if verdict.manifest else ""
        return (f"it is declared as {stated or 'nothing'}, not as {' or '.join(self.terms)}",)


@dataclass(frozen=True)
class Watermarked:
    """Intact, and its frames carry the watermark that its manifest names."""

    def objections(self, verdict: Verdict) -> tuple[str, ...]:
        """Object to a watermark that is missing or another."""
        if verdict.watermark.agrees:
            return Intact().objections(verdict)
        return ("its frames do not carry the watermark that a manifest names",)


@dataclass(frozen=True)
class AllOf:
    """All policies accept it."""

    policies: tuple[Policy, ...]

    def objections(self, verdict: Verdict) -> tuple[str, ...]:
        """All objections, each once."""
        if not self.policies:
            return EMPTY
        return tuple(
            dict.fromkeys(each for policy in self.policies for each in policy.objections(verdict))
        )


@dataclass(frozen=True)
class AnyOf:
    """At least one policy accepts it."""

    policies: tuple[Policy, ...]

    def objections(self, verdict: Verdict) -> tuple[str, ...]:
        """What the policies object to, if each does."""
        if not self.policies:
            return EMPTY
        found = [policy.objections(verdict) for policy in self.policies]
        if not all(found):
            return ()
        return (" or else ".join("; ".join(each) for each in found),)


def load_policy(path: Path) -> Policy:
    """Read a policy from a TOML file, as docs/provenance.md describes it.

    Raises:
        InputError: the file cannot be read, is no TOML, or asks for something unknown.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_POLICY_BYTES)
        return parse_policy(tomli.loads(content.decode()))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:  # of tomli and of the decoder
        raise InputError(f"{path} is no TOML: {error}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse_policy(table: Mapping[str, Any]) -> Policy:
    """A policy from a table: all that it asks for must hold.

    Raises:
        InputError: an unknown key, or a value of the wrong kind.
    """
    for key in table:
        if key not in _KEYS:
            raise InputError(f"unknown key '{key}' in a policy; known are {', '.join(_KEYS)}")
    return AllOf(tuple(_KEYS[key](value) for key, value in table.items()))


def _fits(label: str, present: str) -> bool:
    """Whether an assertion has this label, in any version or copy: "c2pa.actions.v2__1"."""
    base = present.partition("__")[0]
    return base == label or base.rpartition(".v")[0] == label


def _flag(policy: Policy) -> Callable[[Any], Policy]:
    def made(value: Any) -> Policy:
        if value is not True:
            raise InputError(f"{value!r} in a policy: true is expected, or leave the key out")
        return policy

    return made


def _names(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(each, str) for each in names):
        raise InputError(f"{value!r} in a policy: a text or a list of texts is expected")
    if not names:
        raise InputError("an empty list in a policy accepts nothing; leave the key out")
    return tuple(names)


def _days(value: Any) -> Policy:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise InputError(f"{value!r} in a policy: a number of days above 0 is expected")
    return MaximumAge(float(value))


def _source_types(value: Any) -> Policy:
    terms = _names(value)
    for term in terms:
        source_type_uri(term)
    return SourceTypes(terms)


def _alternatives(value: Any) -> Policy:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise InputError("'any' in a policy: a list of tables is expected")
    return AnyOf(tuple(parse_policy(each) for each in value))


_KEYS: dict[str, Callable[[Any], Policy]] = {
    "intact": _flag(Intact()),
    "trusted": _flag(Trusted()),
    "watermark": _flag(Watermarked()),
    "signer": lambda value: Signer(_names(value)),
    "assertion": lambda value: Assertions(_names(value)),
    "source-type": _source_types,
    "max-age-days": _days,
    "any": _alternatives,
}
