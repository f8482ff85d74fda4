"""The command as a user meets it: help, version, usage errors, and no trace of Python."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from snooze.cli import COMMANDS, main
from snooze.convert import convert

SNOOZE = [sys.executable, "-m", "snooze.cli"]
HEAVY = {
    "numpy",
    "onnxruntime",
    "onnx",
    "tensorflow",
    "sklearn",
    "locust",
    "yaml",
    "starlette",
    "uvicorn",
    "http",
    "ssl",
}


def snooze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*SNOOZE, *arguments], capture_output=True, text=True, check=False)


def test_says_its_version() -> None:
    assert snooze("--version").stdout == f"snooze {version('snooze')}\n"


def test_help_names_every_command() -> None:
    answer = snooze("--help")
    assert answer.returncode == 0
    assert all(f"\n    {name} " in answer.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_teaches_by_example(name: str) -> None:
    answer = snooze(name, "--help")
    assert answer.returncode == 0
    assert f"snooze {name}" in answer.stdout.split("example", 1)[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_imports_nothing_heavy(name: str) -> None:
    """What keeps `--help` under 0.2 s."""
    code = (
        "import sys\nfrom snooze.cli import main\n"
        f"try: main(['{name}', '--help'])\nexcept SystemExit: pass\n"
        "print('LOADED', *sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(answer.stdout.split("LOADED", 1)[1].split())
    assert not loaded & HEAVY


def test_says_what_it_can_do_when_asked_for_nothing() -> None:
    answer = snooze()
    assert answer.returncode == 2
    assert "commands:" in answer.stderr
    assert answer.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-command"], "invalid choice: 'no-such-command'"),
        (["inspect"], "the following arguments are required"),
        (["inspect", "/no/such/folder"], "snooze: /no/such/folder is not a bundle: there is no such folder"),
        (["serve", "/no/such/folder"], "/no/such/folder"),
        (["convert", "/no/such/file.keras", "--name", "a", "--target", "/tmp"], "/no/such/file.keras"),
        (["size", "/no/such/folder", "--rps", "1"], "/no/such/folder"),
        (["deploy", "/no/such/folder", "--image", "i"], "/no/such/folder"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments: list[str], said: str) -> None:
    answer = snooze(*arguments)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_reader_that_has_seen_enough_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen([*SNOOZE, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process:
        assert b"Traceback" not in process.stderr.read()


def shell(command: str, folder: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run `snooze ...` with the redirections or limits of a shell."""
    command = command.replace("snooze", " ".join(SNOOZE))
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a saved model, and the repository `models` with its bundle."""
    folder = tmp_path_factory.mktemp("cli")
    rows = np.random.default_rng(0).normal(size=(40, 4))
    joblib.dump(LogisticRegression().fit(rows, rows.sum(1) > 0), folder / "model.joblib")
    convert(folder / "model.joblib", name="m", target=folder / "models", trust=True)
    return folder


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "--version",
        "inspect --help",
        "inspect models",
        "inspect models/m --json",
        "size models/m --rps 5 --p99 50ms",
        "predict models/m --row 1,2,3,4",
        "convert model.joblib --trust --name m --target more",
    ],
)
def test_what_cannot_be_printed_is_told(models: Path, command: str, unbuffered: str) -> None:
    answer = shell(f"snooze {command} >/dev/full", models, PYTHONUNBUFFERED=unbuffered)

    assert answer.returncode == 2
    assert answer.stderr == "snooze: cannot write the output: No space left on device\n"


def test_the_exit_code_tells_where_nothing_else_can(models: Path) -> None:
    assert shell("snooze inspect nowhere 2>/dev/full", models).returncode == 2
    assert shell("snooze inspect models >/dev/full 2>/dev/full", models).returncode == 2


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_keep_nothing_from_being_done(models: Path, tmp_path: Path, closed: str) -> None:
    answer = shell(f"snooze convert model.joblib --trust --name m --target {tmp_path}/closed {closed}", models)

    assert (answer.returncode, answer.stderr) == (0, "")
    assert shell(f"snooze inspect {tmp_path}/closed --verify", models).returncode == 0


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            MemoryError("Unable to allocate 3 GiB"),
            "snooze: there is not enough memory; raise the limit of this process, or run it where there is more\n",
        ),
        (
            ImportError("lib.so: failed to map segment from shared object"),
            "snooze: there is not enough memory; raise the limit of this process, or run it where there is more\n",
        ),
        (PermissionError(13, "Permission denied", "/a/file"), "snooze: /a/file: Permission denied\n"),
        (OSError(24, "Too many open files"), "snooze: Too many open files\n"),
        (OSError("odd"), "snooze: odd\n"),
    ],
)
@pytest.mark.usefixtures("_handlers")
def test_what_the_system_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, said: str
) -> None:
    def broken(name: str) -> None:
        raise error

    monkeypatch.setattr("snooze.cli.import_module", broken)

    assert main(["inspect", os.devnull]) == 2
    assert capsys.readouterr() == ("", said)


@pytest.fixture
def _handlers() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def test_ctrl_c_leaves_no_traceback_and_no_draft(tmp_path: Path) -> None:
    """Interrupt a conversion at several moments, from before its first import to the middle of its work."""
    model = tmp_path / "train"
    train = Path(__file__).parents[2] / "examples" / "tumour" / "train.py"
    subprocess.run([sys.executable, str(train), str(model)], check=True, capture_output=True)
    command = [
        *SNOOZE,
        "convert",
        str(model / "model.joblib"),
        "--trust",
        "--name",
        "m",
        "--target",
        str(tmp_path / "r"),
    ]
    for delay in (0.15, 0.5, 1.0, 1.5):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        if process.returncode == 0:
            break  # it was done before it was interrupted
        assert process.returncode in (130, -signal.SIGINT)
        assert "Traceback" not in errors
        assert not (tmp_path / "r").exists() or not list((tmp_path / "r").rglob("*"))


@pytest.mark.parametrize("error", [ZeroDivisionError, ImportError("no module")])
@pytest.mark.usefixtures("_handlers")
def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(name: str) -> None:
        raise error

    monkeypatch.setattr("snooze.cli.import_module", broken)
    with pytest.raises((ZeroDivisionError, ImportError)):
        main(["inspect", os.devnull])
