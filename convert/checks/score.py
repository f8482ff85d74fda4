"""How good answers are: labels matched with the model's classes, and the score against them."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from snooze.bundle.errors import InvalidData, InvalidOption
from snooze.convert.checks.cases import Array, Case
from snooze.convert.frameworks.interface import Original, class_numbers

Metric = Literal["accuracy", "R²"]


class Score(NamedTuple):
    """A score, at best 1: `accuracy` is the share of units whose class is right, `R²` is the mean of the columns'."""

    metric: Metric
    value: float


def class_names(original: Original, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """
    Return the names of the classes in the order of the scores, or of a regression's values in their order.

    Raises InvalidOption if the given ones do not fit.
    """
    if original.classes is None:
        if names is not None and original.task != "regression":
            raise InvalidOption("--labels", f"{original.model} has no classes to name; leave the option out")
        return names
    if names is not None and len(names) != len(original.classes):
        raise InvalidOption("--labels", f"expected {len(original.classes)} names, one for each class, got {len(names)}")
    if names is not None and original.classes not in (tuple(range(len(names))), names):
        known = ", ".join(map(str, original.classes))
        problem = f"the model's classes are {known}, and names are only for classes that are numbered from 0"
        raise InvalidOption("--labels", f"{problem}; train on the names, or leave the option out")
    return names or tuple(map(str, original.classes))


def check_value_names(original: Original, names: tuple[str, ...] | None, outputs: Sequence[Case]) -> None:
    """Check that there is a name for each value in the outputs of a regression. Raises InvalidOption."""
    values = original.values(outputs)
    if names is not None and original.classes is None and values is not None and values.shape[1] != len(names):
        raise InvalidOption("--labels", f"expected {values.shape[1]} names, one for each value, got {len(names)}")


def targets(original: Original, labels: Array | None, names: tuple[str, ...] | None) -> Array | None:
    """
    Return labels as class numbers or true values, or None if there are no labels or the model's task has no score.

    Labels of classes are the model's own, the given names, or one-hot. Raises InvalidData if they do not fit.
    """
    if labels is None or original.task not in ("classification", "regression"):
        return None
    if original.task == "regression":
        if labels.dtype.kind not in "biuf" or not np.isfinite(labels).all():
            raise InvalidData("the labels", f"{original.model} predicts values, so expected finite numbers")
        return labels.reshape(len(labels), -1).astype(np.float64)
    classes = original.classes or ()
    if labels.ndim == 2 and labels.shape[1] == len(classes) > 1:
        return _from_one_hot(labels)
    if labels.ndim > 1 and labels.size != len(labels):
        raise InvalidData("the labels", f"expected one label for each row, got shape {labels.shape}")
    flat = labels.reshape(-1)
    found = class_numbers(flat, classes)
    if names is not None and (found < 0).any():
        found = class_numbers(flat, names)
    if (found < 0).any() and flat.dtype.kind in "OU":  # as the True and False of a CSV file
        found = class_numbers(flat, tuple(map(str, classes)))
    if (found < 0).any():
        known = ", ".join(map(str, names or classes))
        raise InvalidData("the labels", f"expected one of the classes {known}, got {flat[int((found < 0).argmax())]!s}")
    return found


def _from_one_hot(labels: Array) -> Array:
    if labels.dtype.kind not in "biuf":
        raise InvalidData("the labels", f"one-hot labels need numbers, got {labels.dtype}")
    wrong = ~np.isin(labels, (0, 1)).all(1) | (np.count_nonzero(labels, axis=1) != 1)
    if wrong.any():
        row = int(wrong.argmax())
        problem = f"one-hot labels need exactly one 1 per row and otherwise 0, row {row} has {labels[row].tolist()}"
        raise InvalidData("the labels", f"{problem}; or give one class number or name per row")
    return np.asarray(labels.argmax(1))


def score(original: Original, outputs: Sequence[Case], truth: Array) -> Score:
    """Return the score of outputs against the `targets` of their units."""
    if original.task == "classification":
        return Score("accuracy", float(np.mean(original.classify(outputs) == truth)))
    values = original.values(outputs)
    assert values is not None
    return Score("R²", float(r_squared(truth, values).mean()))


def r_squared(truth: Array, values: Array) -> Array:
    """
    Return for each column 1 - (squared errors / squared distances of the truth from its mean).

    It is 0 if the truth is constant.
    """
    if truth.shape != values.shape:
        raise InvalidData("the labels", f"have {truth.shape[1]} values a row, the model predicts {values.shape[1]}")
    with np.errstate(over="ignore", invalid="ignore"):
        spread, errors = ((distance**2).sum(0) for distance in (truth - truth.mean(0), truth - values))
    if not np.isfinite([spread, errors]).all():
        raise InvalidData("the labels", "are too far from each other or from the predicted values for a score")
    return np.where(spread > 0, 1 - errors / np.where(spread > 0, spread, 1), 0.0)
