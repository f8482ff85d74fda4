"""What the outputs of an ONNX graph mean: a label and its scores, or what `networks.find_meaning` finds."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Role
from snooze.bundle.errors import InvalidOption
from snooze.convert.checks.cases import Array, Arrays
from snooze.convert.checks.graph import all_nodes
from snooze.convert.frameworks import networks
from snooze.convert.frameworks.interface import Hints, class_numbers
from snooze.convert.frameworks.networks import Meaning, Output
from snooze.convert.frameworks.onnx.domains import find_constants
from snooze.convert.frameworks.onnx.graph import find_classes

PASSING: Final = ("Identity", "Cast", "Reshape", "Squeeze", "Flatten")
ACTIVATIONS: Final = {"Softmax": "softmax", "Sigmoid": "sigmoid"}

Axes = Mapping[str, int | None]


def find_meaning(
    model: Any, answers: Arrays, axes: Axes, zipmaps: Mapping[str, tuple[object, ...]], hints: Hints
) -> Meaning:
    """
    Return what the outputs mean, from the graph and its `answers` to a few rows.

    A classifier of ai.onnx.ml, or one that scikit-learn's converter made, has a label and scores, and states the
    classes. A single column that ends in a sigmoid stands for two classes only if the user asks for `classification`.
    """
    if found := _classifier(model, answers, axes, zipmaps):
        if hints.task not in (None, "classification"):
            raise InvalidOption("--task", f"the model is a classifier, got {hints.task!r}; leave the option out")
        return found
    outputs = [_output(model, name, array, axes[name], hints) for name, array in answers.items()]
    if len(outputs) == 1 and hints.task is None and next(iter(answers.values())).dtype.kind != "f":
        return Meaning({outputs[0].name: None})
    return networks.find_meaning(outputs, hints)


def _output(model: Any, name: str, answer: Array, axis: int | None, hints: Hints) -> Output:
    activation = _activation(model, name)
    if activation == "sigmoid" and hints.task != "classification":
        activation = None
    if activation == "softmax" and not np.allclose(answer.sum(-1), 1, atol=1e-2):
        activation = None  # along another dimension
    shape = tuple(-1 if at == axis else size for at, size in enumerate(answer.shape))
    return Output(name, shape, activation, answer)


def find_probabilities(model: Any, names: Iterable[str]) -> frozenset[str]:
    """Return the outputs that end in a softmax or sigmoid."""
    return frozenset(name for name in names if _activation(model, name))


def _activation(model: Any, name: str) -> str | None:
    """Return the activation that an output ends in."""
    node = _producer(model, name)
    return None if node is None else ACTIVATIONS.get(node.op_type)


def _producer(model: Any, name: str) -> Any:
    """Return the node that computes a value, apart from its shape and type, or None."""
    producers = {output: node for node in model.graph.node for output in node.output}
    while (node := producers.get(name)) is not None and node.op_type in PASSING:
        name = node.input[0]
    return node


def _classifier(model: Any, answers: Arrays, axes: Axes, zipmaps: Mapping[str, tuple[object, ...]]) -> Meaning | None:
    """Return the meaning of a label alone, or of a label and one matrix of scores; None for any other outputs."""
    labels = [
        name for name, one in answers.items() if one.dtype.kind in "iO" and axes[name] == 0 and one.size == len(one)
    ]
    scores = [name for name, one in answers.items() if one.dtype.kind == "f" and axes[name] == 0 and one.ndim == 2]
    if len(labels) != 1 or len(labels) + len(scores) < len(answers) or len(scores) > 1:
        return None
    (label,), columns = labels, answers[scores[0]].shape[1] if scores else 0
    classes = next(iter(zipmaps.values()), None) or _find_classes(model, label, columns)
    if classes is None or ((found := class_numbers(answers[label].reshape(-1), classes)) < 0).any():
        return None
    roles: dict[str, Role | None] = {name: "label" if name == label else None for name in answers}
    if columns != len(classes) and (columns, len(classes)) != (1, 2):
        return Meaning(roles, "classification", classes)
    roles[scores[0]] = "scores"
    highest = columns > 1 and bool((answers[scores[0]].argmax(1) == found).all())
    return Meaning(roles, "classification", classes, scores[0] if highest else None)


def _find_classes(model: Any, label: str, columns: int) -> tuple[object, ...] | None:
    """Return the classes of a label, from the operator that picks or computes it."""
    node = _producer(model, label)
    if node is not None and node.op_type == "ArrayFeatureExtractor":
        constants = find_constants(model)
        if node.input[0] in constants:
            values = constants[node.input[0]].reshape(-1)
            texts = values.dtype.kind in "OSU"
            return (
                tuple(one.decode() if isinstance(one, bytes) else str(one) for one in values)
                if texts
                else tuple(values.tolist())
            )
    if node is not None and node.op_type == "ArgMax":
        return tuple(range(columns)) or None
    known = {classes for node in all_nodes(model) if (classes := find_classes(node))}
    return known.pop() if len(known) == 1 else None
