"""Print the median seconds of one `session.run` of a bundle's first golden rows: the least time of any server."""

import sys
import time
from pathlib import Path
from statistics import median

import onnxruntime

from snooze.benchmarks.peers.candidates import Golden
from snooze.bundle.session import session_options

SECONDS = 0.5
WARM_UP = 50

if __name__ == "__main__":
    golden = Golden.of(Path(sys.argv[1]), int(sys.argv[2]))
    session = golden.bundle.session
    options = session_options(onnxruntime, session.optimization, session.intra_op_threads)
    model = onnxruntime.InferenceSession(golden.folder / session.file, options)
    seconds: list[float] = []
    while sum(seconds) < SECONDS or len(seconds) <= WARM_UP:
        begun = time.perf_counter()
        model.run(None, golden.sample.inputs)
        seconds.append(time.perf_counter() - begun)
    print(median(seconds[WARM_UP:]))
