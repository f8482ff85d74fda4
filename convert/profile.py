"""
What running a model costs on this CPU, measured in fresh processes that hold nothing else.

Three processes in turn, each for itself: the figure of each is the median of the three. In the bundle's profile:

* `run`: for 1, 2, 4, ... `max_rows` rows (or as many as take a second), wall seconds of one `session.run` (median),
  their spread (the middle half of all runs lies within it), and CPU seconds;
* `memory`, in bytes: `anonymous`, `resident` and `peak` after five steps: `interpreter` (Python alone), `imported`
  (numpy and onnxruntime), `session` (the model loaded), `one_row` and `runs` (after runs of 1 and of the most rows);
  `model_bytes` is the size of the model's files;
* `interpreter_seconds`: CPU seconds of a fixed piece of Python work (see `probe.interpreter_seconds`);
* `session_seconds` and `session_cpu_seconds`: loading the model.
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
from snooze.bundle.evidence import Profile, Run
from snooze.convert.checks.cases import Arrays
from snooze.convert.errors import Interrupted

PROCESSES: Final = 3
SECONDS_PER_SIZE: Final = 0.03
MOST_SECONDS: Final = 300.0
STEPS: Final = ("interpreter", "imported", "session", "one_row", "runs")


def measure(folder: Path, session: Session, inputs: Arrays, most_rows: int, work: Path) -> Profile:
    """
    Return what running the model in `folder` costs, with the `inputs` repeated up to `most_rows` rows.

    Raises:
        Interrupted: a process that measures failed or took more than 300 s.
    """
    sizes = [size for size in (1, 2, 4, 8, 16, 32, 64, 128, 256) if size <= most_rows]
    file = work / "profile.npz"
    np.savez(file, allow_pickle=False, **{name: _repeated(array, sizes[-1]) for name, array in inputs.items()})
    figures = [_probe(folder / session.file, session, file, sizes) for _ in range(PROCESSES)]
    memory: dict[str, Any] = {step: _medians([one["memory"][step] for one in figures]) for step in STEPS}
    memory["model_bytes"] = sum(path.stat().st_size for path in folder.glob(f"{session.file}*"))
    measured = [size for size in sizes if all(str(size) in one["run"] for one in figures)]
    return Profile(
        cpu=cpu_name(),
        run=tuple(_run(size, [one["run"][str(size)] for one in figures]) for size in measured),
        memory=memory,
        more={
            name: median(one[name] for one in figures)
            for name in ("session_seconds", "session_cpu_seconds", "interpreter_seconds")
        },
    )


def cpu_name() -> str:
    """Return what the machine calls its CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, os.uname().machine)


def _probe(file: Path, session: Session, inputs: Path, sizes: list[int]) -> dict[str, Any]:
    package = Path(__file__).parents[2]  # the folder that holds `snooze`, installed or not
    path = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path, "ORT_DISABLE_TELEMETRY": "1", "OPENBLAS_NUM_THREADS": "1"}
    settings = (file, session.optimization, session.intra_op_threads, inputs, ",".join(map(str, sizes)))
    command = [sys.executable, "-P", "-m", "snooze.convert.probe", *map(str, settings), str(SECONDS_PER_SIZE)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=MOST_SECONDS, check=True)
    except subprocess.TimeoutExpired:
        raise Interrupted("measuring the profile", f"it took more than {MOST_SECONDS:.0f} s") from None
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


def _medians(figures: list[dict[str, int]]) -> dict[str, int]:
    return {name: int(median(figure[name] for figure in figures)) for name in figures[0]}


def _repeated(array: np.ndarray[Any, Any], rows: int) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(array[np.arange(rows) % len(array)])
