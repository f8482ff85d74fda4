"""Functions of TensorFlow as graphs: traced, frozen, converted to ONNX with tf2onnx, searched for what inputs take."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.convert.checks.cases import Array
from snooze.convert.checks.graph import OPSET, all_nodes, rename
from snooze.convert.errors import Unsupported
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.interface import Domain, first_line
from snooze.convert.frameworks.tensorflow import operators
from snooze.convert.frameworks.tensorflow.arguments import name_outputs
from snooze.convert.quiet import quiet

DECORATION: Final = re.compile(r"\x1b\[[0-9;]*m|{{[^}]*}}|\[Op:\w+\]")  # colours and places in TensorFlow's messages
PYTHON: Final = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
FILES: Final = re.compile(
    r"(Read|Write)File|MatchingFiles|ImmutableConst|LMDB.*|.*(Reader(V2)?|FileDataset(V2)?|RecordDataset(V[23])?"
    r"|TextLineDataset|(Save|Load)Dataset(V2)?)"
)
SAVERS: Final = re.compile(r"(Save|Restore)(V2|Slice|Slices)?|MergeV2Checkpoints")
SAME_VALUES: Final = frozenset(
    {
        "Identity",
        "Cast",
        "Reshape",
        "ExpandDims",
        "Squeeze",
        "StopGradient",
        "EnsureShape",
        "Select",
        "SelectV2",
        "AddV2",
    }
)  # what an index passes through before it is looked up; Keras adds the size to negative ones
PIXELS: Final = {"UINT8": Domain(least=0, most=255), "INT8": Domain(least=-128, most=127)}
MAX_SHOWN: Final = 3


class Frozen(NamedTuple):
    """The graph of a function with constants in place of variables, its tables, and the names of its tensors."""

    graph: Any
    tables: dict[bytes, tuple[Array, Array]]
    inputs: list[str]
    outputs: list[str]
    shapes: list[tuple[int, ...] | None]  # of the outputs; -1: variable, None: nothing is known
    keys: tuple[str, ...]  # of the outputs: `output_0` and so on where the function does not name them


class Function(NamedTuple):
    """
    A function of TensorFlow: from one tensor for each of `inputs`, in that order, to tensors in any structure.

    `model` is its name in errors, and `owner` the object that keeps its variables and tables.
    `freeze` is another way to its graph, for one that cannot be traced again.
    """

    model: str
    inputs: tuple[Tensor, ...]
    call: Callable[..., Any]
    owner: Any
    freeze: Callable[[], Frozen] | None = None


def import_tensorflow() -> ModuleType:
    """Return the module tensorflow, on the CPU. Raises MissingExtra."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    return import_extra("tensorflow", "tensorflow")


def freeze(function: Function) -> Frozen:
    """Return the graph of a function. Raises Unsupported if it cannot be traced, runs Python or uses files."""
    tf = import_tensorflow()
    import_extra("tensorflow", "tf2onnx")
    if function.freeze is not None:
        return function.freeze()
    specs = [
        tf.TensorSpec([None if size < 0 else size for size in one.shape], _tf_type(tf, one)) for one in function.inputs
    ]
    try:
        with quiet():
            traced = tf.function(function.call, autograph=False).get_concrete_function(*specs)
    except Exception as error:  # code of the model's author runs here
        raise Unsupported(function.model, f"TensorFlow cannot trace it: {cause(error)}") from None
    check_operators(function.model, traced.graph.as_graph_def(), savers=True)
    inputs = [one.name for one in traced.inputs[: len(specs)]]
    outputs = [one.name for one in traced.outputs]
    shapes = [None if one.shape.rank is None else tuple(size or -1 for size in one.shape) for one in traced.outputs]
    try:
        with quiet(), tf.device("/cpu:0"):
            from tf2onnx.tf_loader import from_trackable

            graph, tables = from_trackable(function.owner, traced, inputs, outputs, large_model=False)
    except Exception as error:
        raise Unsupported(function.model, f"its variables cannot be made constants: {cause(error)}") from None
    return Frozen(graph, tables, inputs, outputs, shapes, name_outputs(traced.structured_outputs))


