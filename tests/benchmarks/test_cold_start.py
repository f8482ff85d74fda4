import json
from pathlib import Path

import pytest

from snooze.benchmarks.cold_start import ColdStart, main, results, server_timing


@pytest.mark.parametrize(
    ("header", "phases"),
    [
        ("", {}),
        ("imports;dur=80.5, session;dur=3", {"imports": 80.5, "session": 3.0}),
        ('imports;desc="all of them";dur="80"', {"imports": 80.0}),
        ("cached, imports;dur=x, session; dur = 2", {"session": 2.0}),
    ],
)
def test_reads_where_the_time_went(header: str, phases: dict[str, float]) -> None:
    assert server_timing(header) == phases


def test_the_table_has_medians_and_quartiles() -> None:
    starts = [ColdStart("ours", wall, wall / 2, 40.0, {"imports": wall / 4}) for wall in (100, 120, 140, 160, 300)]

    found = results([*starts, ColdStart("theirs", 400, 300, 60.0, {})], runs=5)

    assert found.rows == [
        ["ours", "140 (120-160)", "70 (60-80)", "40 (40-40)", "imports 35"],
        ["theirs", "400 (400-400)", "300 (300-300)", "60 (60-60)", "-"],
    ]
    assert found.figures["ours"]["wall_ms"] == {"median": 140, "quarter": 120, "three_quarters": 160}
    assert len(found.figures["ours"]["runs"]) == 5


def test_measures_a_peer_and_writes_what_it_found(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stem = tmp_path / "results" / "cold"

    assert main([f"--bundle={bundle}", "-n1", "--servers=fastapi-tuned", f"--output={stem}"]) == 0

    figures = json.loads(stem.with_name("cold.json").read_text())["figures"]["fastapi tuned"]
    assert figures["wall_ms"]["median"] > figures["cpu_ms"]["median"] / 8
    assert 10 < figures["pss_mib"]["median"] < 500
    assert stem.with_name("cold.md").read_text() == capsys.readouterr().out.removesuffix("\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-n0"], "--runs: expected 1 or more, got 0"),
        (["--servers=flask"], "--servers: expected names out of snooze, fastapi, fastapi-tuned, bare, got 'flask'"),
    ],
)
def test_says_what_is_wrong_in_one_line(
    bundle: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main([f"--bundle={bundle}", *options]) == 2
    assert capsys.readouterr().err == f"snooze: {message}\n"


def test_a_bundle_that_is_not_there_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"--bundle={tmp_path / 'none'}"]) == 2
    assert capsys.readouterr().err == f"snooze: {tmp_path / 'none'} is not a bundle: there is no such folder\n"
