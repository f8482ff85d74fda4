"""What an ONNX graph needs so that it can be served: versions, names and tensors that ONNX Runtime can read."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from snooze.bundle.datatypes import ORT_TYPES
from snooze.bundle.names import is_tensor_name
from snooze.convert.checks.graph import MAX_IR, all_nodes, check_domains, operators, rename_only, subgraphs
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Inputs
from snooze.convert.frameworks.onnx.file import tensors

NAME: Final = "ONNX model"
OPSETS: Final[Mapping[str, tuple[int, int]]] = {"": (7, 26), "ai.onnx.ml": (1, 5)}  # that ONNX Runtime 1.31 runs
INITIALIZERS_APART: Final = 4  # the IR version since which initializers need not be inputs
LOCALE: Final = "C.UTF-8"  # that every machine has
RANDOM: Final = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
CLASSES: Final = ("classlabels_strings", "classlabels_int64s", "classlabels_ints")


def prepare(model: Any) -> Any:
    """
    Return a copy of a model that ONNX Runtime reads: without a newer IR version than needed, inputs that are only
    weights, names that no request can carry, or the names of locales.

    Raises:
        Unsupported: a version of an operator set, an operator, or an input or output, is not served.
        GraphRefused: it uses operators of other domains.
    """
    import onnx

    _check_versions(model, onnx.IR_VERSION)
    check_domains(model)
    if random := sorted(operators(model) & RANDOM):
        problem = f"{', '.join(random)} gives another answer each time"
        raise Unsupported(NAME, f"{problem}; make the random values an input, or leave them out")
    made = onnx.ModelProto()
    made.CopyFrom(model)
    made.ir_version = min(max(made.ir_version, INITIALIZERS_APART), MAX_IR)
    _remove_weights(made.graph)
    for node in all_nodes(made):
        if node.op_type == "StringNormalizer":
            _set_locale(node)
    _sort(made.graph)
    _check_values(made)
    rename_only(made, _new_names(made))
    return made


def find_zipmaps(model: Any) -> dict[str, tuple[object, ...]]:
    """Return the outputs of a model that are lists of dictionaries, and the keys in them."""
    outputs = {value.name for value in model.graph.output}
    return {
        node.output[0]: find_classes(node) or ()
        for node in model.graph.node
        if node.op_type == "ZipMap" and node.output[0] in outputs
    }


def is_half(model: Any) -> bool:
    """Return whether a model calculates in half precision, as its weights or casts show."""
    from onnx import TensorProto

    kinds = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    casts = (one for node in all_nodes(model) if node.op_type == "Cast" for one in node.attribute if one.name == "to")
    values = (value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output))
    return (
        any(tensor.data_type in kinds for tensor in tensors(model))
        or any(one.i in kinds for one in casts)
        or any(kind in kinds for kind in values)
    )


def find_classes(node: Any) -> tuple[object, ...] | None:
    """Return the classes that a classifier of ai.onnx.ml or a ZipMap knows, or None for another operator."""
    for attribute in node.attribute:
        if attribute.name in CLASSES:
            texts = tuple(text.decode(errors="replace") for text in attribute.strings)
            return texts or tuple(attribute.ints) or None
    return None


def make_served(prepared: Any, inputs: Inputs, ranks: Mapping[str, int]) -> Any:
    """
    Return a copy of a prepared model with tensors instead of ZipMaps, and inputs of the shapes that it accepts.

    `ranks` are those of the outputs, for the ones that declare no shape.
    """
    import onnx

    made = onnx.ModelProto()
    made.CopyFrom(prepared)
    zipmaps = find_zipmaps(made)
    for node in made.graph.node:
        if node.op_type == "ZipMap":
            node.CopyFrom(onnx.helper.make_node("Identity", [node.input[0]], [node.output[0]], node.name))
    for value in made.graph.output:
        if value.name in zipmaps:
            value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, None))
        if not value.type.tensor_type.HasField("shape"):
            _set_shape(value, (-1,) * ranks[value.name])
    shapes = {one.tensor.name: one.tensor.shape for one in inputs}
    for value in made.graph.input:
        _set_shape(value, shapes[value.name])
    return made


def _check_versions(model: Any, known: int) -> None:
    if model.ir_version > known:
        problem = f"it is of IR version {model.ir_version}, and {known} is the newest that is known"
        raise Unsupported(NAME, f"{problem}; export it with an older version of onnx")
    for entry in model.opset_import:
        least, most = OPSETS.get("" if entry.domain == "ai.onnx" else entry.domain, (0, entry.version))
        if not least <= entry.version <= most:
            problem = f"it is of opset {entry.version} of {entry.domain or 'ai.onnx'}, expected {least} to {most}"
            raise Unsupported(NAME, f"{problem}; export it again, or change it with onnx.version_converter")


def _remove_weights(graph: Any) -> None:
    """Remove the inputs that only declare weights, as files of before 2019 have them."""
    weights = {tensor.name for tensor in graph.initializer} | {one.values.name for one in graph.sparse_initializer}
    kept = [value for value in graph.input if value.name not in weights]
    if len(kept) < len(graph.input):
        del graph.input[:]
        graph.input.extend(kept)


def _sort(graph: Any) -> None:
    """Put the nodes of a graph and its subgraphs in the order in which they run; converters to float16 do not."""
    for node in graph.node:
        for inner in subgraphs(node):
            _sort(inner)
    makers = {name: at for at, node in enumerate(graph.node) for name in node.output if name}
    needs = {at: {makers[name] for name in _reads(node) if name in makers} for at, node in enumerate(graph.node)}
    if all(at > need for at, found in needs.items() for need in found):
        return
    with suppress(CycleError):  # ONNX Runtime refuses the graph then
        nodes = [graph.node[at] for at in TopologicalSorter(needs).static_order()]
        copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(copies)


def _reads(node: Any) -> Iterator[str]:
    """Yield the names of the values that a node or its subgraphs read."""
    yield from node.input
    for inner in subgraphs(node):
        yield from (value.name for value in inner.output)
        for one in inner.node:
            yield from _reads(one)


def _set_locale(node: Any) -> None:
    """Let a StringNormalizer change case as everywhere, not as in a locale that the server may not have."""
    from onnx import helper

    kept = [attribute for attribute in node.attribute if attribute.name != "locale"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("locale", LOCALE)])


def _check_values(model: Any) -> None:
    """Raise Unsupported if an input or output is not a tensor of a type that requests can carry."""
    zipmaps = find_zipmaps(model)
    sides = (("input", model.graph.input), ("output", model.graph.output))
    for side, values in sides:
        if not values:
            raise Unsupported(NAME, f"it has no {side}; export it again")
        for value in values:
            kind = value.type.WhichOneof("value") or "tensor_type"
            if value.name in zipmaps:
                continue
            if kind != "tensor_type":
                what = kind.removesuffix("_type").replace("_", " ")
                raise Unsupported(NAME, f"{side} '{value.name}' is a {what}; export it with tensors only")
            name = _type_name(value.type.tensor_type.elem_type)
            if f"tensor({name})" not in ORT_TYPES:
                problem = f"{side} '{value.name}' has datatype {name}, which no request can carry"
                raise Unsupported(NAME, f"{problem}; cast it in the model")


def _type_name(number: int) -> str:
    from onnx import TensorProto

    return TensorProto.DataType.Name(number).lower() if number in TensorProto.DataType.values() else str(number)


def _new_names(model: Any) -> dict[str, str]:
    """Return other names for the inputs and outputs whose names the contract does not allow."""
    found: dict[str, str] = {}
    for side, values in (("input", model.graph.input), ("output", model.graph.output)):
        for index, value in enumerate(values):
            if not is_tensor_name(value.name):
                found[value.name] = f"{side}_{index}"
    return found


def _set_shape(value: Any, shape: tuple[int, ...]) -> None:
    """Declare the shape of a value; variable dimensions keep their names."""
    declared = value.type.tensor_type.shape
    names = [size.dim_param for size in declared.dim] if len(declared.dim) == len(shape) else [""] * len(shape)
    declared.SetInParent()
    del declared.dim[:]
    for index, (size, name) in enumerate(zip(shape, names, strict=True)):
        dimension = declared.dim.add()
        if size >= 0:
            dimension.dim_value = size
        else:
            dimension.dim_param = name or f"{value.name}_{index}"
