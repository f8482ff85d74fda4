from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, is_classifier
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.steps import Step
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

Array = NDArray[Any]
pytestmark = pytest.mark.framework


class Halves(ClassifierMixin, TransformerMixin, BaseEstimator):
    """A class of a user's own that predicts and transforms."""

    def fit(self, rows: Array, labels: Array) -> "Halves":
        self.n_features_in_, self.classes_ = 2, np.unique(labels)
        return self

    def transform(self, rows: Array) -> Array:
        return rows / 2


def test_a_step_without_a_converter_is_refused_by_name() -> None:
    model = make_pipeline(Halves(), LogisticRegression()).fit(np.eye(2), np.arange(2))

    with pytest.raises(Unsupported, match="there is no converter for its transform") as caught:
        FRAMEWORK.describe(
            model,
            FRAMEWORK.signature(model),
        ).attempts[0].convert()

    assert (caught.value.model, "Halves" in caught.value.problem) == ("Pipeline", True)


def test_a_step_is_no_predictor() -> None:
    rows = np.eye(3)
    clusters = KMeans(2, n_init=1).fit(rows)

    step = Step(clusters)

    assert not is_classifier(step)
    assert step.n_features_in_ == 3
    assert np.array_equal(step.transform(rows), clusters.transform(rows))
