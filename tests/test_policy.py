"""Policies: what is accepted, what is objected to, and that nothing is accepted by accident."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from test_manifest import BINDING

from vasari.cli import run
from vasari.errors import InputError, ProvenanceError
from vasari.provenance import worker
from vasari.provenance.credentials import Credential
from vasari.provenance.layers import State
from vasari.provenance.manifest import ManifestRecord, sign
from vasari.provenance.policy import (
    AllOf,
    AnyOf,
    Assertions,
    Intact,
    MaximumAge,
    Signer,
    SourceTypes,
    Trusted,
    Watermarked,
    load_policy,
    parse_policy,
)
from vasari.provenance.verdict import Verdict, verify


@pytest.fixture
def signed(speech_file, tmp_path) -> Path:
    path = tmp_path / "talk.wav"
    record = ManifestRecord("talk.wav", (), BINDING, mime_type="audio/wav")
    sign(speech_file, path, record, Credential.default())
    return path


@pytest.fixture
def verdict(signed) -> Verdict:
    """Of a trusted file."""
    found = verify(signed, trust_anchors=Credential.default().trust_anchors)
    assert found.state is State.TRUSTED
    return found


def in_state(verdict: Verdict, state: State) -> Verdict:
    return dataclasses.replace(verdict, state=state)


def at(verdict: Verdict, when: str) -> Verdict:
    assert verdict.manifest is not None
    action = dataclasses.replace(verdict.manifest.actions[0], when=when)
    manifest = dataclasses.replace(verdict.manifest, actions=(action,))
    return dataclasses.replace(verdict, manifest=manifest)


def bare(verdict: Verdict) -> Verdict:
    return dataclasses.replace(verdict, manifest=None, state=State.NONE)


SATISFIED = [
    Intact(),
    Trusted(),
    Assertions(("c2pa.actions", "c2pa.soft-binding", "cawg.training-mining")),
    MaximumAge(1),
    SourceTypes(("digitalCapture", "compositeSynthetic")),
]


@pytest.mark.parametrize("policy", SATISFIED)
def test_each_accepts_and_none_accepts_the_broken(verdict, policy):
    assert policy.objections(verdict) == ()
    for state in (State.INVALID, State.STRIPPED, State.NONE):
        assert policy.objections(in_state(verdict, state))
    assert policy.objections(bare(verdict))


def test_intact_is_not_trusted(verdict):
    valid = in_state(verdict, State.VALID)
    assert Intact().objections(valid) == ()
    assert Trusted().objections(valid) == ("its provenance is valid, not trusted",)


def test_a_name_counts_only_under_a_trust_anchor(verdict):
    name = Credential.default().signer_name
    assert Signer((name, "other")).objections(verdict) == ()
    assert Signer((name,)).objections(in_state(verdict, State.VALID))
    assert "not by other" in Signer(("other",)).objections(verdict)[0]


def test_assertions_that_are_missing(verdict):
    objections = Assertions(("c2pa.actions", "stds.exif", "c2pa")).objections(verdict)
    assert objections == ("its manifest holds no stds.exif", "its manifest holds no c2pa")


def test_age(verdict):
    now = datetime.now(timezone.utc)
    old, coming = (f"{now + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}" for days in (-41, 3))
    assert MaximumAge(42).objections(at(verdict, old)) == ()
    assert MaximumAge(40).objections(at(verdict, old)) == (
        "it was signed 41 days ago; at most 40 are accepted",
    )
    assert MaximumAge(40).objections(at(verdict, coming))
    for nonsense in ("", "yesterday"):
        assert MaximumAge(40).objections(at(verdict, nonsense)) == (
            "it does not say when it was signed",
        )


def test_watermark(verdict):
    assert Watermarked().objections(verdict)
    agreeing = dataclasses.replace(verdict.watermark, agrees=True)
    assert Watermarked().objections(dataclasses.replace(verdict, watermark=agreeing)) == ()


def test_composition(verdict):
    yes, no, never = Intact(), Signer(("nobody",)), Assertions(("x",))
    assert AllOf((yes, yes)).objections(verdict) == ()
    assert len(AllOf((yes, no, never, no)).objections(verdict)) == 2
    assert AnyOf((no, yes)).objections(verdict) == ()
    (objection,) = AnyOf((no, never)).objections(verdict)
    assert " or else its manifest holds no x" in objection
    assert AllOf((AnyOf((no, yes)), yes)).objections(verdict) == ()
    for empty in (AllOf(()), AnyOf(()), parse_policy({}), parse_policy({"any": []})):
        assert empty.objections(verdict) == ("an empty policy accepts nothing",)
    assert parse_policy({"any": [{}]}).objections(verdict)


def test_policy_of_a_file(tmp_path, verdict):
    path = tmp_path / "policy.toml"
    path.write_text(
        'trusted = true\nassertion = "c2pa.soft-binding"\nmax-age-days = 2.5\n'
        '[[any]]\nsource-type = ["digitalCapture"]\n[[any]]\nsource-type = "compositeSynthetic"\n'
    )
    policy = load_policy(path)
    assert policy == AllOf(
        (
            Trusted(),
            Assertions(("c2pa.soft-binding",)),
            MaximumAge(2.5),
            AnyOf(
                (
                    AllOf((SourceTypes(("digitalCapture",)),)),
                    AllOf((SourceTypes(("compositeSynthetic",)),)),
                )
            ),
        )
    )
    assert policy.objections(verdict) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trusted = ", "is no TOML"),
        ("\x00", "is no TOML"),
        ("trustd = true", "unknown key 'trustd' in a policy; known are intact, trusted"),
        ("trusted = false", "true is expected"),
        ("signer = 7", "a text or a list of texts"),
        ("signer = []", "an empty list"),
        ("max-age-days = true", "a number of days"),
        ("max-age-days = -1", "a number of days"),
        ("any = {}", "a list of tables"),
        ("[[any]]\nx = 1", "unknown key 'x'"),
    ],
)
def test_malformed_policies(tmp_path, text, message):
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_policy(path)
    assert str(caught.value).startswith(str(path))


def test_unusable_policies(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        load_policy(tmp_path / "nowhere.toml")
    (tmp_path / "policy.toml").write_text('source-type = "real"')
    with pytest.raises(ProvenanceError, match="the IPTC terms are"):
        load_policy(tmp_path / "policy.toml")


def test_command_exits_with_5_for_what_is_not_accepted(signed, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(worker, "isolated", lambda path, function, *given: function(*given))
    path = tmp_path / "policy.toml"
    path.write_text("intact = true")
    assert run(["verify", str(signed), "--policy", str(path)]) == 0
    path.write_text("trusted = true")
    capsys.readouterr()
    assert run(["verify", str(signed), "--policy", str(path)]) == 5
    assert "What your policy objects to" in capsys.readouterr().out
    assert run(["verify", str(signed), "--policy", str(path), "--json"]) == 5
    objections = json.loads(capsys.readouterr().out)["objections"]
    assert objections == ["its provenance is valid, not trusted"]
    content = bytearray(signed.read_bytes())
    content[-1] ^= 1
    signed.write_bytes(content)
    assert run(["verify", str(signed), "--policy", str(path)]) == 4
