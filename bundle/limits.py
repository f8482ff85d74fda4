"""Limits that several packages rely on."""

from typing import Final

MEMORY_FACTOR: Final = 40
"""
The most bytes that a request makes the server allocate, as a multiple of the size of its decompressed body, beside the
outputs of the model. The service's decoders keep to it for every datatype and protocol; sizing reserves for it.
"""
