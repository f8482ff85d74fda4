"""The command itself: help, version, usage errors, exit codes, interruptions, and output that cannot be written."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from snooze.cli import COMMANDS, main

SNOOZE = f"{sys.executable} -m snooze.cli"
HEAVY = {"numpy", "onnxruntime", "onnx", "tensorflow", "sklearn", "locust", "yaml", "starlette", "uvicorn", "ssl"}


@pytest.fixture(autouse=True)
def _restore_handlers() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every subcommand fail with `error`."""

    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr("snooze.cli.import_module", fail)


def test_prints_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"snooze {version('snooze')}\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert all(f"\n    {name} " in text for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([name, *(["load"] if name == "bench" else []), "--help"])
    assert caught.value.code == 0
    assert f"snooze {name}" in capsys.readouterr().out.split("example", 1)[1]


@pytest.mark.process
def test_help_imports_nothing_heavy() -> None:
    """This keeps `--help` under 0.2 s."""
    code = (
        "import contextlib, sys\nfrom snooze.cli import COMMANDS, main\n"
        "for name in COMMANDS:\n with contextlib.suppress(SystemExit): main([name, '--help'])\n"
        "print('LOADED', *sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(answer.stdout.split("LOADED", 1)[1].split()) & HEAVY == set()


def test_without_a_command_it_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert "commands:" in errors


@pytest.mark.parametrize(("arguments", "culprit"), [(["no-such-command"], "no-such-command"), (["inspect"], "PATH")])
def test_wrong_usage_is_exit_code_2(arguments: list[str], culprit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert culprit in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "PATH"],
        ["convert", "PATH", "--name", "a", "--target", "out"],
        ["try", "PATH", "--port", "0"],
        ["predict", "PATH", "--row", "1"],
        ["size", "PATH", "--rps", "1"],
        ["deploy", "PATH", "--image", "example.com/a:1"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_path_that_does_not_exist_is_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "missing")
    assert main([path if word == "PATH" else word for word in arguments]) == 2
    assert re.fullmatch(rf"(snooze: without --data.*\n)?snooze: .*{path}.*\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError("Unable to allocate 3 GiB"), "not enough memory: Unable to allocate 3 GiB"),
        (MemoryError(), "not enough memory: raise the memory limit of this process"),
        (PermissionError(13, "Permission denied", "/a/file"), "/a/file: Permission denied"),
        (OSError(24, "Too many open files"), "Too many open files"),
        (OSError("odd"), "odd"),
    ],
)
def test_an_error_of_the_system_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, message: str
) -> None:
    fail_with(error, monkeypatch)
    assert main(["inspect", "."]) == 2
    assert capsys.readouterr() == ("", f"snooze: {message}\n")


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 128 + signal.SIGINT), (BrokenPipeError(), 128 + signal.SIGPIPE)]
)
def test_an_interruption_is_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int
) -> None:
    fail_with(error, monkeypatch)
    assert main(["inspect", "."]) == code
    assert capsys.readouterr() == ("", "")


def test_sigterm_unwinds_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snooze.cli.import_module", lambda name: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as caught:
        main(["inspect", "."])
    assert caught.value.code == 128 + signal.SIGTERM


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(ZeroDivisionError(), monkeypatch)
    with pytest.raises(ZeroDivisionError):
        main(["inspect", "."])


@pytest.mark.process
def test_ctrl_c_is_silent_before_main_runs() -> None:
    code = "import snooze.cli, os, signal; os.kill(os.getpid(), signal.SIGINT)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (answer.returncode, answer.stderr) == (-signal.SIGINT, b"")


def shell(command: str) -> "subprocess.CompletedProcess[str]":
    """Run a shell command in which `snooze` is this checkout's."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["bash", "-c", re.sub(r"(?<!/)snooze ", f"{SNOOZE} ", command)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.process
@pytest.mark.parametrize("command", ["--version", "inspect --help"])
def test_output_that_cannot_be_written_is_an_error(command: str) -> None:
    answer = shell(f"snooze {command} >/dev/full")
    assert answer.returncode == 2
    assert answer.stderr == "snooze: standard output: No space left on device\n"


@pytest.mark.process
def test_an_error_that_cannot_be_written_keeps_its_exit_code() -> None:
    assert shell("snooze inspect missing >/dev/full 2>/dev/full").returncode == 2


@pytest.mark.process
def test_a_reader_that_leaves_early_is_no_error() -> None:
    answer = shell("snooze --help | true; echo ${PIPESTATUS[0]}")
    assert answer.stdout.strip() in ("0", str(128 + signal.SIGPIPE))
    assert answer.stderr == ""


@pytest.mark.process
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_not_replaced_by_the_next_file(closed: str, tmp_path: Path) -> None:
    """Otherwise a library's warning ends up in a model's file."""
    script = "import snooze.cli, os; snooze.cli.main(['--version']); os.write(9, b'%d' % os.open('/dev/null', 0))"
    (tmp_path / "script.py").write_text(script)
    answer = shell(f"{sys.executable} {tmp_path}/script.py 9>{tmp_path}/number {closed}")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert int((tmp_path / "number").read_text()) > 2
