"""Print the median seconds of one `session.run` of a bundle's first golden row: the least time of any server."""

import sys
import time
from pathlib import Path
from statistics import median

import onnxruntime

from snooze.bundle.samples import read_samples
from snooze.bundle.session import session_options
from snooze.bundle.store import read

RUNS = 2000
WARM_UP = 200

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    bundle = read(folder)
    options = session_options(onnxruntime, bundle.session.optimization, bundle.session.intra_op_threads)
    session = onnxruntime.InferenceSession(folder / bundle.session.file, options)
    feed = {name: array[:1] for name, array in read_samples(folder, bundle)[0].inputs.items()}
    seconds = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        session.run(None, feed)
        seconds.append(time.perf_counter() - begun)
    print(median(seconds[WARM_UP:]))
