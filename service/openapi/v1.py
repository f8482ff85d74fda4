"""The bodies of KServe's V1 as JSON Schema."""

from typing import Any

from snooze.service.openapi.plain import by_name, draw_rows, raw_rows, row_kinds, row_of, rows_of
from snooze.service.openapi.schemas import TEXT, Schema, any_of, list_of
from snooze.service.openapi.tensors import nested, scalar
from snooze.service.protocols.tensors import Signature, TensorSpec


def request(signature: Signature) -> Schema:
    """Return the schema of a request: by row in `instances`, or by column in `inputs`."""
    specs = list(signature.inputs.values())
    rows = {spec.name: row_of(spec, _value(spec)) for spec in specs}
    columns = {spec.name: rows_of([spec], rows[spec.name]) if spec.shape else _value(spec) for spec in specs}
    raw = [list_of(row) | {"minItems": 1} for row in raw_rows(signature)] if signature.raw is not None else []
    raw_columns = [*raw, *(by_name({signature.raw.name: one}) for one in raw[:1])] if signature.raw is not None else []
    # As one object, and not as one of two: client generators make a class of it.
    properties = {
        "instances": any_of(*(rows_of(specs, row) for row in row_kinds(rows)), *raw),
        "inputs": any_of(*row_kinds(columns), *raw_columns),
        "signature_name": {"enum": ["serving_default", "", None]},
    }
    either = {"minProperties": 1, "not": {"required": ["instances", "inputs"]}}
    return {"type": "object", "properties": properties, **either}


def response(signature: Signature) -> Schema:
    """Return the schema of a response: `predictions` by row, or `outputs` by column."""
    specs = signature.outputs.values()
    rows = {spec.name: nested(scalar(spec), spec.shape[1:]) for spec in specs}
    columns = {spec.name: nested(scalar(spec), spec.shape) for spec in specs}
    properties = {"predictions": list_of(row_kinds(rows)[0]), "outputs": row_kinds(columns)[0]}
    return {"type": "object", "properties": properties, "minProperties": 1, "maxProperties": 1}


def other_requests(signature: Signature) -> dict[str, Schema]:
    """Return that there are no requests in other forms than JSON."""
    return {}


def example(signature: Signature) -> Any:
    """Return a drawn request, or None if it would be too large."""
    rows = draw_rows(signature, raw=signature.raw is not None)
    return None if rows is None else {"instances": rows}


def _value(spec: TensorSpec) -> Schema:
    """Return the schema of one value; a string may be in base64."""
    value = scalar(spec)
    return any_of(value, by_name({"b64": TEXT | {"contentEncoding": "base64"}})) if spec.kind == "O" else value
