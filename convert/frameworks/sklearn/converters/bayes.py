"""
Naive Bayes.

Formulas: scikit-learn's user guide, "Naive Bayes", and `sklearn.naive_bayes`. The joint log-likelihood of all but
Gaussian and categorical features is linear in the rows. What all classes share does not change their probabilities, so
it is subtracted from the weights: their sums stay small, and single precision carries them further.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value


def _convert_bernoulli(nodes: Nodes, model: Any) -> None:
    rows, positive = nodes.given(), model.feature_log_prob_
    if model.binarize is not None:
        rows = (rows > float(model.binarize)).cast(nodes.dtype)
    negative = np.log(1 - np.exp(positive))
    _classify(nodes, model, _weigh(rows, positive - negative, model.class_log_prior_ + negative.sum(1)))


def _convert_multinomial(nodes: Nodes, model: Any) -> None:
    _classify(nodes, model, _weigh(nodes.given(), model.feature_log_prob_, model.class_log_prior_))


def _convert_complement(nodes: Nodes, model: Any) -> None:
    priors = model.class_log_prior_ if len(model.classes_) == 1 else np.zeros(len(model.classes_))
    _classify(nodes, model, _weigh(nodes.given(), model.feature_log_prob_, priors))


def _convert_gaussian(nodes: Nodes, model: Any) -> None:
    """Convert with differences [rows, classes, columns], which products of matrices would lose digits of."""
    rows = nodes.given().add_axes(1)
    deviations = (rows - model.theta_) * np.sqrt(0.5 / model.var_)
    constants = np.log(model.class_prior_) - 0.5 * np.log(2 * np.pi * model.var_).sum(1)
    squares = (deviations * deviations).sum(2, keep=False)
    _classify(nodes, model, (constants - constants.max()) - squares)


def _convert_categorical(nodes: Nodes, model: Any) -> None:
    """
    Convert with one table of the log-probabilities of all categories [categories, classes].

    Each column's categories lie between two rows of NaN, which stand for lower and higher ones: scikit-learn refuses
    them, and a graph, which cannot refuse one row of several, answers that row with probabilities of NaN.
    """
    unknown = np.full((1, len(model.classes_)), np.nan)
    tables = [np.concatenate([unknown, one.T, unknown]) for one in model.feature_log_prob_]
    sizes = np.array([len(one) for one in tables])
    numbers = nodes.given().cast(np.int64) + 1
    numbers = numbers.map("Max", 0).map("Min", sizes - 1) + (np.cumsum(sizes) - sizes)
    terms = nodes.value(np.concatenate(tables)).take(numbers, axis=0)
    _classify(nodes, model, terms.sum(1, keep=False) + model.class_log_prior_)


def _weigh(rows: Value, weights: Array, constants: Array) -> Value:
    found: Value = rows @ (weights - weights.mean(0)).T + (constants - constants.mean())
    return found


def _classify(nodes: Nodes, model: Any, scores: Value) -> None:
    nodes.classify(scores.map("Softmax", axis=1), model.classes_, scores.argmax())


CONVERTERS: Final = (
    Converter("sklearn.naive_bayes.BernoulliNB", _convert_bernoulli),
    Converter("sklearn.naive_bayes.CategoricalNB", _convert_categorical),
    Converter("sklearn.naive_bayes.ComplementNB", _convert_complement),
    Converter("sklearn.naive_bayes.GaussianNB", _convert_gaussian),
    Converter("sklearn.naive_bayes.MultinomialNB", _convert_multinomial),
)
