"""Where Vasari keeps what belongs to the user (XDG Base Directory Specification 0.8)."""

from __future__ import annotations

import os
from pathlib import Path

from vasari.errors import OutputError


def config_folder() -> Path:
    """Settings and credentials."""
    return _folder("XDG_CONFIG_HOME", ".config")


def credential_folder() -> Path:
    """The credential that Vasari makes on first use."""
    return config_folder() / "credentials" / "default"


def trust_folder() -> Path:
    """Root certificates of the signers whom the user trusts."""
    return config_folder() / "trust"


def store_path() -> Path:
    """The manifest store."""
    return _folder("XDG_DATA_HOME", ".local/share") / "manifests.sqlite"


def _folder(variable: str, default: str) -> Path:
    configured = Path(os.environ.get(variable, ""))
    if configured.is_absolute():  # the specification asks to ignore a relative one
        return configured / "vasari"
    try:
        return Path.home() / default / "vasari"
    except RuntimeError as error:
        raise OutputError(f"there is no home folder: set {variable}") from error
