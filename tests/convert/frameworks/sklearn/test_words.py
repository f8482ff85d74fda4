from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from snooze.convert.attempts import Conversion
from snooze.convert.frameworks.interface import Framework, Original
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK
from snooze.convert.frameworks.sklearn.words import translate

pytestmark = pytest.mark.framework

Convert = Callable[..., tuple[Original, Conversion]]
TEXTS = np.array(
    [
        "Ein schöner schöner Tag, straßenweise ÄRGER",
        "a a good_day 2024 ½ is 好天气",
        "two  spaces,\n\nlines\tand x\u00a0\u3000y",
        "new\nline, ТЕКСТ e\u0301 😀",
        "",
    ],
    object,
)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"(?u)\b\w\w+\b", r"[\p{L}\p{N}_]{2,}"),
        (r"(?u)\b\w+\b", r"[\p{L}\p{N}_]{1,}"),
        (r"\b\w\w\w+\b", r"[\p{L}\p{N}_]{3,}"),
        (r"\w{3,}", r"[\p{L}\p{N}_]{3,}"),
        (r"\w\w{3,}", r"[\p{L}\p{N}_]{4,}"),
        (r"[a-zA-Z]+", r"[a-zA-Z]+"),
        (r"(?u)[a-z'-]{2,}", r"[a-z'-]{2,}"),
        (r"\b[a-z]+\b", None),  # a letter with an accent is a boundary in RE2
        (r"\w{2,4}", None),  # does not end where the word does
        (r"(?i)[a-z]+", None),
        (r"\S+", None),
        (r"(?<=#)[a-z]+", None),
    ],
)
def test_token_patterns_in_the_syntax_of_re2(pattern: str, expected: str | None) -> None:
    assert translate(pattern) == expected


@pytest.mark.parametrize(
    "vectorizer",
    [
        TfidfVectorizer(ngram_range=(1, 2)),
        TfidfVectorizer(sublinear_tf=True, stop_words=["ein"]),
        TfidfVectorizer(lowercase=False, token_pattern=r"(?u)\b\w+\b", norm="l1"),
        CountVectorizer(binary=True, token_pattern="[a-z]+"),
        CountVectorizer(analyzer="char", ngram_range=(1, 3)),
    ],
    ids=["pairs", "sublinear", "one letter", "class", "letters"],
)
@pytest.mark.parametrize("rows", [TEXTS, TEXTS[:1], TEXTS[-1:]], ids=["all", "no spaces", "empty"])
def test_texts_are_split_as_by_the_original(
    converter: Callable[[Framework], Convert], vectorizer: Any, rows: Any
) -> None:
    """Letters of any script, and runs of spaces, which are one space where letters are counted."""
    _, conversion = converter(FRAMEWORK)(vectorizer.fit(TEXTS), rows)

    assert conversion.parity.data.worst < 1e-6
