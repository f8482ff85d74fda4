from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.kernel_approximation import AdditiveChi2Sampler, PolynomialCountSketch, RBFSampler, SkewedChi2Sampler
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from tests.convert.frameworks.sklearn.converters.conftest import Agree, DoublePrecision

from snooze.convert.attempts import Conversion
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

Converter = Callable[[Framework], Callable[..., tuple[Original, Conversion]]]

MAPS = [
    RBFSampler(random_state=0),
    RBFSampler(gamma="scale", n_components=7, random_state=0),
    SkewedChi2Sampler(random_state=0),
    SkewedChi2Sampler(skewedness=2.5, n_components=9, random_state=0),
    PolynomialCountSketch(random_state=0),
    PolynomialCountSketch(degree=3, gamma=0.1, coef0=2, n_components=17, random_state=0),
    PolynomialCountSketch(degree=1, n_components=1, random_state=0),
]


@pytest.mark.parametrize("load", [load_iris, load_wine])
@pytest.mark.parametrize("sampler", MAPS, ids=str)
def test_random_features(agree: Agree, load: Any, sampler: Any) -> None:
    agree(sampler, load().data)


@pytest.mark.parametrize("settings", [{}, {"sample_steps": 1}, {"sample_steps": 3}, {"sample_interval": 0.3}], ids=str)
@pytest.mark.parametrize("load", [load_iris, load_digits])
@pytest.mark.parametrize("framework", [FRAMEWORK, DoublePrecision()], ids=["single", "double"])
def test_additive_chi2(converter: Converter, framework: Framework, load: Any, settings: dict[str, Any]) -> None:
    rows = load().data[:300]

    _, conversion = converter(framework)(AdditiveChi2Sampler(**settings).fit(rows[::2]), rows[1::2].astype(np.float32))

    assert conversion.parity.data.outliers == 0


def test_in_front_of_a_classifier(agree: Agree) -> None:
    rows, labels = load_iris(return_X_y=True)
    agree(make_pipeline(RBFSampler(gamma=0.01, random_state=0), SGDClassifier(random_state=0)), rows, labels)
