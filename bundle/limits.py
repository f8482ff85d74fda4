"""Limits that several packages rely on."""

from typing import Final

MEMORY_FACTOR: Final = 40
"""
The most bytes that a request makes the server allocate, as a multiple of the size of its decompressed body, beside the
outputs of the model. The service's decoders keep to it for every datatype and protocol, and sizing reserves for it.
Measured with hostile bodies: 37 times in resident memory (`tests/service/measure_decoding.py`; `[[0]]` repeated), 34 in
what Python allocates (`tests/service/test_endpoint.py`). Ordinary numbers take 4 to 17 times, binary tensors 1 to 2.
"""

PAGES: Final = 8 * 2**20
"""Bytes that a server's first request for a page, such as its metrics, takes for the modules that answer it."""
RESERVE: Final = 8
"""One part in so many of a memory limit is left for what no budget counts: the gaps of the heap, and the kernel."""


def memory_left(limit: int, used: int) -> int:
    """Return the bytes that requests may take together, in a process that uses `used` of its memory `limit`."""
    return limit - limit // RESERVE - PAGES - used


def memory_limit(used: int, requests: int) -> int:
    """Return a memory limit that leaves so many bytes to requests: the inverse of `memory_left`."""
    return (used + PAGES + requests) * RESERVE // (RESERVE - 1) + RESERVE
