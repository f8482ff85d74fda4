"""Compares answers of the service with those of the original, apart from Snooze's own checks."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from scripts.models.entry import Answers, Array, Entry

# A column may hold nothing but zeros, which sums in another order do not give exactly.
LEAST_COLUMN: Final = 0.01


class Difference(Exception):
    """The service answers something else than the original: in names, shapes or values."""


class Comparison(NamedTuple):
    """The largest difference, its share of what is allowed there, and how many classes differ."""

    worst: float
    share: float
    flips: int


def compare(entry: Entry, expected: Sequence[Answers], got: Sequence[Answers]) -> Comparison:
    """Compare the answers to all questions. Raises Difference if names or shapes differ."""
    worst = share = 0.0
    flips = 0
    for name, served in _pairs(list(expected[0]), list(got[0])):
        pairs = [_align(name, ours[name], theirs[served]) for ours, theirs in zip(expected, got, strict=True)]
        original, answer = (np.concatenate([_rows(array) for array in side]) for side in zip(*pairs, strict=True))
        if name in entry.labels or original.dtype.kind in "OUSb":
            flips += int((original.astype(str) != answer.astype(str)).sum())
            continue
        if name == entry.scores:
            flips += _count_flips(original, answer)
        found = _difference(original, answer)
        allowed = entry.tolerance.relative * np.abs(original) + entry.tolerance.column * _spans(original)
        differs = found > 0
        with np.errstate(divide="ignore"):  # where nothing is allowed
            share = max(share, (found[differs] / allowed[differs]).max(initial=0))
        worst = max(worst, found.max(initial=0))
    return Comparison(float(worst), float(share), flips)


def _pairs(original: list[str], served: list[str]) -> Iterator[tuple[str, str]]:
    """Pair the outputs by name, and those whose name was changed by their order."""
    rest = [name for name in served if name not in original]
    for name in original:
        if name in served:
            yield name, name
        elif rest:
            yield name, rest.pop(0)
        else:
            raise Difference(f"output {name!r} is not served; got {', '.join(served)}")


def _align(name: str, original: Array, answer: Array) -> tuple[Array, Array]:
    """Return both with one shape. A column of its own is nothing else, and two of a single sigmoid are 1 - p and p."""
    if answer.ndim and answer.shape[-1:] == (2,) and original.size * 2 == answer.size:
        answer = answer[..., 1]
    if original.shape not in (
        answer.shape,
        (*answer.shape, 1),
        answer.shape[:-1] if answer.shape[-1:] == (1,) else None,
    ):
        raise Difference(f"output {name!r} has shape {list(answer.shape)}, expected {list(original.shape)}")
    return original, answer.reshape(original.shape)


def _rows(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1] if array.ndim > 1 else 1)


def _difference(original: Array, answer: Array) -> Array:
    """Return the absolute differences, infinite where only one of both is a number."""
    ours, theirs = original.astype(np.float64), answer.astype(np.float64)
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        return np.where(same, 0.0, np.nan_to_num(np.abs(ours - theirs), nan=np.inf))


def _spans(original: Array) -> Array:
    """Return the largest absolute value of each column, at least a hundredth of the largest of all."""
    columns = np.abs(np.where(np.isfinite(original), original, 0)).max(0, initial=0).astype(np.float64)
    return np.asarray(np.maximum(columns, LEAST_COLUMN * columns.max(initial=0)))


def _count_flips(original: Array, answer: Array) -> int:
    if original.shape[1] == 1:
        return int(((original > 0.5) != (answer > 0.5)).sum())
    return int((original.argmax(1) != answer.argmax(1)).sum())
