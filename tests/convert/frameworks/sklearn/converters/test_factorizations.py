from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.decomposition import NMF, MiniBatchNMF
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from tests.convert.frameworks.sklearn.conftest import Convert

from snooze.convert.attempts import Conversion, find_batching
from snooze.convert.errors import Unsupported
from snooze.convert.runner import Runner

pytestmark = [pytest.mark.framework, pytest.mark.filterwarnings("ignore:Maximum number of iterations")]
DIGITS, IRIS, CANCER = load_digits().data[:300], load_iris().data, load_breast_cancer().data
BETAS = (2, 1, 0, 1.5, 0.5, 3)


def _check(convert: Convert, model: Any, rows: np.ndarray[Any, Any]) -> Conversion:
    """Scikit-learn and its graph agree on rows that the model was not trained on, which are at least not negative."""
    _, conversion = convert(model.fit(rows[::2]), rows[1::2])
    assert (conversion.parity.data.outliers, conversion.parity.verdict) == (0, "agrees")
    return conversion


@pytest.mark.parametrize("rows", [DIGITS, IRIS, IRIS * [1e-3, 1, 10, 1e4]], ids=["digits", "iris", "awkward"])
@pytest.mark.parametrize("settings", [{}, {"alpha_W": 1e-3, "l1_ratio": 0.5}, {"tol": 0, "max_iter": 9}], ids=str)
def test_coordinate_descent(convert: Convert, rows: np.ndarray[Any, Any], settings: dict[str, Any]) -> None:
    _check(convert, NMF(3, init="nndsvda", **settings), rows)


@pytest.mark.parametrize("beta", BETAS)
def test_multiplicative_updates(convert: Convert, beta: float) -> None:
    settings: dict[str, Any] = {"init": "nndsvda", "beta_loss": beta, "random_state": 0, "max_iter": 60}
    _check(convert, NMF(3, solver="mu", **settings), IRIS)
    _check(convert, NMF(3, solver="mu", alpha_W=1e-3, l1_ratio=0.5, tol=0, **settings | {"max_iter": 9}), IRIS)
    _check(convert, MiniBatchNMF(3, **settings), IRIS)
    _check(convert, MiniBatchNMF(3, tol=0, transform_max_iter=9, **settings), IRIS + 0.1)


def test_the_names_of_losses(convert: Convert) -> None:
    _check(convert, NMF(2, init="nndsvda", solver="mu", beta_loss="kullback-leibler"), IRIS)


def test_a_component_that_is_not_used(convert: Convert) -> None:
    rows = np.column_stack([IRIS, np.zeros(len(IRIS))])
    model = NMF(2, init="nndsvda").fit(rows)
    model.components_[1] = 0
    _, conversion = convert(model, rows)
    assert conversion.parity.verdict == "agrees"


def test_rows_change_each_others_answers_as_in_scikit_learn(convert: Convert) -> None:
    model = NMF(3, init="nndsvda", solver="mu").fit(IRIS[::2])
    original, conversion = convert(model, IRIS[1::2])
    runner = Runner(conversion.file)
    for count in (1, 3, 40):
        found = runner.run({"features": IRIS[:count]})["embedding"]
        np.testing.assert_allclose(found, model.transform(IRIS[:count]), rtol=1e-4, atol=1e-6)
    alone = np.vstack([model.transform(IRIS[at : at + 1]) for at in range(40)])
    assert np.abs(alone - found).max() > 1e-3
    assert find_batching(conversion, runner, conversion.expected.tolerance, original) is None


def test_more_rows_than_are_asked_for_at_once(convert: Convert) -> None:
    _check(convert, NMF(2, init="nndsvda", solver="mu"), CANCER)


def test_a_model_of_rows_in_single_precision(convert: Convert) -> None:
    _check(convert, NMF(2, init="nndsvda"), IRIS.astype(np.float32))


def test_factors_in_front_of_a_classifier(convert: Convert) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = make_pipeline(NMF(3, init="nndsvda"), LogisticRegression()).fit(rows[::2], labels[::2])
    _, conversion = convert(model, rows[1::2])
    assert conversion.parity.verdict == "agrees"


def test_a_random_order(convert: Convert) -> None:
    _check(convert, NMF(3, init="nndsvda", shuffle=True, random_state=7), IRIS)


def test_a_random_order_of_each_call_is_refused(convert: Convert) -> None:
    model = NMF(2, init="nndsvda", shuffle=True).fit(IRIS)
    with pytest.raises(Unsupported) as caught:
        convert(model, IRIS)
    assert caught.value.problem.startswith("each call takes the components in another random order")
    model.shuffle = False
    assert convert(model, IRIS)[1].parity.verdict == "agrees"
