import os
from pathlib import Path

import numpy as np
import pytest
from tests.knative.bundles import INTERPRETER_SECONDS, MIB, a_bundle

from snooze.benchmarks import sizing
from snooze.benchmarks.sizing import Observation
from snooze.bundle.evidence import read_profile
from snooze.knative.sizing.calibration import Calibration, read_figures
from snooze.knative.sizing.prediction import predict

TRUE = Calibration(
    interpreter_seconds=INTERPRETER_SECONDS,
    request_seconds=100e-6,
    value_seconds=50e-9,
    cold_seconds=300e-6,
    cold_byte_seconds=50e-12,
    cooling_seconds=float(sizing.COOLING_SECONDS[30]),
    path_seconds=150e-6,
    server_bytes=40 * MIB,
)
MODELS = [
    a_bundle(name="small", columns=4, model_bytes=1_000),
    a_bundle(name="wide", columns=2000, model_bytes=100_000),
    a_bundle((1, 2e-4), (64, 1e-3), name="heavy", columns=200, model_bytes=10_000_000),
    a_bundle((1, 1e-4), (64, 5e-4), name="large", columns=100, model_bytes=4_000_000),
]


def observe(rps: float, rows: int, index: int) -> Observation:
    """Return what a server with the constants `TRUE` shows."""
    bundle = MODELS[index]
    profile = read_profile(bundle)
    guess = predict(bundle, profile, rps, rows, TRUE)
    costs = guess.p50_seconds, guess.p99_seconds, guess.cpu_cores / rps, float(guess.peak_bytes)
    return Observation(bundle, profile, rows, rps, *costs)


OBSERVED = [
    observe(rps, rows, index) for rps in (20.0, 100.0, 500.0) for rows in (1, 16) for index in range(len(MODELS))
]


def test_finds_the_constants_behind_the_loads() -> None:
    fitted = sizing.fit(OBSERVED)

    for name in ("request_seconds", "value_seconds", "cold_seconds", "cold_byte_seconds", "cooling_seconds"):
        assert getattr(fitted, name) == pytest.approx(getattr(TRUE, name), rel=0.01), name
    assert fitted.path_seconds == pytest.approx(TRUE.path_seconds, rel=0.01)
    assert fitted.server_bytes == TRUE.server_bytes
    assert fitted.interpreter_seconds == INTERPRETER_SECONDS


def test_no_constant_is_negative() -> None:
    generator = np.random.default_rng(0)
    noisy = [one._replace(cpu_seconds=one.cpu_seconds * float(generator.uniform(0.2, 3))) for one in OBSERVED]

    fitted = sizing.fit(noisy)

    assert min(fitted.request_seconds, fitted.value_seconds, fitted.cold_seconds, fitted.cold_byte_seconds) >= 0


def test_each_model_is_predicted_from_the_others() -> None:
    exact = sizing.deviations(OBSERVED)
    doubled = [one._replace(cpu_seconds=2 * one.cpu_seconds) if one.bundle.name == "large" else one for one in OBSERVED]

    found = sizing.deviations(doubled)

    assert exact["cpu_cores"].largest < 0.02
    assert found["cpu_cores"].largest >= 0.48  # "large" from the others
    assert found["peak_bytes"].largest < 1e-6


def test_rounds_are_combined_to_least_latencies_and_median_costs() -> None:
    rounds = [
        OBSERVED[0]._replace(cpu_seconds=cpu, p50_seconds=p50)
        for cpu, p50 in ((3e-4, 0.003), (1e-4, 0.001), (2e-4, 0.009))
    ]

    combined = sizing.combine(rounds)

    assert (combined.cpu_seconds, combined.p50_seconds) == (2e-4, 0.001)


def test_only_feasible_loads_are_measured() -> None:
    assert list(sizing.feasible_loads(a_bundle((1, 0.002), (16, 0.008)))) == [(1, 20.0), (1, 100.0), (16, 20.0)]


@pytest.mark.process
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="it needs two cores")
def test_the_figures_have_the_form_of_the_calibration_file(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizing, "RATES", (20.0,))
    monkeypatch.setattr(sizing, "ROWS", (1,))
    affinity = os.sched_getaffinity(0)
    try:
        assert sizing.run(bundle, rounds=1, seconds=1.0, output=tmp_path / "calibration.json") == 0
    finally:
        os.sched_setaffinity(0, affinity)

    figures = read_figures(tmp_path / "calibration.json")
    assert (figures.measured.models, figures.measured.loads) == (("tumour",), 1)
    assert figures.calibration.server_bytes > 0
    assert set(figures.deviations) == {"p50_seconds", "p99_seconds", "cpu_cores", "peak_bytes"}
