"""Statistics of the inputs: what the model was converted on, to tell later whether requests still look like it."""

from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array, Rows

MOST_COLUMNS: Final = 1_000
LARGEST_SQUARED: Final = 1e150


def statistics(rows: Rows) -> dict[str, Any]:
    """
    Return for each input its number of rows and, by column of a matrix (or for the whole of a larger or deeper array),
    min, max, mean, standard deviation and the share that is missing. Empty for rows that were made up.
    """
    if not rows.real:
        return {}
    return {name: {"rows": len(array), "columns": _columns(array, rows.columns)} for name, array in rows.inputs.items()}


def _columns(array: Array, names: tuple[str, ...] | None) -> list[dict[str, Any]]:
    if array.ndim != 2 or array.shape[1] > MOST_COLUMNS:
        return [_of("all", array)]
    fitting = names if names is not None and len(names) == array.shape[1] else tuple(map(str, range(array.shape[1])))
    return [_of(name, array[:, index]) for index, name in enumerate(fitting)]


def _of(name: str, values: Array) -> dict[str, Any]:
    values = values.astype(np.float64)
    known = values[np.isfinite(values)]
    missing = 1 - known.size / values.size if values.size else 0.0
    if not known.size:
        return {"name": name, "min": None, "max": None, "mean": None, "std": None, "missing": missing}
    size = float(np.abs(known).max())
    scale = size if size > LARGEST_SQUARED else 1.0  # mean and deviation are never beyond the values, their sums may be
    scaled = known / scale
    found = {"min": known.min(), "max": known.max(), "mean": scaled.mean() * scale, "std": scaled.std() * scale}
    return {"name": name, **{key: float(value) for key, value in found.items()}, "missing": missing}
