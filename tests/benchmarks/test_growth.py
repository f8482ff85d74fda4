import os
import shutil
import sys
from pathlib import Path

import pytest

from snooze.benchmarks import growth
from snooze.benchmarks.errors import MissingProgram
from snooze.benchmarks.growth import Case, Outcome, make_cases, multiply, run, summarize
from snooze.benchmarks.meters import Memory
from snooze.benchmarks.peers.candidates import Golden, snooze
from snooze.benchmarks.wrk import Load
from snooze.bundle.store import find

METHOD = {"rounds": 3, "seconds": 1, "connections": 8, "load_core": 1, "shared": "", "installation": "installed"}


def models(bundle: Path) -> dict[str, Path]:
    return dict.fromkeys(("tabular", "mlp", "convnet"), bundle)


def test_copies_are_the_same_model_under_other_names(bundle: Path, tmp_path: Path) -> None:
    folders = multiply(bundle, 3, tmp_path)

    found = {one.bundle.name: one for one in find(tmp_path)}
    assert list(found) == ["tumour-1", "tumour-2", "tumour-3"]
    assert [found[name].folder for name in found] == folders
    assert {one.bundle.files["model.onnx"] for one in found.values()} == {Golden.of(bundle).bundle.files["model.onnx"]}


def test_each_model_of_a_repository_is_asked_for(bundle: Path, tmp_path: Path) -> None:
    _, ten, _, *_ = make_cases(models(bundle), tmp_path, sys.executable)

    assert ten.name == "10 models, tabular JSON"
    assert [one.path for one in ten.requests] == [f"/v2/models/tumour-{number}/infer" for number in range(1, 11)]
    assert {one.environment["SNOOZE_MODELS"] for one in ten.requests} == {str(tmp_path / "10-models")}


def test_cases_have_different_names(bundle: Path, tmp_path: Path) -> None:
    cases = list(make_cases(models(bundle), tmp_path, sys.executable))

    assert len({case.name for case in cases}) == len(cases) == 13
    assert {(case.rows, case.cores) for case in cases} == {(1, 1), (32, 1), (256, 1), (1, 2), (32, 2)}


def test_the_table_has_medians_and_the_memory_of_the_first_round(bundle: Path) -> None:
    golden = Golden.of(bundle, 4)
    case = Case("4 rows", golden, [snooze(golden)], rows=4)
    outcomes = [
        Outcome(wall, wall / 2, Memory(40, 20, 60), Memory(settled, 25, 60), Load(rps, 1, 3, 0.2, 0.5))
        for wall, settled, rps in ((100, 45, 500), (300, 41, 700), (200, 42, 100))
    ]

    table = summarize([case], {"4 rows": outcomes}, sys.executable, ["It was noisy."], METHOD)

    cells = ["200 (150-250)", "100 (75-125)", "40.0 (20.0)", "45.0 (25.0)", "500", "2000", "1000", "1.00 / 3.00"]
    assert table.rows == [["4 rows", *cells]]
    assert len(table.columns) == len(table.rows[0])
    assert table.figures["4 rows"]["wall_ms"] == [100, 300, 200]
    assert table.warnings == ["It was noisy."]


def test_wrk_has_to_be_installed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)

    with pytest.raises(MissingProgram):
        run(models(bundle), 1, 1)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="it takes two cores")
@pytest.mark.process
def test_measures_models_and_cores(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def two_cases(*arguments: object) -> list[Case]:
        cases = {case.name: case for case in make_cases(*arguments)}  # type: ignore[arg-type]
        return [cases["10 models, tabular JSON"], cases["2 cores, tumour JSON"]]

    monkeypatch.setattr(growth, "make_cases", two_cases)

    figures = run(models(bundle), 1, 1).figures

    assert list(figures) == ["10 models, tabular JSON", "2 cores, tumour JSON"]
    for case in figures.values():
        assert case["cpu_ms"][0] > 0
        assert 0 < case["started_mib"]["anonymous"] < case["settled_mib"]["peak"]
        assert case["loads"][0]["rps"] > 10
