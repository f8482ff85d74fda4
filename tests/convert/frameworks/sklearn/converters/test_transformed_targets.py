from typing import Any

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import Agree

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK

pytestmark = pytest.mark.framework

DIABETES = load_diabetes(return_X_y=True)
TRANSFORMERS = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    MinMaxScaler((-1, 2)),
    RobustScaler(),
    RobustScaler(with_centering=False, with_scaling=False),
    MaxAbsScaler(),
    PowerTransformer(),
    PowerTransformer(standardize=False),
    QuantileTransformer(n_quantiles=50),
    QuantileTransformer(n_quantiles=50, output_distribution="normal"),
    FunctionTransformer(),
    make_pipeline(StandardScaler(), "passthrough", MinMaxScaler()),
]


@pytest.mark.parametrize("transformer", [*TRANSFORMERS, PowerTransformer(method="box-cox")], ids=str)
def test_inverse_of_transformers(agree: Agree, transformer: Any) -> None:
    model = TransformedTargetRegressor(make_pipeline(StandardScaler(), Ridge()), transformer=transformer)

    agree(model, *DIABETES)


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=str)
def test_several_targets(convert: Convert, transformer: Any) -> None:
    rows, values = DIABETES
    targets = np.c_[values, rows[:, 0] * 1e4 - 5e5, rows[:, 1]]
    model = TransformedTargetRegressor(Ridge(), transformer=transformer, check_inverse=False)
    model.fit(rows[::2], targets[::2])

    _, conversion = convert(model, rows[1::2])

    assert [one.shape for one in conversion.outputs] == [(-1, 3)]
    assert conversion.parity.data.outliers == 0


@pytest.mark.parametrize(
    ("function", "inverse"), [(np.log, np.exp), (np.log1p, np.expm1), (np.sqrt, np.square), (np.square, np.sqrt)]
)
def test_inverse_functions(agree: Agree, function: Any, inverse: Any) -> None:
    model = TransformedTargetRegressor(make_pipeline(StandardScaler(), Ridge()), func=function, inverse_func=inverse)

    agree(model, *DIABETES)


def test_values_are_clipped_to_the_quantiles(convert: Convert) -> None:
    rows, values = DIABETES
    transformer = QuantileTransformer(n_quantiles=20, output_distribution="normal")
    model = TransformedTargetRegressor(Ridge(1e-3), transformer=transformer).fit(rows, values)

    _, conversion = convert(model, (rows * 50).astype(np.float32))

    assert model.predict(rows * 50).min() == values.min()
    assert conversion.parity.data.outliers == 0


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"transformer": PCA()}, "the inverse of its transformer PCA has no converter"),
        ({"func": np.log, "inverse_func": lambda values: np.exp(values)}, "cannot run its function '<lambda>'"),
        (
            {"transformer": FunctionTransformer(np.log, np.exp, inv_kw_args={"dtype": float})},
            "cannot run its inverse function with arguments",
        ),
    ],
    ids=["transformer", "function", "arguments"],
)
def test_other_transformers_are_refused(settings: Any, problem: str) -> None:
    model = TransformedTargetRegressor(Ridge(), **settings, check_inverse=False).fit(*DIABETES)

    with pytest.raises(Unsupported) as caught:
        FRAMEWORK.describe(model, FRAMEWORK.signature(model)).attempts[0].convert()

    assert caught.value.model == "TransformedTargetRegressor"
    assert problem in caught.value.problem
