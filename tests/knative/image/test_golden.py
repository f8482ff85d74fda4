import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from snooze.knative.image import golden
from snooze.knative.image.errors import NotServable, NotVerified

Make = Callable[..., Path]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that makes a program the interpreter; it is started instead of the server."""

    def make(script: str) -> Path:
        program = tmp_path / "python"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        return tmp_path / "calls"

    return make


@pytest.mark.process
def test_a_bundle_that_no_server_can_serve_is_refused(on_disk: Make) -> None:
    with pytest.raises((NotServable, NotVerified), match=r"model\.onnx|not installed"):
        golden.prove([on_disk()])


@pytest.mark.process
def test_starts_the_server_without_the_settings_of_another_one(
    server: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = server(f'echo "$* $PORT $SNOOZE_IDLE" > {tmp_path}/calls; echo "snooze: serving all" >&2; exec sleep 60')
    monkeypatch.setenv("SNOOZE_IDLE", "60s")
    monkeypatch.setenv("PORT", "1")
    monkeypatch.chdir(tmp_path)

    golden.prove([Path("-a"), tmp_path / "b"])

    options = "--host 127.0.0.1 --port 0"
    assert calls.read_text() == f"-P -m snooze.cli serve {tmp_path}/-a {tmp_path}/b {options}  \n"


@pytest.mark.process
@pytest.mark.parametrize(
    ("script", "error", "problem"),
    [
        ("echo 'x' >&2; echo 'snooze: output differs' >&2; exit 1", NotServable, "output differs"),
        ("echo 'snooze: pip install it' >&2; exit 2", NotVerified, "pip install it"),
        ("exec sleep 60", NotVerified, "no answer within 0.5 s"),
    ],
)
def test_errors(
    server: Callable[[str], Path],
    script: str,
    error: type[NotServable | NotVerified],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server(script)
    monkeypatch.setattr(golden, "MAX_SECONDS", 0.5)

    with pytest.raises(error) as caught:
        golden.prove([Path("bundle")])

    assert f": {problem}" in str(caught.value)
