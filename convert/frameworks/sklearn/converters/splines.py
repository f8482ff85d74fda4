"""
B-splines of each column.

Formulas: scikit-learn's user guide, "Spline transformer", after P. Eilers and B. Marx, "Flexible Smoothing with
B-splines and Penalties" (1996). Between two knots each spline is a polynomial, whose coefficients a graph looks up; the
extrapolations are polynomials, too.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.intervals import count_reached, look_up
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value


class Pieces(NamedTuple):
    """
    The splines of a column, piece by piece; the first and the last piece lie beyond the knots.

    `edges` are those between the pieces, `starts` the numbers at which their arguments are 0, and `coefficients` those
    of the polynomials [pieces, orders, splines]. Arguments are multiples of `scale`.
    """

    edges: Array
    starts: Array
    coefficients: Array
    scale: float


def _convert_splines(nodes: Nodes, model: Any) -> None:
    given = nodes.given()
    rows = given.cast(np.float64)
    columns = [
        _find_pieces(spline, model.extrapolation, *ends)
        for spline, ends in zip(model.bsplines_, _ends(model), strict=True)
    ]
    if model.extrapolation == "periodic":
        rows = _wrap(rows, model.bsplines_)
    numbers = count_reached(rows, _stack([one.edges for one in columns], np.nan))
    starts = look_up(numbers, _stack([one.starts for one in columns]), np.float64)
    arguments = ((rows - starts) / np.array([one.scale for one in columns])).cast(nodes.dtype)
    coefficients = _stack([one.coefficients for one in columns])
    if not model.include_bias:
        coefficients = coefficients[..., :-1]
    powers = arguments.add_axes(2, 3) ** np.arange(float(coefficients.shape[2]))
    splines = powers @ look_up(numbers, coefficients, nodes.dtype)
    if model.handle_missing == "zeros":
        missing = given.map("IsNaN", dtype=bool).add_axes(2, 3)
        splines = nodes.where(missing, 0.0, splines)
    nodes.answer(splines.reshape(-1, model.n_features_out_))


def _ends(model: Any) -> Iterator[tuple[int, int]]:
    """
    Yield how many knots each column has beyond those of its data, and how many of its splines go on at either end.

    scikit-learn's degree grows to 2 from column to column if the extrapolation is linear (`degree += 1`).
    """
    degree = model.degree
    for _ in model.bsplines_:
        knots = degree
        if model.extrapolation == "linear" and degree <= 1:
            degree += 1
        yield knots, degree


def _find_pieces(spline: Any, extrapolation: str, margin: int, ends: int) -> Pieces:
    knots = spline.t[margin : len(spline.t) - margin]
    if not len(knots):
        problem = f"with {len(spline.t) - 2 * spline.k} knots and degree={spline.k}, what scikit-learn extrapolates"
        raise Unsupported("SplineTransformer", f"{problem} linearly overlaps; use more knots or another extrapolation")
    begins = knots[:-1] if len(knots) > 1 else knots
    scale = float(np.mean(np.diff(spline.t))) or 1.0
    orders = range(max(spline.k, 1) + 1)
    inner = np.stack([spline(begins, nu=order) * (scale**order / math.factorial(order)) for order in orders], 1)
    if extrapolation == "periodic" and knots[0] == knots[-1]:  # of which scikit-learn takes 0 for every number
        inner = np.zeros_like(inner)
        inner[:, 0] = spline(0.0)
    if extrapolation in ("periodic", "continue"):
        below, above, last = inner[0], inner[-1], begins[-1]
    else:
        below, above = (_extrapolate(spline, knot, scale, inner[0], extrapolation) for knot in knots[[0, -1]])
        last = knots[-1]
        if extrapolation != "error":
            below[:, ends:], above[:, : above.shape[1] - ends] = 0, 0
    edges = np.append(begins, np.nextafter(knots[-1], np.inf))  # the last knot is not beyond the knots
    starts = np.array([knots[0], *begins, last])
    return Pieces(edges, starts, np.stack([below, *inner, above]), scale)


def _extrapolate(spline: Any, knot: float, scale: float, like: Array, extrapolation: str) -> Array:
    """Return the coefficients of the splines beyond an end; where scikit-learn refuses numbers, they are NaN."""
    beyond = np.zeros_like(like)
    beyond[0] = np.nan if extrapolation == "error" else spline(knot)
    if extrapolation == "linear":
        beyond[1] = spline(knot, nu=1) * scale
    return beyond


def _wrap(rows: Value, splines: Sequence[Any]) -> Value:
    """Return numbers moved by whole periods to between the first and the last knot."""
    first = np.array([spline.t[spline.k] for spline in splines])
    periods = np.array([spline.t[len(spline.t) - spline.k - 1] for spline in splines]) - first
    rest = (rows - first).map("Mod", np.where(periods == 0, 1, periods), fmod=1)
    return rows.nodes.where(rest < 0.0, rest + periods, rest) + first


def _stack(arrays: Sequence[Array], fill: float = 0) -> Array:
    """Return arrays of columns as one [entries, columns, ...], the shorter ones filled up at their end."""
    longest = max(map(len, arrays))
    padded = [
        np.pad(array, [(0, longest - len(array)), *[(0, 0)] * (array.ndim - 1)], constant_values=fill)
        for array in arrays
    ]
    return np.stack(padded, axis=1)


CONVERTERS: Final = (
    Converter("sklearn.preprocessing.SplineTransformer", _convert_splines, lambda model: model.n_features_out_),
)
