from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.convert.frameworks.sklearn.converters.conftest import Agree, DoublePrecision

from snooze.convert.attempts import Conversion
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework

Converter = Callable[[Framework], Callable[..., tuple[Original, Conversion]]]

SHORT: dict[str, Any] = {"hidden_layer_sizes": (6, 5), "max_iter": 5, "random_state": 0}


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("classes", [2, 3])
def test_classifiers(agree: Agree, activation: str, classes: int) -> None:
    rows, labels = load_wine(return_X_y=True)
    agree(MLPClassifier(**SHORT, activation=activation), rows, np.minimum(labels, classes - 1))


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_regressors(agree: Agree, activation: str) -> None:
    rows, targets = load_diabetes(return_X_y=True)
    agree(MLPRegressor(**SHORT, activation=activation), rows, targets)


@pytest.mark.parametrize(
    "model",
    [
        MLPClassifier(**SHORT),
        MLPClassifier(**SHORT | {"hidden_layer_sizes": ()}),
        MLPRegressor(**SHORT),
        MLPRegressor(**SHORT, loss="poisson"),
    ],
    ids=str,
)
@pytest.mark.parametrize("framework", [FRAMEWORK, DoublePrecision()], ids=["single", "double"])
def test_both_precisions(converter: Converter, framework: Framework, model: Any) -> None:
    rows, labels = load_iris(return_X_y=True)
    with quiet():
        model.fit(rows[::2], labels[::2])

    _, conversion = converter(framework)(model, rows[1::2].astype(np.float32))

    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)


@pytest.mark.parametrize("framework", [FRAMEWORK, DoublePrecision()], ids=["single", "double"])
@pytest.mark.parametrize("targets", [2, 3])
def test_targets_that_are_yes_or_no(converter: Converter, framework: Framework, targets: int) -> None:
    rows, labels = load_iris(return_X_y=True)
    several = np.stack([labels == 0, labels > 0, rows[:, 0] > 5.5], 1).astype(int)[:, :targets]
    with quiet():
        model = make_pipeline(StandardScaler(), MLPClassifier(**SHORT)).fit(rows[::2], several[::2])

    _, conversion = converter(framework)(model, rows[1::2].astype(np.float32))

    assert (conversion.parity.data.outliers, conversion.parity.data.flips) == (0, 0)
    assert [(one.name, one.shape) for one in conversion.outputs] == [
        ("label", (-1, targets)),
        ("probabilities", (-1, targets)),
    ]


def test_several_values(agree: Agree) -> None:
    rows, targets = load_diabetes(return_X_y=True)
    conversions = agree(MLPRegressor(**SHORT), rows, np.stack([targets, rows[:, 0]], 1))

    assert conversions[0].outputs[0].shape == (-1, 2)


def test_one_class_is_refused(converter: Converter) -> None:
    rows = load_iris().data
    with quiet():
        model = MLPClassifier(**SHORT).fit(rows, np.ones(len(rows)))

    with pytest.raises(Unsupported, match="it was trained on one class"):
        converter(FRAMEWORK)(model, rows)
