"""
Transformers to a normal or uniform distribution, which calculate in double precision.

Formulas: scikit-learn's user guide, "Non-linear transformation"; I. K. Yeo and R. A. Johnson (2000) and G. E. P. Box
and D. R. Cox (1964) for `PowerTransformer`. The inverse of the normal distribution is algorithm AS 241 (PPND16) of
M. J. Wichura, "The percentage points of the normal distribution" (1988).
"""

from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.sklearn.converters.intervals import interpolate
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value

EDGE: Final = 1e-7  # of the probabilities of a normal distribution
# Of AS 241: numerator and denominator in the middle, and then in the tails to 1e-11, from the constant coefficient on.
PERCENTAGE_POINTS: Final = np.array(
    [
        [3.3871328727963666080, 1.0, 1.42343711074968357734, 1.0],
        [1.3314166789178437745e2, 4.2313330701600911252e1, 4.63033784615654529590, 2.05319162663775882187],
        [1.9715909503065514427e3, 6.8718700749205790830e2, 5.76949722146069140550, 1.67638483018380384940],
        [1.3731693765509461125e4, 5.3941960214247511077e3, 3.64784832476320460504, 6.89767334985100004550e-1],
        [4.5921953931549871457e4, 2.1213794301586595867e4, 1.27045825245236838258, 1.48103976427480074590e-1],
        [6.7265770927008700853e4, 3.9307895800092710610e4, 2.41780725177450611770e-1, 1.51986665636164571966e-2],
        [3.3430575583588128105e4, 2.8729085735721942674e4, 2.27238449892691845833e-2, 5.47593808499534494600e-4],
        [2.5090809287301226727e3, 5.2264952788528545610e3, 7.74545014278341407640e-4, 1.05075007164441684324e-9],
    ]
)


def _convert_quantiles(nodes: Nodes, model: Any) -> None:
    rows, quantiles = nodes.given().cast(np.float64), model.quantiles_
    least, most = quantiles[:1], quantiles[-1:]
    shares = interpolate(rows, quantiles, np.repeat(model.references_[:, None], quantiles.shape[1], axis=1))
    normal = model.output_distribution == "normal"
    lower, upper = (rows - EDGE < least, rows + EDGE > most) if normal else (rows.equals(least), rows.equals(most))
    shares = nodes.where(lower, 0.0, nodes.where(upper, 1.0, shares))
    nodes.answer((_inverse_normal(shares) if normal else shares).cast(nodes.dtype))


def _inverse_normal(shares: Value) -> Value:
    """Return the values of the normal distribution below which these shares lie, those of `EDGE` for lower ones."""
    where, edge = shares.nodes.where, EDGE - np.spacing(1)
    shares = where(shares < edge, edge, where(shares > 1 - edge, 1 - edge, shares))
    deviations = shares - 0.5
    central = deviations.map("Abs") <= 0.425
    tails = -((0.5 - deviations.map("Abs")).map("Log"))
    arguments = where(central, 0.180625 - deviations * deviations, tails.map("Sqrt") - 1.6)
    powers = arguments.add_axes(2) ** np.arange(8.0)
    middle, below, tail, under = ((powers @ PERCENTAGE_POINTS).take(at, axis=2) for at in range(4))
    return where(central, deviations * middle / below, deviations.map("Sign") * tail / under)


def _convert_powers(nodes: Nodes, model: Any) -> None:
    rows, lambdas = nodes.given().cast(np.float64), model.lambdas_
    if model.method == "box-cox":
        values = _box_cox(rows.map("Log"), lambdas)
    else:
        logarithms = (rows.map("Abs") + 1.0).map("Log")
        values = nodes.where(rows < 0.0, -_box_cox(logarithms, 2 - lambdas), _box_cox(logarithms, lambdas))
    if model.standardize:
        values = (values - model._scaler.mean_) / model._scaler.scale_
    nodes.answer(values.cast(nodes.dtype))


def _box_cox(logarithms: Value, lambdas: Array) -> Value:
    """Return the powers of numbers, of which logarithms are given, minus 1 and divided by the exponents."""
    none = np.abs(lambdas) < np.finfo(np.float64).eps
    exponents = np.where(none, 1, lambdas)
    powers = ((logarithms * exponents).map("Exp") - 1.0) / exponents
    return logarithms.nodes.where(logarithms.nodes.value(none), logarithms, powers) if none.any() else powers


CONVERTERS: Final = (
    Converter("sklearn.preprocessing.QuantileTransformer", _convert_quantiles, lambda model: model.n_features_in_),
    Converter("sklearn.preprocessing.PowerTransformer", _convert_powers, lambda model: model.n_features_in_),
)
