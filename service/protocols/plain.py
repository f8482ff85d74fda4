"""
The plain protocol: rows in, labels and confidences out.

`POST /models/NAME/predict`, or `/predict` where one model is served, takes `{"rows": [...]}` or the bare list. For a
model of one input, a row is what one row of that input is: `[5.1, 3.5]` for shape [any, 2], `"a text"` for shape [any].
For a model of several inputs it is an object: `{"age": 31, "words": [4, 8]}`. An input of shape [any, 1], a column of a
table, takes the value alone. All rows of a request are run together.

The answer is `{"model": NAME, "version": 1, "predictions": [...]}`, for each row an object that holds, by the roles of
the model's outputs:

* `label`: the class's name. An integer output is the number of the class among the bundle's labels, unless the labels
  hold that very number as a text. Without a label output it is the class of the highest score.
* `confidence` and `probabilities` (by label), where the scores of the row are between 0 and 1 and sum to 1; otherwise
  `scores` (by label).
* `value`: a number, or a list of them.
* every other output under its own name.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson

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
from snooze.service.requests import parse_json
from snooze.service.responses import JSON

PROTOCOL: Final = "plain"
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
        InvalidRequest: the body is not a list of rows.
        InvalidTensor: the rows do not fit the model's signature.
    """
    if len(body) > LONG_LIST and len(signature.inputs) == 1:
        from snooze.service.protocols.numbers import read_rows

        (spec,) = signature.inputs.values()
        found = read_rows(spec, body, "rows")
        if found is not None:
            return Call({spec.name: found[1]}, signature.output_names)
    document = parse_json(body, binary_path(signature))
    rows = document.get("rows") if type(document) is dict else document
    if type(rows) is not list:
        raise InvalidRequest('expected {"rows": [...]} or a list of rows')
    if not rows:
        raise InvalidRequest("expected at least one row, got an empty list")
    booleans = may_hold_booleans(body, body.find(b"["))
    if len(signature.inputs) == 1:
        (spec,) = signature.inputs.values()
        return Call({spec.name: stack(spec, rows, booleans)}, signature.output_names)
    for i, row in enumerate(rows):
        if type(row) is not dict or row.keys() != signature.inputs.keys():
            raise InvalidRequest(f"row {i}: expected an object with: {', '.join(signature.inputs)}")
    feeds = {name: stack(spec, [row[name] for row in rows], booleans) for name, spec in signature.inputs.items()}
    return Call(feeds, signature.output_names)


def encode(signature: Signature, call: Call, arrays: list[Array], request_id: bytes) -> tuple[bytes, Headers]:
    """
    Return the body of a response and the headers that describe it.

    Raises:
        NotInJson: an output holds NaN or Infinity.
    """
    rows = len(next(iter(call.feeds.values())))
    # The Python objects of a row take up to a hundred times the memory of its outputs: few rows at a time.
    parts = [
        orjson.dumps(_predictions(signature, call.outputs, arrays, rows, start))[1:-1]
        for start in range(0, rows, CHUNK_ROWS)
    ]
    if any(b"null" in part for part in parts):
        # orjson writes NaN and Infinity as null; a string may also contain "null".
        for name, array in zip(call.outputs, arrays, strict=True):
            if not finite(array):
                raise NotInJson(name, binary_path(signature))
    head = b'{"model":%s,"version":%d,"predictions":[' % (orjson.dumps(signature.model), signature.version)
    return b"".join((head, b",".join(parts), b"]}")), [JSON]


def binary_path(signature: Signature) -> str:
    """Return the path that accepts binary data for a model."""
    return f"/v2/models/{signature.model}/infer"


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


def _predictions(
    signature: Signature, names: list[str], arrays: list[Array], rows: int, start: int
) -> list[dict[str, Any]]:
    """Return the predictions of up to `CHUNK_ROWS` of the `rows`, from row `start` on."""
    predictions: list[dict[str, Any]] = [{} for _ in range(start, min(start + CHUNK_ROWS, rows))]
    label = scores = None
    others: list[tuple[str, bool, list[Any]]] = []
    for name, array in zip(names, arrays, strict=True):
        by_row = array.shape[:1] == (rows,)
        if by_row and rows > CHUNK_ROWS:
            array = array[start : start + CHUNK_ROWS]
        role = signature.outputs[name].role
        if role == "label":
            label = array if by_row else None
        elif role == "scores":
            scores = array if by_row else None
        else:  # an output without rows belongs to every row
            others.append((name, role == "value", array.tolist() if by_row else [array.tolist()] * len(predictions)))
    _add_classes(predictions, signature, label, scores)
    for name, is_value, values in others:
        for prediction, value in zip(predictions, values, strict=True):
            if is_value:
                prediction["value"] = value[0] if type(value) is list and len(value) == 1 else value
            else:
                prediction[name] = value
    return predictions


def _add_classes(
    predictions: list[dict[str, Any]], signature: Signature, label: Array | None, scores: Array | None
) -> None:
    """Add label, confidence and scores to each prediction."""
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
            _add_scores(prediction, row, names, signature.probabilities)


def _add_scores(
    prediction: dict[str, Any], row: list[float], names: tuple[str, ...] | None, probabilities: bool
) -> None:
    keys = names if names is not None and len(names) == len(row) else tuple(map(str, range(len(row))))
    by_name = dict(zip(keys, row, strict=True))
    if probabilities:
        prediction["confidence"] = by_name.get(str(prediction["label"]), max(row))
        prediction["probabilities"] = by_name
    else:
        prediction["scores"] = by_name


def _label(number: Any, names: tuple[str, ...] | None) -> Any:
    """Return the name of a class, unless the number is itself a name or there are no names."""
    if names is None or str(number) in names:
        return number if names is None else str(number)
    if type(number) is int and 0 <= number < len(names):
        return names[number]
    return number
