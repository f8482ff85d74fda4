import re

import pytest

from snooze.convert.frameworks.sklearn.words import WHITE, find_shortest, may_match_space, translate


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
        ("[a-zà-ü][a-z]*-?[0-9]{1,3}", "[a-zà-ü][a-z]*-?[0-9]{1,3}"),
        ("([a-z]+)s", None),  # Python gives the group
        ("a|ab", None),  # the longest match is another
        ("[a-z]+?", None),
        ("^[a-z]+", None),
        ("[[:alpha:]]+", None),
        ("[a-z]*", None),  # matches nothing as well
    ],
)
def test_token_patterns_in_the_syntax_of_re2(pattern: str, expected: str | None) -> None:
    assert translate(pattern) == expected


def test_white_space_is_that_of_python() -> None:
    assert [chr(one) for one in range(0x110000) if re.match(r"\s", chr(one))] == WHITE


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [(r"(?u)\b\w\w+\b", 2), (r"\w+", 1), (r"\w\w{3,}", 4), ("[a-z]+", None), (r"\w{2,4}", None)],
)
def test_letters_of_the_shortest_word(pattern: str, expected: int | None) -> None:
    assert find_shortest(pattern) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"(?u)\b\w\w+\b", False),
        ("[a-z]+", False),
        ("[a-z ]+", True),
        ("a b", True),
        ("[^,]+", True),
        ("[\t-z]+", True),
    ],
)
def test_words_with_spaces(pattern: str, expected: bool) -> None:
    assert may_match_space(pattern) == expected
