"""
In which interval of its column a number lies, and straight lines between points, as in `numpy.interp`.

Columns may have different edges; those with fewer are filled up with NaN.
"""

from typing import Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.sklearn.converters.nodes import Value

FEW: Final = 16  # edges, which are all compared; of more, some are compared in a binary search


def count_reached(rows: Value, edges: Array) -> Value:
    """
    Return how many of the sorted edges [edges, columns] each number [rows, columns] reaches.

    It is `numpy.searchsorted(edges, rows, side="right")`; NaN reaches none.
    """
    edges = round_up(edges, rows.dtype)
    count, columns = edges.shape
    if count <= FEW:
        reached = rows.add_axes(2) >= edges.T[None]
        return reached.cast(np.int64).sum(2, keep=False)
    size = 1 << count.bit_length()
    padding = np.full((size - count, columns), np.nan)
    table = rows.same(np.concatenate([edges, padding]).T.ravel())
    before = np.arange(columns)[None] * size - 1
    at = rows.nodes.value(before)
    step = size
    while step := step // 2:
        ahead = at + step
        at = rows.nodes.where(table.take(ahead, axis=0) <= rows, ahead, at)
    found: Value = at - before
    return found


def look_up(numbers: Value, table: Array, dtype: object) -> Value:
    """Return the entries [rows, columns, ...] of a table [entries, columns, ...] with these numbers [rows, columns]."""
    entries, columns = table.shape[:2]
    flat = np.swapaxes(table, 0, 1).reshape(columns * entries, *table.shape[2:])
    return numbers.nodes.value(flat, dtype).take(numbers + np.arange(columns)[None] * entries, axis=0)


def interpolate(rows: Value, points: Array, values: Array, near: float = 0) -> Value:
    """
    Return lines through sorted points [points, columns] and values of their shape, which are constant beyond them.

    At a point that several have, the value is the mean of the first and the last of them. Numbers are on a point if
    they differ by at most `near` of it. The rows must be in double precision, and the result is.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = np.diff(values, axis=0) / np.diff(points, axis=0)
    level = np.zeros((1, points.shape[1]))
    slopes = np.concatenate([level, np.nan_to_num(slopes, posinf=0, neginf=0), level])
    numbers = count_reached(rows, points - near * np.abs(points))
    starts = look_up(numbers, np.concatenate([points[:1], points]), np.float64)
    offsets = rows - starts
    if near:
        offsets = rows.nodes.where(offsets.map("Abs") <= starts.map("Abs") * near, 0.0, offsets)
    first = np.concatenate([values[:1], values])
    lines = look_up(numbers, first, np.float64) + look_up(numbers, slopes, np.float64) * offsets
    if (np.diff(points, axis=0) != 0).all():
        return lines
    means = (first + np.concatenate([values[:1], _first_of_equals(points, values)])) / 2
    return rows.nodes.where(offsets.equals(0.0), look_up(numbers, means, np.float64), lines)


def round_up(numbers: Array, dtype: object) -> Array:
    """Return numbers in a precision in which comparing rows of it with them (`>=`) gives the same."""
    rounded = numbers.astype(np.dtype(dtype))  # type: ignore[call-overload]
    above: Array = np.where(rounded < numbers, np.nextafter(rounded, rounded.dtype.type(np.inf)), rounded)
    return above


def _first_of_equals(points: Array, values: Array) -> Array:
    first = [np.searchsorted(column, column, side="left") for column in points.T]
    found: Array = np.take_along_axis(values, np.stack(first, axis=1), axis=0)
    return found
