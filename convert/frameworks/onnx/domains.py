"""Which values the inputs of an ONNX graph can have, as far as its operators show it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Tensor
from snooze.convert.checks.cases import Array
from snooze.convert.checks.graph import all_nodes
from snooze.convert.frameworks.interface import Domain

PASSING: Final = frozenset(
    {
        "Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Concat", "Split", "Slice",
        "StringNormalizer", "ArrayFeatureExtractor", "Expand", "Tile",
    }
)  # fmt: skip  # operators behind which the values are still those of the input
CATEGORIES: Final = ("keys_strings", "cats_strings", "pool_strings", "keys_int64s", "cats_int64s", "pool_int64s")
MAX_CHOICES: Final = 1000


def find_domain(model: Any, tensor: Tensor) -> Domain:
    """
    Return which values to draw for an input.

    Integers that number the rows of a table of weights (an embedding) or the places of a one-hot vector are drawn from
    all of them; numbers that are compared with constants, and texts, from those that the graph knows.
    """
    if tensor.datatype.startswith("FP"):
        return Domain()
    constants = find_constants(model)
    found = list(_uses(model, tensor.name, constants))
    if choices := tuple(dict.fromkeys(one for kind, values in found if kind == "choice" for one in values)):
        kind = str if tensor.datatype == "BYTES" else int
        if fitting := tuple(one for one in choices if isinstance(one, kind)):
            return Domain(choices=fitting[:MAX_CHOICES])
    sizes = [size for kind, values in found if kind == "size" for size in values]
    if sizes:
        return Domain(most=max(min(sizes) - 1, 0))
    return Domain(most=255) if tensor.datatype == "UINT8" else Domain()


def find_constants(model: Any) -> Mapping[str, Array]:
    """Return the weights and constants of a model by name, those of its subgraphs too."""
    from onnx import numpy_helper

    found = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in all_nodes(model):
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.HasField("t"):
                found[node.output[0]] = attribute.t
            if attribute.HasField("g"):
                found |= {tensor.name: tensor for tensor in attribute.g.initializer}
    return _Constants(found, numpy_helper.to_array)


class _Constants(dict[str, Any]):
    """Tensors by name, converted when they are asked for."""

    def __init__(self, tensors: Mapping[str, Any], convert: Any) -> None:
        super().__init__(tensors)
        self.convert = convert

    def __getitem__(self, name: str) -> Array:
        return np.asarray(self.convert(super().__getitem__(name)))


def _uses(model: Any, name: str, constants: Mapping[str, Array]) -> Iterator[tuple[str, list[Any]]]:
    """Yield what the operators that read an input, directly or behind passing ones, say about its values."""
    nodes = list(all_nodes(model))
    names, before = {name}, set[str]()
    while names != before:
        before = set(names)
        for node in nodes:
            if node.op_type in PASSING and node.input and names.intersection(node.input):
                names |= set(node.output)
    for node in nodes:
        if not names.intersection(node.input):
            continue
        for attribute in node.attribute:
            if attribute.name in CATEGORIES:
                yield "choice", [text.decode(errors="replace") for text in attribute.strings] or list(attribute.ints)
        inputs = list(node.input)
        if node.op_type == "Gather" and inputs[1] in names and inputs[0] in constants:
            axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
            yield "size", [int(constants[inputs[0]].shape[axis])]
        if node.op_type == "OneHot" and inputs[0] in names and inputs[1] in constants:
            yield "size", [int(constants[inputs[1]].reshape(-1)[0])]
        if node.op_type == "Equal":
            yield "choice", [one for at in inputs if at in constants for one in constants[at].reshape(-1).tolist()]
