"""JSON as strict as a contract needs it: every reader gets the same value from what is written here."""

import json
from typing import Any, cast

from snooze.bundle.errors import InvalidContract


def parse(text: str | bytes) -> object:
    """
    Return the value of a JSON text.

    Raises:
        InvalidContract: it is not valid JSON in UTF-8, repeats a key, or contains NaN, infinity or a lone surrogate.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode()  # json.loads alone would accept surrogates and other encodings
        value = json.loads(text, parse_float=_finite, parse_constant=_refuse_constant, object_pairs_hook=_unique)
        if "\\ud" in text or "\\uD" in text:
            _text(value)
    except (ValueError, RecursionError) as error:
        raise InvalidContract("the file", f"is not valid JSON: {error}") from None
    return cast("object", value)


def write(document: dict[str, Any]) -> str:
    """
    Return a document as JSON text, one key on each line.

    Raises:
        InvalidContract: names the value that has no JSON form: NaN, infinity, a lone surrogate, a numpy array.
    """
    try:
        return _text(document, indent=2) + "\n"
    except (TypeError, ValueError):
        place, value = _first_without_json("", document)
        raise InvalidContract(place, f"{value!r} ({type(value).__name__}) has no JSON form") from None


def _finite(token: str) -> float:
    value = float(token)
    if value - value != 0:
        raise ValueError(f"{token[:20]} is too large a number")
    return value


def _refuse_constant(token: str) -> object:
    raise ValueError(f"{token} is not allowed")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} is duplicated")
    return document


def _text(value: object, indent: int | None = None) -> str:
    text = json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False)
    text.encode()  # fails for a lone surrogate, which no file can hold
    return text


def _first_without_json(place: str, value: object) -> tuple[str, object]:
    inner: list[tuple[str, object]] = []
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                return place, key
        inner = [(f"{place}.{key}" if place else key, item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        inner = [(f"{place}[{i}]", item) for i, item in enumerate(value)]
    for where, item in inner:
        try:
            _text(item)
        except (TypeError, ValueError):
            return _first_without_json(where, item)
    return place, value
