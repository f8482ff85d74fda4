"""The bodies of the plain protocol as JSON Schema."""

from math import prod
from typing import Any, Final

from snooze.service.openapi.schemas import TEXT, Schema, any_of, list_of, object_of
from snooze.service.openapi.tensors import draw, nested, scalar
from snooze.service.protocols.tensors import Signature, TensorSpec

MAX_LABELS: Final = 100  # listed; a classifier of thousands would be most of the document
NUMBERS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "number"}}


def request(signature: Signature) -> Schema:
    """Return the schema of a request: rows in an object."""
    specs = list(signature.inputs.values())
    row = row_of(specs[0], scalar(specs[0]))
    if len(specs) > 1:
        row = by_name({spec.name: row_of(spec, scalar(spec)) for spec in specs})
    rows = rows_of(specs, row) | {"description": "The server also takes the bare list, without an object around it."}
    return object_of({"rows": rows})


def response(signature: Signature) -> Schema:
    """Return the schema of a response."""
    always: dict[str, Schema] = {}
    sometimes: dict[str, Schema] = {}
    for spec in signature.outputs.values():
        by_row = spec.shape[:1] == (-1,)
        row = nested(scalar(spec), spec.shape[1:]) if by_row else {}
        properties = always if by_row or spec.role not in ("label", "scores") else sometimes
        if spec.role == "label":
            properties["label"] = _label(signature.labels, spec)
        elif spec.role == "scores":
            if not any(output.role == "label" for output in signature.outputs.values()):
                properties["label"] = _class(signature.labels, {"type": "integer"})
            if signature.probabilities:
                properties |= {"confidence": {"type": "number"}, "probabilities": NUMBERS}
            else:
                properties["scores"] = NUMBERS
        elif spec.role == "value":
            properties["value"] = _value(spec) if by_row else {}
        else:
            properties[spec.name] = row
    prediction = object_of(always)
    prediction["properties"] |= sometimes
    model, version = {"const": signature.model}, {"const": signature.version}
    return object_of({"model": model, "version": version, "predictions": list_of(prediction)})


def example(signature: Signature) -> Any:
    """Return a drawn request, or None if it would be too large."""
    rows = draw_rows(signature)
    return None if rows is None else {"rows": rows}


def draw_rows(signature: Signature) -> list[Any] | None:
    """Return drawn rows, or None if they would be too large, or the model has no rows."""
    arrays = draw(signature)
    if arrays is None or not all(array.ndim for array in arrays.values()):
        return None
    columns = {name: array.tolist() for name, array in arrays.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))  # type: ignore[no-any-return]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def row_of(spec: TensorSpec, value: Schema) -> Schema:
    """Return the schema of one row of an input with such values; a column of a table takes the value alone."""
    row = nested(value, spec.shape[1:])
    return any_of(value, row) if len(spec.shape) == 2 and spec.shape[1] == 1 else row


def rows_of(specs: list[TensorSpec], row: Schema) -> Schema:
    """Return the schema of a list of rows: as many as the inputs' first dimension says, at least one."""
    fixed = [spec.shape[0] for spec in specs if spec.shape and spec.shape[0] != -1]
    limits = {"minItems": max(fixed), "maxItems": min(fixed)} if fixed else {"minItems": 1}
    return list_of(row) | limits


def by_name(schemas: dict[str, Schema]) -> Schema:
    """Return the schema of an object that holds all of these and nothing else."""
    return object_of(schemas) | {"additionalProperties": False}


def _label(names: tuple[str, ...] | None, spec: TensorSpec) -> Schema:
    one = _class(names, scalar(spec))
    if -1 in spec.shape[1:]:
        return any_of(one, list_of(one))
    number = prod(spec.shape[1:])
    return one if number == 1 else list_of(one, number)


def _class(names: tuple[str, ...] | None, number: Schema) -> Schema:
    """Return the schema of a label: a name, or the number of a class that has none."""
    if names is None or number["type"] == "string":
        return number
    return any_of(TEXT | ({"enum": list(names)} if len(names) <= MAX_LABELS else {}), number)


def _value(spec: TensorSpec) -> Schema:
    value, sizes = scalar(spec), spec.shape[1:]
    if sizes[:1] == (-1,):
        return any_of(nested(value, sizes), nested(value, sizes[1:]))
    return nested(value, sizes[1:] if sizes[:1] == (1,) else sizes)
