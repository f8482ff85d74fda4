"""Rows made up: from a model's signature where none were given, and edge cases beside those that were."""

from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.convert.checks.cases import Arrays, Rows

SEED: Final = 20261121
VARIABLE_SIZE: Final = 16  # what a variable dimension other than the row is given
BASES: Final = 8  # rows that each kind of edge row is made from
MOST_THRESHOLDS: Final = 256


def drawn(inputs: tuple[Tensor, ...], count: int) -> Rows:
    """
    Return `count` rows drawn from the signature alone: standard normal numbers, or small whole ones.

    They are the same each time, and exact in single precision.
    """
    generator = np.random.default_rng(SEED)
    arrays: Arrays = {}
    for tensor in inputs:
        shape = (count, *(VARIABLE_SIZE if size == -1 else size for size in tensor.shape[1:]))
        dtype = DATATYPES[tensor.datatype]
        if dtype.kind == "f":
            arrays[tensor.name] = generator.standard_normal(shape).astype(np.float32).astype(dtype)
        else:
            arrays[tensor.name] = generator.integers(0, 2, shape).astype(dtype)
    return Rows(arrays, real=False)


def edges(rows: Rows, thresholds: list[tuple[int, float]]) -> dict[str, Arrays]:
    """
    Return rows on which conversions go wrong although they agree on ordinary ones, by kind.

    From the first rows: whole numbers, zeros, the smallest and largest of each feature, turned signs, ten times as far
    out, and the nearest neighbours in single precision; and one row on each of the `thresholds` (feature, value) of
    the trees, where a comparison turns.
    """
    bases = rows.at_most(BASES).inputs
    with np.errstate(over="ignore"):  # ten times as far may be infinite
        kinds = {kind: _mapped(bases, edge) for kind, edge in EDGES.items()}
    for kind, extreme in (("smallest", np.min), ("largest", np.max)):
        kinds[kind] = {name: extreme(array, axis=0, keepdims=True) for name, array in rows.inputs.items()}
    if thresholds:
        kinds["on thresholds"] = _on_thresholds(rows.inputs, thresholds)
    return kinds


def missing(rows: Rows) -> dict[str, Arrays]:
    """Return rows of which some or all features are missing (NaN), where an input can hold that."""
    if not any(array.dtype.kind == "f" for array in rows.inputs.values()):
        return {}
    some, none = ({name: array[:1].copy() for name, array in rows.inputs.items()} for _ in range(2))
    for name, array in some.items():
        if array.dtype.kind == "f":
            array.reshape(-1)[::2] = np.nan
            none[name][...] = np.nan
    return {"some missing": some, "all missing": none}


def _mapped(arrays: Arrays, edge: Any) -> Arrays:
    return {name: edge(array) if array.dtype.kind == "f" else array.copy() for name, array in arrays.items()}


def _neighbour(direction: float) -> Any:
    def neighbour(array: Any) -> Any:
        return np.nextafter(array.astype(np.float32), np.float32(direction)).astype(array.dtype)

    return neighbour


EDGES: Final = {
    "whole numbers": np.round,
    "zeros": np.zeros_like,
    "turned signs": np.negative,
    "ten times as far": lambda array: array * 10,
    "next above": _neighbour(np.inf),
    "next below": _neighbour(-np.inf),
}


def _on_thresholds(arrays: Arrays, thresholds: list[tuple[int, float]]) -> Arrays:
    ((name, array),) = arrays.items()
    picked = thresholds[:: max(1, len(thresholds) // MOST_THRESHOLDS)][:MOST_THRESHOLDS]
    rows = array[np.arange(len(picked)) % len(array)].copy()
    for row, (feature, value) in zip(rows, picked, strict=True):
        row[feature] = value
    return {name: rows}
