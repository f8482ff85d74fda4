"""
Texts as counts, weights or hashes of their words or letters.

Formulas: scikit-learn's user guide, "Text feature extraction" and "Feature hashing"; `_VectorizerMixin` and
`_hashing_fast.pyx` of `sklearn.feature_extraction`.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.accents import FIRST, NEVER, SEPARATOR, number_words
from snooze.convert.frameworks.sklearn.converters.nodes import MICROSOFT, Converter, Nodes, Value
from snooze.convert.frameworks.sklearn.converters.tokens import (
    PADDING,
    constant,
    count,
    find,
    look_up,
    matches,
    move_back,
    split,
)  # fmt: skip
from snooze.convert.frameworks.sklearn.words import LETTERS, SPACES, WHITE, find_shortest, may_match_space, translate

LOCALE: Final = "C.UTF-8"  # there is always one; en_US is missing in small images
MAX_HASHED: Final = 2**18  # columns, which are 1 MiB for a row

NORMS: Final = {"l1": "ReduceL1", "l2": "ReduceL2"}


def _convert_counts(nodes: Nodes, model: Any) -> None:
    nodes.answer(_count(nodes, model).cast(nodes.dtype))


def _convert_tfidf_vectorizer(nodes: Nodes, model: Any) -> None:
    nodes.answer(_weigh(_count(nodes, model).cast(nodes.dtype), model))


def _convert_tfidf(nodes: Nodes, model: Any) -> None:
    nodes.answer(_weigh(nodes.given(), model))


def _convert_hashes(nodes: Nodes, model: Any) -> None:
    """Add the sign of each token's hash to a column that the hash chooses; or set that to one if it is binary."""
    _check_hashes(model)
    tokens = _tokenize(_lower(nodes, model), model)
    added = look_up(tokens, dict.fromkeys([PADDING, *_stop_words(model)], 0), 1)
    hashes = tokens.map("MurmurHash3", domain=MICROSOFT, positive=0, dtype=np.int32).cast(np.int64)
    if model.alternate_sign and not model.binary:
        added = nodes.where(hashes >= 0, added, -added)
    columns = hashes.map("Abs").map("Mod", model.n_features)
    shape = nodes.join([tokens.map("Shape", start=0, end=1, dtype=np.int64), nodes.value([model.n_features])], axis=0)
    zeros = nodes.value(np.zeros(1)).map("Expand", shape)
    sums = zeros.map("ScatterElements", columns, added.cast(nodes.dtype), axis=1, reduction="add")
    nodes.answer(_normalize((sums > 0.0).cast(nodes.dtype) if model.binary else sums, model.norm))


def _count(nodes: Nodes, model: Any) -> Value:
    """Return how often each text has each term of the vocabulary [rows, terms]."""
    texts = _lower(nodes, model)
    counts = _count_tokens(texts, model) if model.strip_accents is None else _count_letters(texts, model)
    return (counts > 0.0).cast(np.float32) if model.binary else counts


def _count_tokens(texts: Value, model: Any) -> Value:
    nodes, stop_words = texts.nodes, _stop_words(model)
    tokens = _tokenize(texts, model)
    if stop_words and (model.ngram_range[1] > 1 or not set(stop_words).isdisjoint(model.vocabulary_)):
        tokens = nodes.where(find(tokens, stop_words), PADDING, tokens)
        tokens = move_back(tokens, find(tokens, [PADDING]))  # so that those around a stop word become neighbours
    counts = count(tokens, _split(model))
    if model.analyzer == "char_wb" and " " in model.vocabulary_:
        # There is one blank between two words, where scikit-learn has one before and one after each word.
        blanks = find(tokens, [" "])
        starts = _slice(blanks, 0, -1) & ~_slice(blanks, 1, np.iinfo(np.int64).max)
        place = np.arange(len(model.vocabulary_)) == model.vocabulary_[" "]
        counts = nodes.where(nodes.value(place), starts.cast(np.float32).sum() * 2.0, counts)
    return counts


def _slice(value: Value, first: int, last: int) -> Value:
    """Return columns of a value."""
    return value.map("Slice", *(value.nodes.value([one]) for one in (first, last, 1)))


