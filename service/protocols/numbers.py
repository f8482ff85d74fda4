"""
Long lists of numbers in JSON, read into arrays without a Python object for each number.

`cut` takes them out of a body, so that what remains is short, and `NumberList` parses each with pysimdjson (16,384
numbers: 0.3 ms; orjson and `struct` take 0.6 ms, with nested lists 0.8 ms). Neither says what is wrong: where a body is
not of the plain form that is expected here, the caller decodes all of it the other way, which accepts more and explains
its errors. So both ways give the same answers.

pysimdjson is imported with the first long list (1 ms, 1 MiB). Without it, every body is decoded the other way.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import chain
from math import prod
from typing import Any, Final

import numpy as np

from snooze.service.errors import RequestError
from snooze.service.protocols.tensors import LONG_LIST, Array, TensorSpec, count
from snooze.service.requests import parse_json

MAX_GAP: Final = 4096  # bytes before a list in which its key is looked for
MAX_KEPT: Final = 512 * 1024  # bytes of a list up to which a parser keeps its buffers, at most 13 times as large
MAX_SPACE: Final = 16  # bytes between a key and its list
MAX_LISTS: Final = 64
MARK: Final = b"\x7f"
TYPES: Final = {"f": ("d", np.dtype("<f8")), "i": ("i", np.dtype("<i8")), "u": ("u", np.dtype("<u8"))}


class NotNumbers(Exception):
    """A body is not of the form that is read here."""


def cut(body: bytes, key: bytes) -> tuple[bytes, "dict[str, NumberList]"]:
    """
    Return a JSON text without the long lists of numbers that it holds under `key`, and these lists.

    Each list is replaced by a string, under which it is found among the lists; no other string of the text is. The text
    is valid JSON if and only if the body is, provided that the lists are. The body may also be one such list.

    Raises:
        NotNumbers: there is no such list, or the text contains escapes.
    """
    parts: list[bytes] = []
    lists: dict[str, NumberList] = {}
    done = 0
    start = 0 if body[:1] == b"[" else _find_list(body, key, 0)
    for _ in range(MAX_LISTS):
        if start < 0:
            break
        end = _find_end(body, start)
        if end - start >= LONG_LIST:
            mark = MARK + b"%d" % len(lists)
            parts += (body[done:start], b'"%s"' % mark)
            lists[mark.decode()] = NumberList(body[start:end])
            done = end
        start = _find_list(body, key, max(start, end))
    parts.append(body[done:])
    text = b"".join(parts)
    # A mark in the midst of a string ends that string, and is not JSON. Without escapes no other string equals a mark.
    if not lists or b"\\" in text or text.count(MARK) != len(lists):
        raise NotNumbers
    return text, lists


def read_rows(spec: TensorSpec, body: bytes, key: str) -> tuple[Any, Array] | None:
    """
    Return the document of a body, and the long list of numbers under its `key` as the rows of an input.

    In the document a string stands for the list; where the whole body is the list, it is this string. None means that
    the body is not of this form or does not fit: the other parser decides.
    """
    try:
        text, lists = cut(body, b'"%s"' % key.encode())
        document = parse_json(text)
        ((mark, numbers), *more) = lists.items()
        if more or mark != (document.get(key) if type(document) is dict else document):
            return None
        shape, values = numbers.read(spec)
        if spec.shape[1:] == (1,) and len(shape) == 1:  # a column of a table
            shape.append(1)
        if not shape[0] or count(spec, shape) != len(values):
            return None
    except (NotNumbers, RequestError):
        return None
    return document, values.reshape(shape)


class NumberList:
    """A JSON list of numbers, nested or flat, that has not been parsed yet."""

    def __init__(self, text: bytes) -> None:
        self._text = text

    def to_array(self, spec: TensorSpec, shape: list[int], number: int) -> Array:
        """
        Return what `tensors.from_json` returns for this list.

        Raises:
            NotNumbers: this is left to `from_json`.
        """
        nesting, values = self.read(spec)
        if nesting not in ([number], shape):
            raise NotNumbers
        return values.reshape(shape)

    def read(self, spec: TensorSpec) -> tuple[list[int], Array]:
        """
        Return the shape of the list, and its values in one dimension, in the datatype of a tensor.

        Raises:
            NotNumbers: it is not JSON, holds anything but numbers that fit the tensor, is not nested regularly, or
                holds integers of more than 64 bits; or there is no parser.
        """
        text = self._text
        new_parser = _import_parser()
        if new_parser is None or spec.kind not in TYPES:
            raise NotNumbers
        lists = 1
        if text.find(b"[", 1) >= 0:
            lists = int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord("[")))
            # The other parser decides whether many short lists take too much memory.
            if lists * 4 > len(text):
                raise NotNumbers
        code, dtype = TYPES[spec.kind]
        parser = _kept_parser() if len(text) <= MAX_KEPT else new_parser()
        try:
            array = parser.parse(text)
            shape = _measure_shape(array, lists)
            values = _convert(np.frombuffer(array.as_buffer(of_type=code), dtype), spec)
        except (ValueError, TypeError, RuntimeError, ArithmeticError):
            raise NotNumbers from None
        if len(values) != prod(shape):
            raise NotNumbers
        return shape, values


def _convert(values: Array, spec: TensorSpec) -> Array:
    """Return numbers of 8 bytes each in the datatype of a tensor. Numbers out of its range are an ArithmeticError."""
    if values.dtype == spec.dtype:
        return values
    with np.errstate(over="raise"):
        array: Array = values.astype(spec.dtype)
    if spec.kind != "f" and not np.array_equal(array, values):
        raise OverflowError
    return array


def _find_list(body: bytes, key: bytes, at: int) -> int:
    """Return where the next list after `key` begins, or -1."""
    found = body.find(key, at, at + MAX_GAP)
    after = found + len(key)
    return body.find(b"[", after, after + MAX_SPACE) if found >= 0 else -1


def _find_end(body: bytes, start: int) -> int:
    """Return where a list of numbers ends that begins at `start`, or 0. Numbers contain neither quotes nor braces."""
    stop = body.find(b'"', start)
    if stop < 0:
        stop = len(body)
    brace = body.find(b"}", start, stop)
    return body.rfind(b"]", start, stop if brace < 0 else brace) + 1


def _measure_shape(array: Any, lists: int) -> list[int]:
    """Return the shape of a parsed list which contains so many `lists`, itself included."""
    shape = [len(array)]
    found = total = 1
    while found < lists:
        total *= shape[-1]
        found += total
        sizes = set(_sizes(array, len(shape))) if found <= lists else ()
        if len(sizes) != 1:
            raise NotNumbers
        shape += sizes
    return shape


def _sizes(array: Any, depth: int) -> Iterator[int]:
    """Return the lengths of the lists at a depth, one list at a time. A number there raises TypeError."""
    if depth == 1:
        return map(len, array)
    return chain.from_iterable(_sizes(part, depth - 1) for part in array)


@lru_cache(1)
def _import_parser() -> Callable[[], Any] | None:
    try:
        from simdjson import Parser
    except ImportError:
        return None
    return Parser


@lru_cache(1)
def _kept_parser() -> Any:
    """Return the parser whose buffers are used again."""
    new_parser = _import_parser()
    assert new_parser is not None
    return new_parser()
