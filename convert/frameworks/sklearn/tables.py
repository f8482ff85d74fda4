"""
The table that a fitted model takes: its columns, and what is asked of them, found out by asking the model.

Whether a column may be missing, whether an encoder refuses a category that it does not know, and whether other columns
are ignored, is what the model does with a row that has them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np

from snooze.bundle.adapters.table import Column as TableColumn
from snooze.bundle.adapters.table import Declaration
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.reading import Rows
from snooze.convert.adapters.raw_rows import raw_rows
from snooze.convert.adapters.tables import find_names
from snooze.convert.checks.cases import Array, Arrays
from snooze.convert.checks.synthetic import draw_inputs
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.interface import Inputs
from snooze.convert.frameworks.sklearn.columns import DTYPES, FEATURES, LABEL, Column, Layout, is_missing

UNKNOWN: Final = "a category that no model was trained on"

Row = Mapping[str, Any]
Answer = Callable[[Sequence[Row]], Arrays]


def find_table(layout: Layout, answer: Answer, inputs: Inputs, rows: Rows | None) -> Declaration | None:
    """
    Return the table of a model, None if its columns have no names.

    `answer` gives the model's answers to rows by column name. The names of a matrix without names are those of the
    user's rows.
    """
    names: Sequence[str] | None = [one.name for one in layout.columns]
    if layout.form == "matrix" and layout.names is None:
        names = find_names([one.tensor for one in inputs], rows)
    if layout.form in ("texts", "labels") or names is None:
        return None
    columns = [TableColumn(name, one.kind, _categories(one)) for name, one in zip(names, layout.columns, strict=True)]
    table = Declaration("table", tuple(columns))
    row = _example(table, layout, inputs, rows)

    def accepts(**changes: Any) -> bool:
        try:
            answer([{**row, **changes}])
        except Exception:  # a model's own code raises anything
            return False
        return True

    if not accepts():
        return table
    refusing = [] if accepts(**dict.fromkeys(row)) else _find_refusing(columns, layout, accepts)
    found = tuple(_ask(column, accepts, column.name not in refusing) for column in columns)
    other = next(name for name in map(str, range(len(row) + 1)) if name not in row)
    ignores = layout.names is not None and accepts(**{other: 0.0})
    return Declaration("table", found, "ignore" if ignores else "refuse")


def to_rows(layout: Layout, raw: Sequence[Row]) -> Any:
    """Return rows by column name as a model takes them: a dataframe with all their columns, or an array."""
    if layout.names is None:
        return layout.rows(_to_arrays(layout, raw))
    pandas = import_extra("sklearn", "pandas")
    columns = {one.name: _values(one, [row[one.name] for row in raw]) for one in layout.columns}
    others = [name for name in raw[0] if name not in columns and name not in layout.names]
    columns |= {name: np.array([row[name] for row in raw]) for name in others}
    # Pandas would make texts of its own type of them, which cannot hold None.
    frame = pandas.DataFrame({name: pandas.Series(array, dtype=array.dtype) for name, array in columns.items()})
    return frame.reindex(columns=[*layout.names, *others])  # those that are dropped are empty


def _to_arrays(layout: Layout, raw: Sequence[Row]) -> Arrays:
    if layout.form == "labels":  # in a column of any name
        return {LABEL: _values(layout.columns[0], [value for row in raw for value in row.values()])}
    if layout.form == "matrix":
        return {FEATURES: np.array([list(row.values()) for row in raw], DTYPES[layout.kind])}
    return {one.name: _values(one, [row[one.name] for row in raw]) for one in layout.columns}


def _values(column: Column, values: list[Any]) -> Array:
    """Return the values of a column as a model takes them: what it knows as missing instead of None."""
    if column.kind == "text":
        missing = None if isinstance(column.missing, str) else column.missing
        return np.array([*(missing if value is None else value for value in values), None], object)[:-1]
    integers = column.kind == "integer" and None not in values
    return np.array(values, np.int64 if integers else np.float64)


def _example(table: Declaration, layout: Layout, inputs: Inputs, rows: Rows | None) -> Row:
    """Return a row that the model should accept: the user's first, or one that is drawn."""
    with suppress(InvalidData):  # which the fitting of the rows explains
        given = None if rows is None or rows.raw is not None else raw_rows(table, rows, "")
        if given:
            return dict(given[0])
    drawn = [array.ravel() for array in draw_inputs(inputs, 1).values()]
    values = drawn[0].tolist() if layout.form == "matrix" else [one.item() for one in drawn]
    return {one.name: _choose(one, value) for one, value in zip(table.columns, values, strict=True)}


def _choose(column: TableColumn, drawn: Any) -> Any:
    """Return the first category of a column, or what was drawn for one without categories."""
    if column.categories is None:
        return None if drawn == "" else drawn
    return column.categories[0] if column.type == "text" else float(column.categories[0])


def _categories(column: Column) -> tuple[str, ...] | None:
    """Return the categories that the encoders of a column know, as a CSV file has them."""
    found = dict.fromkeys(value for use in column.uses for value in _known(use.reader, use.at))
    return tuple(found) or None


def _known(reader: Any, at: int) -> Iterator[str]:
    for value in np.asarray(reader.categories_[at]).tolist() if hasattr(reader, "categories_") else ():
        if not is_missing(value):
            yield str(int(value) if isinstance(value, bool) else value)


def _find_refusing(columns: Sequence[TableColumn], layout: Layout, accepts: Callable[..., bool]) -> list[str]:
    """Return the columns that must not be missing. Those without categories are alike if the same parts read them."""
    answers: dict[Any, bool] = {}
    refusing = []
    for column, one in zip(columns, layout.columns, strict=True):
        alike = column.name if column.categories else tuple(id(use.reader) for use in one.uses)
        if alike not in answers:
            answers[alike] = accepts(**{column.name: None})
        if not answers[alike]:
            refusing.append(column.name)
    return refusing


def _ask(column: TableColumn, accepts: Callable[..., bool], may_miss: bool) -> TableColumn:
    """Return a column with what the model does with values that are missing or that it does not know."""
    missing = column.type != "integer" and may_miss
    if column.categories is None:
        return column._replace(missing=missing)
    unknown: Any = UNKNOWN if column.type == "text" else max(map(float, column.categories)) + 1
    return column._replace(missing=missing, closed=not accepts(**{column.name: unknown}))
