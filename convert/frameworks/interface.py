"""A trained model as the rest of `convert` sees it, whatever framework it comes from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snooze.bundle.contract import Role, Task, Tensor
from snooze.convert.checks.cases import Array, Arrays
from snooze.convert.errors import InvalidData


@dataclass(frozen=True)
class Attempt:
    """One way to convert a model. `graph` does it and returns an `onnx.ModelProto` with its final names."""

    name: str
    graph: Callable[[], Any]


@dataclass(frozen=True)
class Original:
    """
    A trained model: what it is, what it answers, and the ways to convert it, the plainest first.

    `answer` takes the arrays of some rows and returns the outputs under the names and with the shapes of the graph.
    `decides` names the output by which classes are told apart: the highest column wins, or the lowest with
    `lowest_wins`, or the sign where there is only one column.
    """

    framework: str
    framework_version: str
    model: str
    inputs: tuple[Tensor, ...]
    roles: Mapping[str, Role | None]
    answer: Callable[[Arrays], Arrays]
    attempts: tuple[Attempt, ...]
    task: Task | None = None
    classes: tuple[object, ...] | None = None  # Python values, in the order of the columns that tell them apart
    decides: str | None = None
    lowest_wins: bool = False
    columns: tuple[str, ...] | None = None
    remedy: str = "convert parts of the model one by one to find the step that differs, and leave that step out"

    def __call__(self, inputs: Arrays) -> Arrays:
        """
        Return the outputs for some rows.

        Raises:
            InvalidData: the model does not take these rows.
        """
        try:
            return self.answer(inputs)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise InvalidData("the rows given", f"{self.model} refuses them: {first_line(error)}") from None

    def decision(self, outputs: Arrays) -> Array | None:
        """Return the class number that each row of outputs stands for, or None where there are no classes."""
        if self.classes is None:
            return None
        if self.decides is not None and outputs[self.decides].ndim == 2:
            scores = outputs[self.decides]
            if scores.shape[1] == len(self.classes):
                return np.asarray(scores.argmin(1) if self.lowest_wins else scores.argmax(1))
        label = next((outputs[name] for name, role in self.roles.items() if role == "label"), None)
        return None if label is None else numbers(label.reshape(-1), self.classes)

    def value(self, outputs: Arrays) -> Array | None:
        """Return the predicted values, one row each, or None where the model predicts none."""
        name = next((name for name, role in self.roles.items() if role == "value"), None)
        return None if name is None else outputs[name].reshape(len(outputs[name]), -1)


def numbers(labels: Array, classes: tuple[object, ...]) -> Array:
    """Return the position of each label among the classes, -1 for none. 1, 1.0 and True are the same class."""
    position = {one: index for index, one in enumerate(classes)}
    return np.array([position.get(label, -1) for label in labels.tolist()], np.int64)


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its name where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
