"""Limits that several packages rely on."""

from typing import Final

MEMORY_FACTOR: Final = 40
"""
The most bytes that a request makes the server allocate, as a multiple of the size of its decompressed body, beside the
outputs of the model. The service's decoders keep to it for every datatype and protocol, and sizing reserves for it.
Measured with hostile bodies: 34 times for BYTES, 33.4 for every other datatype (`tests/service/test_endpoint.py`).
"""
