from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from tests.convert.frameworks.sklearn.converters.conftest import Agree
from tests.convert.frameworks.sklearn.converters.test_support_vectors import Convert

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters import responses
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK
from snooze.convert.quiet import quiet

pytestmark = pytest.mark.framework

MEMBERS = [  # with scores and probabilities, only scores, only probabilities, a pipeline
    LogisticRegression(max_iter=99),
    SVC(),
    RidgeClassifier(),
    GaussianNB(),
    DecisionTreeClassifier(max_depth=3),
    make_pipeline(MinMaxScaler(), LogisticRegression()),
]
REGRESSORS = [Ridge(), DecisionTreeRegressor(max_depth=4)]


def _code(member: Any) -> OutputCodeClassifier:
    return OutputCodeClassifier(member, code_size=4, random_state=1)


def _name(one: Any) -> str:
    return one.__name__ if callable(one) else type(one).__name__


@pytest.mark.parametrize("kind", [OneVsRestClassifier, OneVsOneClassifier, _code], ids=_name)
@pytest.mark.parametrize("member", MEMBERS, ids=_name)
@pytest.mark.parametrize("classes", [2, 3])
def test_classes(converter: Convert, kind: Callable[[Any], Any], member: Any, classes: int) -> None:
    rows, labels = load_iris(return_X_y=True)
    rows, labels = rows[labels < classes], labels[labels < classes]
    names = np.array(["setosa", "versicolor", "virginica"], object)
    model = kind(member).fit(rows[::2], names[labels[::2]])
    _, conversion = converter(FRAMEWORK)(model, rows[1::2])
    data = conversion.parity.data
    assert (data.outliers, data.flips, data.near_ties) == (0, 0, 0)


@pytest.mark.parametrize("kind", [OneVsRestClassifier, OneVsOneClassifier], ids=_name)
@pytest.mark.parametrize("member", REGRESSORS, ids=_name)
@pytest.mark.parametrize("classes", [2, 3])
def test_classes_from_regressors(converter: Convert, kind: Callable[[Any], Any], member: Any, classes: int) -> None:
    test_classes(converter, kind, member, classes)


@pytest.mark.parametrize("kind", [OneVsRestClassifier, OneVsOneClassifier, _code], ids=_name)
def test_columns_of_different_scales(agree: Agree, kind: Callable[[Any], Any]) -> None:
    agree(kind(LogisticRegression(max_iter=99)), *load_iris(return_X_y=True))


@pytest.mark.parametrize("member", [LogisticRegression(), SVC(), DecisionTreeClassifier(max_depth=3)], ids=_name)
def test_several_labels_at_once(converter: Convert, member: Any) -> None:
    rows, labels = load_iris(return_X_y=True)
    several = np.stack([labels == 0, labels > 0, rows[:, 0] > 5.5, rows[:, 0] > 0], axis=1)
    with quiet():  # the last label is always there
        model = OneVsRestClassifier(member).fit(rows[::2], several[::2].astype(int))
    _, conversion = converter(FRAMEWORK)(model, rows[1::2])
    assert conversion.parity.data.flips == 0
    assert conversion.outputs[0].shape == (-1, 4)


def test_members_that_read_similarities(converter: Convert) -> None:
    rows, labels = load_wine(return_X_y=True)
    rows = rows / rows.max(0)
    model = OneVsOneClassifier(SVC(kernel="precomputed")).fit(rows[::2] @ rows[::2].T, labels[::2])
    _, conversion = converter(FRAMEWORK)(model, rows[1::2] @ rows[::2].T)
    assert conversion.parity.data.outliers == 0


def test_a_member_whose_scores_are_not_converted(converter: Convert, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = OneVsOneClassifier(LogisticRegression(max_iter=999)).fit(rows, labels)
    monkeypatch.setattr(responses, "has_raw_scores", lambda estimator: False)
    with pytest.raises(Unsupported, match="LogisticRegression: its converter gives probabilities, and another"):
        converter(FRAMEWORK)(model, rows)
