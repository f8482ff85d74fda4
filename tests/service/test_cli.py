"""The options of `snooze serve`; what the command then does is tested in tests/service/process."""

import argparse
import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from snooze.cli import LOADED
from snooze.service import cli
from snooze.service.errors import InvalidSetting
from snooze.service.process import start
from snooze.service.process.startup_timer import StartupTimer
from snooze.service.settings import Settings


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Settings, StartupTimer]]]:
    """What would be served."""
    calls: list[Any] = []

    def serve(settings: Settings, timer: StartupTimer) -> int:
        calls.append((settings, timer))
        return 7

    monkeypatch.setattr(start, "serve", serve)
    yield calls
    gc.enable()


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    cli.serve_arguments(parser)
    parser.set_defaults(loaded=LOADED)
    return cli.serve(parser.parse_args(arguments))


@pytest.mark.parametrize(
    "words",
    [
        "models",
        "models more --port 0 --grace 7s --log off",
        "--idle 60s --host :: models",
        "models --port 1 --port 2",
    ],
)
def test_a_plain_command_line_means_what_argparse_makes_of_it(words: str) -> None:
    parser = argparse.ArgumentParser()
    cli.serve_arguments(parser)

    assert cli.read_plain(words.split()) == vars(parser.parse_args(words.split()))


@pytest.mark.parametrize(
    "words",
    [[], ["--port", "1"], ["models", "--port=1"], ["models", "--por", "1"], ["models", "-h"], ["models", "--port"],
     ["models", "--port", "-1"], ["models", "--port", "1", "more"], ["--", "models"], [""], ["models", "--log", ""]],
)  # fmt: skip
def test_argparse_decides_about_every_other_command_line(words: list[str]) -> None:
    assert cli.read_plain(words) is None


def test_an_option_wins_over_the_environment(
    served: list[tuple[Settings, StartupTimer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNOOZE_GRACE", "5s")
    monkeypatch.setenv("SNOOZE_TIMEOUT", "2min")
    monkeypatch.setenv("SNOOZE_MODELS", "/elsewhere")

    assert run("models", "more", "--grace", "7", "--max-body", "1Mi") == 7
    ((settings, timer),) = served
    assert (settings.grace, settings.timeout, settings.max_body) == (7.0, 120.0, 2**20)
    assert settings.models == (Path("models"), Path("more"))
    assert settings.host == "127.0.0.1"
    assert not settings.watch
    assert timer.wall["imports"] > 0


def test_the_command_itself_counts_as_imports(served: list[tuple[Settings, StartupTimer]]) -> None:
    before = time.perf_counter()
    run("models")
    ((_, timer),) = served
    assert timer.wall["imports"] >= before - LOADED[0]


@pytest.mark.parametrize(("option", "value"), [("--max-body", "-1"), ("--idle", "soon"), ("--log", "loud")])
def test_a_bad_option_is_named(served: list[tuple[Settings, StartupTimer]], option: str, value: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        run("models", option, value)

    assert (caught.value.variable, caught.value.value) == (option, value)
    assert served == []


def test_a_switch_needs_no_value(served: list[tuple[Settings, StartupTimer]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNOOZE_ALLOW_LOAD", "on")

    run("models", "--watch")
    ((settings, _),) = served
    assert (settings.watch, settings.allow_load) == (True, True)
