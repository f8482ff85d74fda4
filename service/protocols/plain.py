"""
The plain protocol: rows in, labels and confidences out.

`POST /models/NAME/predict`, or `/predict` where one model is served, takes `{"rows": [...]}` or the bare list. For a
model of one input, a row is what one row of that input is: `[5.1, 3.5]` for shape [any, 2], `"a text"` for shape [any].
For a model of several inputs it is an object: `{"age": 31, "words": [4, 8]}`. An input of shape [any, 1], a column of a
table, takes the value alone. All rows of a request are run together. A model with an adapter takes raw rows instead.

Other forms than JSON, such as CSV and pictures, are in `forms/`, which is imported with the first of them.

The answer is `{"model": NAME, "version": 1, "predictions": [...]}`, for each row an object that holds, by the roles of
the model's outputs:

* `label`: the class's name. An integer output is the number of the class among the bundle's labels, unless the labels
  hold that very number as a text. Without a label output it is the class of the highest score.
* `confidence` and `probabilities` (by label), where the scores of the row are between 0 and 1 and sum to 1; otherwise
  `scores` (by label).
* `value`: a number, or a list of them; `values` (by label), where the bundle names them.
* `embedding`: a list.
* every other output under its own name.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import numpy as np
import orjson

from snooze.bundle.contract import Role
from snooze.service.errors import InvalidRequest, InvalidTensor, NotInJson
from snooze.service.messages import Call, Headers, Route
from snooze.service.protocols.tensors import (
    LONG_LIST,
    Array,
    Signature,
    TensorSpec,
    brief,
    count,
    finite,
    from_json,
    may_hold_booleans,
)
from snooze.service.requests import memory_needed, parse_json, read_top
from snooze.service.responses import JSON

PROTOCOL: Final = "plain"
# What bodies of JSON are called: also by clients that do not know what they send, such as `curl -d`.
JSON_MEDIA: Final = frozenset((None, b"application/json", b"application/x-www-form-urlencoded"))
ROUTES: Final = (
    Route("POST", "/predict", "predict"),
    Route("POST", "/models/{model}/predict", "predict"),
    Route("POST", "/models/{model}/versions/{version}/predict", "predict"),
)
CHUNK_ROWS: Final = 1024


def decode(signature: Signature, headers: Mapping[bytes, bytes], body: bytes, query: bytes = b"") -> Call:
    """
    Return the call that the rows of a request describe.

    Raises:
        InvalidRequest: the body does not contain rows.
        InvalidTensor, InvalidRow: the rows do not fit the model's signature.
        UnsupportedMedia: the model does not take such a body.
    """
    media = headers.get(b"content-type")
    if media == b"application/json":
        call = decode_json(signature, body)
    elif media in JSON_MEDIA:
        try:
            call = decode_json(signature, body)
        except InvalidRequest as error:
            raise _advise(signature, body, error) from None
    else:
        from snooze.service.protocols.forms.media import decode_form

        assert media is not None
        call = decode_form(signature, media, body)
    if query:
        call.top = read_top(query)
    return call


def decode_json(signature: Signature, body: bytes) -> Call:
    """Return the call that rows in JSON describe. Errors as of `decode`."""
    adapter = signature.adapter
    is_numbers = adapter is None or adapter.kind != "table" or signature.is_matrix
    if len(body) > LONG_LIST and len(signature.inputs) == 1 and is_numbers:
        from snooze.service.protocols.numbers import read_rows

        (spec,) = signature.inputs.values()
        found = read_rows(spec, body, "rows")
        if found is not None:
            return Call({spec.name: found[1]}, signature.output_names)
    document = parse_json(body, binary_path(signature))
    rows = document.get("rows") if type(document) is dict else document
    if type(document) is dict and "texts" in document and takes_texts(signature):
        if rows is not None:
            raise InvalidRequest("expected either 'rows' or 'texts', got both")
        rows = document["texts"]
    if type(rows) is not list:
        raise InvalidRequest('expected {"rows": [...]} or a list of rows')
    if not rows:
        raise InvalidRequest("expected at least one row, got an empty list")
    return call_rows(signature, rows, may_hold_booleans(body, body.find(b"[")))


def call_rows(signature: Signature, rows: list[Any], booleans: bool) -> Call:
    """Return the call of at least one row of JSON; `booleans` says whether one may hold `true` or `false`."""
    if signature.is_matrix and type(rows[0]) is list:
        with suppress(InvalidTensor):  # null, or what the adapter explains by the name of the column
            return Call(_stack_rows(signature, rows, booleans), signature.output_names)
    if signature.adapter is not None:
        from snooze.service.protocols.forms.raw import read_rows

        raw = read_rows(signature, rows)
        if raw is not None:
            return Call({}, signature.output_names, raw=raw)
    return Call(_stack_rows(signature, rows, booleans), signature.output_names)


def estimate_memory(signature: Signature, headers: Mapping[bytes, bytes], body: bytes, enough: int) -> int:
    """Return what `requests.memory_needed` returns. Raises UnsupportedMedia."""
    media = headers.get(b"content-type")
    if media in JSON_MEDIA:
        return memory_needed(body, len(body), signature.texts, enough)
    from snooze.service.protocols.forms.media import estimate_form

    assert media is not None
    return estimate_form(signature, media, body, enough)


def _advise(signature: Signature, body: bytes, error: InvalidRequest) -> InvalidRequest:
    """Return the error of a body that may be something else than JSON, whose client did not say what it is."""
    from snooze.service.protocols.forms.media import media_types

    _, *others = media_types(signature)
    if not body or body[:1] in b"[{" or not others:
        return error
    return InvalidRequest(f"{error}; for another form than JSON set Content-Type to {' or '.join(others)}")


def takes_texts(signature: Signature) -> bool:
    """Return whether a row of a model is a text."""
    if signature.adapter is not None:
        return signature.adapter.kind == "text"
    (spec, *others) = signature.inputs.values()
    return not others and spec.kind == "O" and spec.shape in ((-1,), (-1, 1))


def encode(signature: Signature, call: Call, arrays: list[Array], request_id: bytes) -> tuple[bytes, Headers]:
    """
    Return the body of a response and the headers that describe it.

    Raises:
        NotInJson: an output holds NaN or Infinity.
    """
    rows = len(next(iter(call.feeds.values())))
    # The Python objects of a row take up to a hundred times the memory of its outputs: few rows at a time.
    parts = [
        orjson.dumps(predictions_of(signature, call, arrays, rows, start))[1:-1] for start in range(0, rows, CHUNK_ROWS)
    ]
    if call.top or any(b"null" in part for part in parts):
        # orjson writes NaN and Infinity as null; a string may also contain "null". NaN has no place in an order.
        for name, array in zip(call.outputs, arrays, strict=True):
            if not finite(array):
                raise NotInJson(name, binary_path(signature))
    head = b'{"model":%s,"version":%d,"predictions":[' % (orjson.dumps(signature.model), signature.version)
    return b"".join((head, b",".join(parts), b"]}")), [JSON]


def binary_path(signature: Signature) -> str:
    """Return the path that accepts binary data for a model."""
    return f"/v2/models/{signature.model}/infer"


def _stack_rows(signature: Signature, rows: list[Any], booleans: bool) -> dict[str, Array]:
    """Return the inputs of rows that hold the model's own inputs: values of the only one, or objects by name."""
    inputs = signature.inputs
    if len(inputs) == 1 and type(rows[0]) is not dict:
        (spec,) = inputs.values()
        return {spec.name: stack(spec, rows, booleans)}
    for i, row in enumerate(rows):
        if type(row) is not dict or row.keys() != inputs.keys():
            raise InvalidRequest(f"row {i}: expected an object with: {', '.join(inputs)}")
    return {name: stack(spec, [row[name] for row in rows], booleans) for name, spec in inputs.items()}


