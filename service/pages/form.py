"""The form that fits a model: fields for a row of a table, a box for a text or for JSON, a place for a picture."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import prod
from typing import Any, Final

import orjson

from snooze.bundle.adapters.table import Column
from snooze.service.pages import examples
from snooze.service.runtime.model import Model

MAX_FIELDS: Final = 100  # a row of more columns is written as JSON
MAX_CHOICES: Final = 500
TOP: Final = 10  # classes that are shown


def render(model: Model, base: str) -> Iterator[str]:
    """Yield the form. `base` is the address of the model's version, relative to the page."""
    adapter: Any = model.adapter
    rows = examples.draw(model)
    kind = "rows" if adapter is None else adapter.kind
    if kind == "table" and len(adapter.columns) > MAX_FIELDS:
        kind = "rows"
    example = "" if rows is None else f'data-example="{base}/example"'
    yield (
        f'<form id="try" data-kind="{kind}" data-path="{base}/predict{_query(model)}" {example} novalidate '
        'aria-labelledby="try-title">'
    )
    match kind:
        case "table":
            yield from _fields(adapter.columns, rows)
        case "text":
            yield from _box("A text", "text", rows[0] if rows else "", 5)
        case "image":
            yield from _picture()
        case _:
            yield from _box("Rows, as JSON", "rows", _document(rows), 6)
    yield '<p class="problem" id="problem" role="alert" hidden></p>'
    yield '<p class="buttons"><button type="submit" class="main">Predict</button>'
    if example:
        word = "Use a drawn picture" if kind == "image" else "Another example"
        yield f'<button type="button" id="another">{word}</button>'
    yield "</p></form>"


def _query(model: Model) -> str:
    scores = next((tensor for tensor in model.bundle.outputs if tensor.role == "scores"), None)
    classes = len(model.bundle.labels or ()) or (0 if scores is None else prod(scores.shape[1:]))
    return f"?top={TOP}" if classes > TOP else ""


def _document(rows: Sequence[Any] | None) -> str:
    """Return the rows as JSON, one a line."""
    if rows is None:
        return ""
    return "[\n" + ",\n".join(orjson.dumps(row).decode() for row in rows) + "\n]"


def _box(label: str, name: str, content: str, lines: int) -> Iterator[str]:
    yield f'<label for="{name}">{label}</label>'
    attributes = f'id="{name}" rows="{lines}" spellcheck="false" aria-describedby="problem"'
    # A browser leaves out a line break after the start tag, be it this one or the text's.
    yield f"<textarea {attributes}>\n{escape(content)}</textarea>"


def _picture() -> Iterator[str]:
    yield (
        '<label class="drop" for="picture"><input type="file" id="picture" aria-describedby="problem" '
        'accept="image/jpeg,image/png,image/webp,image/bmp"><img id="preview" alt="" hidden>'
        "<span><b>Choose a picture</b> or drop it here</span>"
        '<span id="chosen" class="note">JPEG, PNG, WebP or BMP</span></label>'
    )


def _fields(columns: Sequence[Column], rows: Sequence[Any] | None) -> Iterator[str]:
    values: Mapping[str, Any] = rows[0] if rows else {}
    yield '<div class="fields">'
    for number, column in enumerate(columns):
        name = f"column-{number}"
        yield f'<div class="field"><label for="{name}">{_breakable(column.name)}</label>'
        yield from _field(name, column, values.get(column.name))
        yield f'<p class="note" id="{name}-note">{_hint(column)}</p></div>'
    yield "</div>"


def _field(name: str, column: Column, value: object) -> Iterator[str]:
    shown = "" if value is None else str(value)
    choices = column.categories or ()
    attributes = (
        f'id="{name}" data-column="{escape(column.name)}" data-type="{column.type}" aria-describedby="{name}-note"'
    )
    if len(choices) > MAX_CHOICES:
        choices = ()
    if column.closed and choices:
        yield f"<select {attributes}>"
        if column.missing or column.default is not None:
            yield '<option value="">(missing)</option>'
        for choice in choices:
            selected = " selected" if _is(choice, column, value) else ""
            yield f'<option value="{escape(choice)}"{selected}>{escape(choice)}</option>'
        yield "</select>"
        return
    mode = "text" if column.type == "text" else "decimal"
    listed = f' list="{name}-list"' if choices else ""
    yield f'<input {attributes}{listed} inputmode="{mode}" autocomplete="off" value="{escape(shown)}">'
    if choices:
        yield f'<datalist id="{name}-list">{"".join(f"<option>{escape(one)}</option>" for one in choices)}</datalist>'


def _is(choice: str, column: Column, value: object) -> bool:
    """Return whether a category, which is a text, is a value of its column."""
    return choice == value or (column.type != "text" and value is not None and float(choice) == value)


def _breakable(name: str) -> str:
    """Return the name of a column as HTML in which a line may be broken after each underscore."""
    return escape(name).replace("_", "_<wbr>")


def _hint(column: Column) -> str:
    """Return what a field takes, unless it is simply a number."""
    kind = "" if column.type == "number" else column.type
    if column.default is None:
        return ", ".join(filter(None, (kind, "may be empty" if column.missing else "")))
    return ", ".join(filter(None, (kind, f"{escape(column.default)} if empty")))
