"""
The values of the inputs on which the trees of a model decide, found in the converted graph.

Rows of such values show what ordinary rows rarely do: a scaler that rounds differently moves a value that lies on a
threshold to its other side.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from snooze.convert.checks import graph as graphs
from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.interface import Feature, Original

GRID: Final = 64  # thresholds of trees without a scaler are tested at multiples of 1/64
ROUND: Final = (1, 2, 10)  # real values are integers, halves or tenths more often than not
NEAR: Final = 1e-6

Values: TypeAlias = Mapping[tuple[str, int], Array]  # by input and column


class Boundaries(NamedTuple):
    """Values that lie exactly on thresholds of trees or next to them, and values far from them, one in each gap."""

    on: Values
    between: Values


def find_boundaries(graph: Any, original: Original) -> Boundaries:
    """Return the boundaries of the trees in a graph; of none, if it is not known which columns the trees read."""
    found: dict[int, list[float]] = {}
    for number, threshold in graphs.thresholds(graph, direct=original.features is None):
        if np.isfinite(threshold):  # an infinite one tells missing values from others
            found.setdefault(number, []).append(threshold)
    on: dict[tuple[str, int], Array] = {}
    between: dict[tuple[str, int], Array] = {}
    for number, thresholds in found.items():
        feature = _feature(number, graph, original)
        if feature is None:
            continue
        values = np.sort(np.array(thresholds) * feature.scale + feature.center)
        place = feature.tensor, feature.column
        on[place] = _directly(values) if original.features is None else _around(values, feature)
        between[place] = _gaps(values)
    return Boundaries(*({place: values for place, values in kind.items() if values.size} for kind in (on, between)))


def _feature(number: int, graph: Any, original: Original) -> Feature | None:
    if original.features is None:
        return Feature(graph.graph.input[0].name, number)
    return original.features[number] if number < len(original.features) else None


def _directly(values: Array) -> Array:
    """Return the values that a column may have exactly; in single precision, others are not told from neighbours."""
    return np.asarray(values[values * GRID % 1 == 0])


def _around(values: Array, feature: Feature) -> Array:
    """
    Return values, their neighbours in single precision, and the rounded values closest to them.

    If the original compares in double precision, no graph decides as it does next to a threshold, but data of integers
    must be answered correctly: these are the integers among the values.
    """
    if not feature.single:
        integers = np.round(values)
        return np.unique(integers[np.isclose(integers, values, rtol=NEAR, atol=NEAR * abs(feature.scale))])
    single = values.astype(np.float32)
    neighbours = [np.nextafter(single, np.float32(end)).astype(np.float64) for end in (-np.inf, np.inf)]
    return np.unique(np.concatenate([values, *neighbours, *(np.round(values * parts) / parts for parts in ROUND)]))


def _gaps(values: Array) -> Array:
    """Return a value below, between and above each of the sorted values, exact in single precision."""
    width = max(float(np.ptp(values)), float(np.abs(values).max()) / 1000) or 1.0  # more than single precision rounds
    ends = np.concatenate([values[:1] - width / 10, values, values[-1:] + width / 10])
    return np.setdiff1d(((ends[1:] + ends[:-1]) / 2).astype(np.float32), values.astype(np.float32)).astype(np.float64)
