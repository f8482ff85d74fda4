"""
The model whose answers a graph is compared with: the original, except in what it decides by chance.

Among neighbours that are equally far away scikit-learn chooses as its algorithm happens to come across them. Which it
finds differs between its algorithms, its versions and the instructions of a CPU, so a graph cannot repeat it: graphs
take the first, and so does the reference.
"""

import copy
from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.sklearn.parts import fitted_parts

REFERENCE: Final = "the model in its framework, taking the first of neighbours that are equally far away"
SPARE: Final = 32  # neighbours beyond those that count
DIGITS: Final = 9  # of the distances of rows with missing values, in which scikit-learn's are exact


def make_reference(model: Any) -> Any:
    """Return a copy of a model that takes the first of equally near neighbours; itself if it has no neighbours."""
    if not has_neighbours(model):
        return model
    model = copy.deepcopy(model)
    for part in filter(_searches, list(fitted_parts(model))):
        if hasattr(part, "kneighbors"):
            _settle_search(part)
        else:
            _settle_imputer(part)
    return model


def has_neighbours(model: Any) -> bool:
    """Return whether a model looks for its nearest neighbours."""
    return any(map(_searches, fitted_parts(model)))


def _searches(part: Any) -> bool:
    return hasattr(part, "kneighbors") or type(part).__name__ == "KNNImputer"


def _settle_search(part: Any) -> None:
    search = part.kneighbors
    if getattr(part, "weights", None) == "uniform":
        part.weights = None  # the same, but without a search of its own

    def kneighbors(X: Any = None, n_neighbors: int | None = None, return_distance: bool = True) -> Any:  # noqa: N803
        count = part.n_neighbors if n_neighbors is None else n_neighbors
        distances, numbers = search(X, min(count + SPARE, part.n_samples_fit_))
        if (distances[:, -1] == distances[:, count - 1]).any():
            distances, numbers = search(X, part.n_samples_fit_)
        order = np.lexsort((numbers, distances))[:, :count]
        found = tuple(np.take_along_axis(one, order, axis=1) for one in (distances, numbers))
        return found if return_distance else found[1]

    part.kneighbors = kneighbors


def _settle_imputer(part: Any) -> None:
    impute = part._calc_impute

    def calculate(distances: Array, count: int, values: Array, missing: Array) -> Array:
        digits = np.round(distances / np.nanmax(distances), DIGITS)
        order = np.argsort(digits, axis=1, kind="stable")[:, :count]
        rows = zip(distances, order, strict=True)
        return np.concatenate([impute(row[None, at], count, values[at], missing[at]) for row, at in rows])

    part._calc_impute = calculate