def _count_letters(texts: Value, model: Any) -> Value:
    """Count words whose accents are stripped, as n-grams of their letters."""
    terms = _split(model)
    alphabet = sorted({letter for term in terms for word in term for letter in word} - {" "})
    numbers = {letter: FIRST + at for at, letter in enumerate(alphabet)} | {" ": NEVER}
    letters = number_words(texts, model.strip_accents, alphabet, find_shortest(model.token_pattern) or 1)
    words = [[[numbers[letter] for letter in word] for word in term] for term in terms]
    return count(letters, [[SEPARATOR, *(one for word in term for one in (*word, SEPARATOR))] for term in words])


def _lower(nodes: Nodes, model: Any) -> Value:
    texts = nodes.given().reshape(-1)
    return texts.map("StringNormalizer", case_change_action="LOWER", locale=LOCALE) if model.lowercase else texts


def _tokenize(texts: Value, model: Any) -> Value:
    """Return the words or letters of texts [rows, tokens]."""
    nodes = texts.nodes
    if model.analyzer == "word":
        return split(texts, str(translate(model.token_pattern)))
    if model.analyzer == "char":  # which takes runs of spaces for one space
        letters = split(texts, LETTERS)
        return nodes.where(matches(letters, SPACES), " ", letters)
    letters, edge = split(texts, "(?s)."), constant(texts, " ")
    return nodes.join([edge, nodes.where(find(letters, [PADDING, *WHITE]), " ", letters), edge])


def _split(model: Any) -> list[tuple[str, ...]]:
    """Return the tokens of each term of a vocabulary, in the order of the columns."""
    least, most = model.ngram_range
    if model.analyzer == "word" and most > 1 and may_match_space(model.token_pattern):
        problem = f"words of token_pattern={model.token_pattern!r} may match spaces, as between the words of an n-gram"
        raise Unsupported(type(model).__name__, f"{problem}; use the default, or ngram_range=(1, 1)")
    terms = sorted(model.vocabulary_, key=model.vocabulary_.__getitem__)
    if model.analyzer == "word":
        found = [tuple(one.split(" ")) if most > 1 else (one,) for one in terms]
    else:
        found = [tuple(one) for one in terms]
    shortest = 1 if model.analyzer == "char_wb" else least
    never = [(f" {at}",) * least for at in range(len(terms))]  # no token begins with a space and is longer
    return [one if shortest <= len(one) <= most else other for one, other in zip(found, never, strict=True)]


def _stop_words(model: Any) -> list[str]:
    return sorted(model.get_stop_words() or ()) if model.analyzer == "word" else []


def _weigh(counts: Value, model: Any) -> Value:
    """Return the weights of words for their counts [rows, words]."""
    weights = counts
    if model.sublinear_tf:
        weights = counts.map("Log") + 1.0
    if model.use_idf:
        weights = weights * model.idf_
    if model.sublinear_tf or (model.use_idf and np.isinf(model.idf_).any()):  # of words that training never saw
        weights = counts.nodes.where(counts.equals(0.0), 0.0, weights)
    return _normalize(weights, model.norm)


def _normalize(weights: Value, norm: str | None) -> Value:
    if norm is None:
        return weights
    norms = weights.reduce("ReduceL1") if norm == "l1" else weights.reduce("ReduceSumSquare").map("Sqrt")
    return weights / weights.nodes.where(norms.equals(0.0), 1.0, norms)


def _check_hashes(model: Any) -> None:
    if tuple(model.ngram_range) != (1, 1) or model.analyzer == "char_wb":
        problem = "a graph has the hashes of words and letters, but cannot join them to n-grams"
        advice = "use ngram_range=(1, 1) and analyzer='word' or 'char', or a TfidfVectorizer"
        raise Unsupported(type(model).__name__, f"{problem}; {advice}")
    if model.n_features > MAX_HASHED:
        problem = (
            f"n_features={model.n_features} is as many numbers for each text, because a graph has no sparse matrices"
        )
        raise Unsupported(type(model).__name__, f"{problem}; use at most n_features=2**18, better 2**14")


def _count_columns(model: Any) -> int:
    if hasattr(model, "vocabulary_"):
        return len(model.vocabulary_)
    return int(model.n_features if hasattr(model, "n_features") else model.n_features_in_)


TEXT: Final = "sklearn.feature_extraction.text"
CONVERTERS: Final = (
    Converter(f"{TEXT}.CountVectorizer", _convert_counts, _count_columns),
    Converter(f"{TEXT}.TfidfVectorizer", _convert_tfidf_vectorizer, _count_columns),
    Converter(f"{TEXT}.TfidfTransformer", _convert_tfidf, _count_columns),
    Converter(f"{TEXT}.HashingVectorizer", _convert_hashes, _count_columns),
)
