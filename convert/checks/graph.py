"""The converted graph: its names put in order, the gates it must pass, and the signature it turns out to have."""

from collections.abc import Mapping
from typing import Any, Final

from snooze.bundle.contract import Role, Tensor
from snooze.bundle.datatypes import NAMES
from snooze.convert.checks.cases import Arrays
from snooze.convert.errors import GraphRefused
from snooze.convert.frameworks.interface import first_line

OPSET: Final = {"": 18, "ai.onnx.ml": 3}
DOMAINS: Final = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")  # "ai.onnx" is the long name of ""
BATCH: Final = "batch"
GRAIN: Final = 1 / 64
TREES: Final = ("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor")


def renamed(graph: Any, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> Any:
    """Give inputs and outputs of a model other names, and their first dimension the name `batch`. Changes the model."""
    wanted = {**inputs, **outputs}
    taken = {name for node in graph.graph.node for name in (*node.input, *node.output)}
    names = {new: f"{new}__inner" for old, new in wanted.items() if new != old and new in taken} | wanted
    for node in graph.graph.node:
        for places in (node.input, node.output):
            for index, name in enumerate(places):
                places[index] = names.get(name, name)
    for value in (*graph.graph.input, *graph.graph.output, *graph.graph.value_info, *graph.graph.initializer):
        value.name = names.get(value.name, value.name)
    for value in (*graph.graph.input, *graph.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        if dimensions and not dimensions[0].HasField("dim_value"):
            dimensions[0].Clear()
            dimensions[0].dim_param = BATCH
    return graph


def check(graph: Any) -> None:
    """
    Let a model pass, or say why it cannot be served.

    Raises:
        GraphRefused: an operator of a domain that is not served, or the graph is not valid ONNX.
    """
    import onnx

    foreign = sorted({f"{node.domain}.{node.op_type}" for node in graph.graph.node if node.domain not in DOMAINS})
    if foreign:
        problem = f"operators of other domains: {', '.join(foreign)}"
        raise GraphRefused(problem, "only standard ONNX operators are served; leave that step out of the model")
    try:
        onnx.checker.check_model(graph, full_check=True)
    except Exception as error:  # the checker raises several unrelated kinds
        raise GraphRefused(f"the converter made an invalid graph: {first_line(error)}", _REMEDY) from None


def not_loaded(error: Exception) -> GraphRefused:
    """Return the refusal of a graph that ONNX Runtime does not load."""
    return GraphRefused(f"ONNX Runtime does not load the converted graph: {first_line(error)}", _REMEDY)


def operators(graph: Any) -> set[str]:
    """Return the types of operators in a model."""
    return {node.op_type for node in graph.graph.node}


def thresholds(graph: Any) -> list[tuple[int, float]]:
    """
    Return (feature, threshold) of those splits on which a request's value may well lie.

    These are the splits at multiples of 1/64 of trees that look at the model's only input as it is. A value on any
    other threshold is one that single precision cannot tell from its neighbours anyway.
    """
    if len(graph.graph.input) != 1:
        return []
    name = graph.graph.input[0].name
    seen = {name} | {node.output[0] for node in graph.graph.node if node.op_type == "Cast" and node.input[0] == name}
    splits: set[tuple[int, float]] = set()
    for node in graph.graph.node:
        if node.op_type in TREES and node.input[0] in seen:
            values = {attribute.name: attribute for attribute in node.attribute}
            features, limits = values.get("nodes_featureids"), values.get("nodes_values")
            modes = values.get("nodes_modes")
            if features and limits and modes:
                rows = zip(modes.strings, features.ints, limits.floats, strict=True)
                splits |= {(feature, limit) for mode, feature, limit in rows if mode != b"LEAF" and limit % GRAIN == 0}
    return sorted(splits)


def signature(
    graph: Any, inputs: Arrays, one: Arrays, several: Arrays, roles: Mapping[str, Role | None]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """
    Return inputs and outputs as they are when the model runs, and declare the outputs so in the model.

    Converters declare some output shapes wrongly; what came out for `one` row and for `several` does not lie.
    """
    takes = tuple(Tensor(value.name, NAMES[inputs[value.name].dtype], _declared(value)) for value in graph.graph.input)
    gives = []
    for value in graph.graph.output:
        few, many = one[value.name], several[value.name]
        if few.ndim != many.ndim:
            raise GraphRefused(f"output '{value.name}' changes its number of dimensions with the rows", _REMEDY)
        shape = tuple(a if a == b else -1 for a, b in zip(few.shape, many.shape, strict=True))
        _declare(value, shape)
        gives.append(Tensor(value.name, NAMES[few.dtype], shape, roles.get(value.name)))
    return takes, tuple(gives)


def _declared(value: Any) -> tuple[int, ...]:
    return tuple(size.dim_value if size.HasField("dim_value") else -1 for size in value.type.tensor_type.shape.dim)


def _declare(value: Any, shape: tuple[int, ...]) -> None:
    dimensions = value.type.tensor_type.shape.dim
    del dimensions[:]
    for index, size in enumerate(shape):
        dimension = dimensions.add()
        if size == -1:
            dimension.dim_param = BATCH if index == 0 else f"{value.name}_{index}"
        else:
            dimension.dim_value = size


_REMEDY: Final = "the model holds a step that has no ONNX counterpart; leave it out, and do it before the rows are sent"
