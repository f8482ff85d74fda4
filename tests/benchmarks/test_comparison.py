import json
from pathlib import Path

import pytest

from snooze.benchmarks.comparison import Middle, Results
from snooze.benchmarks.errors import InvalidOption
from snooze.benchmarks.machine import describe

MACHINE = {
    "cpu": "A CPU",
    "cores": 2,
    "kernel": "6.1",
    "python": "3.11.2",
    "load_average": 0.5,
    "versions": {"numpy": "2.4", "uvicorn": "0.54"},
}
RESULTS = Results("A title", "How it was done.", MACHINE, {"a": 1}, ["server", "ms"], [["ours", "1"], ["theirs", "2"]])


def test_machine_and_method_stand_above_the_table() -> None:
    assert RESULTS.as_markdown().splitlines() == [
        "# A title",
        "",
        "A CPU, 2 cores, Linux 6.1, Python 3.11.2, load average 0.50 at the end.",
        "numpy 2.4, uvicorn 0.54.",
        "",
        "How it was done.",
        "",
        "| server | ms |",
        "|---|---|",
        "| ours | 1 |",
        "| theirs | 2 |",
    ]


def test_machines_read_the_same_as_people(tmp_path: Path) -> None:
    RESULTS.write(tmp_path / "deep" / "a.b")

    assert (tmp_path / "deep" / "a.b.md").read_text() == RESULTS.as_markdown()
    assert json.loads((tmp_path / "deep" / "a.b.json").read_text()) == {
        "title": "A title",
        "method": "How it was done.",
        "machine": MACHINE,
        "figures": {"a": 1},
    }


def test_says_that_results_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InvalidOption, match="--output: expected a path that can be written"):
        RESULTS.write(tmp_path / "file" / "results")


def test_the_middle_is_the_median_and_its_quarters() -> None:
    assert str(Middle.of([1, 2, 3, 4, 100])) == "3 (2-4)"
    assert Middle.of([7.0]) == Middle(7.0, 7.0, 7.0)


def test_the_machine_names_the_versions_of_what_is_installed() -> None:
    machine = describe(["numpy", "no-such-package"])

    assert list(machine["versions"]) == ["numpy"]
    assert machine["cores"] >= 1
    assert machine["cpu"]
