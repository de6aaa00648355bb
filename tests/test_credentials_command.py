"""`vasari credentials`: create, show, rotate, import, trust."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from test_credentials import issue, pem_of

from vasari.cli import run
from vasari.provenance.certificates import create_leaf, create_root, to_pem
from vasari.provenance.credentials import PASSWORD_VARIABLE, Credential
from vasari.provenance.folders import credential_folder, trust_folder
from vasari.provenance.keyring import SIGNER_FILE
from vasari.provenance.trust import trusted, trusted_roots

NOW = datetime.now(timezone.utc)


@pytest.fixture
def own(tmp_path) -> tuple[Path, Path, bytes]:
    """A newsroom's chain, its encrypted key, and its root."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = create_root("Newsroom root", root_key, NOW)
    leaf = create_leaf("Video desk", key, root, root_key, NOW)
    chain, key_file = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(to_pem([leaf, root]))
    key_file.write_bytes(pem_of(key, b"open sesame"))
    return chain, key_file, to_pem([root])


def test_create_and_show(capsys):
    arguments = ["credentials", "create", "--algorithm", "ed25519", "--name", "Jane's desk"]
    assert run(arguments) == 0
    assert run(["credentials", "show"]) == 0
    created, shown = capsys.readouterr().out.split("signer     ")[1:]
    assert created == shown
    assert "Jane's desk" in shown
    assert "ed25519" in shown
    assert "on no trust list" in shown
    assert "PRIVATE" not in shown
    assert Credential.default().algorithm == "ed25519"
    assert run(arguments) == 2
    assert "there is a credential in" in capsys.readouterr().err


def test_rotate_changes_the_key_and_nothing_else():
    before = Credential.default()
    assert run(["credentials", "rotate"]) == 0
    after = Credential.default()
    assert after.chain != before.chain
    assert after.signer_name == before.signer_name
    assert after.trust_anchors == before.trust_anchors


def test_import_keeps_the_key_encrypted_and_the_old_one_aside(own, monkeypatch, capsys):
    chain, key, root = own
    old = Credential.default()
    arguments = ["credentials", "import", str(chain), str(key)]
    assert run(arguments) == 2
    assert "is encrypted: give its password in VASARI_KEY_PASSWORD" in capsys.readouterr().err
    assert Credential.default().chain == old.chain
    monkeypatch.setenv(PASSWORD_VARIABLE, "open sesame")
    assert run(arguments) == 0
    imported = Credential.default()
    assert (imported.signer_name, imported.self_made) == ("Video desk", False)
    assert imported.trust_anchors == root
    assert b"ENCRYPTED PRIVATE KEY" in (credential_folder() / SIGNER_FILE).read_bytes()
    aside = [path for path in credential_folder().parent.iterdir() if path.name != "default"]
    assert len(aside) == 1
    assert (aside[0] / SIGNER_FILE).read_bytes().endswith(old.chain)
    assert run(["credentials", "rotate"]) == 2
    assert "no self-made credential" in capsys.readouterr().err


def test_warning_before_it_expires(tmp_path, capsys):
    key = ec.generate_private_key(ec.SECP256R1())
    both = tmp_path / "both.pem"
    both.write_bytes(issue(key, end=timedelta(days=20, hours=1)) + pem_of(key))
    assert run(["credentials", "import", str(both), str(both)]) == 0
    captured = capsys.readouterr()
    assert "it expires in 2" in captured.err
    assert "SHA-256" not in captured.out


def test_trust_list_and_distrust(own, capsys, tmp_path):
    chain, _, root = own
    assert run(["credentials", "trust"]) == 0
    assert capsys.readouterr().out == "no root is trusted\n"
    (tmp_path / "root.pem").write_bytes(root)
    for _ in range(2):
        assert run(["credentials", "trust", str(tmp_path / "root.pem")]) == 0
    assert trusted_roots() == root
    assert trust_folder().stat().st_mode & 0o077 == 0
    capsys.readouterr()
    assert run(["credentials", "trust"]) == 0
    assert capsys.readouterr().out.endswith("Newsroom root\n")
    assert run(["credentials", "trust", str(chain)]) == 2
    assert "Video desk is a signer's; trust the root" in capsys.readouterr().err
    assert run(["credentials", "trust", "--remove", ""]) == 2
    assert run(["credentials", "trust", "--remove", trusted()[0].digest[:12]]) == 0
    assert trusted() == []


def test_unusable_anchors(tmp_path, capsys):
    (tmp_path / "words.pem").write_text("words")
    assert run(["credentials", "trust", str(tmp_path / "words.pem")]) == 2
    assert run(["credentials", "trust", str(tmp_path / "nowhere.pem")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
