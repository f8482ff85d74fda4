"""Right or wrong, or how far off: predictions compared with labels."""

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.values import Array, to_numbers, to_texts

Metric = Literal["accuracy", "mean absolute error"]
SCORES: Final = ("probabilities", "scores")  # of a prediction, by class in the order of the classes


class Scores(NamedTuple):
    """
    For each row and arm whether the answer is right (1 or 0), or its absolute error; and what was predicted.

    `losses` has shape [rows, 2]. `predicted` holds labels or numbers.
    """

    metric: Metric
    losses: Array
    predicted: tuple[list[Any], list[Any]]


def score(predictions: Sequence[tuple[dict[str, Any], dict[str, Any]]], labels: Array) -> Scores:
    """
    Return the scores of the predictions of both arms; `labels` has the true label or value of each row.

    Labels are compared as texts; numbers from 0 stand for the classes in their order if the classes have other names.

    Raises:
        InvalidData: the model predicts neither one label nor numbers, or the labels are of another kind.
    """
    if all("label" in one for pair in predictions for one in pair):
        return _score_labels(predictions, labels)
    values = np.array([[_value(one) for one in pair] for pair in predictions])
    truth = to_numbers(labels, "labels", "the labels", "; the model predicts values")
    if not np.isfinite(truth).all():
        raise InvalidData("the labels", "contain missing or infinite values; remove such rows")
    first, second = values.T.tolist()
    return Scores("mean absolute error", np.abs(values - truth[:, None]), (first, second))


def _score_labels(predictions: Sequence[tuple[dict[str, Any], dict[str, Any]]], labels: Array) -> Scores:
    predicted = [[_text(one["label"]) for one in pair] for pair in predictions]
    truth = [str(one) for one in to_texts(labels).tolist()]
    first_classes, second_classes = (_classes(one) for one in predictions[0])
    if first_classes:
        truth = _by_name(truth, first_classes, second_classes)
    right = [[one == true for one in row] for row, true in zip(predicted, truth, strict=True)]
    first, second = ([row[arm] for row in predicted] for arm in (0, 1))
    return Scores("accuracy", np.array(right, np.float64), (first, second))


def _by_name(truth: list[str], first: list[str], second: list[str]) -> list[str]:
    """Return labels as names of the arms' classes. Raises InvalidData for one that is a class of neither."""
    # A number means a class only where the arms do not have different ones.
    numbered = {str(number): name for number, name in enumerate(first)} if second in ([], first) else {}
    names = {name: name for name in (*first, *second)}
    for table in (names, numbered):
        if set(truth) <= set(table):
            return [table[one] for one in truth]
    wrong = next(one for one in truth if one not in names)
    raise InvalidData("the labels", f"expected one of the classes {', '.join(list(names)[:20])}, got {wrong!r}")


def _classes(prediction: dict[str, Any]) -> list[str]:
    return next(
        ([str(name) for name in prediction[key]] for key in SCORES if isinstance(prediction.get(key), dict)), []
    )


def _text(label: Any) -> str:
    if isinstance(label, list):
        raise InvalidData("the labels", "the model predicts several labels for each row, which cannot be compared yet")
    return str(to_texts(np.array([label], object))[0])


def _value(prediction: dict[str, Any]) -> float:
    """Return the number of a prediction. Raises InvalidData if it has another form."""
    found = prediction.get("value")
    if isinstance(found, list) and len(found) == 1:
        (found,) = found
    if not isinstance(found, int | float):
        keys = ", ".join(prediction) or "nothing"
        raise InvalidData("the model", f"expected a label or one value for each row, its predictions have: {keys}")
    return float(found)
