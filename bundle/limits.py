"""Limits that several packages rely on."""

from typing import Final

MEMORY_FACTOR: Final = 40
"""
The most bytes that a request makes the server allocate, as a multiple of the size of its decompressed body, beside the
outputs of the model. The service's decoders keep to it for every datatype and protocol, and sizing reserves for it.
Measured with hostile bodies: 37 times in resident memory (`tests/service/measure_decoding.py`; `[[0]]` repeated), 34 in
what Python allocates (`tests/service/test_endpoint.py`). Ordinary numbers take 4 to 17 times, binary tensors 1 to 2.
"""