def stack(spec: TensorSpec, rows: list[Any], booleans: bool) -> Array:
    """
    Return the values of one input, one for each of at least one row, as its array.

    Raises:
        InvalidTensor: they do not fit the model's signature.
    """
    shape = [len(rows)]
    level: Any = rows[0]
    while type(level) is list and len(shape) < len(spec.shape):
        shape.append(len(level))
        level = level[0] if level else None
    if len(shape) < len(spec.shape) and type(rows[0]) is not list:
        if len(spec.shape) == 2 and spec.shape[1] == 1:  # a column of a table
            return from_json(spec, [len(rows), 1], len(rows), rows, booleans)
        raise InvalidTensor(spec.name, f"expected each row to be a list; for one row: [[...]], got {brief(rows[0])}")
    return from_json(spec, shape, count(spec, shape), rows, booleans)


def predictions_of(
    signature: Signature, call: Call, arrays: list[Array], rows: int, start: int
) -> list[dict[str, Any]]:
    """Return the predictions of up to `CHUNK_ROWS` of the `rows`, from row `start` on."""
    predictions: list[dict[str, Any]] = [{} for _ in range(start, min(start + CHUNK_ROWS, rows))]
    label = scores = None
    others: list[tuple[str, Role | None, list[Any]]] = []
    for name, array in zip(call.outputs, arrays, strict=True):
        by_row = array.shape[:1] == (rows,)
        if by_row and rows > CHUNK_ROWS:
            array = array[start : start + CHUNK_ROWS]
        role = signature.outputs[name].role
        if role == "label":
            label = array if by_row else None
        elif role == "scores":
            scores = array if by_row else None
        else:  # an output without rows belongs to every row
            others.append((name, role, array.tolist() if by_row else [array.tolist()] * len(predictions)))
    _add_classes(predictions, signature, label, scores, call.top)
    for name, role, values in others:
        for prediction, value in zip(predictions, values, strict=True):
            if role == "value":
                _add_value(prediction, value, signature.labels)
            elif role == "embedding":
                prediction["embedding" if "embedding" not in prediction else name] = value
            else:
                prediction[name] = value
    return predictions


