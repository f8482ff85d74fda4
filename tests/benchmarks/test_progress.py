import sys

import pytest

from snooze.benchmarks.progress import show


def test_shows_nothing_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    show("half way")

    assert capsys.readouterr().err == ""


def test_overwrites_the_line_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show("half way")
    show("")

    assert capsys.readouterr().err == "\r\x1b[Khalf way\r\x1b[K"
