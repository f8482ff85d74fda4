from dataclasses import replace

import numpy as np
import pytest
from tests.knative.bundles import INTERPRETER_SECONDS, MIB, a_bundle

from snooze.benchmarks import sizing as calibrate
from snooze.benchmarks.sizing import Load
from snooze.bundle.evidence import read_profile
from snooze.knative.sizing.calibration import Calibration
from snooze.knative.sizing.prediction import predict

TRUE = Calibration(
    interpreter_seconds=INTERPRETER_SECONDS,
    request_seconds=100e-6,
    value_seconds=50e-9,
    cold_seconds=300e-6,
    cold_byte_seconds=50e-12,
    cooling_seconds=float(calibrate.COOLING_SECONDS[30]),
    path_seconds=150e-6,
    server_bytes=40 * MIB,
)
MODELS = [
    a_bundle(name="small", columns=4, model_bytes=1_000),
    a_bundle(name="wide", columns=2000, model_bytes=100_000),
    a_bundle((1, 2e-4), (64, 1e-3), name="heavy", columns=200, model_bytes=10_000_000),
    a_bundle((1, 1e-4), (64, 5e-4), name="large", columns=100, model_bytes=4_000_000),
]


def shown(rps: float, rows: int, index: int) -> Load:
    """Return the load that a server shows whose constants are `TRUE`."""
    bundle = MODELS[index]
    guess = predict(bundle, read_profile(bundle), rps, rows, TRUE)
    return Load(bundle, rows, rps, guess.p50_seconds, guess.p99_seconds, guess.cpu_cores / rps, guess.peak_bytes)


LOADS = [shown(rps, rows, index) for rps in (20.0, 100.0, 500.0) for rows in (1, 16) for index in range(len(MODELS))]


def test_finds_the_constants_that_made_the_loads() -> None:
    fitted = calibrate.fit(LOADS, TRUE.interpreter_seconds)

    for name in ("request_seconds", "value_seconds", "cold_seconds", "cold_byte_seconds", "cooling_seconds"):
        assert getattr(fitted, name) == pytest.approx(getattr(TRUE, name), rel=0.01), name
    assert fitted.path_seconds == pytest.approx(TRUE.path_seconds, rel=0.01)
    assert fitted.server_bytes == TRUE.server_bytes


def test_no_constant_is_negative_however_odd_the_loads() -> None:
    rng = np.random.default_rng(0)
    odd = [replace(load, cpu_seconds=load.cpu_seconds * float(rng.uniform(0.2, 3))) for load in LOADS]

    fitted = calibrate.fit(odd, 0.05)

    assert min(fitted.request_seconds, fitted.value_seconds, fitted.cold_seconds, fitted.cold_byte_seconds) >= 0


def test_each_model_is_predicted_from_the_others() -> None:
    doctored = [
        replace(load, cpu_seconds=2 * load.cpu_seconds) if load.bundle.name == "large" else load for load in LOADS
    ]

    lines = calibrate.errors(doctored, TRUE.interpreter_seconds)

    large = [line for line in lines if line["model"] == "large"]
    assert (len(lines), len(large)) == (len(LOADS), len(LOADS) // 4)
    for line in large:
        assert line["cpu_cores"] == pytest.approx(-0.5, abs=0.02)
        assert line["peak_bytes"] == pytest.approx(0, abs=1e-6)


def test_the_usual_cpu_and_the_quietest_latency_count() -> None:
    rounds = [
        replace(LOADS[0], cpu_seconds=cpu, p50_seconds=p50)
        for cpu, p50 in ((3e-4, 0.003), (1e-4, 0.001), (2e-4, 0.009))
    ]

    summary = calibrate._summary(rounds)

    assert (summary.cpu_seconds, summary.p50_seconds) == (2e-4, 0.001)


def test_only_loads_that_a_server_bears_are_measured() -> None:
    cells = list(calibrate._bearable(a_bundle((1, 0.002), (16, 0.008))))

    assert cells == [(1, 20.0), (1, 100.0), (16, 20.0)]
