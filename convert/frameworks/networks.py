"""What a network answers, for frameworks whose models do not state whether they classify."""

from collections.abc import Collection, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.bundle.contract import Role, Task
from snooze.bundle.errors import InvalidOption
from snooze.convert.checks.cases import Array
from snooze.convert.checks.graph import BATCH, rename
from snooze.convert.frameworks.interface import Hints

SOFTMAX: Final = ("softmax", "log_softmax")


class Output(NamedTuple):
    """
    An output of a network: its name, its shape (-1: variable), and the activation that it ends in, if that is known.

    `answer` is what it gave for some drawn rows; probabilities in it show a softmax that the network does not name.
    """

    name: str
    shape: tuple[int, ...]
    activation: str | None = None
    answer: Array | None = None


class Meaning(NamedTuple):
    """Roles of the outputs, task, class numbers, the output that decides, and whether one column stands for two."""

    roles: dict[str, Role | None]
    task: Task | None = None
    classes: tuple[object, ...] | None = None
    decides: str | None = None
    binary: bool = False


def find_meaning(outputs: Sequence[Output], hints: Hints) -> Meaning:
    """
    Return what the outputs mean.

    A single output classifies if it ends in a softmax or a single sigmoid, if its columns are probabilities, or if the
    user's labels or names fit its columns. `hints.task` decides instead of this guess. Raises InvalidOption if the
    outputs cannot be of that task.
    """
    activations = [one.activation or ("softmax" if _is_softmax(one.answer) else None) for one in outputs]
    first = outputs[0]
    if len(outputs) > 1:
        if hints.task is not None:
            raise InvalidOption("--task", f"a model of {len(outputs)} outputs has no single task; leave the option out")
        kinds: list[Role | None] = ["scores" if activation in SOFTMAX else None for activation in activations]
        return Meaning({one.name: kind for one, kind in zip(outputs, kinds, strict=True)})
    if classes := _classes(first, activations[0], hints):
        binary = first.shape[1] == 1
        return Meaning({first.name: "scores"}, "classification", classes, first.name, binary)
    if hints.task == "transform":
        return Meaning({first.name: "embedding"}, "transform")
    if len(first.shape) == 2 and hints.task in (None, "regression"):
        return Meaning({first.name: "value"}, "regression")
    if hints.task is not None:
        problem = f"output '{first.name}' has shape {list(first.shape)}, which does not suit {hints.task}"
        raise InvalidOption("--task", f"{problem}; expected classification, transform, or regression (of a matrix)")
    return Meaning({first.name: None})


def name_only_output(outputs: Sequence[Output], hints: Hints, taken: Collection[str]) -> Meaning:
    """
    Return what the outputs mean; an only one is called what it is: probabilities, scores, value or embedding.

    `taken` are the names of the inputs.
    """
    meaning = find_meaning(outputs, hints)
    if len(outputs) > 1:
        return meaning
    name = "value"
    if meaning.classes:
        name = "probabilities" if has_probabilities(outputs[0]) else "scores"
    elif meaning.task == "transform":
        name = "embedding"
    return find_meaning([outputs[0]._replace(name=f"{name}_output" if name in taken else name)], hints)


def has_probabilities(output: Output) -> bool:
    """Return whether an output ends in probabilities rather than in logits."""
    return output.activation in ("softmax", "sigmoid") or _is_softmax(output.answer)


def split_column(column: Array) -> Array:
    """Return the answers for both classes, given those for the second: what `split_columns` does in a graph."""
    second = column.reshape(-1, 1)
    return np.concatenate([1 - second, second], 1)


def split_columns(graph: Any, name: str) -> Any:
    """Replace the only column of an output, the probability of the second class, by those of both classes."""
    from onnx import helper, numpy_helper

    kind = graph.graph.output[0].type.tensor_type.elem_type
    graph = rename(graph, {name: "second_class"})
    del graph.graph.output[:]
    graph.graph.initializer.append(numpy_helper.from_array(np.array(1, helper.tensor_dtype_to_np_dtype(kind)), "one"))
    graph.graph.node.extend(
        [
            helper.make_node("Sub", ["one", "second_class"], ["first_class"]),
            helper.make_node("Concat", ["first_class", "second_class"], [name], axis=1),
        ]
    )
    graph.graph.output.append(helper.make_tensor_value_info(name, kind, [BATCH, 2]))
    return graph


def _classes(output: Output, activation: str | None, hints: Hints) -> tuple[object, ...] | None:
    """Return the class numbers of a single output that classifies, otherwise None."""
    shape, task = output.shape, hints.task
    if task not in (None, "classification"):
        return None
    columns = shape[1] if len(shape) == 2 else 0
    if columns == 1 and activation == "sigmoid" and (task or hints.labels is None or _fits(hints.labels, 2)):
        return (0, 1)
    named = hints.names is not None and len(hints.names) == columns
    known = activation in SOFTMAX or named or (hints.labels is not None and _fits(hints.labels, columns))
    if columns > 1 and (task or known):
        return tuple(range(columns))
    if task:
        problem = f"output '{output.name}' has shape {list(shape)}; classes need a column each, or a single sigmoid"
        raise InvalidOption("--task", f"{problem}; leave the option out")
    return None


def _fits(labels: Array, count: int) -> bool:
    """Return whether labels may be those of `count` classes: texts, class numbers, or exactly one 1 per row."""
    if labels.dtype.kind not in "biuf":
        return True
    if labels.ndim > 1 and labels.size != len(labels):
        return bool(labels.shape[1:] == (count,) and np.isin(labels, (0, 1)).all() and (labels.sum(1) == 1).all())
    return bool(np.isin(labels, np.arange(count)).all())


def _is_softmax(answer: Array | None) -> bool:
    """Return whether an output has several columns, none negative, whose sum is 1 in every row."""
    if answer is None or answer.ndim != 2 or answer.shape[1] < 2 or answer.dtype.kind != "f":
        return False
    return bool((answer >= 0).all() and np.allclose(answer.sum(1), 1, atol=1e-3))
