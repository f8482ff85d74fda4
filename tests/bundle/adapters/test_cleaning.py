"""What each rule does to a text, in which order, and that no text makes it slow or large."""

import time
import tracemalloc
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.bundle.adapters.cleaning import MAX_GROWTH, MIN_GROWTH, Cleaning, cleaner
from snooze.bundle.adapters.text import CLEANING_FACTOR
from snooze.bundle.codec import read
from snooze.bundle.errors import InvalidContract

EVERYTHING = Cleaning("NFKC", "link", True, "0", "space", "lower", True)
UNITS = (
    "http://", "www.", "www.a ", "1,", "1 ", "'", "can'", "n't ", "'d", "w", "ab,", "中,", "ﬃ", "Σ.", "İ", " ", "é",
    "e" + "\u0301" * 50 + "\u0327" * 50,
)  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "text", "expected"),
    [
        (Cleaning(), " What's  THIS? ", " What's  THIS? "),
        (Cleaning(unicode="NFC"), "e\u0301", "\u00e9"),
        (Cleaning(unicode="NFD"), "\u00e9", "e\u0301"),
        (Cleaning(unicode="NFKC"), "ﬁve ²", "five 2"),
        (Cleaning(unicode="NFKD"), "ﬁnd é", "find e\u0301"),
        (Cleaning(links=""), "see http://a.b/c?d=1, or WWW.x.org.", "see  or "),
        (Cleaning(links="LINK"), "(https://a.b) ftp://x awww.b", "(LINK LINK awww.b"),
        (Cleaning(links=r"\1"), "http://a", r"\1"),
        (Cleaning(contractions=True), "I can't, we won't, they shan't", "I cannot, we will not, they shall not"),
        (Cleaning(contractions=True), "Isn’t it? It's. DON'T", "Is not it? It is. DO not"),
        (
            Cleaning(contractions=True),
            "you're we'll I've I'm he'd let's",
            "you are we will I have I am he would let us",
        ),
        (Cleaning(contractions=True), "the river's name, the dogs' names", "the river's name, the dogs' names"),
        (Cleaning(numbers=""), "3 of 1,000.50 in 2nd, -1.", " of  in nd, -."),
        (Cleaning(numbers="NUM"), "٣ and 1..2", "NUM and NUM..NUM"),
        (Cleaning(punctuation="remove"), "a.b, “c” – d… e_f!", "ab c  d ef"),
        (Cleaning(punctuation="space"), "a.b¿c", "a b c"),
        (Cleaning(case="lower"), "ÀB", "àb"),
        (Cleaning(case="upper"), "straße", "STRASSE"),
        (Cleaning(case="casefold"), "Straße", "strasse"),
        (Cleaning(whitespace=True), "\t a \u00a0\n b ", "a b"),
        (EVERYTHING, " It's 2,5 KM…  see www.x.org/?y ", "it is 0 km see link"),
    ],
)
def test_a_rule(rules: Cleaning, text: str, expected: str) -> None:
    assert cleaner(rules)(text) == expected


def test_rules_are_applied_in_their_order() -> None:
    """A word that stands for a link is text for the rules after it."""
    assert cleaner(Cleaning(links="<URL>", punctuation="remove", case="lower"))("www.a.b") == "url"


@given(st.text())
def test_a_clean_text_stays_as_it_is(text: str) -> None:
    clean = cleaner(Cleaning(unicode="NFC", punctuation="space", whitespace=True))
    assert clean(clean(text)) == clean(text)


@given(st.text(), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_unicode_forms_are_those_of_unicodedata(text: str, form: Any) -> None:
    assert cleaner(Cleaning(unicode=form))(text) == unicodedata.normalize(form, text)


@pytest.mark.parametrize("unit", UNITS)
def test_no_text_needs_much_time_or_memory(unit: str) -> None:
    """Quadratic time would take minutes for 100,000 letters."""
    clean = cleaner(EVERYTHING._replace(unicode="NFKD"))
    text = unit * (100_000 // len(unit)) + "\U0001f600"
    begin = time.process_time()
    clean(text)
    assert time.process_time() - begin < 5
    tracemalloc.start()
    try:
        clean(text)
        assert tracemalloc.get_traced_memory()[1] < CLEANING_FACTOR * len(text.encode())
    finally:
        tracemalloc.stop()


def test_accents_that_python_sorts_in_quadratic_time_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 100 accents on one letter"):
        cleaner(Cleaning(unicode="NFC"))("e" + "\u0301" * 50_000 + "\u0327" * 50_000)


def test_a_text_that_grows_is_refused() -> None:
    clean = cleaner(Cleaning(unicode="NFKC"))
    assert len(clean("\ufdfa")) == 18
    with pytest.raises(ValueError, match=f"grows more than {MAX_GROWTH} times"):
        clean("\ufdfa" * MIN_GROWTH)


@pytest.mark.parametrize("word", ["two words", "x" * 16, "\u00a0"])
def test_a_word_is_short_and_has_no_white_space(word: str) -> None:
    with pytest.raises(InvalidContract, match=r"cleaning\.links: expected at most 15 characters without white space"):
        read(Cleaning, {"links": word}, "cleaning")


def test_refuses_unknown_rules() -> None:
    with pytest.raises(InvalidContract, match=r"cleaning\.stemming"):
        read(Cleaning, {"stemming": True}, "cleaning")
