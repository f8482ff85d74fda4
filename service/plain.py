"""
The plain protocol: rows in, labels and confidences back.

`POST /models/NAME/predict`, or `/predict` where one model is served, takes `{"rows": [...]}` or the bare list. For a
model of one input, a row is what one row of that input is: `[5.1, 3.5]` for shape [any, 2], `"a text"` for shape [any].
For a model of several inputs it is an object: `{"age": 31, "words": [4, 8]}`. All rows of a request are run together.

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
from snooze.service.model import Model
from snooze.service.requests import parsed
from snooze.service.responses import JSON, Headers
from snooze.service.tensors import Array, Slot, count, finite, from_json
from snooze.service.v2 import Call

PROTOCOL: Final = "plain"


def parse(model: Model, headers: Mapping[bytes, bytes], body: bytes) -> Call:
    """
    Return the call that the rows of a request describe.

    Raises:
        InvalidRequest: the body is no list of rows.
        InvalidTensor: the rows do not fit the model's signature.
    """
    document = parsed(body, model.infer_path)
    rows = document.get("rows") if type(document) is dict else document
    if type(rows) is not list:
        raise InvalidRequest('expected {"rows": [...]} or a list of rows')
    if not rows:
        raise InvalidRequest("expected at least one row, got an empty list")
    if len(model.inputs) == 1:
        (slot,) = model.inputs.values()
        return Call({slot.name: _stack(slot, rows)}, model.output_names, None)
    for i, row in enumerate(rows):
        if type(row) is not dict or row.keys() != model.inputs.keys():
            raise InvalidRequest(f"row {i}: expected an object with: {', '.join(model.inputs)}")
    feeds = {name: _stack(slot, [row[name] for row in rows]) for name, slot in model.inputs.items()}
    return Call(feeds, model.output_names, None)


def answer(model: Model, call: Call, arrays: list[Array], request_id: bytes) -> tuple[bytes, Headers]:
    """
    Return the body of a response and the headers that describe it.

    Raises:
        NotInJson: an output holds NaN or Infinity.
    """
    for name, array in zip(call.outputs, arrays, strict=True):
        if not finite(array):
            raise NotInJson(name, model.infer_path)
    rows = len(next(iter(call.feeds.values())))
    predictions: list[dict[str, Any]] = [{} for _ in range(rows)]
    outputs = dict(zip(call.outputs, arrays, strict=True))
    roles = {tensor.role: tensor.name for tensor in model.bundle.outputs if tensor.role is not None}
    label, scores = roles.get("label"), roles.get("scores")
    _classes(
        predictions,
        model.bundle.labels,
        None if label is None else outputs.pop(label),
        None if scores is None else outputs.pop(scores),
        model.confident,
    )
    for name, array in outputs.items():
        key = "value" if name == roles.get("value") else name
        values = array.tolist()
        if len(values) != rows:
            # The output is not one of rows: it belongs to all of them alike.
            values = [values] * rows
        for prediction, value in zip(predictions, values, strict=True):
            prediction[key] = value[0] if key == "value" and type(value) is list and len(value) == 1 else value
    document = {"model": model.name, "version": model.version, "predictions": predictions}
    return orjson.dumps(document), [JSON]


def _stack(slot: Slot, rows: list[Any]) -> Array:
    """Return the values of one input, one for each row, as its array."""
    shape = [len(rows)]
    level: Any = rows[0]
    while type(level) is list and len(shape) < len(slot.shape):
        shape.append(len(level))
        level = level[0] if level else None
    if len(shape) < len(slot.shape) and type(rows[0]) is not list:
        raise InvalidTensor(slot.name, f"expected each row to be a list; for one row: [[...]], got {_brief(rows[0])}")
    count(slot, shape)
    return from_json(slot, shape, rows)


def _classes(
    predictions: list[dict[str, Any]],
    names: tuple[str, ...] | None,
    label: Array | None,
    scores: Array | None,
    confident: bool,
) -> None:
    """Add label, confidence and scores to each prediction. Scores of a `confident` model are probabilities."""
    table = None if scores is None or len(scores) != len(predictions) else scores.reshape(len(scores), -1)
    if table is not None and table.shape[1] == 1 and names is not None and len(names) == 2:
        # One logistic output speaks for two classes.
        table = np.concatenate([1 - table, table], axis=1)
    numbers = None if label is None or len(label) != len(predictions) else label.reshape(len(label), -1)[:, 0].tolist()
    for i, prediction in enumerate(predictions):
        row = None if table is None else table[i].tolist()
        number = numbers[i] if numbers is not None else None
        if number is None and row is not None:
            number = max(range(len(row)), key=row.__getitem__)
        if number is not None:
            prediction["label"] = _name(number, names)
        if row is not None:
            _add_scores(prediction, row, names, confident)


def _add_scores(prediction: dict[str, Any], row: list[float], names: tuple[str, ...] | None, confident: bool) -> None:
    keys = names if names is not None and len(names) == len(row) else tuple(map(str, range(len(row))))
    by_name = dict(zip(keys, row, strict=True))
    if confident:
        prediction["confidence"] = by_name.get(str(prediction["label"]), max(row))
        prediction["probabilities"] = by_name
    else:
        prediction["scores"] = by_name


def _name(number: Any, names: tuple[str, ...] | None) -> Any:
    if names is None or str(number) in names:
        return number if names is None else str(number)
    if type(number) is int and 0 <= number < len(names):
        return names[number]
    return number


def _brief(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
