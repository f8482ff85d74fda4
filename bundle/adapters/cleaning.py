"""
Rules that clean texts: the same function for training, conversion and server, so that they cannot drift apart.

    from snooze.bundle.adapters.cleaning import Cleaning, cleaner

    clean = cleaner(Cleaning(contractions=True, case="lower", whitespace=True))
    clean("I  can't")  # "i cannot"

The rules are applied in the order of the fields of `Cleaning`, each to what the one before it gave. Every rule takes
time in proportion to the text, whatever it contains. Unicode forms and cases are those of Python's Unicode database, so
rare letters may change with Python's version.
"""

import re
from collections.abc import Callable
from functools import partial
from itertools import groupby
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias

from snooze.bundle.names import Text

Clean: TypeAlias = Callable[[str], str]

MAX_WORD: Final = 15
MAX_GROWTH: Final = 4  # times; real texts stay far below, but one letter of Unicode may become eighteen
MIN_GROWTH: Final = 1000  # characters by which a text of any length may grow
MAX_MARKS: Final = 100  # accents on one letter: Python sorts them in quadratic time

LINK: Final = r"(?i)\b(?:https?://|ftp://|www\.)\S+"
NUMBER: Final = r"\d++(?:[.,]\d++)*+"
PUNCTUATION: Final = r"[!-/:-@\[-`{-~¡§«¶·»¿‐-‧‰-⁞]"  # ASCII, the signs of Latin-1, and general punctuation
APOSTROPHE: Final = "['’]"
CONTRACTIONS: Final = (
    (rf"\b(ca)n{APOSTROPHE}t\b", r"\1nnot"),
    (rf"\b(w)on{APOSTROPHE}t\b", r"\1ill not"),
    (rf"\b(sha)n{APOSTROPHE}t\b", r"\1ll not"),
    (rf"n{APOSTROPHE}t\b", " not"),
    (rf"\b(let){APOSTROPHE}s\b", r"\1 us"),
    (rf"\b(it|he|she|that|this|what|who|where|when|why|how|there|here){APOSTROPHE}s\b", r"\1 is"),
    (rf"\b(i){APOSTROPHE}m\b", r"\1 am"),
    (rf"{APOSTROPHE}re\b", " are"),
    (rf"{APOSTROPHE}ll\b", " will"),
    (rf"{APOSTROPHE}ve\b", " have"),
    (rf"{APOSTROPHE}d\b", " would"),
)
"""English contractions and what stands for them; a possessive such as "a river's name" is kept."""


def is_word(text: str) -> bool:
    """Return whether a text may stand for links or numbers: short, without white space, or nothing."""
    return len(text) <= MAX_WORD and not any(map(str.isspace, text))


Word = Annotated[str, Text(is_word, f"at most {MAX_WORD} characters without white space", rf"^\S{{0,{MAX_WORD}}}$")]


class Cleaning(NamedTuple):
    """Rules that clean a text, in the order in which they are applied. What is null or false does nothing."""

    unicode: Literal["NFC", "NFD", "NFKC", "NFKD"] | None = None  # the Unicode form to normalize to
    links: Word | None = None  # what stands for a link: from http://, https://, ftp:// or www. to the next white space
    contractions: bool = False  # write English contractions out: "can't" is "cannot", "it's" is "it is"
    numbers: Word | None = None  # what stands for digits, with points and commas between them
    punctuation: Literal["remove", "space"] | None = None  # remove each sign, or put a space in its place
    case: Literal["lower", "upper", "casefold"] | None = None  # the case of all letters, as Python's `str` has it
    whitespace: bool = False  # one space for each run of white space, and none at the ends


def cleaner(rules: Cleaning) -> Clean:
    """
    Return the function that cleans a text by the rules.

    It raises ValueError for a text that would grow more than fourfold, or has more than 100 accents on one letter.
    """
    steps = list(_steps(rules))

    def clean(text: str) -> str:
        limit = MAX_GROWTH * len(text) + MIN_GROWTH
        for step in steps:
            text = step(text)
            if len(text) > limit:
                raise ValueError(f"grows more than {MAX_GROWTH} times when it is cleaned")
        return text

    return clean


def _steps(rules: Cleaning) -> list[Clean]:
    """Return the rules as functions, in their order."""
    steps: list[Clean] = []
    if rules.unicode is not None:
        steps.append(partial(_normalize, rules.unicode))
    if rules.links is not None:
        steps.append(_replacing(LINK, rules.links))
    if rules.contractions:
        steps.append(_expanding())
    if rules.numbers is not None:
        steps.append(_replacing(NUMBER, rules.numbers))
    if rules.punctuation is not None:
        steps.append(_replacing(PUNCTUATION, "" if rules.punctuation == "remove" else " "))
    if rules.case is not None:
        steps.append(getattr(str, rules.case))
    if rules.whitespace:
        steps.append(lambda text: " ".join(text.split()))
    return steps


def _normalize(form: Literal["NFC", "NFD", "NFKC", "NFKD"], text: str) -> str:
    if text.isascii():
        return text
    import unicodedata

    if len(text) > MIN_GROWTH:
        runs = groupby(map(unicodedata.combining, text), bool)
        if any(is_mark and sum(1 for _ in run) > MAX_MARKS for is_mark, run in runs):
            raise ValueError(f"has more than {MAX_MARKS} accents on one letter")
    return unicodedata.normalize(form, text)


def _replacing(pattern: str, word: str) -> Clean:
    return partial(re.compile(pattern).sub, word.replace("\\", r"\\"))


def _expanding() -> Clean:
    contractions = [(re.compile(pattern, re.IGNORECASE), expanded) for pattern, expanded in CONTRACTIONS]

    def expand(text: str) -> str:
        if "'" in text or "’" in text:
            for pattern, expanded in contractions:
                text = pattern.sub(expanded, text)
        return text

    return expand
