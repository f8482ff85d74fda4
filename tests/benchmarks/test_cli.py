import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.benchmarks.conftest import Server

from snooze import benchmarks
from snooze.benchmarks.cli import COMMANDS, bench, bench_arguments, servers_of, show_progress
from snooze.bundle.errors import InvalidOption


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="snooze bench")
    bench_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.process
def test_prints_and_writes_the_report_and_exits_with_1_for_errors(
    double: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "load.json"
    options = ["--model=busy", "--rps=40", "--duration=500ms", "--json", f"--report={file}"]

    assert bench(parse("load", double.url, *options)) == 1

    output = capsys.readouterr()
    printed = json.loads(output.out)
    assert (printed["requests"], printed["errors"], printed["outcomes"]["overloaded"]) == (20, 20, 20)
    assert json.loads(file.read_text()) == printed
    assert output.err == "snooze: 20 of 20 requests were not answered\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["load", "url", "--duration=soon"],
        ["cold", "bundle", "--runs=0"],
        ["cold", "bundle", "--peer-python=kserve"],
        ["throughput", "bundle", "--rows=1,0"],
        ["sizing", "models", "--rounds=x"],
    ],
)
def test_refuses_options_that_make_no_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*arguments)

    assert caught.value.code == 2


@pytest.mark.parametrize("arguments", [["throughput"], ["throughput", "bundle", "--standard"]])
def test_throughput_takes_bundles_or_makes_them(arguments: list[str]) -> None:
    with pytest.raises(InvalidOption) as caught:
        bench(parse(*arguments))

    assert caught.value.option == "--standard"


@pytest.mark.parametrize(
    "arguments",
    [
        ["cold"],
        ["cold", "bundle", "--knative=hello"],
        ["cold", "--knative=hello,hello"],
        ["cold", "--knative=hello,"],
    ],
)
def test_cold_takes_a_bundle_or_different_services(arguments: list[str]) -> None:
    with pytest.raises(InvalidOption) as caught:
        bench(parse(*arguments))

    assert caught.value.option == "--knative"


def test_a_peer_with_an_environment_is_compared() -> None:
    arguments = parse("throughput", "--standard", "--peer-python=kserve=python", "--python=ours")

    assert servers_of(arguments) == (("bare", "snooze", "fastapi-tuned", "kserve"), "ours", {"kserve": "python"})


def test_shows_the_progress_of_a_load(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show = show_progress(20)
    show({"seconds": 12.3, "done": 2460, "answered": 2459, "open": 1})
    show({"seconds": 20.1, "done": 4000, "answered": 3999, "open": 0})

    assert capsys.readouterr().err == "\r\x1b[K12 of 20 s: 2460 sent, 2459 answered\r\x1b[K"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(command, "--help")

    assert caught.value.code == 0
    assert "usage: snooze bench" in capsys.readouterr().out


@pytest.mark.process
def test_help_imports_nothing_heavy() -> None:
    code = "import sys, snooze.benchmarks.cli; print({'numpy', 'locust', 'gevent'} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_page_answers_a_question_with_each_command() -> None:
    page = (Path(benchmarks.__file__).parent / "README.md").read_text("utf-8")
    listed = re.findall(r"^\|.*\| `snooze bench (\w+)\b.*\|$", page, re.MULTILINE)

    assert list(dict.fromkeys(listed)) == list(COMMANDS)


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"load", "sizing"}))
def test_commands_that_start_servers_have_the_same_options(command: str) -> None:
    path = [] if command == "growth" else ["path"]

    arguments = parse(command, *path, "--python=python", "--output=stem", "--json")

    assert (arguments.python, arguments.output, arguments.json) == ("python", Path("stem"), True)
