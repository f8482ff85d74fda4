"""Made-up data: drawn from a model's signature if there are no rows, and edge cases derived from the rows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from snooze.bundle.rows import draw
from snooze.convert.checks.cases import Array, Case, rows_case
from snooze.convert.checks.dataset import Dataset
from snooze.convert.frameworks.interface import Inputs

ROWS: Final = 512
BASES: Final = 8  # units from which each kind of edge case is derived
MAX_THRESHOLDS: Final = 256


def draw_data(inputs: Inputs, count: int = ROWS) -> Dataset:
    """Return `count` rows drawn from the signature, the same each time."""
    return Dataset((rows_case(draw([one.tensor for one in inputs], count)),), real=False)


def edge_cases(data: Dataset, thresholds: Sequence[tuple[int, float]]) -> dict[str, list[Case]]:
    """
    Return cases on which conversions fail although they agree on ordinary ones, by kind.

    From some units: integers, zeros, negated, ten times as large, and the nearest neighbours in single precision;
    the minimum and maximum of each feature; and one row on each of the `thresholds` (feature, value) of trees.
    """
    bases = data.take_evenly(BASES).cases
    with np.errstate(over="ignore"):  # ten times as large may be infinite
        kinds = {kind: [_map(case, change) for case in bases] for kind, change in EDGES.items()}
    for kind, extreme in EXTREMES.items():
        kinds[kind] = [_reduce(case, extreme) for case in data.cases if case.rows]
    if thresholds:
        kinds["on thresholds"] = [_on_thresholds(data.cases[0], thresholds)]
    return {kind: cases for kind, cases in kinds.items() if cases}


def missing_cases(data: Dataset) -> dict[str, list[Case]]:
    """Return cases in which some or all features are missing (NaN), if an input can hold NaN."""
    first = data.cases[0].take(slice(1))
    if not any(array.dtype.kind == "f" for array in first.tensors.values()):
        return {}
    return {"some missing": [_map(first, _missing(2))], "all missing": [_map(first, _missing(1))]}


def _map(case: Case, change: Callable[[Array], Array]) -> Case:
    """Return a case with its floating-point tensors changed."""
    tensors = case.tensors.items()  # a function of a rank-0 array returns a scalar
    return Case({name: np.asarray(change(one)) if one.dtype.kind == "f" else one for name, one in tensors}, case.axes)


def _reduce(case: Case, extreme: Callable[..., Array]) -> Case:
    """Return a case of one row: the extremes of each feature of numeric tensors, the first row of others."""
    first = case.take(slice(1))
    tensors = {
        name: array
        if (axis := case.axes[name]) is None or array.dtype.kind not in "biuf"
        else extreme(case.tensors[name], axis=axis, keepdims=True)
        for name, array in first.tensors.items()
    }
    return Case(tensors, case.axes)


def _neighbour(direction: float) -> Callable[[Array], Array]:
    def neighbour(array: Array) -> Array:
        return np.nextafter(array.astype(np.float32), np.float32(direction)).astype(array.dtype)

    return neighbour


def _missing(step: int) -> Callable[[Array], Array]:
    def remove(array: Array) -> Array:
        return np.where(np.arange(array.size).reshape(array.shape) % step, array, np.nan).astype(array.dtype)

    return remove


EDGES: Final[Mapping[str, Callable[[Array], Array]]] = {
    "integers": np.round,
    "zeros": np.zeros_like,
    "negated": np.negative,
    "ten times as large": lambda array: array * 10,
    "next larger": _neighbour(np.inf),
    "next smaller": _neighbour(-np.inf),
}
EXTREMES: Final[Mapping[str, Callable[..., Array]]] = {"minimum": np.min, "maximum": np.max}


def _on_thresholds(case: Case, thresholds: Sequence[tuple[int, float]]) -> Case:
    ((name, array),) = case.tensors.items()
    picked = thresholds[:: max(1, len(thresholds) // MAX_THRESHOLDS)][:MAX_THRESHOLDS]
    rows = array[np.arange(len(picked)) % len(array)].copy()
    for row, (feature, value) in zip(rows, picked, strict=True):
        row[feature] = value
    return rows_case({name: rows})
