"""The demo as a newcomer runs it first: it works, and its summary holds what it promises."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.process, pytest.mark.framework]

DEMO = Path(__file__).parents[2] / "scripts" / "demo.py"


def demo(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(DEMO), "--folder", str(folder), "--seconds", "2"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "demo"
    answer = demo(folder)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return folder


@pytest.fixture(scope="module")
def summary(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "summary.json").read_text()))


def test_both_models_agree_and_keep_their_score(summary: dict[str, Any]) -> None:
    assert set(summary["models"]) == {"tumour", "digits"}
    for model in summary["models"].values():
        assert model["flips"] == 0
        assert model["parity_worst"] < 1e-4
        assert model["score_before"] - model["score_after"] <= 0.005
        assert model["score_after"] > 0.9
    assert summary["models"]["tumour"]["chosen"] == "fp32"  # nothing in it can be quantized


def test_the_service_woke_from_zero_each_time(summary: dict[str, Any]) -> None:
    assert len(summary["wake_ms"]) == 3
    assert all(ms > 0 for ms in summary["wake_ms"])
    assert summary["cold_start"]["cpu_ms"] > 0
    assert summary["cold_start"]["wall_ms"] > 0


def test_the_load_was_answered_and_compared_with_its_prediction(summary: dict[str, Any]) -> None:
    load = summary["load"]
    assert load["errors"] == 0
    assert load["achieved_rps"] > 0
    assert load["p50_ms"] <= load["p99_ms"]
    assert load["cpu_cores"] > 0
    assert load["peak_mib"] > 10
    assert set(load["predicted"]) >= {"p50_ms", "cpu_cores", "peak_mib"}


def test_writes_the_manifest_and_the_reports(folder: Path, summary: dict[str, Any]) -> None:
    assert "kind: Service" in Path(summary["manifest"]).read_text()
    assert len(list(folder.glob("models/*/1/report.html"))) == 2


def test_does_not_clear_a_folder_that_it_did_not_create(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    answer = demo(tmp_path)
    assert answer.returncode == 1
    assert "was not created by a demo" in answer.stderr
    assert (tmp_path / "precious").exists()
