"""
What `convert` needs of a framework, and a trained model as the rest of `convert` sees it.

A new framework is a module or folder here that implements `Framework`, and a line in `registry.py`. Only that module or
folder imports the framework's packages, inside the functions that need them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np

from snooze.bundle.adapters.interface import Declaration
from snooze.bundle.contract import Role, Task, Tensor
from snooze.bundle.errors import InvalidData, SnoozeError
from snooze.bundle.rows.reading import Rows
from snooze.convert.checks.cases import Array, Arrays, Case, run_in_parts

T = TypeVar("T")
Names: TypeAlias = tuple[str, ...] | None  # of classes or columns, if they are known
PictureReader: TypeAlias = Callable[[Sequence[bytes]], Array]


class Domain(NamedTuple):
    """
    Which values of an input are drawn where there are no real rows.

    Floats are normal with `center` and `scale`: a number each, or an array that broadcasts against the input without
    its rows, such as one value for each column. Integers are uniform from `least` to `most`. `choices` replaces both,
    and are the texts of a string input; `columns` are the choices of each column of a matrix, None where it has none.
    """

    center: float | Array = 0.0
    scale: float | Array = 1.0
    least: int = 0
    most: int = 1
    choices: tuple[object, ...] | None = None
    columns: tuple[tuple[object, ...] | None, ...] = ()
    lengths: tuple[int, ...] = (16, 7, 23)  # of every variable dimension that is not the rows', one case for each


class Feature(NamedTuple):
    """
    A number that a step of a model makes of one column of an input: `(column - center) / scale`.

    `single`: the trees compare it with their thresholds in single precision, as the graph does.
    """

    tensor: str
    column: int
    center: float = 0.0
    scale: float = 1.0
    single: bool = True


class Input(NamedTuple):
    """An input of a model. `axis` is the dimension of its rows; None: it has no rows."""

    tensor: Tensor
    axis: int | None = 0
    domain: Domain = Domain()
    example: Array | None = None  # a few rows that the model accepts, where it was asked to find that out


Inputs: TypeAlias = tuple[Input, ...]


class Hints(NamedTuple):
    """What the user says about a model, which may show a task and classes that its file does not state."""

    labels: Array | None = None  # of the rows
    names: Names = None  # of the classes
    task: Task | None = None


NO_HINTS: Final = Hints()


class Loaded(NamedTuple):
    """A model read from a file, and warnings for the user about it."""

    model: Any
    warnings: tuple[str, ...] = ()


class Attempt(NamedTuple):
    """One way to convert a model. `convert` returns an `onnx.ModelProto` whose tensors have their final names."""

    name: str
    convert: Callable[[], Any]


@dataclass(frozen=True)
class Original:
    """A trained model: what it is, what it answers, and the ways to convert it, the simplest first."""

    framework: str
    framework_version: str
    model: str  # the name of its class
    inputs: Inputs
    roles: Mapping[str, Role | None]  # of the outputs, in the order of the graph
    run: Callable[[Arrays], Arrays]  # from the inputs to the outputs, with the names and shapes of the graph
    attempts: tuple[Attempt, ...]
    task: Task | None = None
    classes: tuple[object, ...] | None = None  # Python values in the order of the columns of the scores
    decides: str | None = None  # the output whose highest column, or the sign of whose only one, is the class
    lowest_wins: bool = False  # the lowest column decides
    axes: Mapping[str, int | None] | None = None  # the rows' axis of each output, if the model states it
    features: tuple[Feature | None, ...] | None = None  # that its trees read; None: the columns of the only input
    file_itself: bool = False  # the source is a graph already, so parity is with the file itself
    reference: str = "the model in its framework"  # what parity is with
    coupled: bool = False  # the answer for a row depends on the rows beside it
    half: bool = False  # it calculates in half precision, whose rounding depends on the order of operations
    probabilities: frozenset[str] = frozenset()  # outputs from 0 to 1, however small they are for the rows at hand
    answer_raw: Callable[[Sequence[Any]], Arrays] | None = None  # raw rows through the framework's own preprocessing
    raw_reference: str = "the model with its own preprocessing"  # what `answer_raw` is
    remedy: str = "convert parts of the model one by one to find the step that differs, and do that step elsewhere"

    def answer(self, case: Case) -> Case:
        """Return the outputs for a case. Raises InvalidData if the model does not accept the input."""

        def run(tensors: Arrays) -> Arrays:
            return self.ask(self.run, tensors, "the input rows")

        if self.coupled:  # then it must be asked for the same rows at once as the graph is
            return run_in_parts(case, run, axes=self.axes)
        return case.answer(run(case.tensors), self.axes)

    def ask(self, run: Callable[[T], Arrays], given: T, what: str) -> Arrays:
        """Return what `run` or `answer_raw` gives. Raises InvalidData if the model does not accept `what` it is."""
        try:
            return run(given)
        except (SnoozeError, ImportError, MemoryError):
            raise
        except Exception as error:  # a model's own code raises anything, as one that an older version saved
            raise InvalidData(what, f"{self.model} does not accept them: {first_line(error)}") from None

    def answer_all(self, cases: Sequence[Case]) -> list[Case]:
        """Return the outputs for several cases, as `answer` does."""
        return [self.answer(case) for case in cases]

    def classify(self, outputs: Sequence[Case]) -> Array | None:
        """Return the class number of each unit, or None if the model has no classes."""
        found = [numbers for case in outputs if (numbers := self._classify(case)) is not None]
        return np.concatenate(found) if len(found) == len(outputs) else None

    def _classify(self, outputs: Case) -> Array | None:
        if self.classes is None:
            return None
        if self.decides is not None:
            scores = outputs.by_unit(self.decides)
            if scores.ndim == 2 and scores.shape[1] == len(self.classes):
                return np.asarray(scores.argmin(1) if self.lowest_wins else scores.argmax(1))
        label = self._with_role("label")
        return None if label is None else class_numbers(outputs.by_unit(label).reshape(-1), self.classes)

    def values(self, outputs: Sequence[Case]) -> Array | None:
        """Return the predicted values, units first, or None if the model predicts no values."""
        name = self._with_role("value")
        if name is None:
            return None
        return np.concatenate([case.by_unit(name).reshape(case.units, -1) for case in outputs])

    def _with_role(self, role: Role) -> str | None:
        return next((name for name, found in self.roles.items() if found == role), None)


class Framework(Protocol):
    """How models of one framework are recognized, loaded, described and converted."""

    name: str  # as `--from` gives it
    suffixes: tuple[str, ...]  # that a damaged file is recognized by
    formats: str  # the files and folders that it reads, for messages and help
    isolated: bool  # its files are read, asked and converted in a child process

    def recognizes_file(self, path: Path) -> bool:
        """Return whether a file or folder holds a model of this framework, by its content. Must not run code in it."""

    def recognizes(self, model: object) -> bool:
        """Return whether an object is a model of this framework. Must not import the framework."""

    def needs_trust(self, path: Path) -> bool:
        """Return whether loading the file may run code in it, so that the user must add `--trust`."""

    def load(self, path: Path, trust: bool) -> Loaded:
        """Return the model in a file. Raises NotAModel, MissingExtra, Untrusted."""

    def signature(self, model: Any, sample: Arrays | None) -> Inputs:
        """
        Return the inputs, from the model if it knows them, else from sample rows.

        `sample` holds the user's arrays by input or column, or one array under an empty name. Raises Unfitted,
        Unsupported, InvalidData (a sample is needed).
        """

    def columns(self, model: Any) -> Names:
        """Return the names of the features that the model was trained on, if it knows them."""
        return None

    def adapter(self, model: Any, inputs: Inputs, rows: Rows | None) -> Declaration | None:
        """
        Return the adapter that fits a model with these inputs, None if nothing speaks for one.

        `rows` are the user's; `convert.adapters` has what several frameworks need for it.
        """
        return None

    def scales_pictures(self, model: Any) -> bool:
        """Return whether the model itself scales the values of pictures, so that it takes 0 to 255."""
        return False

    def picture_reader(self, declaration: Declaration) -> PictureReader | None:
        """Return the framework's own way to make the only input of a model of pictures, None if it has none."""
        return None

    def describe(self, model: Any, inputs: Inputs, hints: Hints) -> Original:
        """Return what the model answers and how to convert it. Raises Unsupported, InvalidOption (`--task`)."""

    def register_converters(self) -> None:
        """Register converters for this framework's estimators inside scikit-learn pipelines, if it is installed."""
        return


def class_numbers(labels: Array, classes: tuple[object, ...]) -> Array:
    """Return the position of each label among the classes, -1 for an unknown label. 1, 1.0 and True are equal."""
    position = {one: index for index, one in enumerate(classes)}
    return np.array([position.get(label, -1) for label in labels.tolist()], np.int64)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, without its full stop, or its class name."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
