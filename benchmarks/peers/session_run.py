"""Print the median seconds of one `session.run` of a bundle's first golden row: what no server can avoid."""

import sys
import time
from pathlib import Path
from statistics import median

import onnxruntime

from snooze.bundle.samples import read_samples
from snooze.bundle.store import read

RUNS = 2000
WARM_UP = 200

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    bundle = read(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = bundle.session.intra_op_threads
    options.inter_op_num_threads = 1
    if bundle.session.optimization == "none":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(folder / bundle.session.file, options)
    feed = {name: array[:1] for name, array in read_samples(folder, bundle).inputs.items()}
    seconds = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        session.run(None, feed)
        seconds.append(time.perf_counter() - begun)
    print(median(seconds[WARM_UP:]))
