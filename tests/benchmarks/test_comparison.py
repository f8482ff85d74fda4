import json
from pathlib import Path

import pytest

from snooze.benchmarks.comparison import Quartiles, Results, Table
from snooze.bundle.errors import InvalidOption

MACHINE = {
    "cpu": "A CPU",
    "cores": 2,
    "kernel": "6.1",
    "python": "3.11.2",
    "load_average": 0.5,
    "versions": {"numpy": "2.4", "uvicorn": "0.54"},
}
RESULTS = Results(
    "A title", "How it was done.", MACHINE, {"a": 1}, ["server", "ms"], [["ours", "1"], ["theirs", "2"]], []
)


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


def test_further_tables_follow() -> None:
    details = [Table("Where it went.", ["phase", "ms"], [["start", "1"]])]

    assert RESULTS._replace(details=details).as_markdown().splitlines()[-6:] == [
        "",
        "Where it went.",
        "",
        "| phase | ms |",
        "|---|---|",
        "| start | 1 |",
    ]


def test_warnings_stand_before_the_table() -> None:
    lines = RESULTS._replace(warnings=["It was noisy."]).as_markdown().splitlines()

    assert lines[5:9] == ["How it was done.", "", "**Warning:** It was noisy.", ""]


def test_publishes_the_same_for_people_and_for_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert RESULTS.publish(tmp_path / "deep" / "a.b") == 0

    assert capsys.readouterr().out == RESULTS.as_markdown() + "\n"
    assert (tmp_path / "deep" / "a.b.md").read_text() == RESULTS.as_markdown()
    assert json.loads((tmp_path / "deep" / "a.b.json").read_text()) == {
        "title": "A title",
        "method": "How it was done.",
        "warnings": [],
        "machine": MACHINE,
        "figures": {"a": 1},
    }


def test_a_path_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InvalidOption) as caught:
        RESULTS.publish(tmp_path / "file" / "results")

    assert caught.value.option == "--output"


def test_quartiles_are_printed_around_the_median() -> None:
    assert str(Quartiles.of([1, 2, 3, 4, 100])) == "3 (2-4)"
    assert Quartiles.of([7.0]) == Quartiles(7.0, 7.0, 7.0)
