"""
The data that estimators of scikit-learn are fitted on for docs/estimators.md. It comes with scikit-learn, or is drawn.

Numbers are rounded to single precision, in which the service is sent them, and are given to the estimator as double
precision.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from scripts.models import draw
from scripts.models.entry import Array

MAX_ROWS: Final = 360  # half of them to train on


class Data(NamedTuple):
    """Rows and what is predicted of them, in the order of a fixed shuffle."""

    rows: Any
    targets: Any


def _data(rows: Any, targets: Any = None) -> Data:
    """Return data in a fixed random order, with rows in single precision."""
    order = np.random.default_rng(0).permutation(len(rows))[:MAX_ROWS]
    rows = np.asarray(rows)[order]
    rounded = rows.astype(np.float32).astype(np.float64) if rows.dtype.kind == "f" else rows
    return Data(rounded, None if targets is None else np.asarray(targets)[order])


def _load(name: str) -> tuple[Array, Array]:
    from sklearn import datasets

    rows, targets = getattr(datasets, f"load_{name}")(return_X_y=True)
    return np.asarray(rows, np.float64), targets


def _awkward(rows: Array) -> Array:
    """Return columns from thousandths to ten thousands, every other one far from zero. They stay positive."""
    scales = np.logspace(-3, 4, rows.shape[1])
    return np.asarray(rows * scales + np.where(np.arange(rows.shape[1]) % 2, 100 * scales, 0))


def _classes(name: str, awkward: bool = False) -> Data:
    rows, targets = _load(name)
    return _data(_awkward(rows) if awkward else rows, targets)


def _values(count: int = 1, awkward: bool = False) -> Data:
    """Return the patients of load_diabetes: seven measurements, and the progress of the disease and two others."""
    rows, targets = _load("diabetes")
    several = np.column_stack([targets, 1000 * rows[:, 7:9]])
    given = rows[:, :7] * 10 + 2
    return _data(_awkward(given) if awkward else given, several if count > 1 else targets)


def _counts(awkward: bool = False) -> Data:
    rows, targets = _load("digits")
    rows = rows[:, 18:46:3]
    return _data(rows * np.logspace(0, 3, rows.shape[1]).round() if awkward else rows, targets)


def _shares() -> Data:
    rows, targets = _load("digits")
    return _data(rows[:, 18:46:3] / 16, targets)


def _several_labels(awkward: bool = False) -> Data:
    rows, targets = _load("digits")
    rows = rows[:, 18:46:3]
    return _data(_awkward(rows) if awkward else rows, np.column_stack([targets % 2, targets > 4, targets % 3 == 0]) * 1)


def _partly_labelled(name: str, awkward: bool = False) -> Data:
    rows, targets = _classes(name, awkward)
    return Data(rows, np.where(np.arange(len(rows)) % 10 == 4, -1, targets))


def _bins(name: str, bins: int) -> Data:
    """Return integers from 0, each of which occurs in every column."""
    rows, targets = _load(name)
    ranks = rows.argsort(0).argsort(0)
    return _data(ranks * bins // len(rows), targets)


def _words(binary: bool = True) -> Data:
    """Return a dataframe of colours and sizes."""
    import pandas

    generator = np.random.default_rng(0)
    colours = generator.choice(["red", "green", "blue", "Größe"], MAX_ROWS)
    sizes = generator.choice(["S", "M", "L"], MAX_ROWS)
    targets = (colours == "red") * 1 + (sizes == "S") * (generator.random(MAX_ROWS) > 0.5)
    frame = pandas.DataFrame({"colour": colours, "size": sizes}).astype(object)
    return Data(frame, np.minimum(targets, 1) if binary else targets)


def _fractions() -> Data:
    """Return columns of a few numbers each, from thousandths to millions."""
    generator = np.random.default_rng(0)
    known = np.array([[0.001, 0.1, 0.5], [-1.5, 0.0, 2.25], [1e6 + 0.5, 123456.78, 3e6]], np.float32).astype(np.float64)
    rows = np.column_stack([generator.choice(one, MAX_ROWS) for one in known])
    return Data(rows, (rows[:, 0] > 0.01) * 1 + (rows[:, 1] > 1) * (generator.random(MAX_ROWS) > 0.3))


def _missing(name: str, awkward: bool = False) -> Data:
    rows, targets = _classes(name, awkward)
    return Data(np.where(np.random.default_rng(0).random(rows.shape) < 0.1, np.nan, rows), targets)


def _one_column(awkward: bool = False) -> Data:
    rows, targets = _values()
    return _data(rows[:, 2:3] * 1e4 + 1e5 if awkward else rows[:, 2:3], targets)


def _similarities(awkward: bool = False) -> Data:
    """Return the inner products of rows with those that train the estimator, which are square for those."""
    rows, targets = _classes("wine", awkward)
    return Data((rows @ rows[::2].T).astype(np.float32).astype(np.float64), targets)


def _sets() -> Data:
    words = np.array(["red", "green", "blue"], object)
    chosen = np.random.default_rng(0).random((60, 3)) > 0.5
    return Data(_objects([set(words[row]) for row in chosen]), None)


def _dicts() -> Data:
    return Data(_objects([{"colour": colour, "size": size} for colour, size in _words().rows.to_numpy()]), None)


def _objects(values: list[Any]) -> Array:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _pictures() -> Data:
    from sklearn.datasets import load_digits

    return Data(load_digits().images[:60], None)


def _texts() -> Data:
    found = draw.texts(120)
    return Data(_objects([*found]), np.array([len(one) > 60 for one in found]) * 1)


def _short_texts() -> Data:
    words = [" ".join(one.split()[:3]) for one in draw.texts(120)]
    return Data(_objects(words), np.array([len(one) > 15 for one in words]) * 1)


DATA: Final[dict[str, Callable[[], Data]]] = {
    "iris": lambda: _classes("iris"),
    "wine": lambda: _classes("wine"),
    "tumours": lambda: _classes("breast_cancer"),
    "awkward iris": lambda: _classes("iris", awkward=True),
    "awkward wine": lambda: _classes("wine", awkward=True),
    "awkward tumours": lambda: _classes("breast_cancer", awkward=True),
    "patients": _values,
    "awkward patients": lambda: _values(awkward=True),
    "three values": lambda: _values(3),
    "awkward three values": lambda: _values(3, awkward=True),
    "counts": _counts,
    "awkward counts": lambda: _counts(awkward=True),
    "shares": _shares,
    "three labels": _several_labels,
    "awkward three labels": lambda: _several_labels(awkward=True),
    "partly labelled iris": lambda: _partly_labelled("iris"),
    "partly labelled awkward wine": lambda: _partly_labelled("wine", awkward=True),
    "4 bins of wine": lambda: _bins("wine", 4),
    "7 bins of tumours": lambda: _bins("breast_cancer", 7),
    "words": _words,
    "words of three classes": lambda: _words(binary=False),
    "fractions": _fractions,
    "wine with missing values": lambda: _missing("wine"),
    "awkward iris with missing values": lambda: _missing("iris", awkward=True),
    "one column": _one_column,
    "one awkward column": lambda: _one_column(awkward=True),
    "similarities": _similarities,
    "awkward similarities": lambda: _similarities(awkward=True),
    "class numbers": lambda: Data(_classes("digits").targets, None),
    "class names": lambda: Data(_words().rows["colour"].to_numpy(), None),
    "sets": _sets,
    "dicts": _dicts,
    "pictures": _pictures,
    "texts": _texts,
    "short texts": _short_texts,
}
