"""What follows from the layers of a verdict, and what does not, for someone who must decide."""

from __future__ import annotations

from vasari.provenance.evidence import Manifest
from vasari.provenance.layers import Lead, Recovered, State, Watermark

INTACT = (State.TRUSTED, State.VALID)


def headline(
    state: State,
    reason: str,
    manifest: Manifest | None,
    watermark: Watermark,
    recovered: tuple[Recovered, ...],
) -> str:
    """The verdict in one sentence."""
    signer = _signer(manifest)
    return {
        State.TRUSTED: f"Unchanged since it was signed by {signer}, whom your trust anchors cover.",
        State.VALID: f"Unchanged since it was signed, but no one vouches for the signer {signer}.",
        State.INVALID: f"Broken: {reason}.",
        State.STRIPPED: _stripped_headline(watermark, recovered),
        State.NONE: _none_headline(recovered),
    }[state]


def conclusions(
    state: State,
    manifest: Manifest | None,
    watermark: Watermark,
    recovered: tuple[Recovered, ...],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What follows, and what does not."""
    follows, does_not_follow = _FOLLOWS[state], _DOES_NOT_FOLLOW[state]
    if state in INTACT:
        follows += _of_intact(manifest, watermark)
        does_not_follow = _claimed_twice(recovered) + does_not_follow
    elif recovered:
        follows += _of_kept(state, recovered[0])
        doubts = _UNLIKE if recovered[0].looks_alike is False else _COPIED
        if recovered[0].lead is Lead.FINGERPRINT:
            doubts = _ALIKE
        kept = does_not_follow[1:] if state is State.STRIPPED else does_not_follow
        does_not_follow = (doubts, *kept)
    return follows, does_not_follow


def _of_intact(manifest: Manifest | None, watermark: Watermark) -> tuple[str, ...]:
    follows: tuple[str, ...] = ()
    if manifest and manifest.synthetic:
        follows += (f"Its maker declares it as {manifest.source_words}: it is no plain recording.",)
    if manifest and manifest.consent:
        follows += ("Its maker states that the person shown agreed, and on what basis.",)
    if watermark.identifier:
        follows += ("Its frames carry Vasari's watermark, which leads back to it after an upload.",)
    return follows


def _claimed_twice(recovered: tuple[Recovered, ...]) -> tuple[str, ...]:
    """Doubts about a file whose watermark leads to another one that is kept."""
    return (_CLAIMED_TWICE,) if any(each.looks_alike is False for each in recovered) else ()


def _of_kept(state: State, recovered: Recovered) -> tuple[str, ...]:
    follows: tuple[str, ...] = ()
    if state is State.STRIPPED:
        follows += ("The manifest that was kept says how the original was made.",)
    if recovered.looks_alike:
        follows += ("Its frames look like those of the kept original.",)
    if recovered.looks_alike and recovered.differences:
        follows += (f"It differs from the kept original: {'; '.join(recovered.differences)}.",)
    return follows


def _stripped_headline(watermark: Watermark, recovered: tuple[Recovered, ...]) -> str:
    if not recovered:
        return (
            "Its manifest is gone, but its frames carry the watermark of Vasari video "
            f"{watermark.identifier}."
        )
    if recovered[0].looks_alike is False:
        return "It has no manifest, and its watermark leads to a video that looks different."
    signer = _signer(recovered[0].manifest)
    return f"Its manifest was removed, but its watermark leads back to one signed by {signer}."


def _none_headline(recovered: tuple[Recovered, ...]) -> str:
    if not recovered:
        return "No provenance found: nothing in this file says where it comes from."
    signer = _signer(recovered[0].manifest)
    return f"No provenance in it, but it looks like a kept video that was signed by {signer}."


def _signer(manifest: Manifest | None) -> str:
    return f"“{manifest.signer or 'unnamed'}”" if manifest else ""


# What each state means to someone who must decide whether to publish.
_FOLLOWS = {
    State.TRUSTED: ("Not one byte of picture or sound has changed since it was signed.",),
    State.VALID: ("Not one byte of picture or sound has changed since it was signed.",),
    State.INVALID: ("What its manifest says must not be relied on for this file.",),
    State.STRIPPED: (
        "Its frames carry the mark that Vasari puts into every video it makes: most likely a "
        "talking portrait, not a recording.",
        "It has been through something that drops manifests, as most uploads and editors do.",
    ),
    State.NONE: (),
}
_DOES_NOT_FOLLOW = {
    State.TRUSTED: (
        "That what is shown happened, or that the words were ever spoken: the signature says who "
        "made the file, not that it is true.",
        "That the person shown agreed to it.",
    ),
    State.VALID: (
        "Who signed it: anyone can put any name into a certificate of their own. Ask the supposed "
        "maker for their root certificate over a channel that you trust, and check again with it "
        "among the trust anchors (--trust).",
        "That what is shown happened, or that the words were ever spoken.",
        "That the person shown agreed to it.",
    ),
    State.INVALID: (
        "That anyone meant to deceive: a copying error, a cut or a tool that does not know C2PA "
        "breaks a manifest as well.",
        "What it was before: only the unbroken original can show that.",
    ),
    State.STRIPPED: (
        "Who made it, from what and when: that stood in the manifest. Whoever keeps it can look it "
        "up by the watermark id.",
        "That picture and sound are as they were: the watermark survives cuts and new sound.",
        "That it cannot be forged: this watermark is read and written with a public key.",
    ),
    State.NONE: (
        "That it is real, or that it is fake: most real recordings carry no provenance, and "
        "whoever wants to deceive will not leave any.",
        "That it was not made with Vasari: a watermark does not survive everything.",
    ),
}

# In place of the first, where a kept manifest was found.
_COPIED = (
    "That this file is the kept original: its bytes differ, and a watermark can be copied onto "
    "other frames. Compare the two."
)

_UNLIKE = (
    "That it is the kept original: its frames look different. The watermark may have been copied "
    "onto other frames, or the original was mirrored, set into a larger picture or cut down a lot. "
    "Compare the two."
)

_ALIKE = (
    "That it is that video: videos of the same portrait look alike, and so may others. Compare the "
    "two."
)

_CLAIMED_TWICE = (
    "That it is the video to which its watermark belongs: a video that looks different was kept "
    "under the same watermark. One of the two may have copied it."
)