def convert(
    frozen: Frozen, model: str, inputs: Sequence[str], outputs: Sequence[str], shapes: Sequence[tuple[int, ...]]
) -> Any:
    """
    Return a frozen graph as an `onnx.ModelProto` with these names, and `shapes` where tf2onnx finds none for an output.

    Raises Unsupported, naming what is in the way.
    """
    tf = import_tensorflow()
    names = dict(zip((*frozen.inputs, *frozen.outputs), (*inputs, *outputs), strict=True))
    # tf2onnx copies the functions in a graph to the default one, where those of another conversion may be.
    with quiet(), tf.Graph().as_default() as graph:
        tf.import_graph_def(frozen.graph, name="")
        proto = make_onnx(
            model, graph, input_names=frozen.inputs, output_names=frozen.outputs, initialized_tables=frozen.tables,
            tensors_to_rename=names,
        )  # fmt: skip
    for value, shape in zip(proto.graph.output, shapes, strict=True):
        tensor = value.type.tensor_type
        if not tensor.HasField("shape"):
            tensor.shape.SetInParent()
            for size in shape:
                dimension = tensor.shape.dim.add()
                if size >= 0:
                    dimension.dim_value = size
    return rename(proto, {})


def make_onnx(model: str, graph: Any, **options: Any) -> Any:
    """Return a graph as an `onnx.ModelProto`, by tf2onnx with its `options`. Raises Unsupported."""
    tf = import_tensorflow()
    import_extra("tensorflow", "tf2onnx")
    operators.register()
    try:
        with quiet(), tf.device("/cpu:0"):
            from onnx.helper import make_opsetid
            from tf2onnx.optimizer import optimize_graph
            from tf2onnx.tfonnx import process_tf_graph

            learning = [make_opsetid("ai.onnx.ml", OPSET["ai.onnx.ml"])]
            made = process_tf_graph(graph, continue_on_error=True, opset=OPSET[""], extra_opset=learning, **options)
            proto = optimize_graph(made).make_model(model)
    except Exception as error:  # converters raise whatever their own code runs into
        raise Unsupported(model, f"tf2onnx fails with {type(error).__name__}: {first_line(error)}") from None
    # tf2onnx leaves TensorFlow operators that it does not know in the graph, and only logs them.
    if unknown := _without_counterpart(proto):
        listed = ", ".join(f"{operator} (at {place})" for operator, place in [*unknown.items()][:MAX_SHOWN])
        more = f" and {len(unknown) - MAX_SHOWN} others" if len(unknown) > MAX_SHOWN else ""
        raise Unsupported(model, f"ONNX has no operator for {listed}{more}; do that step before the rows are sent")
    return proto


def check_operators(model: str, graph: Any, savers: bool) -> None:
    """
    Raise Unsupported if a GraphDef runs Python or uses files.

    With `savers`, only what its nodes call counts, and writing and reading checkpoints does too.
    """
    functions = {one.signature.name: one.node_def for one in graph.library.function}
    pending = [graph.node] if savers else [graph.node, *functions.values()]
    while pending:
        for node in pending.pop():
            if node.op in PYTHON:
                problem = f"it calls Python code ({node.op} at {node.name})"
                raise Unsupported(model, f"{problem}; use operators of TensorFlow")
            if FILES.fullmatch(node.op) or (savers and SAVERS.fullmatch(node.op)):
                problem = f"it uses files ({node.op} at {node.name})"
                raise Unsupported(model, f"{problem}; do that before the rows are sent")
            called = [node.op, *(one.func.name for one in node.attr.values())]
            called += [one.name for value in node.attr.values() for one in value.list.func]
            pending += [functions.pop(name) for name in called if savers and name in functions]


def find_activation(frozen: Frozen, at: int) -> str | None:
    """Return "softmax" or "sigmoid" if an output comes straight from it."""
    nodes = {node.name: node for node in frozen.graph.node}
    node = nodes.get(_node_name(frozen.outputs[at]))
    while node is not None and node.op == "Identity":
        node = nodes.get(_node_name(node.input[0]))
    return node.op.lower() if node is not None and node.op in ("Softmax", "Sigmoid") else None


def find_domain(frozen: Frozen, at: int, tensor: Tensor) -> Domain:
    """
    Return which values an input takes, as its graph uses it.

    An index into a table of weights, a word of a vocabulary, an 8-bit pixel, or a number that is first normalized.
    """
    nodes = {node.name: node for node in frozen.graph.node}
    readers: dict[str, list[tuple[Any, int]]] = defaultdict(list)
    for node in frozen.graph.node:
        for index, name in enumerate(node.input):
            readers[_node_name(name)].append((node, index))
    start = _node_name(frozen.inputs[at])
    if DATATYPES[tensor.datatype].kind == "f":
        return _find_scale(nodes, readers[start])
    tops: list[int] = []
    for node, index in _follow(readers, start):
        if node.op in ("GatherV2", "Gather", "ResourceGather") and index == 1:
            shape = _constant(nodes, node.input[0])
            tops += [] if shape is None else [len(shape) - 1]
        elif node.op in ("OneHot", "DenseBincount") and index == 0:
            size = _size(nodes, node.input[1])
            tops += [] if size is None else [int(size) - 1]
        elif node.op == "LookupTableFindV2" and index == 1:
            return _find_words(frozen, nodes, node)
    return Domain(most=max(0, min(tops))) if tops else PIXELS.get(tensor.datatype, Domain())


