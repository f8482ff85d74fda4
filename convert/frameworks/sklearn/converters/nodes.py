"""
What converters write graphs with: `Nodes`, the part of a graph that a converter adds, and `Value`, a tensor in it.

A value has the operators of numpy, which add nodes. An array or a number as their other operand becomes a constant of
its type.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.checks.graph import OPSET

ML: Final = "ai.onnx.ml"
MICROSOFT: Final = "com.microsoft"
Operand: TypeAlias = "Value | Array | float | int | bool | str"


class Nodes:
    """
    The part of a graph that a converter adds.

    `dtype` is the precision to calculate in: double if an input is in double precision, otherwise single.
    """

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        from skl2onnx.common.data_types import DoubleTensorType

        self._scope, self._container, self._model = scope, container, operator.raw_operator
        self.inputs: list[Any] = operator.inputs
        self.outputs: list[str] = [one.full_name for one in operator.outputs]
        double = any(isinstance(one.type, DoubleTensorType) for one in operator.inputs)
        self.dtype: np.dtype[Any] = np.dtype(np.float64 if double else np.float32)

    @property
    def scoring(self) -> bool:
        """Whether a classifier's second output is the decision function: it has no other, or is asked for it."""
        options = self._container.get_options(self._model, {"raw_scores": False}, fail=False) or {}
        return bool(options.get("raw_scores")) or not hasattr(self._model, "predict_proba")

    def given(self) -> "Value":
        """Return the inputs as one matrix [rows, columns] of numbers in the precision to calculate in, or of texts."""
        values = self._given()
        values = values if values[0].dtype.kind in "OU" else [one.cast(self.dtype) for one in values]
        return values[0] if len(values) == 1 else self.join(values)

    def columns(self) -> "list[Value]":
        """Return the columns of the inputs, each [rows, 1] in its own type."""
        widths = [one.type.shape[1] for one in self.inputs]
        pairs = zip(self._given(), widths, strict=True)
        return [one if width == 1 else one.take([at]) for one, width in pairs for at in range(width)]

    def _given(self) -> "list[Value]":
        from skl2onnx.common.data_types import guess_numpy_type

        kinds = [np.dtype(guess_numpy_type(one.type)) for one in self.inputs]
        kinds = [np.dtype(object) if kind.kind == "U" else kind for kind in kinds]
        return [Value(self, one.full_name, kind) for one, kind in zip(self.inputs, kinds, strict=True)]

    def add(
        self, kind: str, inputs: Sequence[str], output: str | None = None, domain: str = "", **attributes: Any
    ) -> str:
        """Add a node and return the name of its output."""
        return self.add_several(kind, inputs, [output or self.name(kind.lower())], domain, **attributes)[0]

    def add_several(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], domain: str = "", **attributes: Any
    ) -> Sequence[str]:
        """Add a node of several outputs and return their names."""
        version = {"op_version": OPSET[ML]} if domain == ML else {"op_version": 1} if domain else {}
        self._container.add_node(kind, list(inputs), list(outputs), op_domain=domain, **version, **attributes)
        return outputs

    def name(self, prefix: str) -> str:
        """Return a name that no other value of the graph has."""
        return str(self._scope.get_unique_variable_name(prefix))

    def constant(self, array: Array) -> str:
        """Add a constant and return its name."""
        from onnx import TensorProto, helper

        text = array.dtype.kind in "OU"
        kind = TensorProto.STRING if text else helper.np_dtype_to_tensor_dtype(array.dtype)
        values = [str(one).encode() for one in array.ravel()] if text else array.ravel()
        name = self.name("constant")
        self._container.add_initializer(name, kind, list(array.shape), values)
        return name

    def value(self, array: Any, dtype: Any = None) -> "Value":
        """Return an array as a constant; numbers with a fraction get the precision to calculate in."""
        array = np.asarray(array)
        array = array.astype(dtype or (self.dtype if array.dtype.kind == "f" else array.dtype))
        return Value(self, self.constant(array), array.dtype)

    def repeat(self, row: Array) -> "Value":
        """Return an array for each row of the input [rows, ...]."""
        rows = Value(self, self.add("Shape", [self.inputs[0].full_name], start=0, end=1), np.int64)
        return self.value(row[None]).map("Expand", self.join([rows, self.value(np.array(row.shape, np.int64))], axis=0))

    def join(self, values: "Sequence[Value]", axis: int = 1) -> "Value":
        """Put values of one type side by side."""
        if len(values) == 1:
            return values[0]
        return Value(self, self.add("Concat", [one.name for one in values], axis=axis), values[0].dtype)

    def where(self, condition: "Value", yes: Operand, no: Operand) -> "Value":
        """Choose between two values; at most one of them is an array or a number."""
        like = yes if isinstance(yes, Value) else no
        assert isinstance(like, Value)
        names = [condition.name, like.same(yes).name, like.same(no).name]
        return Value(self, self.add("Where", names), like.dtype)

    def answer(self, *values: "Value") -> None:
        """Make values the outputs, in order; a converter ends with it. Outputs beyond them are left out."""
        for value, output in zip(values, self.outputs, strict=False):
            self.add("Identity", [value.name], output)

    def classify(self, scores: "Value", classes: Any, winners: "Value | None" = None) -> None:
        """
        Answer a classifier's label [rows] and scores [rows, classes].

        `winners` are the numbers of the classes [rows]; without them, the highest score wins, the first of equals.
        """
        winners = scores.argmax() if winners is None else winners
        self.answer(self.look_up(classes, winners), scores)

    def classify_targets(self, scores: "Sequence[Value]", classes: Sequence[Any]) -> None:
        """Answer the labels of several targets, of which the highest score wins, and their scores."""
        labels = [
            self.look_up(*known).reshape(-1, 1) for known in zip(classes, (one.argmax() for one in scores), strict=True)
        ]
        self.answer_targets(self.join(labels), scores)

    def answer_targets(self, labels: "Value", scores: "Sequence[Value]") -> None:
        """Answer the labels of several targets [rows, targets], and the scores of each as a sequence."""
        self.answer(labels)
        if scores:
            self.add("SequenceConstruct", [one.name for one in scores], self.outputs[1])

    def look_up(self, classes: Any, numbers: "Value") -> "Value":
        """Return the classes with these numbers: texts, or integers."""
        classes = np.asarray(classes)
        known = classes.astype(object) if classes.dtype.kind in "OU" else classes.astype(np.int64)
        return self.value(known).take(numbers, axis=0)

    def apply(self, model: Any, rows: "Value | None" = None, outputs: Sequence[str] = ()) -> "list[Value]":
        """
        Return the outputs of another fitted model for rows, or for the inputs as they are.

        The model is converted by itself, a pipeline too, and its nodes become part of this graph under other names.
        `outputs`: which ones, of those that `find_answers` names; without them, all.
        """
        from onnx import compose, helper

        from snooze.convert.frameworks.sklearn.building import build
        from snooze.convert.frameworks.sklearn.outputs import find_answers

        names = [one.full_name for one in self.inputs] if rows is None else [rows.name]
        kinds = [one.type for one in self.inputs] if rows is None else [_type_of(rows, model)]
        types = [(f"input_{at}", kind) for at, kind in enumerate(kinds)]
        inner = build(model, types, outputs or tuple(find_answers(model).roles))
        compose.add_prefix(inner, f"{self.name('inner')}_", inplace=True)
        for name, place in zip(names, inner.graph.input, strict=True):
            self._container.nodes.append(helper.make_node("Identity", [name], [place.name], self.name("rows")))
        self._container.nodes.extend(inner.graph.node)
        self._container.initializers.extend(inner.graph.initializer)
        self._container.node_domain_version_pair_sets |= {(one.domain, one.version) for one in inner.opset_import}
        found = []
        for one in inner.graph.output:
            kind = helper.tensor_dtype_to_np_dtype(one.type.tensor_type.elem_type)
            number = kind.kind == "f"  # which boosters give in single precision, whatever they declare
            found.append(
                Value(self, self.cast(one.name, self.dtype) if number else one.name, self.dtype if number else kind)
            )
        return found

    @contextmanager
    def collect(self) -> Iterator[list[Any]]:
        """Put the nodes that are added meanwhile into a list instead of the graph: those of a graph inside a node."""
        begin = len(self._container.nodes)
        collected: list[Any] = []
        yield collected
        collected += self._container.nodes[begin:]
        del self._container.nodes[begin:]

    def cast(self, name: str, dtype: Any, output: str | None = None) -> str:
        """Cast a tensor to a numeric type."""
        from onnx import helper

        return self.add("Cast", [name], output, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


class Value:
    """A tensor in a graph."""

    __array_ufunc__ = None  # leaves operators to this class when an array is on the left

    def __init__(self, nodes: Nodes, name: str, dtype: Any) -> None:
        self.nodes, self.name, self.dtype = nodes, name, np.dtype(dtype)

    def same(self, other: Operand) -> "Value":
        """Return an operand as a value: arrays, numbers and texts become constants of this value's type."""
        return other if isinstance(other, Value) else self.nodes.value(other, self.dtype)

    def map(self, kind: str, *others: Operand, dtype: Any = None, **attributes: Any) -> "Value":
        """Return what an operator of ONNX makes of this value and others. `dtype`: of the result, if it is another."""
        names = [self.name, *(self.same(one).name for one in others)]
        return Value(self.nodes, self.nodes.add(kind, names, **attributes), dtype or self.dtype)

    def __add__(self, other: Operand) -> "Value":
        return self.map("Add", other)

    def __radd__(self, other: Operand) -> "Value":
        return self.same(other).map("Add", self)

    def __sub__(self, other: Operand) -> "Value":
        return self.map("Sub", other)

    def __rsub__(self, other: Operand) -> "Value":
        return self.same(other).map("Sub", self)

    def __mul__(self, other: Operand) -> "Value":
        return self.map("Mul", other)

    def __rmul__(self, other: Operand) -> "Value":
        return self.same(other).map("Mul", self)

    def __truediv__(self, other: Operand) -> "Value":
        return self.map("Div", other)

    def __rtruediv__(self, other: Operand) -> "Value":
        return self.same(other).map("Div", self)

    def __pow__(self, other: Operand) -> "Value":
        return self.map("Pow", other)

    def __matmul__(self, other: Operand) -> "Value":
        return self.map("MatMul", other)

    def __rmatmul__(self, other: Operand) -> "Value":
        return self.same(other).map("MatMul", self)

    def __neg__(self) -> "Value":
        return self.map("Neg")

    def __lt__(self, other: Any) -> "Value":
        return self.map("Less", other, dtype=bool)

    def __le__(self, other: Any) -> "Value":
        return self.map("LessOrEqual", other, dtype=bool)

    def __gt__(self, other: Any) -> "Value":
        return self.map("Greater", other, dtype=bool)

    def __ge__(self, other: Any) -> "Value":
        return self.map("GreaterOrEqual", other, dtype=bool)

    def equals(self, other: Operand) -> "Value":
        """Return where two values are equal."""
        return self.map("Equal", other, dtype=bool)

    def __and__(self, other: Operand) -> "Value":
        return self.map("And", other)

    def __or__(self, other: Operand) -> "Value":
        return self.map("Or", other)

    def __invert__(self) -> "Value":
        return self.map("Not")

    def cast(self, dtype: Any) -> "Value":
        """Return the value in another type."""
        return self if self.dtype == np.dtype(dtype) else Value(self.nodes, self.nodes.cast(self.name, dtype), dtype)

    def reduce(self, kind: str, axis: int = 1, keep: bool = True) -> "Value":
        """Return a reduction, such as ReduceSum, along an axis; `keep`: which stays, with the size 1."""
        axes = self.nodes.constant(np.array([axis], np.int64))
        return Value(self.nodes, self.nodes.add(kind, [self.name, axes], keepdims=int(keep)), self.dtype)

    def sum(self, axis: int = 1, keep: bool = True) -> "Value":
        """Return the sum along an axis."""
        return self.reduce("ReduceSum", axis, keep)

    def argmax(self, axis: int = 1) -> "Value":
        """Return the positions of the highest values, the first of equals, without the axis."""
        return self.map("ArgMax", axis=axis, keepdims=0, dtype=np.int64)

    def argmin(self, axis: int = 1) -> "Value":
        """Return the positions of the lowest values, the first of equals, without the axis."""
        return self.map("ArgMin", axis=axis, keepdims=0, dtype=np.int64)

    def take(self, indices: "Value | Sequence[int] | Array | int", axis: int = 1) -> "Value":
        """Return entries along an axis, as `numpy.take` does."""
        found = indices if isinstance(indices, Value) else self.nodes.value(np.asarray(indices, np.int64))
        return self.map("Gather", found, axis=axis)

    def reshape(self, *shape: int) -> "Value":
        """Return the value in another shape; -1: whatever is left."""
        return self.map("Reshape", self.nodes.value(np.array(shape, np.int64)))

    def add_axes(self, *axes: int) -> "Value":
        """Return the value with axes of the size 1 at these places."""
        return self.map("Unsqueeze", self.nodes.value(np.array(axes, np.int64)))

    def transpose(self, *axes: int) -> "Value":
        """Return the value with its axes in another order."""
        return self.map("Transpose", perm=list(axes))


def _type_of(rows: Value, model: Any) -> Any:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType

    kinds = {"f": FloatTensorType, "d": DoubleTensorType, "l": Int64TensorType, "O": StringTensorType}
    return kinds[rows.dtype.char]([None, getattr(model, "n_features_in_", None)])


def one_column(_: Any) -> int:
    """Return the width of the values of estimators that give one number for each row."""
    return 1


class Converter(NamedTuple):
    """
    How the estimators of a class become nodes.

    `convert` adds them; it ends with `Nodes.answer` or `Nodes.classify`. `width` is the number of columns of the values
    or of the second output, which classifiers need not state. `dtype` is object for texts and int64 for integers; None
    for values in the precision to calculate in. `scores`: a classifier that has probabilities answers with the decision
    function if `Nodes.scoring`.
    """

    estimator: str  # the full name of its class, such as sklearn.cluster.Birch
    convert: Callable[[Nodes, Any], None]
    width: Callable[[Any], int | None] | None = None
    dtype: Callable[[Any], Any] | None = None
    scores: bool = False
