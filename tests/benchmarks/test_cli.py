import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.benchmarks.conftest import Server

from snooze.benchmarks.cli import bench, bench_arguments, progress_of, seconds


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="snooze bench")
    bench_arguments(parser)
    return parser.parse_args(arguments)


def test_prints_one_json_document(double: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "load.json"

    code = bench(
        parse("load", double.url, "--model=tumour", "--rps=40", "--duration=500ms", "--json", f"--report={file}")
    )

    assert code == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["requests"], printed["errors"]) == (20, 0)
    assert json.loads(file.read_text()) == printed


def test_exits_with_1_when_requests_were_not_answered(double: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(parse("load", double.url, "--model=busy", "--rps=40", "--duration=0.5")) == 1

    output = capsys.readouterr()
    assert output.err == "snooze: 20 of 20 requests were not answered\n"
    assert "  errors                20 (20 overloaded)\n" in output.out


@pytest.mark.parametrize(("text", "value"), [("20", 20), ("20s", 20), ("500ms", 0.5), ("2m", 120), ("1.5h", 5400)])
def test_reads_a_time(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "s", "20x", "1 s 2", "-3s", "0", "nan"])
def test_refuses_what_is_no_time(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a time"):
        seconds(text)


def test_shows_how_far_a_load_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show = progress_of(20)
    show({"seconds": 12.3, "done": 2460, "answered": 2459, "open": 1})
    show({"seconds": 20.1, "done": 4000, "answered": 3999, "open": 0})

    assert capsys.readouterr().err == "\r\x1b[K12 of 20 s: 2460 sent, 2459 answered\r\x1b[K"


def test_shows_nothing_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    progress_of(20)({"seconds": 12.3, "done": 2460, "answered": 2459, "open": 1})

    assert capsys.readouterr().err == ""


def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("load", "--help")

    assert (
        "snooze bench load http://127.0.0.1:8080 --bundle models/tumour --rps 200 --pid $!" in capsys.readouterr().out
    )


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, snooze.benchmarks.cli; print({'numpy', 'locust', 'gevent'} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
