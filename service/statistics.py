"""The statistics of models as Triton's extension names them, from what is counted anyway."""

from time import perf_counter, time
from typing import Any, Final

from snooze.service.metrics import Metrics
from snooze.service.runtime.repository import Entry

NOT_MEASURED: Final = {"count": 0, "ns": 0}


def collect(entry: Entry, metrics: Metrics) -> dict[str, Any]:
    """
    Return what one version of a model did since the server started.

    Not measured: the time of decoding and encoding (`compute_input`, `compute_output`), and each batch size by itself.
    """
    labels = (entry.name, str(entry.version))
    requests, _ = metrics.requests.total(*labels)
    _, seconds = metrics.seconds.total(*labels)
    failed, failed_seconds = metrics.failed.total(*labels)
    runs, run_seconds = metrics.run.total(*labels)
    _, rows = metrics.rows.total(*labels)
    last = metrics.last.get(labels)
    since_last = perf_counter() - last.value if last is not None and last.value else None
    return {
        "name": entry.name,
        "version": str(entry.version),
        "last_inference": 0 if since_last is None else int((time() - since_last) * 1000),
        "inference_count": int(rows),
        "execution_count": runs,
        "inference_stats": {
            "success": _duration(requests - failed, seconds - failed_seconds),
            "fail": _duration(failed, failed_seconds),
            "queue": _duration(*metrics.queue.total(*labels)),
            "compute_input": NOT_MEASURED,
            "compute_infer": _duration(runs, run_seconds),
            "compute_output": NOT_MEASURED,
            "cache_hit": NOT_MEASURED,
            "cache_miss": NOT_MEASURED,
        },
        "batch_stats": [],
    }


def _duration(count: float, seconds: float) -> dict[str, int]:
    return {"count": int(count), "ns": max(0, round(seconds * 1e9))}
