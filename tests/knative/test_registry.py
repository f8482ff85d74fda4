from pathlib import Path

import pytest

from snooze.knative.errors import MissingProgram, NoDigest
from snooze.knative.registry import pin

pytestmark = pytest.mark.process
DIGEST = "sha256:" + "12e4" * 16


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """Put a `skopeo` on the PATH that writes down its arguments."""
    program = folder / "skopeo"
    program.write_text(f'#!/bin/sh\necho "$@" > {folder}/called\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder / "called"


def test_adds_the_digest_of_the_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = install(tmp_path, monkeypatch, f"echo {DIGEST}")

    assert pin("registry.example.com/tumour:3") == f"registry.example.com/tumour:3@{DIGEST}"
    assert called.read_text().split()[-1] == "docker://registry.example.com/tumour:3"


def test_an_image_with_a_digest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert pin(f"tumour@{DIGEST}") == f"tumour@{DIGEST}"


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo manifest unknown >&2; exit 1", "manifest unknown"),
        ("echo surprise", "skopeo printed 'surprise'"),
        (r"""echo 'level=fatal msg="context deadline exceeded"' >&2; exit 1""", "context deadline exceeded"),
    ],
)
def test_reports_an_image_without_a_digest(
    script: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, script)

    with pytest.raises(NoDigest) as caught:
        pin("tumour:3")

    assert (caught.value.image, caught.value.problem) == ("tumour:3", problem)


def test_reports_that_skopeo_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingProgram) as caught:
        pin("tumour:3")

    assert caught.value.program == "skopeo"
