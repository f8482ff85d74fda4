"""Bundles with made-up profiles: sizing is arithmetic on what a profile says."""

from collections.abc import Mapping
from typing import Any

from snooze.bundle.contract import Bundle, Evidence, Profile, Run, Session, Source, Tensor, Tolerance

MIB = 2**20
MEMORY: Mapping[str, Any] = {
    "imported": {"anonymous": 20 * MIB, "resident": 40 * MIB, "peak": 40 * MIB},
    "one_row": {"anonymous": 25 * MIB, "resident": 50 * MIB, "peak": 52 * MIB},
    "runs": {"anonymous": 30 * MIB, "resident": 60 * MIB, "peak": 62 * MIB},
    "model_bytes": 5 * MIB,
}


def a_bundle(
    *runs: tuple[int, float],
    name: str = "tumour",
    columns: int = 30,
    memory: Mapping[str, Any] = MEMORY,
    spread: float = 0.0,
    threads: int = 1,
    **more: Any,
) -> Bundle:
    """Return a bundle whose model takes so many seconds for so many rows; one row in 10 us if nothing is said."""
    measured = tuple(Run(rows, seconds, spread, seconds * threads) for rows, seconds in runs or ((1, 1e-5), (64, 1e-4)))
    return Bundle(
        name=name,
        version=3,
        created="2026-11-21T01:02:03Z",
        source=Source("scikit-learn", "1.9.1"),
        inputs=(Tensor("features", "FP32", (-1, columns)),),
        outputs=(Tensor("probabilities", "FP32", (-1, 2), "scores"),),
        session=Session(intra_op_threads=threads),
        tolerance={"probabilities": Tolerance(rtol=1e-4, atol=1e-5)},
        evidence=Evidence("given"),
        profile=Profile("a CPU", measured, memory, more),
        files={},
    )
