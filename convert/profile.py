"""
What running a model costs on this CPU, measured in fresh processes that do nothing else.

Three processes run one after the other; each figure is the median of the three. `snooze.bundle.evidence.Profile` says
what is measured.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Session
from snooze.bundle.evidence import Memory, MemorySteps, Profile, Run
from snooze.convert.checks.cases import Case
from snooze.convert.environment import child_environment
from snooze.convert.errors import Interrupted

PROCESSES: Final = 3
SECONDS_PER_SIZE: Final = 0.03
MAX_SECONDS: Final = 300.0
SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def measure(folder: Path, session: Session, request: Case, work: Path) -> Profile:
    """Return what the model in `folder` costs for 1, 2, 4, ... rows, at most those of `request`. Raises Interrupted."""
    sizes = [size for size in SIZES if size <= request.units]
    inputs = work / "profile.npz"
    arrays = {f"{'' if axis is None else axis}/{name}": request.tensors[name] for name, axis in request.axes.items()}
    strings = {key: array.astype(str) if array.dtype.kind == "O" else array for key, array in arrays.items()}
    np.savez(inputs, allow_pickle=False, **strings)
    figures = [_probe(folder / session.file, session, inputs, sizes) for _ in range(PROCESSES)]
    measured = [size for size in sizes if all(str(size) in one["run"] for one in figures)]
    return Profile(
        cpu=cpu_name(),
        run=tuple(_run(size, [one["run"][str(size)] for one in figures]) for size in measured),
        memory=MemorySteps(*(_memory([one["memory"][step] for one in figures]) for step in MemorySteps._fields)),
        model_bytes=sum(path.stat().st_size for path in folder.glob(f"{session.file}*")),
        interpreter_seconds=median(one["interpreter_seconds"] for one in figures),
        session_seconds=median(one["session_seconds"] for one in figures),
        session_cpu_seconds=median(one["session_cpu_seconds"] for one in figures),
    )


def cpu_name() -> str:
    """Return the machine's name for its CPU."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, os.uname().machine)


def _probe(file: Path, session: Session, inputs: Path, sizes: list[int]) -> dict[str, Any]:
    environment = child_environment() | {"OPENBLAS_NUM_THREADS": "1"}
    settings = (file, session.optimization, session.intra_op_threads, inputs, ",".join(map(str, sizes)))
    command = [sys.executable, "-P", "-m", "snooze.convert.probe", *map(str, settings), str(SECONDS_PER_SIZE)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=MAX_SECONDS, check=True)
    except subprocess.TimeoutExpired:
        raise Interrupted("measuring the profile", f"it took more than {MAX_SECONDS:.0f} s") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {error.returncode}"]
        raise Interrupted("measuring the profile", lines[-1]) from None
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _run(rows: int, samples: list[Mapping[str, Any]]) -> Run:
    walls = np.concatenate([sample["walls"] for sample in samples])
    fast, slow = np.quantile(walls, [0.25, 0.75])
    return Run(
        rows=rows,
        seconds=float(median(float(np.median(sample["walls"])) for sample in samples)),
        spread=float(slow - fast),
        cpu_seconds=float(median(sample["cpu_seconds"] for sample in samples)),
    )


def _memory(figures: list[Mapping[str, int]]) -> Memory:
    return Memory(*(int(median(figure[name] for figure in figures)) for name in Memory._fields))