def _add_value(prediction: dict[str, Any], value: Any, names: tuple[str, ...] | None) -> None:
    """Add the value of a regressor, and by name where the bundle names as many values."""
    values = value if type(value) is list else [value]
    prediction["value"] = values[0] if len(values) == 1 else value
    if names is not None and len(names) == len(values):
        prediction["values"] = dict(zip(names, values, strict=True))


def _add_classes(
    predictions: list[dict[str, Any]], signature: Signature, label: Array | None, scores: Array | None, top: int
) -> None:
    """Add label, confidence and scores to each prediction; of the scores only the `top` highest, unless it is 0."""
    names = signature.labels
    table = None if scores is None else scores.reshape(len(scores), -1)
    if table is not None and table.shape[1] == 1 and names is not None and len(names) == 2:
        table = np.concatenate([1 - table, table], axis=1)  # one logistic score describes two classes
    numbers = None if label is None else label.reshape(len(label), -1).tolist()
    for i, prediction in enumerate(predictions):
        row = None if table is None else table[i].tolist()
        if numbers is not None:
            labels = [_label(number, names) for number in numbers[i]]
            prediction["label"] = labels[0] if len(labels) == 1 else labels
        elif row is not None:
            prediction["label"] = _label(max(range(len(row)), key=row.__getitem__), names)
        if row is not None:
            _add_scores(prediction, row, names, signature.probabilities, top)


def _add_scores(
    prediction: dict[str, Any], row: list[float], names: tuple[str, ...] | None, probabilities: bool, top: int
) -> None:
    keys = names if names is not None and len(names) == len(row) else tuple(map(str, range(len(row))))
    by_name = dict(zip(keys, row, strict=True))
    if probabilities:
        prediction["confidence"] = by_name.get(str(prediction["label"]), max(row))
    if top:
        highest = sorted(by_name, key=by_name.__getitem__, reverse=True)[:top]  # of equal ones the first class is first
        by_name = {key: by_name[key] for key in highest}
    prediction["probabilities" if probabilities else "scores"] = by_name


def _label(number: Any, names: tuple[str, ...] | None) -> Any:
    """Return the name of a class, unless the number is itself a name or there are no names."""
    if names is None or str(number) in names:
        return number if names is None else str(number)
    if type(number) is int and 0 <= number < len(names):
        return names[number]
    return number
