from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters import responses
from snooze.convert.frameworks.sklearn.converters.responses import respond

pytestmark = pytest.mark.framework

Run = Callable[..., Any]
METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("method", METHODS)
def test_a_classifier_in_a_pipeline(run: Run, method: str, classes: int, dtype: Any) -> None:
    rows, labels = load_iris(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows[labels < classes], labels[labels < classes])

    answer = run(lambda nodes: respond(nodes, model, method), rows[::5].astype(dtype))

    expected = getattr(model, method)(rows[::5].astype(dtype))
    assert answer.shape == (expected if method == "predict" else expected.reshape(len(expected), -1)).shape
    np.testing.assert_allclose(answer.ravel(), expected.ravel(), rtol=1e-3, atol=1e-5)  # of small probabilities


def test_values(run: Run) -> None:
    rows = load_iris().data.astype(np.float32)
    model = LinearRegression().fit(rows[:, :3], rows[:, 3])

    answer = run(lambda nodes: respond(nodes, model, "predict"), rows[:, :3])

    np.testing.assert_allclose(answer[:, 0], model.predict(rows[:, :3]), rtol=1e-4, atol=1e-5)


def test_a_decision_function_that_no_converter_gives(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours give them; a converter that somebody else registered may not."""
    monkeypatch.setattr(responses, "has_raw_scores", lambda estimator: False)
    rows, labels = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(rows, labels)

    with pytest.raises(Unsupported, match="another estimator needs its decision function"):
        run(lambda nodes: respond(nodes, model, "decision_function"), rows)
