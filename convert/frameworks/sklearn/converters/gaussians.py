"""
Normal distributions: discriminant analysis, mixtures, and outliers of one distribution.

Formulas: scikit-learn's user guide, "Linear and Quadratic Discriminant Analysis", "Gaussian mixture models" and
"Fitting an elliptic envelope". The weights of a BayesianGaussianMixture are those of its `_estimate_log_prob` (Bishop,
"Pattern Recognition and Machine Learning", 10.64 to 10.66). What is equal for all components is left out.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.sklearn.converters.distances import squares_about_mean
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value, one_column
from snooze.convert.frameworks.sklearn.converters.projections import project


def whitened_distances(rows: Value, means: Array, factors: Sequence[Array]) -> Value:
    """Return `|(row - mean) @ factor|²` for each mean and its factor [rows, means]. Keeps rows x means x columns."""
    center = np.mean(means, axis=0)
    offsets = [(mean - center) @ factor for mean, factor in zip(means, factors, strict=True)]
    whitened = project(rows, np.concatenate(factors, axis=1), center, -np.concatenate(offsets))
    return whitened.reshape(-1, len(means), factors[0].shape[1]).reduce("ReduceSumSquare", 2, keep=False)


def _convert_linear(nodes: Nodes, model: Any) -> None:
    weights, offsets, center = model.coef_, model.intercept_, model.priors_ @ model.means_
    several = len(model.classes_) > 2
    if several and not nodes.scoring:  # what is equal for all classes does not change their probabilities
        weights, offsets = weights - weights.mean(0), offsets - offsets.mean()
    scores = project(nodes.given(), weights.T, center, offsets + weights @ center)
    scores = scores if several else nodes.join([-scores, scores])
    if not nodes.scoring:
        scores = scores.map("Softmax", axis=1) if several else scores.map("Sigmoid")
    nodes.classify(scores, model.classes_)


def _convert_linear_transform(nodes: Nodes, model: Any) -> None:
    center = model.xbar_ if model.solver == "svd" else 0.0
    nodes.answer(project(nodes.given(), model.scalings_[:, : model._max_components], center))


def _convert_quadratic(nodes: Nodes, model: Any) -> None:
    factors = [turn / np.sqrt(scale) for turn, scale in zip(model.rotations_, model.scalings_, strict=True)]
    offsets = np.log(model.priors_) - [0.5 * np.log(scale).sum() for scale in model.scalings_]
    scores = whitened_distances(nodes.given(), model.means_, factors) * -0.5 + offsets
    if not nodes.scoring:
        scores = scores.map("Softmax", axis=1)
    elif len(model.classes_) == 2:
        scores = scores @ np.array([[1.0, -1.0], [-1.0, 1.0]])
    nodes.classify(scores, model.classes_)


def _convert_mixture(nodes: Nodes, model: Any) -> None:
    scores = _distances(nodes.given(), model) * -0.5 + _weigh(model)
    nodes.answer(scores.argmax(), scores.map("Softmax", axis=1))


def _distances(rows: Value, model: Any) -> Value:
    """Return squared Mahalanobis distances from the means of a mixture [rows, means]."""
    means, factors, center = model.means_, model.precisions_cholesky_, model.means_.mean(0).astype(np.float32)
    if model.covariance_type == "full":
        return whitened_distances(rows, means, list(factors))
    if model.covariance_type == "tied":
        return squares_about_mean(project(rows, factors, center), (means - center) @ factors)
    rows, means, weights = rows - center, means - center, _spread(model) ** 2
    distances: Value = rows * rows @ weights.T - rows @ (2 * means * weights).T + (means**2 * weights).sum(1)
    return distances


def _spread(model: Any) -> Array:
    """Return the square roots of the precisions of a mixture's components [components, columns], or of all."""
    factors = model.precisions_cholesky_
    if model.covariance_type == "spherical":
        return np.repeat(factors[:, None], model.means_.shape[1], 1)
    return np.asarray(factors if model.covariance_type == "diag" else np.diagonal(factors, axis1=-2, axis2=-1))


def _weigh(model: Any) -> Array:
    """Return the logarithms of the weights of the components and of their distributions' heights."""
    from scipy.special import digamma

    width = model.means_.shape[1]
    weights = model._estimate_log_weights() + np.log(_spread(model)).sum(-1)
    if hasattr(model, "degrees_of_freedom_"):
        freedom = model.degrees_of_freedom_
        spread = digamma(0.5 * (freedom - np.arange(width)[:, None])).sum(0)
        weights = weights + 0.5 * (spread - width * (np.log(freedom) + 1 / model.mean_precision_))
    return np.asarray(weights)


def _convert_envelope(nodes: Nodes, model: Any) -> None:
    precision = model.get_precision()
    scales = np.sqrt(np.where(np.diag(precision) > 0, np.diag(precision), 1))
    sizes, turn = np.linalg.eigh(precision / np.outer(scales, scales))
    factor = scales[:, None] * turn * np.sqrt(np.maximum(sizes, 0))
    score = -whitened_distances(nodes.given(), model.location_[None], [factor]) - model.offset_
    nodes.answer(nodes.where(score >= 0.0, nodes.value(np.array([[1]])), -1), score)


def _count_components(model: Any) -> int:
    return len(model.means_)


CONVERTERS: Final = (
    Converter("sklearn.discriminant_analysis.LinearDiscriminantAnalysis", _convert_linear, scores=True),
    Converter("sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis", _convert_quadratic, scores=True),
    Converter("sklearn.mixture.GaussianMixture", _convert_mixture, _count_components),
    Converter("sklearn.mixture.BayesianGaussianMixture", _convert_mixture, _count_components),
    Converter("sklearn.covariance.EllipticEnvelope", _convert_envelope, one_column),
)
TRANSFORMS: Final = (
    Converter(
        "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
        _convert_linear_transform,
        lambda model: int(model.scalings_[:, : model._max_components].shape[1]),
    ),
)
