"""
The table that a booster takes, and its rows as the dataframe that it was trained on.

Numbers may be missing. A column that was categories of pandas is the category in raw rows, and its code in the graph.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snooze.bundle.adapters.table import Column, ColumnType, Declaration
from snooze.bundle.rows.reading import Rows
from snooze.bundle.rows.values import is_number, to_texts
from snooze.convert.adapters.tables import find_names
from snooze.convert.checks.cases import Array
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.boosting.ensemble import Categories, Ensemble
from snooze.convert.frameworks.interface import Inputs


def find_table(ensemble: Ensemble, inputs: Inputs, rows: Rows | None, closed: bool) -> Declaration | None:
    """
    Return the table of a booster; of one without names that of the user's rows, None if they have no names.

    `closed`: the library refuses unknown categories; otherwise they are missing.
    """
    names = ensemble.columns or find_names([one.tensor for one in inputs], rows)
    if names is None:
        return None
    known = ensemble.categories if ensemble.columns else {}
    return Declaration("table", tuple(_column(name, known.get(at, ()), rows, closed) for at, name in enumerate(names)))


def to_rows(ensemble: Ensemble, raw: Sequence[Mapping[str, Any]]) -> Any:
    """Return rows by column name as a dataframe with categories, or as an array if the booster knows no names."""
    if ensemble.columns is None:
        return np.array([list(row.values()) for row in raw], np.float64)
    pandas = import_extra("boost", "pandas")
    frame = {}
    for at, name in enumerate(ensemble.columns):
        values, known = [row[name] for row in raw], ensemble.categories.get(at)
        if known is None:
            frame[name] = np.array(values, np.float64)
        else:  # the library itself finds the codes, whatever categories the frame has
            values = _to_categories(values, known)
            frame[name] = pandas.Categorical(values, known if set(values) == {None} else None)
    return pandas.DataFrame(frame)


def _column(name: str, categories: Categories, rows: Rows | None, closed: bool) -> Column:
    given = np.empty(0, object) if rows is None else rows.arrays.get(name)
    if not categories or given is None or not _are_categories(given, categories):
        return Column(name, "number", missing=True)
    return Column(name, _type(categories), tuple(map(str, categories)), closed, coded=True, missing=True)


def _to_categories(values: list[Any], categories: Categories) -> list[Any]:
    """Return values that may be the codes of categories as categories, None for other codes."""
    if _are_categories(np.array([*values, None], object)[:-1], categories):
        return values
    return [categories[int(value)] if value in range(len(categories)) else None for value in values]


def _are_categories(values: Array, categories: Categories) -> bool:
    """Return whether the values of a column are categories, as they may be codes."""
    if any(isinstance(value, str) and not is_number(value) for value in values.tolist()):
        return True
    return {*to_texts(np.array(categories, object)), ""}.issuperset(to_texts(values))


def _type(categories: Categories) -> ColumnType:
    if all(isinstance(one, str) for one in categories):
        return "text"
    return "integer" if all(isinstance(one, int) for one in categories) else "number"
