"""
The extension `classification` of V2: an output as its highest values, as texts with the index and the label of each.

A text is `VALUE:INDEX` or `VALUE:INDEX:LABEL`, as Triton writes them: floating point with six decimals. Values are in
descending order; of equal ones the lower index is first, and NaN is last. Imported with the first request that asks.
"""

from math import prod
from typing import Final

import numpy as np

from snooze.service.errors import InvalidRequest
from snooze.service.protocols.tensors import Array, Signature, TensorSpec

MAX_TEXTS: Final = 2**13  # of an output: a text takes up to 380 bytes of memory and 2 us, its value perhaps one byte


def check_classified(spec: TensorSpec) -> None:
    """
    Check that an output can be classified.

    Raises:
        InvalidRequest: its values are not numbers.
    """
    if spec.kind not in "fiu":
        raise InvalidRequest(f"output '{spec.name}': classification needs numbers, but its datatype is {spec.datatype}")


def classify(signature: Signature, spec: TensorSpec, array: Array, most: int) -> Array:
    """
    Return the texts of the `most` highest values of each row, shape [rows, n], or [n] of an output without rows.

    Raises:
        InvalidRequest: these are too many texts.
    """
    by_row = spec.shape[:1] == (-1,)
    rows, classes = array.shape[0] if by_row else 1, prod(array.shape[by_row:])
    most = min(most, classes)
    if rows * most > MAX_TEXTS:
        problem = f"{rows} x {most} classes are more than {MAX_TEXTS}; send fewer rows or request fewer classes"
        raise InvalidRequest(f"output '{spec.name}': {problem}")
    table = array.reshape(rows, classes)
    descending = -table if spec.kind == "f" else ~table
    order = np.argsort(descending, axis=1, kind="stable")[:, :most]
    values = np.take_along_axis(table, order, axis=1)
    template = "{:f}:{}" if spec.kind == "f" else "{}:{}"
    indices = order.ravel().tolist()
    texts = list(map(template.format, values.ravel().tolist(), indices))
    labels = signature.labels
    if labels is not None and len(labels) == classes and spec.role in ("scores", None):
        texts = [f"{text}:{labels[index]}" for text, index in zip(texts, indices, strict=True)]
    result = np.empty(rows * most, object)
    result[:] = texts
    return result.reshape((rows, most) if by_row else (most,))
