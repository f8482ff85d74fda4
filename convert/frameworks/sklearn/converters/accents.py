"""
Words of texts whose accents are stripped, as n-grams of letters.

Formula: `strip_accents_unicode` and `strip_accents_ascii` of scikit-learn, which decompose each letter (NFKD) and leave
combining marks out, or all that is not ASCII. A graph cannot join letters to words again. So letters are numbers: 0 for
none, 1 for what separates words, 2 for a letter that no word of the vocabulary has. A word is the n-gram of its letters
between two separators.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Final

import numpy as np

from snooze.convert.frameworks.sklearn.converters.nodes import Value
from snooze.convert.frameworks.sklearn.converters.tokens import PADDING, constant, look_up, matches, move_back, split
from snooze.convert.frameworks.sklearn.words import LETTER

NEVER, NONE, SEPARATOR, OTHER = -1, 0, 1, 2  # no letter becomes the first
FIRST: Final = 3  # number of the first letter of the alphabet


def number_words(texts: Value, accents: str, alphabet: list[str], shortest: int) -> Value:
    """
    Return the words of texts [rows] as numbers of letters [rows, letters], with separators around each word.

    Words of fewer letters than `shortest` are left out. `accents`: unicode or ascii.
    """
    nodes = texts.nodes
    letters = _decompose(texts, accents, alphabet, shortest)
    letters = move_back(letters, letters.equals(NONE))
    kept = _find_runs(letters > SEPARATOR, shortest)
    first = letters.take([0]) >= 0  # which is a separator
    before = nodes.join([first, kept.map("Slice", *map(nodes.value, ([0], [-1], [1])))])
    words = nodes.where(kept, letters, (before & ~kept).cast(np.int64) * SEPARATOR)
    return move_back(words, words.equals(NONE))


def _find_runs(marked: Value, shortest: int) -> Value:
    """Return what is marked [rows, letters] in runs that are long enough: an opening, as of pictures."""
    axis = marked.nodes.value([1])
    window = {"kernel_shape": [shortest], "strides": [1]}
    gaps = marked.cast(np.float32).map("Neg").map("Unsqueeze", axis).map("MaxPool", **window)
    return gaps.map("Neg").map("MaxPool", pads=[shortest - 1] * 2, **window).map("Squeeze", axis).cast(bool)


def _decompose(texts: Value, accents: str, alphabet: list[str], shortest: int) -> Value:
    """Return the numbers of the decomposed letters of texts, with separators around them and zeros among them."""
    nodes = texts.nodes
    numbers = dict(_decompositions(accents, alphabet)) | {PADDING: ()}
    rows = {one: at for at, one in enumerate(sorted({*numbers.values(), (SEPARATOR,), (OTHER,)}))}
    letters = split(texts, "(?s).")
    found = look_up(letters, {letter: rows[one] for letter, one in numbers.items()}, -1)
    unknown = nodes.value(rows[()])  # which is left out, because it is not ASCII
    if accents == "unicode":
        unknown = nodes.where(matches(letters, LETTER), nodes.value(rows[OTHER,]), nodes.value(rows[SEPARATOR,]))
    edge = constant(texts, rows[SEPARATOR,])
    found = nodes.join([edge, nodes.where(found < 0, unknown, found), *[edge] * shortest])
    # As many numbers for each letter as the longest decomposition among these letters has: mostly one.
    sizes = nodes.value([len(one) for one in rows]).map("Gather", found)
    places = nodes.value(0).map("Range", sizes.map("ReduceMax", keepdims=0), nodes.value(1))
    longest = max(map(len, rows))
    table = nodes.value([number for one in rows for number in (*one, *[NONE] * (longest - len(one)))])
    return table.map("Gather", found.add_axes(2) * longest + places).reshape(0, -1)


def _decompositions(accents: str, alphabet: list[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the letters of the alphabet and those that become others, and the numbers of what they become."""
    numbers = {letter: FIRST + at for at, letter in enumerate(alphabet)}
    for letter in alphabet if accents == "unicode" else map(chr, range(128)):
        yield letter, (_number(letter, numbers),)
    for letter, decomposed in _decomposable():
        if accents == "ascii":
            decomposed = "".join(one for one in decomposed if one.isascii())
        if decomposed or accents == "unicode":
            yield letter, tuple(_number(one, numbers) for one in decomposed)


def _number(letter: str, numbers: dict[str, int]) -> int:
    return numbers.get(letter, OTHER if re.match(r"\w", letter) else SEPARATOR)


@cache
def _decomposable() -> tuple[tuple[str, str], ...]:
    """Return all letters that are decomposed or left out, and what is left of them."""
    letters = map(chr, (*range(128, 0xD800), *range(0xE000, 0x110000)))
    decomposed = ((one, unicodedata.normalize("NFKD", one)) for one in letters)
    return tuple(
        (one, "".join(part for part in parts if not unicodedata.combining(part)))
        for one, parts in decomposed
        if one != parts or unicodedata.combining(one)
    )
