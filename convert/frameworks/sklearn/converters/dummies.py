"""
Estimators that answer every row with the same: `DummyClassifier` and `DummyRegressor`.

Answers: scikit-learn's user guide, "Dummy estimators". Two strategies of the classifier draw its labels, and cannot be
converted.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes
from snooze.convert.frameworks.sklearn.outputs import find_classes


def _convert_classifier(nodes: Nodes, model: Any) -> None:
    if model.strategy in ("stratified", "uniform"):
        problem = f"with strategy={model.strategy!r} it draws its labels at random, so no graph answers as it does"
        raise Unsupported("DummyClassifier", f"{problem}; use strategy='prior'")
    shares = list(_shares(model))
    labels = [known[share.argmax()] for known, share in zip(find_classes(model), shares, strict=True)]
    repeated = [nodes.repeat(share) for share in shares]
    if isinstance(model.classes_, list):
        numbers = nodes.repeat(np.arange(len(labels)))
        nodes.answer_targets(nodes.look_up(labels, numbers), repeated)
    else:
        nodes.answer(nodes.look_up(labels, nodes.repeat(np.array(0))), *repeated)


def _shares(model: Any) -> Iterator[Array]:
    """Yield the probabilities of the classes of each target."""
    priors = model.class_prior_ if model.n_outputs_ > 1 else [model.class_prior_]
    constants = np.ravel(model.constant) if model.strategy == "constant" else [None] * model.n_outputs_
    for classes, prior, constant in zip(find_classes(model), priors, constants, strict=True):
        if model.strategy == "prior":
            yield np.asarray(prior, np.float64)
        else:
            most = np.arange(len(classes)) == np.argmax(prior)
            yield np.where(most if constant is None else classes == constant, 1.0, 0.0)


def _convert_regressor(nodes: Nodes, model: Any) -> None:
    values = np.ravel(model.constant_).astype(np.float64)
    nodes.answer(nodes.repeat(values))


CONVERTERS: Final = (
    Converter("sklearn.dummy.DummyClassifier", _convert_classifier),
    Converter("sklearn.dummy.DummyRegressor", _convert_regressor, lambda model: model.n_outputs_),
)
