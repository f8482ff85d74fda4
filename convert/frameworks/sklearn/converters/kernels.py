"""
Kernels between rows and the rows that an estimator keeps.

Formulas: scikit-learn's user guide, "Pairwise metrics, affinities and kernels", and `sklearn.metrics.pairwise`.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.distances import squared_distances
from snooze.convert.frameworks.sklearn.converters.nodes import Value

KERNELS: Final = "linear, poly, rbf, sigmoid, laplacian, cosine, chi2 or additive_chi2"


def kernel(rows: Value, kept: Array, name: str, gamma: float | None, degree: float = 3, coef0: float = 1) -> Value:
    """
    Return a kernel of scikit-learn between rows and kept rows [rows, kept]; rows of precomputed values as they are.

    The kernels laplacian, chi2 and additive_chi2 need memory for [rows, kept, columns].
    """
    from sklearn.preprocessing import normalize

    if gamma is None:
        gamma = 1.0 if name == "chi2" else 1.0 / kept.shape[1]
    if name == "precomputed":
        return rows
    if name == "linear":
        return rows @ kept.T
    if name == "rbf":
        return (squared_distances(rows, kept) * -gamma).map("Exp")
    if name in ("poly", "polynomial"):
        return (rows @ (gamma * kept.T) + coef0) ** degree
    if name == "sigmoid":
        return (rows @ (gamma * kept.T) + coef0).map("Tanh")
    if name == "cosine":
        cosines: Value = _unit(rows) @ normalize(kept).T
        return cosines
    if name == "laplacian":
        return (absolute_differences(rows, kept) * -gamma).map("Exp")
    if name == "chi2":
        return (_chi_squares(rows, kept) * -gamma).map("Exp")
    assert name == "additive_chi2", name
    return -_chi_squares(rows, kept)


def weigh(rows: Value, kept: Array, weights: Array, offset: Any, settings: dict[str, Any]) -> Value:
    """
    Return `kernel(rows, kept) @ weights + offset` [rows, columns of the weights].

    A linear kernel and the weights are one matrix, and it is applied to differences from the mean of the kept rows:
    what cancels then cancels in double precision. The cosine is linear in rows of length 1.
    """
    from sklearn.preprocessing import normalize

    if settings["name"] not in ("linear", "cosine"):
        weighted: Value = kernel(rows, kept, **settings) @ weights + offset
        return weighted
    if settings["name"] == "cosine":
        rows, kept = _unit(rows), normalize(kept)
    center, matrix = kept.mean(0), kept.T @ weights
    products: Value = (rows - center) @ matrix + (center @ matrix + offset)
    return products


def absolute_differences(rows: Value, kept: Array) -> Value:
    """Return Manhattan distances [rows, kept]."""
    return (rows.add_axes(1) - np.asarray(kept)[None]).map("Abs").sum(2, keep=False)


def settings(model: Any) -> dict[str, Any]:
    """
    Return the name and the parameters of the kernel of an estimator, as `kernel` takes them.

    Raises Unsupported if the kernel is a function.
    """
    check_kernel(model)
    gamma = getattr(model, "gamma_", model.gamma)
    return {"name": model.kernel, "gamma": gamma, "degree": model.degree, "coef0": model.coef0}


def check_kernel(model: Any) -> None:
    """Raise Unsupported if the kernel of an estimator is a function."""
    if callable(model.kernel):
        problem = f"its kernel is the function '{getattr(model.kernel, '__name__', model.kernel)}'"
        advice = f"use the name of a kernel, {KERNELS}; or kernel='precomputed', and send values of the kernel as rows"
        raise Unsupported(type(model).__name__, f"{problem}, which a graph cannot run; {advice}")


def _chi_squares(rows: Value, kept: Array) -> Value:
    """Return sums of `(x - y)² / (x + y)`, where 0/0 is 0, of columns that are not negative."""
    kept, each = np.asarray(kept)[None], rows.add_axes(1)
    differences: Value = each - kept
    sums = (each + kept).map("Max", float(np.finfo(rows.dtype).tiny))
    return (differences * differences / sums).sum(2, keep=False)


def _unit(rows: Value) -> Value:
    """Return rows of length 1; those of almost 0 are kept."""
    lengths = rows.reduce("ReduceL2")
    return rows / rows.nodes.where(lengths < 10 * float(np.finfo(np.float64).eps), 1.0, lengths)
