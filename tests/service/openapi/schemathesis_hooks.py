"""
A hook of Schemathesis that makes parts of a V2 request agree, which JSON Schema cannot ask for.

Almost every drawn request would be refused for that alone, and what else it tries would not be looked at. Only what is
valid by itself is changed: an invalid request stays invalid.
"""

from typing import Any

import schemathesis

HEADER = "Inference-Header-Content-Length"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Make the shapes fit the data, and leave out the length of the JSON where no binary tensors follow."""
    if case.media_type != "application/octet-stream" and str((case.headers or {}).get(HEADER, "")).isdigit():
        del case.headers[HEADER]
    inputs = case.body.get("inputs") if isinstance(case.body, dict) else None
    for tensor in inputs if isinstance(inputs, list) else ():
        shape, data = (tensor.get("shape"), tensor.get("data")) if isinstance(tensor, dict) else (None, None)
        if not isinstance(shape, list) or not shape or not isinstance(data, list):
            continue
        if all(type(size) is int and size >= 0 for size in shape):  # the first size is variable in every model here
            nested = bool(data) and isinstance(data[0], list)
            shape[0] = len(data) // (1 if nested or len(shape) == 1 else max(1, shape[1]))
