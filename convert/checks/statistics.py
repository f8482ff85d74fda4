"""Statistics of the input data, to tell later whether requests still look like the data of the conversion."""

from typing import Final

import numpy as np

from snooze.bundle.evidence import Column, InputStatistics
from snooze.convert.checks.cases import Array
from snooze.convert.checks.dataset import Dataset

MAX_COLUMNS: Final = 1_000
MAX_SQUARED: Final = 1e150  # squares of larger numbers overflow a float


def describe(data: Dataset) -> dict[str, InputStatistics]:
    """
    Return the statistics of each numeric input: by column of a matrix, over everything for other arrays.

    Empty for drawn data.
    """
    if not data.real:
        return {}
    found = {name: [case.by_unit(name) for case in data.cases] for name in data.cases[0].tensors}
    numeric = {name: arrays for name, arrays in found.items() if arrays[0].dtype.kind in "biuf"}
    return {name: InputStatistics(len(data), _columns(arrays, data.columns)) for name, arrays in numeric.items()}


def _columns(arrays: list[Array], names: tuple[str, ...] | None) -> tuple[Column, ...]:
    shapes = {array.shape[1:] for array in arrays}
    width = shapes.pop()[0] if len(shapes) == 1 and arrays[0].ndim == 2 else 0
    if not 0 < width <= MAX_COLUMNS:
        return (_column("all", np.concatenate([array.reshape(-1) for array in arrays])),)
    matrix = np.concatenate(arrays)
    fitting = names if names is not None and len(names) == width else tuple(map(str, range(width)))
    return tuple(_column(name, matrix[:, index]) for index, name in enumerate(fitting))


def _column(name: str, values: Array) -> Column:
    values = values.astype(np.float64)
    known = values[np.isfinite(values)]
    missing = 1 - known.size / values.size if values.size else 0.0
    if not known.size:
        return Column(name, None, None, None, None, missing)
    largest = float(np.abs(known).max())
    scale = largest if largest > MAX_SQUARED else 1.0  # the sums of huge values overflow, mean and deviation do not
    mean, deviation = float((known / scale).mean() * scale), float((known / scale).std() * scale)
    return Column(name, float(known.min()), float(known.max()), mean, deviation, missing)
