"""The figures of a manifest: those of the size, in place of which options may give others, and those of the probe."""

import math
from dataclasses import replace
from typing import Final

from snooze.bundle.contract import Bundle
from snooze.bundle.errors import InvalidOption
from snooze.bundle.evidence import read_profile
from snooze.knative.manifest.options import Options
from snooze.knative.manifest.quantities import parse_cpu, parse_memory
from snooze.knative.sizing.size import FEW_SLOTS, KNATIVE_BURST_CAPACITY, Size

START_CPU_SECONDS: Final = 0.5  # to start a server with a tiny model: more than the 0.25 to 0.4 s that we measured
BYTE_SECONDS: Final = 4e-9  # to read and hash a byte of a model
START_MARGIN: Final = 6  # a start that takes so many times as long as calculated is still left alone
MIN_START_TIMEOUT: Final = 60  # seconds
PROBE_PERIOD: Final = 10  # seconds; each answer may take as long


def override(size: Size, options: Options) -> Size:
    """
    Return the size with the figures that the options give; the figures that they contradict follow them.

    Raises:
        InvalidOption: `max_scale` allows fewer pods than the load needs.
    """
    if options.max_scale and options.max_scale < size.pods:
        need = f"{size.rps:g} requests/s need {size.pods} pods for up to {size.rps_per_pod:.4g} requests/s each"
        raise InvalidOption("--max-scale", f"{need}, got {options.max_scale}")
    cpu_request = parse_cpu(options.cpu_request) if options.cpu_request else None
    cpu_limit = parse_cpu(options.cpu_limit) if options.cpu_limit else None
    memory_request = parse_memory(options.memory_request) if options.memory_request else None
    memory_limit = parse_memory(options.memory_limit) if options.memory_limit else None
    concurrency, target, burst_capacity = _scaling(size, options)
    return replace(
        size,
        cpu_request=cpu_request or min(size.cpu_request, cpu_limit or math.inf),
        cpu_limit=cpu_limit or max(size.cpu_limit, cpu_request or 0),
        memory_request=memory_request or min(size.memory_request, memory_limit or size.memory_request),
        memory_limit=memory_limit or max(size.memory_limit, memory_request or 0),
        concurrency=concurrency,
        target=target,
        burst_capacity=burst_capacity,
    )


def _scaling(size: Size, options: Options) -> tuple[int, int, int]:
    """Return hard limit, target and burst capacity."""
    target = options.target or size.target
    concurrency, burst_capacity = size.concurrency and max(size.concurrency, target), size.burst_capacity
    if options.concurrency is not None:
        concurrency = options.concurrency
        target = min(target, concurrency or target)
        if 0 < concurrency <= FEW_SLOTS:
            burst_capacity = -1
        elif burst_capacity == -1:
            burst_capacity = KNATIVE_BURST_CAPACITY
    return concurrency, target, burst_capacity if options.burst_capacity is None else options.burst_capacity


def start_timeout(bundle: Bundle, size: Size, options: Options) -> int:
    """Return the seconds after which a server that does not answer is no longer taken for one that starts."""
    if options.start_timeout is not None:
        return int(options.start_timeout)
    profile = read_profile(bundle)
    seconds = START_CPU_SECONDS + profile.session_cpu_seconds + profile.model_bytes * BYTE_SECONDS
    # The request is the CPU time that a pod gets on a node that is busy.
    start = START_MARGIN * seconds / min(size.cpu_request, 1)
    return max(MIN_START_TIMEOUT, math.ceil(start / PROBE_PERIOD) * PROBE_PERIOD)


def probe_failures(options: Options) -> int:
    """Return the number of failed probes that means a wedged server: more than fit into the longest request."""
    return int(options.timeout) // PROBE_PERIOD + 1


def warnings(size: Size, given: Size) -> list[str]:
    """Return what is risky about `given` figures in place of those of the size."""
    if given.memory_limit >= size.memory_request:
        return []
    return ["--memory-limit: it is below the predicted peak, so the kernel is likely to end the server"]
