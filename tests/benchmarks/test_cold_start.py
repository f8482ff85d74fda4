from pathlib import Path

import pytest

from snooze.benchmarks.cold_start import ColdStart, measure, run, summarize
from snooze.benchmarks.peers.candidates import Servers
from snooze.bundle.errors import BundleError


def test_the_table_has_medians_quartiles_and_phases() -> None:
    starts = [
        ColdStart("ours", wall, wall / 2, 40.0, 20.0, {"imports wall": wall / 4, "imports cpu": wall / 5})
        for wall in (100, 120, 140, 160, 300)
    ]

    others = [ColdStart("theirs", 400, cpu, 60.0, 30.0, {}) for cpu in (100, 240, 350, 320, 300)]

    found = summarize([*starts, *others], 5, "snooze is an installed package")

    assert found.rows == [
        ["ours", "140 (120-160)", "70 (60-80)", "40 (40-40)", "20 (20-20)", "0.25 (0.25-0.50)", "imports 35 (28)"],
        ["theirs", "400 (400-400)", "300 (240-320)", "60 (60-60)", "30 (30-30)", "1.00 (1.00-1.00)", "-"],
    ]
    assert found.columns[5] == "CPU / theirs"
    assert found.figures["ours"]["wall_ms"] == {"median": 140, "quarter": 120, "three_quarters": 160}
    assert len(found.figures["ours"]["runs"]) == 5
    assert "snooze is an installed package" in found.method


@pytest.mark.process
def test_compares_starts_of_servers(bundle: Path) -> None:
    figures = run(bundle, Servers.of("snooze,snooze-serve,bare"), runs=1).figures

    assert set(figures) == {"snooze", "snooze serve", "bare uvicorn"}
    for server in figures.values():
        assert server["wall_ms"]["median"] > 0
        assert server["cpu_ms"]["median"] > 0
        assert 5 < server["anonymous_mib"]["median"] < server["pss_mib"]["median"] < 500
    phases = figures["snooze"]["phases_ms"]
    assert {"imports wall", "imports cpu", "session wall", "listen cpu"} <= set(phases)
    assert 0 < phases["imports cpu"] < figures["snooze"]["cpu_ms"]["median"] + 20
    assert figures["bare uvicorn"]["phases_ms"] == {}


@pytest.mark.process
def test_measures_a_start(bundle: Path) -> None:
    start = measure(bundle, runs=1)

    assert (start.server, start.wall_ms > 0, start.cpu_ms > 0) == ("snooze", True, True)


def test_a_missing_bundle_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        run(tmp_path / "none", Servers.of("snooze"), 1)
