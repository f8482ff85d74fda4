"""
KServe's V1, which is the REST API of TensorFlow Serving: `POST /v1/models/NAME:predict`, JSON only.

By row, `{"instances": [...]}`: each row is the value of a model's only input, or an object with all inputs by name. The
answer is `{"predictions": [...]}`: for each row the value of the only output, or an object with all outputs by name.

By column, `{"inputs": ...}`: the value of the only input, or an object with all inputs by name; their numbers of rows
may differ. The answer is `{"outputs": ...}`: the value of the only output, or an object with all outputs by name.

Values are nested as the shape of their tensor; an input of shape [any, 1] takes a flat list. A string may also be
`{"b64": "..."}`, which is UTF-8 in base64.

A model with an adapter that has an input of its own, such as `image`, takes that instead: see `forms/raw.py`.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from snooze.service.errors import InvalidRequest, InvalidTensor, NotInJson
from snooze.service.messages import Call, Headers, Route
from snooze.service.protocols.plain import CHUNK_ROWS, binary_path, stack
from snooze.service.protocols.tensors import (
    LONG_LIST,
    Array,
    Signature,
    TensorSpec,
    brief,
    finite,
    flat,
    from_json,
    may_hold_booleans,
)
from snooze.service.requests import memory_needed, parse_json
from snooze.service.responses import JSON

PROTOCOL: Final = "v1"
ROUTES: Final = (
    Route("POST", "/v1/models/{model}:predict", "predict"),
    Route("POST", "/v1/models/{model}/versions/{version}:predict", "predict"),
    Route("POST", "/v1/models/{model}:{verb}", "verb"),
    Route("POST", "/v1/models/{model}/versions/{version}:{verb}", "verb"),
    Route("GET", "/v1/models", "models"),
    Route("GET", "/v1/models/{model}", "model_status"),
    Route("GET", "/v1/models/{model}/versions/{version}", "model_status"),
)
SIGNATURE_NAME: Final = "serving_default"
BASE64: Final = {"b64"}


def decode(signature: Signature, headers: Mapping[bytes, bytes], body: bytes, query: bytes = b"") -> Call:
    """
    Return the call that the instances or inputs of a request describe.

    Raises:
        InvalidRequest: the request does not follow the protocol.
        InvalidTensor: an input does not fit the model's signature.
    """
    if len(body) > LONG_LIST and len(signature.inputs) == 1:
        from snooze.service.protocols.numbers import read_rows

        (spec,) = signature.inputs.values()
        found = read_rows(spec, body, "instances") or read_rows(spec, body, "inputs")
        if found is not None:
            return Call({spec.name: found[1]}, signature.output_names, columns=_is_by_column(found[0]))
    document = parse_json(body, binary_path(signature))
    columns = _is_by_column(document)
    if signature.raw is not None:
        from snooze.service.protocols.forms.raw import read_values

        raw = read_values(signature, document, columns)
        if raw is not None:
            return Call({}, signature.output_names, columns=columns, raw=raw)
    values = _read_columns(signature, document["inputs"]) if columns else _read_rows(signature, document["instances"])
    booleans = may_hold_booleans(body, body.find(b"["))
    feeds = {name: _tensor(spec, values[name], booleans) for name, spec in signature.inputs.items()}
    return Call(feeds, signature.output_names, columns=columns)


def estimate_memory(signature: Signature, headers: Mapping[bytes, bytes], body: bytes, enough: int) -> int:
    """Return what `requests.memory_needed` returns."""
    return memory_needed(body, len(body), signature.texts, enough)


def encode(signature: Signature, call: Call, arrays: list[Array], request_id: bytes) -> tuple[bytes, Headers]:
    """
    Return the body of a response and the headers that describe it.

    Raises:
        InvalidRequest: predictions by row were requested, but an output has no row for each instance.
        NotInJson: an output holds NaN or Infinity.
    """
    if call.columns:
        texts = list(map(_dump, arrays))
        text = texts[0]
        if len(texts) > 1:
            text = orjson.dumps(dict(zip(call.outputs, map(orjson.Fragment, texts), strict=True)))
        body = b'{"outputs":%s}' % text
    else:
        body = b'{"predictions":%s}' % _dump_rows(call, arrays)
    if b"null" in body:
        # orjson writes NaN and Infinity as null; a string may also contain "null".
        for name, array in zip(call.outputs, arrays, strict=True):
            if not finite(array):
                raise NotInJson(name, binary_path(signature))
    return body, [JSON]


def _is_by_column(document: Any) -> bool:
    """Return whether a request is by column, which is otherwise by row."""
    if type(document) is not dict or ("instances" in document) == ("inputs" in document):
        raise InvalidRequest("expected a JSON object with either 'instances' or 'inputs'")
    if document.get("signature_name") not in (None, "", SIGNATURE_NAME):
        got = brief(document["signature_name"])
        raise InvalidRequest(f"signature_name: the only one is '{SIGNATURE_NAME}', got {got}")
    return "inputs" in document


def _read_rows(signature: Signature, rows: object) -> Mapping[str, list[Any]]:
    """Return the values of each input, one for each row."""
    if type(rows) is not list or not rows:
        raise InvalidRequest(f"expected 'instances' to be a list of at least one row, got {brief(rows)}")
    inputs = signature.inputs.keys()
    if _is_only_value(signature, rows[0]):
        return dict.fromkeys(inputs, rows)
    for i, row in enumerate(rows):
        if type(row) is not dict or row.keys() != inputs:
            raise InvalidRequest(f"instance {i}: expected an object with: {', '.join(inputs)}")
    return {name: [row[name] for row in rows] for name in inputs}


def _read_columns(signature: Signature, columns: Any) -> Mapping[str, Any]:
    """Return the value of each input."""
    inputs = signature.inputs.keys()
    if _is_only_value(signature, columns):
        return dict.fromkeys(inputs, columns)
    if type(columns) is not dict or columns.keys() != inputs:
        raise InvalidRequest(f"expected 'inputs' to be an object with: {', '.join(inputs)}")
    return columns


def _is_only_value(signature: Signature, value: Any) -> bool:
    """Return whether this is a value of the only input, not an object with inputs by name."""
    inputs = signature.inputs.keys()
    return len(inputs) == 1 and (type(value) is not dict or value.keys() == BASE64 != inputs)


def _tensor(spec: TensorSpec, value: object, booleans: bool) -> Array:
    if spec.kind == "O":
        values = [value]
        _decode_base64(spec, values, len(spec.shape))
        value = values[0]
    if not spec.shape and type(value) is not list:
        return from_json(spec, [], 1, value, booleans)
    if type(value) is not list or not value or not spec.shape:
        expected = "a list of at least one row" if spec.shape else "one value, as one of 'inputs'"
        raise InvalidTensor(spec.name, f"expected {expected}, got {brief(value)}")
    return stack(spec, value, booleans)


def _decode_base64(spec: TensorSpec, values: list[Any], depth: int) -> None:
    """Replace the objects with the key `b64` in `values`, and in lists up to `depth` below them, by their strings."""
    for i, value in enumerate(values):
        if type(value) is list and depth:
            _decode_base64(spec, value, depth - 1)
        elif type(value) is dict and value.keys() == BASE64:
            from binascii import a2b_base64

            try:
                values[i] = str(a2b_base64(value["b64"], strict_mode=True), "utf-8")
            except (TypeError, ValueError) as error:  # those of binascii and of UTF-8 are ValueErrors
                problem = f"b64: expected UTF-8 in base64, got {brief(value['b64'])} ({error})"
                raise InvalidTensor(spec.name, problem) from None


def _dump(array: Array) -> bytes:
    """Return an array as JSON, nested as its shape."""
    if array.ndim == 0:
        return _dump(array.reshape(1))[1:-1]
    if array.dtype.kind != "O":
        return orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
    if array.ndim == 1:
        # orjson reserves a kilobyte for each text that it returns; a part of it takes what it needs.
        return b"[%s]" % orjson.dumps(flat(array))[1:-1]
    return b"[%s]" % b",".join(map(_dump, array))


def _dump_rows(call: Call, arrays: list[Array]) -> bytes:
    """Return the list of predictions as JSON."""
    rows = len(next(iter(call.feeds.values())))
    for name, array in zip(call.outputs, arrays, strict=True):
        if array.shape[:1] != (rows,):
            problem = f"has shape {list(array.shape)}, no row for each of {rows} instances"
            raise InvalidRequest(f"output '{name}' {problem}; send 'inputs' instead of 'instances'")
    if len(arrays) == 1:
        return _dump(arrays[0])
    parts = []
    # The Python objects of a row take up to a hundred times the memory of its outputs: few rows at a time.
    for start in range(0, rows, CHUNK_ROWS):
        columns = [_split(array[start : start + CHUNK_ROWS]) for array in arrays]
        objects = [dict(zip(call.outputs, row, strict=True)) for row in zip(*columns, strict=True)]
        parts.append(orjson.dumps(objects, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1])
    return b"[%s]" % b",".join(parts)


def _split(array: Array) -> Any:
    """Return the rows of an array as values that orjson can write."""
    if array.dtype.kind != "O":
        # orjson knows the arrays of every number, but not every kind of integer by itself (numpy.longlong).
        return array.tolist() if array.ndim == 1 and array.dtype.kind in "iu" else array
    return [orjson.Fragment(_dump(array[i : i + 1])[1:-1]) for i in range(len(array))]
