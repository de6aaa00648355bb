"""Sign with a key that stays in a hardware token or a key service.

    python examples/sign_with_token.py chain.pem LIBRARY.so TOKEN KEY-LABEL marked.mp4 signed.mp4

A `Credential` asks for a function that signs bytes, and never for the key. Here the function asks a
PKCS#11 token (`pip install python-pkcs11`, PIN in TOKEN_PIN); a cloud service takes its place
where one calls, for instance, `kms.sign(...)` instead of `private.sign(...)`.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from vasari.provenance.credentials import Credential
from vasari.provenance.manifest import ManifestRecord, SoftBinding, sign
from vasari.watermark.payload import ALGORITHM
from vasari.watermark.reading import read_video


def token_signer(private: Any, mechanism: Any) -> Callable[[bytes], bytes]:
    """The function that signs with an EC P-256 key of a token.

    Args:
        private: the key, with the method `sign` of python-pkcs11.
        mechanism: `pkcs11.Mechanism.ECDSA`, which takes a digest and gives r and s.
    """

    def signing(data: bytes) -> bytes:
        signature = private.sign(hashlib.sha256(data).digest(), mechanism=mechanism)
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        return encode_dss_signature(r, s)  # the DER that a Credential is to give

    return signing


def main(chain: str, library: str, token: str, label: str, files: tuple[str, str]) -> None:
    """Sign a video that carries a watermark already: where it is, and where it goes."""
    import pkcs11

    marked, signed = map(Path, files)
    reading = read_video(marked)
    if reading is None:
        raise SystemExit(f"{marked} carries no watermark; `vasari watermark` marks videos")
    record = ManifestRecord(signed.name, (), SoftBinding(ALGORITHM, reading.identifier))
    slot = pkcs11.lib(library).get_token(token_label=token)
    with slot.open(user_pin=os.environ["TOKEN_PIN"]) as session:
        private = session.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=label)
        signing = token_signer(private, pkcs11.Mechanism.ECDSA)
        credential = Credential(Path(chain).read_bytes(), "es256", signing)
        sign(marked, signed, record, credential)
    print(f"{signed}: signed by {credential.signer_name}")


if __name__ == "__main__":
    main(*sys.argv[1:5], tuple(sys.argv[5:7]))
