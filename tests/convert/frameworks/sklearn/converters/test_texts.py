from itertools import product
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from tests.convert.frameworks.sklearn.conftest import Convert
from tests.convert.frameworks.sklearn.converters.conftest import with_awkward_scales

from snooze.convert.errors import Unsupported

pytestmark = pytest.mark.framework

COUNTS = np.random.default_rng(0).poisson(0.4, (40, 12)).astype(float)
TEXTS = np.array(
    [
        "Ein schöner schöner Tag, straßenweise ÄRGER",
        "a a good_day 2024 ½ is 好天气 the cat and a good dog",
        "two  spaces,\n\nlines\tand x\u00a0\u3000y",
        "new\nline, ТЕКСТ e\u0301 😀",
        "the cat is the cat",
        "",
        " \n ",
        " a ",
    ],
    object,
)
PAIRS = {"ngram_range": (1, 2)}


@pytest.mark.parametrize(("norm", "sublinear"), list(product(["l1", "l2", None], [False, True])))
def test_weights_of_counts(convert: Convert, norm: Any, sublinear: bool) -> None:
    """Also of a text without words, whose weights are zeros, and of counts that are less than one."""
    rows = np.vstack([COUNTS, np.zeros((1, 12)), COUNTS / 3])

    _, conversion = convert(TfidfTransformer(norm=norm, sublinear_tf=sublinear).fit(COUNTS), rows)

    assert conversion.parity.data.worst < 1e-5


@pytest.mark.parametrize("settings", [{"smooth_idf": False}, {"sublinear_tf": True, "smooth_idf": False}], ids=str)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_words_that_no_row_of_training_has(convert: Convert, settings: dict[str, Any]) -> None:
    rows = np.column_stack([COUNTS, np.zeros(len(COUNTS))])

    _, conversion = convert(TfidfTransformer(**settings).fit(rows), rows)

    assert conversion.parity.data.worst < 1e-6


@pytest.mark.parametrize("settings", [{}, {"use_idf": False}, {"norm": None, "smooth_idf": False}], ids=str)
def test_weights_of_numbers_of_any_scale(convert: Convert, settings: dict[str, Any]) -> None:
    rows = with_awkward_scales(COUNTS)

    _, conversion = convert(TfidfTransformer(**settings).fit(rows), rows)

    assert conversion.parity.attempt == "single precision"


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(),
        TfidfVectorizer(**PAIRS),
        TfidfVectorizer(sublinear_tf=True, stop_words=["ein", "the"]),
        TfidfVectorizer(lowercase=False, token_pattern=r"(?u)\b\w+\b", norm="l1"),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 3)),
        CountVectorizer(binary=True, token_pattern="[a-z]+"),
        CountVectorizer(stop_words="english", ngram_range=(1, 3), token_pattern=r"\w+"),
        CountVectorizer(vocabulary=["cat", "the", "is", "new york", "absent"], stop_words=["the"]),
        CountVectorizer(vocabulary=["cat", "the cat", "a  b", "absent"], ngram_range=(2, 2)),
        CountVectorizer(analyzer="char", ngram_range=(1, 3)),
        CountVectorizer(analyzer="char", vocabulary=["a", "ab", " "]),
        CountVectorizer(analyzer="char_wb"),
        CountVectorizer(analyzer="char_wb", ngram_range=(4, 5), binary=True, lowercase=False),
        HashingVectorizer(n_features=2**10),
        HashingVectorizer(n_features=3, norm=None, stop_words=["the"]),
        HashingVectorizer(n_features=5, norm="l1", alternate_sign=False, analyzer="char"),
        HashingVectorizer(n_features=4, binary=True, lowercase=False),
    ],
    ids=lambda one: str(one).replace("\n", ""),
)
@pytest.mark.parametrize("rows", [TEXTS, TEXTS[:1], TEXTS[5:6]], ids=["all", "one", "empty"])
def test_texts_are_split_as_by_the_original(convert: Convert, vectorizer: Any, rows: Any) -> None:
    """Letters of any script, runs of spaces, words that are too short, stop words between others."""
    _, conversion = convert(vectorizer.fit(TEXTS), rows)

    assert conversion.parity.data.worst < 1e-6


@pytest.mark.parametrize(
    "vectorizer", [HashingVectorizer(n_features=2**8), CountVectorizer(stop_words="english", **PAIRS)]
)
def test_drawn_texts_in_front_of_a_classifier(convert: Convert, vectorizer: Any) -> None:
    model = make_pipeline(vectorizer, SGDClassifier(loss="log_loss", random_state=0))

    _, conversion = convert(model.fit(TEXTS, ["cat" if "cat" in text else "none" for text in TEXTS]))

    assert conversion.parity.data.flips == 0


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"n_features": 2**20}, "n_features=1048576 is as many numbers for each text"),
        (PAIRS, "cannot join them to n-grams"),
        ({"analyzer": "char_wb"}, "cannot join them to n-grams"),
    ],
)
def test_hashes_that_a_graph_cannot_have(convert: Convert, settings: Any, problem: str) -> None:
    with pytest.raises(Unsupported) as caught:
        convert(HashingVectorizer(**settings).fit(TEXTS), TEXTS)

    assert caught.value.model == "HashingVectorizer"
    assert problem in caught.value.problem


def test_pairs_of_words_that_may_have_spaces(convert: Convert) -> None:
    """Nothing tells whether "a b c" is the pair of "a" and "b c" or of "a b" and "c"."""
    with pytest.raises(Unsupported, match="may match spaces"):
        convert(CountVectorizer(token_pattern="[a-z ]+", **PAIRS).fit(TEXTS), TEXTS)