def cause(error: Exception) -> str:
    """Return the line of an error that states the cause, without what Keras and TensorFlow put around it."""
    lines = [DECORATION.sub("", line).strip() for line in str(error).splitlines()]
    causes = [line for line in lines if line and not line.startswith(("Exception encountered", "Arguments received"))]
    return (causes or [type(error).__name__])[0].rstrip(".")


def _tf_type(tf: ModuleType, tensor: Tensor) -> Any:
    return tf.string if tensor.datatype == "BYTES" else tf.as_dtype(DATATYPES[tensor.datatype])


def _node_name(tensor: str) -> str:
    return tensor.lstrip("^").partition(":")[0]


def _without_counterpart(proto: Any) -> dict[str, str]:
    """Return the operators that ONNX does not have, each with the place of its first node, such as its layer."""
    from onnx import defs

    versions = {entry.domain: entry.version or OPSET[""] for entry in proto.opset_import}
    found: dict[str, str] = {}
    for node in all_nodes(proto):
        if not defs.has(node.op_type, versions.get(node.domain, OPSET[""]), node.domain):
            found.setdefault(node.op_type, node.name.rpartition("/")[0] or node.name)
    tables = {"HashTableV2", "MutableHashTableV2"}  # stay in the graph only if a lookup in them does
    return {operator: place for operator, place in found.items() if operator not in tables} or found


def _follow(readers: dict[str, list[tuple[Any, int]]], start: str) -> Iterator[tuple[Any, int]]:
    """Yield the nodes that use the values of a node, each with the position among its inputs."""
    pending, seen = [start], {start}
    while pending:
        for node, index in readers[pending.pop()]:
            yield node, index
            if node.op in SAME_VALUES and node.name not in seen:
                seen.add(node.name)
                pending.append(node.name)


def _constant(nodes: dict[str, Any], tensor: str) -> Array | None:
    """Return the value of a tensor if it is a constant."""
    from tensorflow import make_ndarray

    node = nodes.get(_node_name(tensor))
    while node is not None and node.op == "Identity":
        node = nodes.get(_node_name(node.input[0]))
    return np.asarray(make_ndarray(node.attr["value"].tensor)) if node is not None and node.op == "Const" else None


def _size(nodes: dict[str, Any], tensor: str) -> Array | None:
    """Return a constant, or the constant first value of a minimum: that is how CategoryEncoding limits its columns."""
    node = nodes.get(_node_name(tensor))
    return _constant(nodes, node.input[0] if node is not None and node.op == "Minimum" else tensor)


def _find_words(frozen: Frozen, nodes: dict[str, Any], lookup: Any) -> Domain:
    """Return the keys of a table, and another one if the table has a number for unknown ones."""
    table = nodes[_node_name(lookup.input[0])]
    keys, _ = frozen.tables.get(table.attr["shared_name"].s, (np.array([]), None))
    words: list[object] = [one.decode() if isinstance(one, bytes) else one for one in sorted(keys.tolist())]
    default = _constant(nodes, lookup.input[2])
    if words and default is not None and default.dtype.kind == "i" and default >= 0:
        words.append("unknown" if isinstance(words[0], str) else int(keys.max()) + 1)
    return Domain(choices=tuple(words)) if words else Domain()


def _find_scale(nodes: dict[str, Any], first: Iterable[tuple[Any, int]]) -> Domain:
    """Return the values that a first subtraction or multiplication brings near 0 and 1."""
    for node, index in first:
        constant = _constant(nodes, node.input[1]) if len(node.input) == 2 and index == 0 else None
        if node.op == "Sub" and constant is not None:
            return Domain(center=constant[0] if constant.ndim and len(constant) == 1 else constant)
        if node.op == "Mul" and constant is not None and constant.ndim == 0 and 0 < constant < 1:
            return Domain(center=0.5 / float(constant), scale=0.25 / float(constant))
    return Domain()
