"""
`PolynomialFeatures`: products of columns.

Formula: scikit-learn's user guide, "Polynomial features"; `powers_` says which columns each product has.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes


def _convert_polynomial_features(nodes: Nodes, model: Any) -> None:
    """Convert each product to one of as many factors as the degree, with a column of ones for those it lacks."""
    powers = model.powers_
    factors = np.zeros((len(powers), max(1, int(powers.sum(1).max()))), np.int64)  # 0: the column of ones
    for row, exponents in zip(factors, powers, strict=True):
        numbers = np.repeat(np.arange(1, len(exponents) + 1), exponents)
        row[: len(numbers)] = numbers[::-1]  # the last factors first, as in scikit-learn
    columns = nodes.given().map("Pad", nodes.value(np.array([0, 1, 0, 0])), 1.0).transpose(1, 0)
    products = columns.take(factors[:, 0], axis=0)  # copies columns as a whole
    for factor in factors.T[1:]:
        products *= columns.take(factor, axis=0)
    nodes.answer(products.transpose(1, 0))


CONVERTERS: Final = (
    Converter(
        "sklearn.preprocessing.PolynomialFeatures",
        _convert_polynomial_features,
        lambda model: model.n_output_features_,
    ),
)
