"""The bodies of the plain protocol as JSON Schema."""

from base64 import b64encode
from math import prod
from typing import TYPE_CHECKING, Any, Final

from snooze.service.openapi.schemas import TEXT, Schema, any_of, list_of, object_of
from snooze.service.openapi.tensors import draw, nested, scalar
from snooze.service.protocols.forms.media import CSV, MULTIPART, media_types
from snooze.service.protocols.forms.media import TEXT as TEXT_PLAIN
from snooze.service.protocols.plain import takes_texts
from snooze.service.protocols.tensors import Signature, TensorSpec

if TYPE_CHECKING:
    from snooze.bundle.adapters.table import Column

MAX_PICTURE: Final = 16_384  # bytes of a drawn picture; a larger one would be most of the document
BINARY: Final[Schema] = {"type": "string", "format": "binary"}
MAX_LABELS: Final = 100  # listed; a classifier of thousands would be most of the document
NUMBERS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "number"}}


def request(signature: Signature) -> Schema:
    """Return the schema of a request in JSON: rows in an object."""
    specs = list(signature.inputs.values())
    own = row_kinds({spec.name: row_of(spec, scalar(spec)) for spec in specs})
    if signature.adapter is None:
        rows = rows_of(specs, any_of(*own))
    else:
        others = own if signature.adapter.kind != "table" else []
        rows = list_of(any_of(*raw_rows(signature), *others)) | {"minItems": 1}
    rows |= {"description": "The server also takes the bare list, without an object around it."}
    if not takes_texts(signature):
        return object_of({"rows": rows})
    either = {"minProperties": 1, "not": {"required": ["rows", "texts"]}}
    return {"type": "object", "properties": {"rows": rows, "texts": rows}, **either}


def other_requests(signature: Signature) -> dict[str, Schema]:
    """Return the content of requests in other forms than JSON, by media type."""
    contents: dict[str, Schema] = {}
    for media in media_types(signature)[1:]:
        contents[media] = {"schema": BINARY}
        if media == MULTIPART:
            files = {} if takes_texts(signature) else list_of(BINARY)  # in a form anything is a text
            files |= {"description": "One or several, under any name."}
            contents[media] = {"schema": {"type": "object", "properties": {"file": files}, "minProperties": 1}}
        elif media in (CSV, TEXT_PLAIN):
            rows = draw_rows(signature)
            text = {} if rows is None else {"example": rows[0] if media == TEXT_PLAIN else _write_csv(rows)}
            contents[media] = {"schema": TEXT} | text
    return contents


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
            if signature.labels is not None:
                sometimes["values"] = object_of({name: scalar(spec) for name in signature.labels})
        else:
            is_first = spec.role == "embedding" and "embedding" not in properties
            properties["embedding" if is_first else spec.name] = row
    prediction = object_of(always)
    prediction["properties"] |= sometimes
    model, version = {"const": signature.model}, {"const": signature.version}
    return object_of({"model": model, "version": version, "predictions": list_of(prediction)})


def example(signature: Signature) -> Any:
    """Return a drawn request, or None if it would be too large."""
    rows = draw_rows(signature)
    return None if rows is None else {"rows": rows}


def draw_rows(signature: Signature, raw: bool = True, seed: int = 0) -> list[Any] | None:
    """Return drawn rows, `raw` if the model has an adapter; None if they would be too large, or there are no rows."""
    if raw and signature.adapter is not None:
        drawn = signature.adapter.draw(1)
        if signature.adapter.kind != "image":
            return drawn
        return [{"b64": b64encode(row).decode()} for row in drawn] if sum(map(len, drawn)) <= MAX_PICTURE else None
    arrays = draw(signature, seed)
    if arrays is None or not all(array.ndim for array in arrays.values()):
        return None
    columns = {name: array.tolist() for name, array in arrays.items()}
    if len(columns) == 1:
        return next(iter(columns.values()))  # type: ignore[no-any-return]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def raw_rows(signature: Signature) -> list[Schema]:
    """Return the schemas of the raw rows that a model's adapter takes."""
    adapter: Any = signature.adapter
    if adapter.kind == "table":
        values = {column.name: _value_of(column) for column in adapter.columns}
        required = [column.name for column in adapter.columns if not column.missing and column.default is None]
        by_column = {"type": "object", "properties": values, "required": required}
        in_order = list_of(any_of(*values.values()), len(values)) | {"prefixItems": list(values.values())}
        return [by_column, in_order]
    base64 = TEXT | {"contentEncoding": "base64"}
    direct = [base64] if adapter.kind == "image" else [TEXT, list_of(TEXT, 1)]
    ways = any_of(*direct, by_name({"b64": base64}))
    name = next(iter(signature.inputs)) if signature.raw is None else signature.raw.name
    return [ways, by_name({name: ways})]


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


def row_kinds(schemas: dict[str, Schema]) -> list[Schema]:
    """Return the schemas of rows that hold all of these: an object, and before it the only one by itself."""
    return [*schemas.values(), by_name(schemas)] if len(schemas) == 1 else [by_name(schemas)]


def _value_of(column: "Column") -> Schema:
    """Return the schema of the values of a column; the server also takes other texts, if it does not say `closed`."""
    value: Schema = TEXT if column.type == "text" else {"type": ["number", "boolean"]}
    if column.closed and column.type == "text" and len(column.categories or ()) <= MAX_LABELS:
        value = TEXT | {"enum": list(column.categories or ())}
    return any_of(value, {"type": "null"}) if column.missing or column.default is not None else value


def _write_csv(rows: list[Any]) -> str:
    """Return rows as CSV, with a header if they have names."""
    import csv  # here, because a start with aliases needs only what is answered
    from io import StringIO

    text = StringIO(newline="")
    header = [list(rows[0])] if type(rows[0]) is dict else []
    csv.writer(text).writerows([*header, *(list(row.values()) if type(row) is dict else row for row in rows)])
    return text.getvalue()


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
