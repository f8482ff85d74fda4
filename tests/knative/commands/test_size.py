import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.knative.bundles import size_of

from snooze.bundle.store import read
from snooze.cli import main

Make = Callable[..., Path]


def test_size_prints_each_figure_with_its_error(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = on_disk((1, 0.05))
    needed = size_of(read(bundle), 100, 0.2)

    assert main(["size", str(bundle), "--rps", "100", "--p99", "200ms"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("tumour version 1, measured on a CPU\n")
    assert "load         100 requests/s of 1 row, p99 <= 200 ms\n" in output
    assert f"pods         {needed.pods}, each for up to {needed.rps_per_pod:.4g} requests/s" in output
    assert f"concurrency  target {needed.target}, limit {needed.concurrency}\n" in output
    assert output.count("typical error") == 5


def test_size_prints_json_only(on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size", str(on_disk()), "--rps", "10", "--rows", "8", "--json"]) == 0

    output = capsys.readouterr()
    document = json.loads(output.out)
    assert (document["model"], document["version"], document["rows"], document["pods"]) == ("tumour", 1, 8, 1)
    assert output.err == ""


@pytest.mark.parametrize("p99", ["1", "1s", "1000ms"])
def test_a_bare_duration_is_in_seconds(p99: str, on_disk: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["size", str(on_disk()), "--rps", "10", "--p99", p99, "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["p99_seconds"] == 1
