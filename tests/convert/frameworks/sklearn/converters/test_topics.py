from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import NMF, LatentDirichletAllocation
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from tests.convert.frameworks.sklearn.conftest import Convert

from snooze.convert.runner import Runner

pytestmark = pytest.mark.framework
DIGITS, LABELS = (array[:120] for array in load_digits(return_X_y=True))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"n_components": 3, "doc_topic_prior": 1e-3, "mean_change_tol": 1e-6},
        {"learning_method": "online", "max_doc_update_iter": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("rows", [DIGITS, load_iris().data, DIGITS * 1e3], ids=["digits", "iris", "many words"])
def test_topics(convert: Convert, settings: dict[str, Any], rows: np.ndarray[Any, Any]) -> None:
    model = LatentDirichletAllocation(**{"max_iter": 2, "random_state": 0, **settings}).fit(rows[::2])
    _, conversion = convert(model, rows[1::2])
    assert (conversion.parity.data.outliers, conversion.parity.verdict) == (0, "agrees")


def test_a_document_is_done_by_itself(convert: Convert) -> None:
    model = LatentDirichletAllocation(3, max_iter=2, random_state=0).fit(DIGITS)
    _, conversion = convert(model, DIGITS)
    runner = Runner(conversion.file)
    together = runner.run({"features": DIGITS[:9]})["embedding"]
    alone = np.vstack([runner.run({"features": DIGITS[at : at + 1]})["embedding"] for at in range(9)])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_a_document_without_words(convert: Convert) -> None:
    model = LatentDirichletAllocation(3, max_iter=2, random_state=0).fit(DIGITS)
    _, conversion = convert(model, np.vstack([np.zeros((1, 64)), DIGITS[:9]]))
    assert conversion.parity.data.outliers == 0


def test_topics_of_texts(convert: Convert) -> None:
    words = np.array(["cat dog bird fish", "car bus train ship", "red green blue"], object)
    texts = np.array([" ".join([words[at % 3]] * (at % 4 + 1)) + f" {words[at % 2]}" for at in range(40)], object)
    for model in (
        make_pipeline(CountVectorizer(), LatentDirichletAllocation(3, max_iter=2, random_state=0)),
        make_pipeline(TfidfVectorizer(), NMF(3, init="nndsvda", solver="mu", beta_loss=1)),
    ):
        _, conversion = convert(model.fit(texts[::2]), {"text": texts[1::2]})
        assert (conversion.parity.data.outliers, conversion.parity.verdict) == (0, "agrees")


def test_topics_in_front_of_a_classifier(convert: Convert) -> None:
    topics = LatentDirichletAllocation(4, max_iter=2, random_state=0)
    model = make_pipeline(topics, LogisticRegression()).fit(DIGITS[::2], LABELS[::2])
    assert convert(model, DIGITS[1::2])[1].parity.verdict == "agrees"
