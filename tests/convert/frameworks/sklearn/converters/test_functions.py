from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer
from tests.convert.frameworks.sklearn.converters.conftest import Agree, DoublePrecision

from snooze.convert.attempts import Conversion
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.converters.functions import FORMULAS, OPERATORS
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

Converter = Callable[[Framework], Callable[..., tuple[Original, Conversion]]]


@pytest.mark.parametrize("framework", [FRAMEWORK, DoublePrecision()], ids=["single", "double"])
def test_every_function(converter: Converter, framework: Framework) -> None:
    scipy = pytest.importorskip("scipy.special")
    functions = [*OPERATORS, *FORMULAS, scipy.expit, scipy.log1p, scipy.expm1, scipy.exp2, scipy.cbrt]
    rows = np.concatenate([load_iris().data[:, :3], np.linspace(-1, 1, 150)[:, None] ** 3], 1)
    model = make_union(*map(FunctionTransformer, functions)).fit(rows)

    _, conversion = converter(framework)(model, rows[::7].astype(np.float32))

    assert conversion.parity.data.outliers == 0
    assert conversion.outputs[0].shape == (-1, 4 * len(functions))


def test_in_front_of_other_estimators(agree: Agree) -> None:
    rows, labels = load_iris(return_X_y=True)
    agree(make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()), rows, labels)
    agree(make_pipeline(FunctionTransformer(np.square), RandomForestClassifier(5, random_state=0)), rows, labels)


def identify(rows: Any) -> Any:
    return rows


@pytest.mark.parametrize(
    ("transformer", "problem"),
    [
        (FunctionTransformer(identify), "a graph cannot run its function 'identify', only functions of numpy"),
        (FunctionTransformer(np.round, kw_args={"decimals": 1}), "a graph cannot run its function with kw_args="),
    ],
    ids=["function", "arguments"],
)
def test_other_functions_are_refused(converter: Converter, transformer: Any, problem: str) -> None:
    rows, labels = load_iris(return_X_y=True)

    with pytest.raises(Unsupported) as caught:
        converter(FRAMEWORK)(make_pipeline(transformer, GaussianNB()).fit(rows, labels), rows)

    assert caught.value.model == "Pipeline"
    assert caught.value.problem.startswith(f"FunctionTransformer: {problem}")
