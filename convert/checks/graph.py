"""The converted graph: tensor names, the checks that it must pass, and its signature as observed when it runs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from snooze.bundle.contract import Role, Tensor
from snooze.bundle.datatypes import NAMES
from snooze.convert.checks.cases import Arrays
from snooze.convert.errors import GraphRefused
from snooze.convert.frameworks.interface import first_line

OPSET: Final = {"": 18, "ai.onnx.ml": 3}
MAX_IR: Final = 13  # that ONNX Runtime 1.31 reads
DOMAINS: Final = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")  # "ai.onnx" is the long name of ""
BATCH: Final = "batch"
TREES: Final = ("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor")
QUANTIZED: Final = frozenset(
    {
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QAttention",
        "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "DynamicQuantizeLSTM", "MatMulNBits", "GatherBlockQuantized",
    }
)  # fmt: skip
REMEDY: Final = "do that step of the model before the rows are sent, or train another kind of model"


def all_nodes(graph: Any) -> Iterator[Any]:
    """Yield every node of a model, those inside `If`, `Loop` and `Scan` and inside its own functions too."""
    for function in graph.functions:
        yield from _walk(function.node)
    yield from _walk(graph.graph.node)


def subgraphs(node: Any) -> Iterator[Any]:
    """Yield the graphs that a node runs, such as the branches of an `If`."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _walk(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        yield node
        for inner in subgraphs(node):
            yield from _walk(inner.node)


def rename(graph: Any, names: Mapping[str, str]) -> Any:
    """Rename outputs of a model, and name the first dimension of its inputs and outputs `batch`. Changes the model."""
    rename_only(graph, names)
    for value in (*graph.graph.input, *graph.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if dimensions and not dimensions[0].HasField("dim_value"):
            dimensions[0].Clear()
            dimensions[0].dim_param = BATCH
    return graph


def rename_only(graph: Any, names: Mapping[str, str]) -> None:
    """Rename values of a model, inside `If` and `Loop` too. Changes the model."""
    taken = {name for node in _walk(graph.graph.node) for name in (*node.input, *node.output)}
    inner = {new: f"{new}__inner" for old, new in names.items() if new != old and new in taken}
    _substitute(graph.graph, inner | dict(names))


def _substitute(graph: Any, names: Mapping[str, str]) -> None:
    for node in graph.node:
        for places in (node.input, node.output):
            for index, name in enumerate(places):
                places[index] = names.get(name, name)
        for inner in subgraphs(node):
            _substitute(inner, names)
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for sparse in graph.sparse_initializer:
        sparse.values.name = names.get(sparse.values.name, sparse.values.name)


def check(graph: Any) -> None:
    """Raise GraphRefused if a model uses an operator of another domain, or is not valid ONNX."""
    import onnx

    check_domains(graph)
    try:
        onnx.checker.check_model(graph)  # not in full: ONNX Runtime overlooks shapes that are declared wrongly
    except Exception as error:  # the checker raises several unrelated kinds
        raise GraphRefused(f"the graph is not valid ONNX: {first_line(error)}", REMEDY) from None


def check_domains(graph: Any) -> None:
    """Raise GraphRefused if a model uses an operator of another domain."""
    own = {(function.domain, function.name) for function in graph.functions}
    used = {(node.domain, node.op_type) for node in all_nodes(graph)} - own
    foreign = sorted(f"{domain}.{kind}" for domain, kind in used if domain not in DOMAINS)
    if foreign:
        raise GraphRefused(f"operators of other domains are not served: {', '.join(foreign)}", REMEDY)


def operators(graph: Any) -> set[str]:
    """Return the types of operators in a model."""
    return {node.op_type for node in all_nodes(graph)}


def is_quantized(graph: Any) -> bool:
    """Return whether a model computes in 8 bits or less, or keeps its weights so."""
    return any(kind in QUANTIZED or kind.startswith(("QLinear", "QGemm")) for kind in operators(graph))


def thresholds(graph: Any, direct: bool = True) -> list[tuple[int, float]]:
    """Return (feature, threshold) of the splits of trees; if `direct`, of those that read the only input itself."""
    if direct and len(graph.graph.input) != 1:
        return []
    name = graph.graph.input[0].name
    inputs = {name} | {node.output[0] for node in graph.graph.node if node.op_type == "Cast" and node.input[0] == name}
    splits: set[tuple[int, float]] = set()
    for node in graph.graph.node:
        if node.op_type in TREES and (not direct or node.input[0] in inputs):
            values = {attribute.name: attribute for attribute in node.attribute}
            features, modes = values.get("nodes_featureids"), values.get("nodes_modes")
            limits = _numbers(values, "nodes_values")
            if features and limits and modes:
                rows = zip(modes.strings, features.ints, limits, strict=True)
                splits |= {(at, limit) for mode, at, limit in rows if mode != b"LEAF"}
    return sorted(splits)


def _numbers(attributes: Mapping[str, Any], name: str) -> list[float]:
    """Return the numbers of an attribute of trees, which is a tensor if they are in double precision."""
    from onnx import numpy_helper

    if name in attributes:
        return list(attributes[name].floats)
    tensor = attributes.get(f"{name}_as_tensor")
    return [] if tensor is None else [float(one) for one in numpy_helper.to_array(tensor.t)]


def signature(
    graph: Any,
    dtypes: Mapping[str, Any],
    runs: Sequence[Arrays],
    roles: Mapping[str, Role | None],
    feeds: Sequence[Arrays] = (),
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """
    Return the inputs as declared, and the outputs as observed in several `runs`; declare the outputs so in the model.

    Converters declare some output shapes wrongly. A dimension that differs between runs is variable, so the runs have
    different numbers of rows or lengths. If all `feeds` of the runs have the same length where the inputs allow any,
    as the only recording of a user, dimensions with a name remain variable. `dtypes` are those of the inputs
    when the model runs.
    """
    takes, gives = [], []
    unseen = False
    for value in graph.graph.input:
        sizes = value.type.tensor_type.shape.dim
        shape = tuple(size.dim_value if size.HasField("dim_value") else -1 for size in sizes)
        takes.append(Tensor(value.name, NAMES[dtypes[value.name]], shape))
        seen = zip(*(feed[value.name].shape for feed in feeds), strict=True)
        unseen |= any(size == -1 and len(set(found)) == 1 for size, found in zip(shape, seen, strict=False))
    for value in graph.graph.output:
        arrays = [run[value.name] for run in runs]
        if len({array.ndim for array in arrays}) > 1:
            raise GraphRefused(f"output '{value.name}' changes its number of dimensions with the input", REMEDY)
        found = list(zip(*(array.shape for array in arrays), strict=True))
        declared = [size.dim_param for size in value.type.tensor_type.shape.dim]
        keep = [unseen and bool(name) for name in declared] if len(declared) == len(found) else [False] * len(found)
        shape = tuple(
            sizes[0] if len(set(sizes)) == 1 and not kept else -1 for sizes, kept in zip(found, keep, strict=True)
        )
        declare(value, shape)
        gives.append(Tensor(value.name, NAMES[arrays[0].dtype], shape, roles.get(value.name)))
    return tuple(takes), tuple(gives)


def declare(value: Any, shape: tuple[int, ...]) -> None:
    """Declare the shape of an output; variable dimensions (-1) get names. Changes the output."""
    dimensions = value.type.tensor_type.shape.dim
    del dimensions[:]
    for index, size in enumerate(shape):
        dimension = dimensions.add()
        if size == -1:
            dimension.dim_param = BATCH if index == 0 else f"{value.name}_{index}"
        else:
            dimension.dim_value = size
