"""Single values of rows: which of them are missing, numbers or truth, and what they are as numbers and as texts."""

from typing import Any, Final, TypeAlias

import numpy as np

from snooze.bundle.errors import InvalidData

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]  # NDArray[Any], without importing numpy.typing at a cold start
Arrays: TypeAlias = dict[str, Array]

BOOLEANS: Final = {"true": 1.0, "false": 0.0}
NO_VALUE: Final = {  # what pandas takes for missing in a CSV file
    *("", "NA", "N/A", "n/a", "#NA", "#N/A", "#N/A N/A", "<NA>", "NULL", "null", "None"),
    *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
}


def to_numbers(column: Array, name: str, source: str, advice: str = "") -> Array:
    """Return texts, missing values, True and False as numbers. Raises InvalidData for a text that is not a number."""
    if column.dtype.kind in "biuf":
        return column
    numbers = np.empty(column.shape, np.float64)
    for place, value in np.ndenumerate(column):
        if is_missing(value):
            numbers[place] = np.nan
        elif isinstance(value, str) and value.lower() in BOOLEANS:
            numbers[place] = BOOLEANS[value.lower()]
        elif is_number(value):
            numbers[place] = to_number(value)
        else:
            wide = column.ndim > 1 and column.shape[1:] != (1,)
            where = f"input '{name}' at {list(place[1:])}" if wide else f"column '{name}'"
            raise InvalidData(source, f"row {place[0]}, {where}: {value!r} is not a number{advice}")
    return numbers


def to_texts(column: Array) -> Array:
    """Return values as texts: missing ones empty, numbers as they are written without a fraction of 0."""
    texts = np.empty(column.shape, object)
    for place, value in np.ndenumerate(column):
        if is_missing(value):
            texts[place] = ""
        elif isinstance(value, float) and value.is_integer():
            texts[place] = str(int(value))
        else:
            texts[place] = value if isinstance(value, bytes) else str(value)
    return texts


def is_missing(value: object) -> bool:
    """Return whether a value is None, an empty text, NaN or the missing value of pandas."""
    if isinstance(value, str | float):
        return not value.strip() if isinstance(value, str) else value != value
    return value is None or type(value).__name__ == "NAType"


def is_number(field: object) -> bool:
    """Return whether a value is a number, a text that is one, or a text that stands for a missing one."""
    try:
        to_number(field)
    except (TypeError, ValueError):
        return False
    return True


def to_number(field: Any) -> float:
    """Return a number, or a field of a CSV file as one: NaN if it is missing. Raises ValueError or TypeError."""
    if not isinstance(field, str):
        return float(field)
    text = field.strip()
    if "_" in text:  # Python would read 1_000
        raise ValueError(field)
    return np.nan if text in NO_VALUE else float(text)
