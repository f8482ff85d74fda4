"""How good answers are: labels brought to the model's own classes, and the score against them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from snooze.convert.checks.cases import Array, Arrays
from snooze.convert.errors import InvalidData, InvalidOption
from snooze.convert.frameworks.interface import Original, numbers

Metric = Literal["accuracy", "R²"]


@dataclass(frozen=True)
class Score:
    """
    A score of some outputs, 1 at best.

    `accuracy` is the share of rows whose class is right; `R²` is 1 - (squared errors / squared distances from the
    mean), over all values together.
    """

    metric: Metric
    value: float


def class_names(original: Original, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """
    Return the names of the classes in the order of the columns of the scores: those given, or the model's own.

    Raises:
        InvalidOption: there are not as many names as classes, or a label of the model would not tell its name.
    """
    if original.classes is None:
        if names is not None:
            raise InvalidOption("--labels", f"{original.model} has no classes to name")
        return None
    if names is not None and len(names) != len(original.classes):
        raise InvalidOption("--labels", f"{len(names)} names for {len(original.classes)} classes")
    if names is not None and original.classes != tuple(range(len(names))) and original.classes != names:
        known = ", ".join(map(str, original.classes))
        problem = f"the model's classes are {known}, and names only go with classes that are numbered from 0"
        raise InvalidOption("--labels", f"{problem}; train on the names, or leave the option out")
    return names or tuple(map(str, original.classes))


def targets(original: Original, labels: Array | None, names: tuple[str, ...] | None) -> Array | None:
    """
    Return labels as class numbers or true values, or None where there are none or the model has no use for them.

    Labels of classes are what the model calls them, the names given for them, or one column a class.

    Raises:
        InvalidData: a label that is no class, a row that marks none or several, no number where values are predicted.
    """
    if labels is None or original.task not in ("classification", "regression"):
        return None
    if original.task == "regression":
        if labels.dtype.kind not in "biuf" or not np.isfinite(labels).all():
            raise InvalidData("the labels", f"{original.model} predicts values, so labels are finite numbers")
        return labels.reshape(len(labels), -1).astype(np.float64)
    classes = original.classes or ()
    if labels.ndim == 2 and labels.shape[1] == len(classes) > 1:
        return _marked(labels)
    if labels.ndim > 1 and labels.size != len(labels):
        raise InvalidData("the labels", f"have shape {labels.shape}, expected one for each row")
    flat = labels.reshape(-1)
    found = numbers(flat, classes)
    if names is not None and (found < 0).any():
        found = numbers(flat, names)
    if (found < 0).any():
        known = ", ".join(map(str, names or classes))
        raise InvalidData("the labels", f"{flat[int((found < 0).argmax())]!s} is none of the classes {known}")
    return found


def _marked(labels: Array) -> Array:
    """Return the class that each row of one column a class marks: 1 in its column, 0 in the others."""
    if labels.dtype.kind not in "biuf":
        raise InvalidData("the labels", f"of one column a class are 0 and 1, got {labels.dtype}")
    wrong = ~np.isin(labels, (0, 1)).all(1) | (np.count_nonzero(labels, axis=1) != 1)
    if wrong.any():
        row = int(wrong.argmax())
        problem = f"of one column a class hold one 1 a row and 0 besides; row {row} holds {labels[row].tolist()}"
        raise InvalidData("the labels", f"{problem}; give one class a row as its number or name instead")
    return np.asarray(labels.argmax(1))


def score(original: Original, outputs: Arrays, truth: Array) -> Score:
    """Return how near the outputs of some rows come to the `targets` of those rows."""
    if original.task == "classification":
        decision = original.decision(outputs)
        assert decision is not None
        return Score("accuracy", float((decision == truth).mean()))
    value = original.value(outputs)
    assert value is not None
    return Score("R²", r_squared(truth, value))


def r_squared(truth: Array, value: Array) -> float:
    """Return 1 - (squared errors / squared distances of the truth from its mean), 0 where the truth never changes."""
    if truth.shape != value.shape:
        raise InvalidData("the labels", f"have {truth.shape[1]} values a row, the model predicts {value.shape[1]}")
    with np.errstate(over="ignore", invalid="ignore"):
        spread, errors = (float((distance**2).sum()) for distance in (truth - truth.mean(0), truth - value))
    if not np.isfinite([spread, errors]).all():
        raise InvalidData("the labels", "are too far from each other or from the predicted values to be scored")
    return 1 - errors / spread if spread else 0.0
