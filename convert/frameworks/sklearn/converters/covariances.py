"""
Covariances, which are the kernels of Gaussian processes.

Formulas: scikit-learn's user guide, "Kernels for Gaussian Processes", and `sklearn.gaussian_process.kernels`. A
covariance that does not depend on the rows is a number.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.distances import squares_about_mean
from snooze.convert.frameworks.sklearn.converters.kernels import kernel
from snooze.convert.frameworks.sklearn.converters.nodes import Value

Covariance: TypeAlias = Value | float


def covariance(function: Any, rows: Value, kept: Array) -> Covariance:
    """Return the covariances of rows and kept rows [rows, kept]. Raises Unsupported if a graph cannot compute them."""
    return _compose(function, lambda part: _find(FORMULAS, part)(part, rows, np.asarray(kept)))


def variance(function: Any, rows: Value) -> Covariance:
    """Return the covariance of each row with itself [rows, 1]."""
    return _compose(function, lambda part: VARIANCES[type(part).__name__](part, rows) if _varies(part) else 1.0)


def _compose(function: Any, evaluate: Callable[[Any], Covariance]) -> Covariance:
    """Return the sum, product or power that a kernel is of others, and of any other kernel what `evaluate` returns."""
    name = type(function).__name__
    if name in ("Sum", "Product"):
        first, second = _compose(function.k1, evaluate), _compose(function.k2, evaluate)
        return first + second if name == "Sum" else first * second
    if name == "Exponentiation":
        exponent: float = function.exponent
        return _compose(function.kernel, evaluate) ** exponent
    return evaluate(function)


def _find(table: dict[str, Callable[..., Covariance]], function: Any) -> Callable[..., Covariance]:
    name = type(function).__name__
    if name not in table:
        advice = "build it of those in sklearn.gaussian_process.kernels"
        raise Unsupported(name, f"a graph has no formula of this kernel; {advice}")
    return table[name]


def _varies(function: Any) -> bool:
    return type(function).__name__ in VARIANCES


def _scaled(function: Any, rows: Value, kept: Array) -> Value:
    """Return squared distances in units of the length scales, of which there is one or one for each column."""
    return squares_about_mean(rows / function.length_scale, kept / function.length_scale)


def _rbf(function: Any, rows: Value, kept: Array) -> Value:
    return (_scaled(function, rows, kept) * -0.5).map("Exp")


def _matern(function: Any, rows: Value, kept: Array) -> Value:
    if function.nu == np.inf:
        return _rbf(function, rows, kept)
    if function.nu not in (0.5, 1.5, 2.5):
        problem = f"nu={function.nu:g} needs a Bessel function, which a graph has not"
        raise Unsupported("Matern", f"{problem}; use nu=0.5, 1.5, 2.5 or infinity, or RationalQuadratic")
    distances: Value = (_scaled(function, rows, kept) * (2 * function.nu)).map("Sqrt")
    fading = (-distances).map("Exp")
    if function.nu == 0.5:
        return fading
    polynomial = distances + 1.0
    if function.nu == 2.5:
        polynomial += distances * distances / 3.0
    return polynomial * fading


def _rational_quadratic(function: Any, rows: Value, kept: Array) -> Value:
    alpha: float = function.alpha
    share: Value = squares_about_mean(rows, kept) / (2 * alpha * function.length_scale**2)
    return (share + 1.0) ** -alpha


def _exp_sine_squared(function: Any, rows: Value, kept: Array) -> Value:
    length: float = function.length_scale
    waves: Value = (squares_about_mean(rows, kept).map("Sqrt") * (np.pi / function.periodicity)).map("Sin")
    return (waves * waves * (-2 / length**2)).map("Exp")


def _dot_product(function: Any, rows: Value, kept: Array) -> Value:
    products: Value = rows @ kept.T + function.sigma_0**2
    return products


def _pairwise(function: Any, rows: Value, kept: Array) -> Value:
    return kernel(rows, kept, function.metric, function.gamma, **(function.pairwise_kernels_kwargs or {}))


def _pairwise_variance(function: Any, rows: Value) -> Covariance:
    """Return `_pairwise` of each row with itself."""
    squares, given = (rows * rows).sum(), function.pairwise_kernels_kwargs or {}
    if function.metric == "linear":
        return squares
    if function.metric == "cosine":
        return (squares > 0.0).cast(rows.dtype)
    if function.metric in ("poly", "polynomial", "sigmoid"):
        degree: float = given.get("degree", 3)
        inner: Value = squares * function.gamma + given.get("coef0", 1)
        return inner.map("Tanh") if function.metric == "sigmoid" else inner**degree
    return 0.0 if function.metric == "additive_chi2" else 1.0


FORMULAS: Final[dict[str, Callable[..., Covariance]]] = {
    "ConstantKernel": lambda function, *_: float(function.constant_value),
    "WhiteKernel": lambda *_: 0.0,  # noise, which rows do not share
    "RBF": _rbf,
    "Matern": _matern,
    "RationalQuadratic": _rational_quadratic,
    "ExpSineSquared": _exp_sine_squared,
    "DotProduct": _dot_product,
    "PairwiseKernel": _pairwise,
}
VARIANCES: Final[dict[str, Callable[..., Covariance]]] = {  # of kernels that are not 1 of a row with itself
    "ConstantKernel": lambda function, *_: float(function.constant_value),
    "WhiteKernel": lambda function, *_: float(function.noise_level),
    "DotProduct": lambda function, rows: (rows * rows).sum() + function.sigma_0**2,
    "PairwiseKernel": _pairwise_variance,
}
