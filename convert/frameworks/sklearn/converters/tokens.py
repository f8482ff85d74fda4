"""
Texts as tokens: words, letters, or numbers of them.

Tokens are a value [rows, tokens]. The empty text pads the rows of texts that have fewer tokens than others.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from snooze.convert.frameworks.sklearn.converters.nodes import MICROSOFT, ML, Value

PADDING: Final = ""


def split(texts: Value, pattern: str) -> Value:
    """Return the matches of a pattern in each text, along a new axis. The pattern has the syntax of RE2."""
    return texts.map("Tokenizer", domain=MICROSOFT, tokenexp=pattern, pad_value=PADDING, mark=0, mincharnum=1)


def look_up(tokens: Value, values: Mapping[str, Any], default: Any) -> Value:
    """Return the values of tokens, all integers or all texts, and a default for others."""
    kind, dtype = ("string", object) if isinstance(default, str) else ("int64", np.int64)
    found = {f"values_{kind}s": list(values.values()), f"default_{kind}": default}
    return tokens.map("LabelEncoder", domain=ML, keys_strings=list(values), dtype=dtype, **found)


def find(tokens: Value, words: Sequence[str]) -> Value:
    """Return which tokens are among some words."""
    return look_up(tokens, dict.fromkeys(words, 1), 0).cast(bool)


def matches(tokens: Value, pattern: str) -> Value:
    """Return in which tokens a pattern matches."""
    return look_up(split(tokens, pattern), {PADDING: 0}, 1).sum(2, keep=False).cast(bool)


def constant(texts: Value, value: int | str) -> Value:
    """Return a column [rows, 1] of one value for texts [rows]."""
    return look_up(texts, {PADDING: value}, value).reshape(-1, 1)


def move_back(tokens: Value, marked: Value) -> Value:
    """Return tokens with the marked ones of each row behind the others, and otherwise in their order."""
    nodes = tokens.nodes
    count = tokens.map("Shape", start=1, end=2, dtype=np.int64)
    keys = marked.cast(np.int64) * count + nodes.value(0).map("Range", count.reshape(), nodes.value(1))
    order = nodes.add_several("TopK", [keys.name, count.name], [nodes.name("keys"), nodes.name("order")], largest=0)[1]
    return tokens.map("GatherElements", Value(nodes, order, np.int64), axis=1)


def count(tokens: Value, terms: Sequence[Sequence[Any]]) -> Value:
    """Return how often the tokens of each term, texts or integers, follow each other [rows, terms], as float32."""
    sizes = [len(one) for one in terms]
    order = sorted(range(len(terms)), key=sizes.__getitem__)
    pool = "pool_strings" if tokens.dtype.kind == "O" else "pool_int64s"
    return tokens.map(
        "TfIdfVectorizer",
        dtype=np.float32,
        mode="TF",
        min_gram_length=min(sizes),
        max_gram_length=max(sizes),
        max_skip_count=0,
        ngram_counts=[sum(one for one in sizes if one < size) for size in range(1, max(sizes) + 1)],
        ngram_indexes=order,
        **{pool: [token for at in order for token in terms[at]]},
    )
