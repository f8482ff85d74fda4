"""
A fresh process that loads one model, runs it, and prints the cost as JSON: `python -m snooze.convert.probe`.

It imports numpy, onnxruntime and the session options that the server uses, and nothing else, because its imports are
part of the measurement. `profile.py` starts it and explains the figures.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

Figures = dict[str, int]
STATUS_FIELDS = {"anonymous": "RssAnon", "resident": "VmRSS", "peak": "VmHWM"}
ROUND_TRIPS = 2_000
MIN_RUNS = 3
LONG_RUN = 1.0  # seconds; more rows than those of a run this long are not measured


def memory() -> Figures:
    """Return this process's memory in bytes: anonymous and resident now, and the highest resident so far."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - pathlib would be measured too
        lines = dict(line.split(":", 1) for line in status)
    return {name: int(lines[field].split()[0]) * 1024 for name, field in STATUS_FIELDS.items()}


def interpreter_seconds() -> float:
    """
    Return the CPU seconds that this Python on this machine needs for a fixed piece of work.

    The work is 2,000 times `json.loads(json.dumps(body))` with an inference request of 30 floats. The ratio of two
    machines' figures scales the cost of a Python server's own work from one to the other.
    """
    data = [index / 7 for index in range(30)]
    body = {"inputs": [{"name": "features", "shape": [1, 30], "datatype": "FP32", "data": data}]}
    begin = time.process_time()
    for _ in range(ROUND_TRIPS):
        json.loads(json.dumps(body))
    return time.process_time() - begin


def sample(run: Callable[[], object], seconds: float) -> dict[str, Any]:
    """Call `run` for `seconds`, at least three times; return wall seconds of each call and mean CPU seconds."""
    walls: list[float] = []
    clock, end = time.perf_counter, time.perf_counter() + seconds
    cpu = time.process_time()
    now = clock()
    while now < end or len(walls) < MIN_RUNS:
        run()
        after = clock()
        walls.append(after - now)
        now = after
    return {"walls": walls, "cpu_seconds": (time.process_time() - cpu) / len(walls)}


def main(arguments: list[str]) -> None:
    """
    Print the figures.

    Arguments: model file, optimization, threads, file of inputs, rows (a,b,c), seconds for each. The keys of the inputs
    are `<row axis>/<name>`, without a number for a tensor without rows.
    """
    file, optimization, threads, inputs, rows, seconds = arguments
    figures: dict[str, Any] = {"memory": {"interpreter": memory()}}
    import numpy as np
    import onnxruntime

    from snooze.bundle.session import session_options

    figures["memory"]["imported"] = memory()
    options = session_options(onnxruntime, "none" if optimization == "none" else "all", int(threads))
    begin, cpu = time.perf_counter(), time.process_time()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    figures["session_seconds"] = time.perf_counter() - begin
    figures["session_cpu_seconds"] = time.process_time() - cpu
    figures["memory"]["session"] = memory()

    with np.load(inputs, allow_pickle=False) as archive:
        tensors = [(*key.split("/", 1), archive[key]) for key in archive.files]
    figures["run"] = {}
    for count in map(int, rows.split(",")):
        feed = {
            name: array[(slice(None),) * int(axis) + (slice(count),)] if axis else array
            for axis, name, array in tensors
        }
        begin = time.perf_counter()
        session.run(None, feed)
        took = time.perf_counter() - begin
        figures["run"][count] = sample(partial(session.run, None, feed), float(seconds))
        figures["memory"]["runs"] = memory()
        figures["memory"].setdefault("one_row", figures["memory"]["runs"])
        if took > LONG_RUN:
            break
    figures["interpreter_seconds"] = interpreter_seconds()
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    main(sys.argv[1:])
