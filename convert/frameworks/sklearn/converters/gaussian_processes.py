"""
Gaussian processes.

Formulas: algorithms 2.1 and 3.2 of Rasmussen and Williams, "Gaussian Processes for Machine Learning", and for the
probability of the second of two classes `_BinaryGaussianProcessClassifierLaplace.predict_proba` of scikit-learn.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from snooze.convert.frameworks.sklearn.converters.covariances import covariance, variance
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value
from snooze.convert.frameworks.sklearn.converters.support_vectors import add_confidences, vote

ERF_LIMIT: Final = 5.0  # from where the error function is 1 within 2e-12
ERF_TERMS: Final = 18  # the next one is smaller than 1e-15


class Latent(NamedTuple):
    """What a classifier of two classes finds for rows: whether they are of the second [rows, 1], and how likely."""

    second: Value
    probability: Value


def _convert_regressor(nodes: Nodes, model: Any) -> None:
    weights = model.alpha_.reshape(len(model.X_train_), -1) * model._y_train_std
    nodes.answer(_relate(model, nodes.given()) @ weights + model._y_train_mean)


def _convert_classifier(nodes: Nodes, model: Any) -> None:
    rows, base, classes = nodes.given(), model.base_estimator_, model.n_classes_
    if classes == 2:
        found = _classify(base, rows)
        scores = nodes.join([1.0 - found.probability, found.probability])
        return nodes.classify(scores, model.classes_, found.second.cast(np.int64).reshape(-1))
    each = [_classify(one, rows) for one in base.estimators_]
    scores = nodes.join([one.probability for one in each])
    if model.multi_class == "one_vs_one":
        votes = vote(~nodes.join([one.second for one in each]), classes)
        return nodes.classify(add_confidences(votes, -scores, classes), model.classes_)
    return nodes.classify(scores / scores.sum(), model.classes_, scores.argmax())


def _relate(model: Any, rows: Value) -> Value:
    """Return the covariances of rows and those of the training [rows, trained]."""
    found, trained = covariance(model.kernel_, rows, model.X_train_), model.X_train_
    return found if isinstance(found, Value) else rows @ np.zeros(trained.T.shape) + found


def _classify(model: Any, rows: Value) -> Latent:
    """Return what a classifier of two classes finds: Laplace's approximation, averaged over the latent function."""
    from sklearn.gaussian_process._gpc import COEFS, LAMBDAS

    related = _relate(model, rows)
    means = related @ (model.y_train_ - model.pi_)[:, None]
    spread = related @ (np.linalg.inv(model.L_) * model.W_sr_).T
    variances = (variance(model.kernel_, rows) - (spread * spread).sum()).cast(np.float64)
    deviations = variances.map("Sqrt")
    alpha = 0.5 / (deviations * deviations)
    ratios = (alpha / (alpha + LAMBDAS.T**2)).map("Sqrt")  # NaN without variance, as in scikit-learn
    # Coefficients of thousands, which almost cancel, need double precision.
    probability = _erf(means.cast(np.float64) * LAMBDAS.T * ratios) @ (COEFS / 2) + COEFS.sum() / 2
    return Latent(means > 0.0, probability.cast(rows.dtype))


def _erf(values: Value) -> Value:
    """
    Return the error function of values [rows, columns], within 1e-11: ONNX Runtime has none in double precision.

    It is the trapezoidal rule for `2 / pi * integral of exp(-t²) sin(2tx) / t` from 0 to infinity.
    """
    steps = np.arange(1, ERF_TERMS + 1) * np.pi / (2 * ERF_LIMIT)
    shares = np.exp(-(steps**2)) / np.arange(1, ERF_TERMS + 1)
    clipped = values.map("Clip", -ERF_LIMIT, ERF_LIMIT)
    waves: Value = (clipped.add_axes(2) * (2 * steps)).map("Sin")
    area: Value = waves @ shares + clipped * steps[0]
    return area * (2 / np.pi)


def _count_targets(model: Any) -> int:
    return model.alpha_.shape[1] if model.alpha_.ndim > 1 else 1


CONVERTERS: Final = (
    Converter("sklearn.gaussian_process.GaussianProcessRegressor", _convert_regressor, _count_targets),
    Converter("sklearn.gaussian_process.GaussianProcessClassifier", _convert_classifier),
)
