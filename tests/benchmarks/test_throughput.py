import os
import shutil
import sys
from pathlib import Path

import pytest

from snooze.benchmarks import throughput
from snooze.benchmarks.errors import MissingProgram
from snooze.benchmarks.meters import Memory
from snooze.benchmarks.peers.candidates import Golden, Servers
from snooze.benchmarks.throughput import (
    KNATIVE_HEADERS,
    STANDARD,
    Measured,
    Row,
    Series,
    prepare,
    rows_of,
    run,
    session_run_seconds,
    standard_rows,
    summarize,
    warn_of_taken_cpu,
)
from snooze.benchmarks.wrk import Load
from snooze.bundle.errors import InvalidOption

METHOD = {"server_core": 0, "load_core": 1, "seconds": 1, "rounds": 3, "installation": "installed", "headers": ""}
MEMORY = Memory(45.0, 35.0, 60.0)


def series(*rates: tuple[float, float], wrk_cores: float = 0.3, server_cores: float = 1.0) -> Series:
    """Return what rounds with these rates at 1 and 8 connections show."""
    loads = {
        count: [Load(rps, 1e3 / rps, 2e3 / rps, wrk_cores, server_cores) for rps in own]
        for count, own in zip((1, 8), zip(*rates, strict=True), strict=True)
    }
    return Series(loads, [MEMORY])


def measured(bundle: Path, **servers: Series) -> Measured:
    named = {name.replace("_", " "): own for name, own in servers.items()}
    return Measured(Row(Golden.of(bundle), 1, False), [], [25e-6, 25e-6, 75e-6], named)


@pytest.fixture(autouse=True)
def two_numbers_of_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "CONNECTIONS", (1, 8))


def test_the_share_of_the_limit_is_taken_in_each_round(bundle: Path) -> None:
    one = measured(
        bundle,
        bare_uvicorn=series((30_000, 40_000), (40_000, 30_000), (10_000, 40_000)),
        snooze=series((5_000, 10_000), (9_000, 8_000), (1_000, 6_000)),
    )

    assert one.limits == pytest.approx([20_000, 20_000, 10_000])  # 1 / (25 us + 25 us), then 1 / (25 us + 75 us)
    assert one.shares("snooze") == pytest.approx([0.5, 0.45, 0.6])
    assert one.cpu_shares("snooze") == pytest.approx([0.5, 0.45, 0.6])
    assert one.shares("bare uvicorn") is one.cpu_shares("bare uvicorn") is None


def test_the_table_has_medians_of_the_rounds(bundle: Path) -> None:
    one = measured(
        bundle,
        bare_uvicorn=series((30_000, 40_000), (40_000, 30_000), (10_000, 40_000)),
        snooze=series((5_000, 10_000), (9_000, 8_000), (1_000, 6_000)),
    )

    table = summarize([one], sys.executable, [], METHOD)

    ours = ["5000", "8000", "**9000**", "50 (48-55)", "111", "50 (48-55)", "0.20 / 0.40", "0.12 / 0.25", "45.0", "35.0"]
    assert table.rows[1] == ["tumour JSON", "snooze", *ours]
    assert [row[1] for row in table.rows] == ["bare uvicorn", "snooze", "limit"]
    assert table.rows[2][4:8] == ["**20000**", "100", "50", "100"]
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert table.figures["tumour JSON"]["servers"]["snooze"]["share_of_limit"] == pytest.approx([0.5, 0.45, 0.6])
    assert table.warnings == []


def test_without_bare_uvicorn_there_is_no_limit(bundle: Path) -> None:
    table = summarize([measured(bundle, snooze=series((1, 2), (3, 4), (5, 6)))], sys.executable, [], METHOD)

    assert table.figures["tumour JSON"]["limit_rps"] is None
    assert [row[1] for row in table.rows] == ["snooze"]
    assert table.rows[0][5] == table.rows[0][7] == "-"


def test_warns_where_wrk_is_the_bound(bundle: Path) -> None:
    one = measured(bundle, snooze=series((1, 2), (3, 4), (5, 6), wrk_cores=0.99))

    warnings = summarize([one], sys.executable, ["It was noisy."], METHOD).warnings

    assert warnings[0] == "It was noisy."
    assert warnings[1].startswith("wrk used all of its core for tumour JSON snooze:")


def test_warns_where_other_work_took_the_core_of_the_server(bundle: Path) -> None:
    one = measured(
        bundle, snooze=series((1, 2), (3, 4), (5, 6)), fastapi=series((1, 2), (3, 4), (5, 6), server_cores=0.8)
    )

    (warning,) = warn_of_taken_cpu([one])

    assert warning.startswith("In 3 of 6 measurements with 8 connections the server had less than 90% of its core")


def test_rows_are_all_combinations(bundle: Path) -> None:
    names = [row.name for row in rows_of([bundle], [1, 32], ["json", "binary"])]

    assert names == ["tumour JSON", "tumour binary", "tumour x 32 JSON", "tumour x 32 binary"]


def test_an_unknown_encoding_is_refused(bundle: Path) -> None:
    with pytest.raises(InvalidOption) as caught:
        rows_of([bundle], [1], ["json", "xml"])

    assert caught.value.option == "--encoding"


def test_the_standard_table_has_its_six_rows(bundle: Path) -> None:
    rows = standard_rows(dict.fromkeys(("tabular", "mlp", "convnet"), bundle))

    assert [(row.rows, row.binary) for row in rows] == [(rows, binary) for _, rows, binary in STANDARD]


def test_the_headers_of_knative_are_added_for_all_servers(bundle: Path) -> None:
    (row,) = rows_of([bundle], [1], ["json"])

    for candidate in prepare(row, Servers.of("bare,snooze,fastapi-tuned"), KNATIVE_HEADERS).candidates:
        assert candidate.payload.headers == {"Content-Type": "application/json", **KNATIVE_HEADERS}


def test_wrk_has_to_be_installed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)

    with pytest.raises(MissingProgram):
        run(rows_of([bundle], [1], ["json"]), Servers.of("snooze"), 1, 1)


@pytest.mark.process
def test_measures_one_run_of_the_model(bundle: Path) -> None:
    assert 0 < session_run_seconds(Golden.of(bundle), 4, min(os.sched_getaffinity(0)), sys.executable) < 1


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="it takes two cores")
@pytest.mark.process
def test_compares_rates_of_servers(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "CONNECTIONS", (2,))

    figures = run(rows_of([bundle], [1], ["binary"]), Servers.of("bare,fastapi-tuned"), 1, 1, KNATIVE_HEADERS).figures

    assert list(figures["tumour binary"]["servers"]) == ["bare uvicorn"]
    server = figures["tumour binary"]["servers"]["bare uvicorn"]
    assert 0 < figures["tumour binary"]["limit_rps"][0] < server["loads"][2][0]["rps"]
    assert 1 < server["memory_mib"]["anonymous"] < server["memory_mib"]["pss"] < server["memory_mib"]["peak"]
