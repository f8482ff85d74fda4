import unicodedata
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from tests.convert.frameworks.sklearn.conftest import Convert

pytestmark = [pytest.mark.framework, pytest.mark.parametrize("accents", ["unicode", "ascii"])]

TEXTS = np.array(
    [
        "Café cafe\u0301 CAFÉ naïve x ½ ﬁn ﬀ ﷺ",
        "the café, a cafe x the naïve  Straße",
        "한국어 한 韓国 Ａｂｃ ①② ㎏ x² ª a\u0301",
        "¨ a¨b x\u00a0y Ǆ ŉ ĳ ł Ø æ",
        "",
        "\u0301\u0302",
    ],
    object,
)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"ngram_range": (1, 3)},
        {"ngram_range": (2, 2), "lowercase": False, "token_pattern": r"(?u)\b\w+\b"},
        {"token_pattern": r"\w{3,}", "binary": True},
        {"vocabulary": ["cafe", "the cafe", "café", "x", "absent"]},
    ],
    ids=str,
)
@pytest.mark.parametrize("rows", [TEXTS, TEXTS[:1], TEXTS[4:5], None], ids=["all", "one", "empty", "drawn"])
def test_words_without_accents(convert: Convert, accents: str, settings: Any, rows: Any) -> None:
    _, conversion = convert(TfidfVectorizer(strip_accents=accents, **settings).fit(TEXTS), rows)

    assert conversion.parity.data.worst < 1e-6


def test_letters_of_all_scripts(convert: Convert, accents: str) -> None:
    """Alone, between others, before and after them."""
    assigned = (chr(at) for at in range(1, 0x30000, 29) if unicodedata.category(chr(at)) not in ("Cn", "Co", "Cs"))
    rows = np.array([f"a{one}b {one}d x{one} {one}" for one in assigned], object)
    vectorizer = CountVectorizer(strip_accents=accents, ngram_range=(1, 2), max_features=500).fit(rows[::5])

    _, conversion = convert(vectorizer, rows)

    assert conversion.parity.data.rows > 2_000
    assert conversion.parity.data.flips == 0
