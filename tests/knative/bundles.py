"""Bundles with invented profiles: sizing is arithmetic on the figures of a profile."""

from typing import Any, Final

from tests.bundle.conftest import EVIDENCE

from snooze.bundle.codec import document
from snooze.bundle.contract import Bundle, Session, Source, Tensor, Tolerance
from snooze.bundle.evidence import Memory, MemorySteps, Profile, Run, read_profile
from snooze.knative.sizing.calibration import read_figures
from snooze.knative.sizing.prediction import Prediction, predict
from snooze.knative.sizing.size import Size, size

MIB: Final = 2**20
INTERPRETER_SECONDS: Final = read_figures().calibration.interpreter_seconds
MEMORY: Final = MemorySteps(
    interpreter=Memory(anonymous=5 * MIB, resident=10 * MIB, peak=10 * MIB),
    imported=Memory(anonymous=20 * MIB, resident=40 * MIB, peak=40 * MIB),
    session=Memory(anonymous=24 * MIB, resident=48 * MIB, peak=48 * MIB),
    one_row=Memory(anonymous=25 * MIB, resident=50 * MIB, peak=52 * MIB),
    runs=Memory(anonymous=30 * MIB, resident=60 * MIB, peak=62 * MIB),
)
TOLERANCE: Final = {"probabilities": Tolerance(rtol=1e-4, atol=1e-5)}


def a_profile(
    *runs: tuple[int, float],
    spread: float = 0.0,
    threads: int = 1,
    model_bytes: int = 5 * MIB,
    interpreter_seconds: float = INTERPRETER_SECONDS,
) -> Profile:
    """Return a profile of runs (rows, seconds); by default one row takes 10 us."""
    return Profile(
        cpu="a CPU",
        run=tuple(Run(rows, seconds, spread, seconds * threads) for rows, seconds in runs or ((1, 1e-5), (64, 1e-4))),
        memory=MEMORY,
        model_bytes=model_bytes,
        interpreter_seconds=interpreter_seconds,
        session_seconds=0.01,
        session_cpu_seconds=0.01,
    )


def a_bundle(
    *runs: tuple[int, float], name: str = "tumour", columns: int = 30, threads: int = 1, **changes: Any
) -> Bundle:
    """Return a bundle with such a profile."""
    return Bundle(
        name=name,
        version=3,
        created="2026-11-21T01:02:03Z",
        source=Source("scikit-learn", "1.9.1", file=None, sha256=None, git=None, command=None),
        inputs=(Tensor("features", "FP32", (-1, columns)),),
        outputs=(Tensor("probabilities", "FP32", (-1, 2), "scores"),),
        task=None,
        labels=None,
        batching=None,
        adapter=None,
        session=Session("model.onnx", optimization="all", intra_op_threads=threads, run_in="loop"),
        tolerance=TOLERANCE,
        evidence=document(EVIDENCE),
        profile=document(a_profile(*runs, threads=threads, **changes)),
        files={},
    )


def size_of(bundle: Bundle, *arguments: Any, **options: Any) -> Size:
    """Return the size of a service with the bundle's own profile."""
    return size(bundle, read_profile(bundle), *arguments, **options)


def predicted(bundle: Bundle, rps: float, rows: int = 1) -> Prediction:
    """Return the prediction with the bundle's own profile."""
    return predict(bundle, read_profile(bundle), rps, rows)
