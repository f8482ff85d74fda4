"""
A fresh process that loads one model, runs it, and prints as JSON what that took: `python -m snooze.convert.probe`.

It imports nothing of Snooze and nothing but numpy and onnxruntime, because what it imports is part of what it measures.
`profile.py` starts it and explains the figures.
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
LEAST_RUNS = 3
LONG = 1.0  # seconds of one run; more rows than take so long are not tried


def memory() -> Figures:
    """Return this process's memory in bytes: anonymous and resident now, and the highest resident so far."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - pathlib would be measured too
        lines = dict(line.split(":", 1) for line in status)
    return {name: int(lines[field].split()[0]) * 1024 for name, field in STATUS_FIELDS.items()}


def interpreter_seconds() -> float:
    """
    Return the CPU seconds that this Python on this machine takes for a fixed piece of work.

    The work is 2,000 times `json.loads(json.dumps(body))` with `body` an inference request of 30 floats. The ratio of
    two machines' figures scales what a Python server's own work costs from one to the other.
    """
    data = [index / 7 for index in range(30)]
    body = {"inputs": [{"name": "features", "shape": [1, 30], "datatype": "FP32", "data": data}]}
    begin = time.process_time()
    for _ in range(ROUND_TRIPS):
        json.loads(json.dumps(body))
    return time.process_time() - begin


def sample(run: Callable[[], object], seconds: float) -> dict[str, Any]:
    """Call `run` for `seconds`, at least thrice: each call's wall seconds, and the mean CPU seconds of a call."""
    walls: list[float] = []
    clock, end = time.perf_counter, time.perf_counter() + seconds
    cpu = time.process_time()
    now = clock()
    while now < end or len(walls) < LEAST_RUNS:
        run()
        after = clock()
        walls.append(after - now)
        now = after
    return {"walls": walls, "cpu_seconds": (time.process_time() - cpu) / len(walls)}


def main(arguments: list[str]) -> None:
    """Print the figures for: model file, optimization, threads, file of inputs, rows (a,b,c), seconds for each."""
    file, optimization, threads, inputs, rows, seconds = arguments
    figures: dict[str, Any] = {"memory": {"interpreter": memory()}}
    import numpy as np
    import onnxruntime

    figures["memory"]["imported"] = memory()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if optimization == "none":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    begin, cpu = time.perf_counter(), time.process_time()
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    figures["session_seconds"] = time.perf_counter() - begin
    figures["session_cpu_seconds"] = time.process_time() - cpu
    figures["memory"]["session"] = memory()

    with np.load(inputs, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    feeds = {int(n): {name: array[: int(n)] for name, array in arrays.items()} for n in rows.split(",")}
    figures["run"] = {}
    for count, feed in feeds.items():
        begin = time.perf_counter()
        session.run(None, feed)
        took = time.perf_counter() - begin
        figures["run"][count] = sample(partial(session.run, None, feed), float(seconds))
        figures["memory"]["runs"] = memory()
        figures["memory"].setdefault("one_row", figures["memory"]["runs"])
        if took > LONG:
            break
    figures["interpreter_seconds"] = interpreter_seconds()
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    main(sys.argv[1:])
