"""Validation codes of C2PA in plain words.

The codes are those of the C2PA specification 2.2, section 15.2.2.
"""

from __future__ import annotations

# Failures, most telling first: the first that a file shows is the reason that is given for it.
FAILURES = {
    "assertion.bmffHash.mismatch": "its picture, sound or structure is not what was signed: it was "
    "changed after signing, or the manifest comes from another file",
    "assertion.dataHash.mismatch": "its content is not what was signed: it was changed after "
    "signing, or the manifest comes from another file",
    "assertion.boxesHash.mismatch": "a part of its content is not what was signed: it was changed "
    "after signing, or the manifest comes from another file",
    "assertion.collectionHash.mismatch": "a file that belongs to it is not what was signed",
    "claimSignature.mismatch": "the signature does not fit the manifest: the manifest was changed "
    "after signing",
    "assertion.hashedURI.mismatch": "a statement in the manifest was changed after signing",
    "ingredient.hashedURI.mismatch": "the manifest of something it was made from was changed",
    "ingredient.manifest.mismatch": "the manifest of something it was made from was changed",
    "assertion.missing": "a statement that the manifest lists is missing",
    "claimSignature.missing": "the manifest is not signed",
    "claim.missing": "the manifest holds no claim",
    "claim.multiple": "the manifest holds more than one claim",
    "claim.malformed": "the manifest is malformed",
    "claim.hardBindings.missing": "the manifest is bound to no content",
    "signingCredential.expired": "the signer's certificate has expired, and no time stamp shows "
    "that it was valid when it signed",
    "signingCredential.ocsp.revoked": "the signer's certificate was revoked",
    "signingCredential.revoked": "the signer's certificate was revoked",
    "signingCredential.invalid": "the signer's certificate may not sign content",
    "claimSignature.outsideValidity": "it was signed when the signer's certificate was not valid",
    "algorithm.unsupported": "it is signed with an algorithm that is not accepted",
    "algorithm.deprecated": "it is signed with an algorithm that is no longer accepted",
    "assertion.action.malformed": "the list of what was done is malformed",
    "assertion.action.ingredientMismatch": "what was done names something that is not in the list "
    "of what it was made from",
    "assertion.action.softBindingMissing": "it claims a watermark without saying which",
    "manifest.inaccessible": "the manifest lies elsewhere and was not fetched",
    "signingCredential.untrusted": "the signer is under none of the trust anchors in use",
}

SUCCESSES = {
    "assertion.bmffHash.match": "picture and sound are byte for byte what was signed",
    "assertion.dataHash.match": "the content is byte for byte what was signed",
    "assertion.boxesHash.match": "the content is byte for byte what was signed",
    "claimSignature.validated": "the signature fits the manifest and the certificate",
    "claimSignature.insideValidity": "the certificate was valid when it signed",
    "signingCredential.trusted": "the certificate was issued under a trust anchor in use",
    "timeStamp.validated": "there is a time stamp of this signature",
    "timeStamp.trusted": "the time stamp is by an authority under a trust anchor in use",
    "assertion.hashedURI.match": "the statements are the ones that were signed",
}

INFORMATION = {
    "signingCredential.ocsp.skipped": "whether the certificate was revoked was not asked",
    "assertion.bmffHash.additionalExclusionsPresent": "C2PA leaves some boxes of the file format "
    "(its type, unused space) out of the signature",
    "timeStamp.untrusted": "the time stamp is by an authority that is not trusted, and "
    "counts for nothing",
    "timeStamp.mismatch": "there is a time stamp, but not of this signature",
    "timeStamp.malformed": "there is a time stamp that cannot be read",
    "timeStamp.outsideValidity": "there is a time stamp by a certificate that was not valid",
}

HARD_BINDING_MISMATCHES = frozenset(code for code in FAILURES if code.endswith("Hash.mismatch"))
UNTRUSTED = "signingCredential.untrusted"  # the one failure that leaves a manifest valid
TRUSTED = "signingCredential.trusted"
# Anyone can be an authority of their own and stamp any time: only a trusted one counts.
TIME_STAMPED = "timeStamp.trusted"


def code_words(code: str) -> str:
    """A validation code in plain words; an unknown one is quoted."""
    known = FAILURES | SUCCESSES | INFORMATION
    return known.get(code, f"the C2PA library reports '{code}'")


def main_failure(codes: list[str]) -> str:
    """The most telling of several failures."""
    for code in FAILURES:
        if code in codes:
            return code
    return codes[0]
