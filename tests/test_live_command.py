"""The options of `vasari live`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import uvicorn

from vasari.cli import run
from vasari.generate import live_service, recogniser
from vasari.generate.live_registry import LiveSettings
from vasari.generate.speech_endpoint import KEY_VARIABLE, SpeechEndpoint
from vasari.generate.synthesis import speak


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[LiveSettings, dict[str, Any]]]:
    """What the command would serve, and how."""
    calls: list[tuple[LiveSettings, dict[str, Any]]] = []
    monkeypatch.setattr(
        live_service,
        "create_service",
        lambda settings, **options: calls.append((settings, options)),
    )
    monkeypatch.setattr(uvicorn, "run", lambda service, **options: None)
    return calls


def test_by_default_it_speaks_for_itself_on_loopback(served: list, tmp_path: Path) -> None:
    assert run(["live", "--recordings", str(tmp_path / "kept")]) == 0
    ((settings, options),) = served
    assert (settings.speaker, settings.captions, settings.portrait) == (speak, False, None)
    assert options == {"host": "127.0.0.1", "token": ""}
    assert (tmp_path / "kept").is_dir()


def test_beyond_loopback_a_token_is_printed(
    served: list, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["live", "--host", "0.0.0.0", "--recordings", str(tmp_path)]) == 0
    ((_, options),) = served
    assert len(options["token"]) >= 24
    assert f"/?token={options['token']}" in capsys.readouterr().out


def test_store_and_speech_service_are_taken(
    served: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    url, store = "http://127.0.0.1:1/v1/audio/speech", f"sqlite:///{tmp_path}/own.sqlite"
    options = ["--store", store, "--speech-url", url, "--speech-voice", "bella"]
    assert run(["live", *options, "--recordings", str(tmp_path)]) == 0
    ((settings, _),) = served
    assert settings.speaker.__self__ == SpeechEndpoint(url, "secret", voice="bella")
    assert (tmp_path / "own.sqlite").is_file()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--fps", "10"], "fps is 10"),
        (["--speech-voice", "bella"], "belong to --speech-url"),
        (["--speech-url", "ftp://example.org"], "the speech address is"),
        (["--credential", "none.pem", "none.key"], "none.pem"),
        (["--store", "nonsense"], "nonsense"),
        (["--captions"], "vasari[captions]"),
    ],
)
def test_bad_options(
    options: list[str],
    expected: str,
    served: list,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(recogniser, "find_spec", lambda name: None)
    assert run(["live", *options, "--recordings", str(tmp_path)]) == 2
    assert expected in capsys.readouterr().err
    assert served == []
