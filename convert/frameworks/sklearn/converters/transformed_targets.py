"""
Regression on a transformed target: `TransformedTargetRegressor`, with the inverses of transformers in closed form.

Formulas: scikit-learn's user guide, "Transforming target in regression", and `inverse_transform` of the transformers in
`sklearn.preprocessing`. They are calculated in double precision. The normal distribution, which has no operator in it,
is the integral of its density, by the quadrature of Gauss and Legendre.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.functions import apply
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value
from snooze.convert.frameworks.sklearn.converters.responses import respond

EDGE: Final = 1e-7  # shares of a normal distribution that are as good as none
POINTS: Final = 40  # of the quadrature: 1e-15 up to the value at which a share is EDGE


def _convert(nodes: Nodes, model: Any) -> None:
    values = respond(nodes, model.regressor_, "predict").cast(np.float64)
    nodes.answer(_invert(model.transformer_, values).cast(nodes.dtype))


def _invert(transformer: Any, values: Value) -> Value:
    """Return what a transformer makes the given values of. Raises Unsupported if there is no closed form."""
    if hasattr(transformer, "steps"):
        for _, step in reversed(transformer.steps):
            values = values if step in (None, "passthrough") else _invert(step, values)
        return values
    inverse = INVERSES.get(type(transformer).__name__)
    if inverse is None:
        problem = f"the inverse of its transformer {type(transformer).__name__} has no converter"
        raise Unsupported("TransformedTargetRegressor", f"{problem}; use one of {', '.join(INVERSES)}")
    return inverse(transformer, values)


def _standard(scaler: Any, values: Value) -> Value:
    values = values * scaler.scale_ if scaler.with_std else values
    return values + scaler.mean_ if scaler.with_mean else values


def _robust(scaler: Any, values: Value) -> Value:
    values = values * scaler.scale_ if scaler.with_scaling else values
    return values + scaler.center_ if scaler.with_centering else values


def _function(transformer: Any, values: Value) -> Value:
    if transformer.inverse_func is None:
        return values
    if transformer.inv_kw_args:
        problem = f"a graph cannot run its inverse function with arguments: {transformer.inv_kw_args!r}"
        raise Unsupported("TransformedTargetRegressor", f"{problem}; use a function without arguments")
    return apply(transformer.inverse_func, values, "TransformedTargetRegressor")


def _power(transformer: Any, values: Value) -> Value:
    values = _standard(transformer._scaler, values) if transformer.standardize else values
    lambdas = transformer.lambdas_
    if transformer.method == "box-cox":
        return _inverse_box_cox(values, lambdas)
    positive = _inverse_box_cox(values, lambdas) - 1.0
    return values.nodes.where(values >= 0.0, positive, 1.0 - _inverse_box_cox(-values, 2 - lambdas))


def _inverse_box_cox(values: Value, lambdas: Array) -> Value:
    """Return `(lambda * value + 1) ** (1 / lambda)`, which is exp(value) for 0."""
    none = np.abs(lambdas) < np.spacing(1.0)
    powers = (values * lambdas + 1.0) ** (1 / np.where(none, 1, lambdas))
    return values.nodes.where(values.nodes.value(none), values.map("Exp"), powers) if none.any() else powers


def _quantile(transformer: Any, values: Value) -> Value:
    quantiles: Array = transformer.quantiles_
    count, columns = quantiles.shape
    if count == 1:
        return 0.0 * values + quantiles
    normal = transformer.output_distribution == "normal"
    shares = _normal_shares(values) if normal else values.map("Clip", 0.0, 1.0)
    places = shares * (count - 1.0)
    starts = places.map("Floor").map("Clip", 0.0, count - 2.0)
    numbers = starts.cast(np.int64) + np.arange(columns) * count
    table = values.nodes.value(quantiles.T.ravel(), np.float64)
    low, high = table.take(numbers, axis=0), table.take(numbers + 1, axis=0)
    found: Value = low + (places - starts) * (high - low)
    if not normal:
        return found
    where = values.nodes.where
    return where(shares < EDGE, quantiles[:1], where(shares > 1 - EDGE, quantiles[-1:], found))


def _normal_shares(values: Value) -> Value:
    """Return the shares of a normal distribution that are lower than values."""
    points, weights = np.polynomial.legendre.leggauss(POINTS)
    limited = values.map("Clip", -6.0, 6.0)
    squares = (limited * limited).add_axes(2)
    densities = (squares * (-(((points + 1) / 2) ** 2) / 2)).map("Exp")
    shares: Value = limited * (densities @ (weights / np.sqrt(8 * np.pi))) + 0.5
    return shares


INVERSES: Final[dict[str, Callable[[Any, Value], Value]]] = {
    "StandardScaler": _standard,
    "MinMaxScaler": lambda scaler, values: (values - scaler.min_) / scaler.scale_,
    "MaxAbsScaler": lambda scaler, values: values * scaler.scale_,
    "RobustScaler": _robust,
    "FunctionTransformer": _function,
    "PowerTransformer": _power,
    "QuantileTransformer": _quantile,
}
# The transformer may have been given single values, so the number of columns is not known.
CONVERTERS: Final = (Converter("sklearn.compose.TransformedTargetRegressor", _convert, lambda model: None),)
