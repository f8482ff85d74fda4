"""
Builds graphs of fitted estimators with skl2onnx: of a whole model, and of the models inside it.

The outputs have the names and the order of `outputs.find_answers`, whatever skl2onnx calls them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from snooze.convert.checks.graph import OPSET, declare, rename, subgraphs
from snooze.convert.frameworks.sklearn.outputs import TARGET, is_multilabel, last_step
from snooze.convert.quiet import quiet


def build(model: Any, types: Sequence[tuple[str, Any]], outputs: Sequence[str]) -> Any:
    """
    Return the graph of a fitted model: its outputs are named `outputs`, and are those of `find_answers`.

    `scores` may be among them for a classifier that has probabilities too, if `has_raw_scores`. `types` are the names
    and the types of the inputs. Raises whatever converters run into.
    """
    from skl2onnx import convert_sklearn

    # By default a classifier returns probabilities as a list of dicts, which is not a tensor.
    chosen: dict[Any, Any] = {id(model): {"zipmap": False}} if "label" in outputs and hasattr(model, "classes_") else {}
    last = last_step(model)
    if "scores" in outputs and has_raw_scores(last):
        # Without it the two columns of a support vector machine are swapped, although the label is correct.
        chosen[id(last)] = {"zipmap": False, "raw_scores": True}
    with quiet():
        graph = convert_sklearn(model, initial_types=list(types), options=chosen, target_opset=OPSET)
    graph = _with_outputs(graph, tuple(outputs))
    if is_multilabel(last):  # some converters declare a single label
        declare(graph.graph.output[0], (-1, -1))
    if "scores" in outputs and not is_multilabel(last) and len(getattr(last, "classes_", ())) == 2:
        graph = _two_columns(graph)
    return graph


def has_raw_scores(estimator: Any) -> bool:
    """Return whether the converter of a classifier can give the decision function instead of probabilities."""
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import _converter_pool

    converter = _converter_pool.get(sklearn_operator_name_map.get(type(estimator), ""))
    return converter is not None and "raw_scores" in (getattr(converter, "_options", None) or {})


def keep_needed(graph: Any) -> None:
    """Remove the nodes and constants on which no output depends, as the labels of stacked models. Changes the model."""
    needed = {one.name for one in graph.graph.output}
    kept = []
    for node in reversed(graph.graph.node):  # each is behind those that it reads
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
            needed.update(name for graph in subgraphs(node) for inner in graph.node for name in inner.input)
    constants = [one for one in graph.graph.initializer if one.name in needed]
    del graph.graph.node[:], graph.graph.initializer[:]
    graph.graph.node.extend(reversed(kept))
    graph.graph.initializer.extend(constants)


def _with_outputs(graph: Any, outputs: tuple[str, ...]) -> Any:
    """Name the outputs of a graph, and give each target of several an output of its own."""
    several = [name for name in outputs if name.startswith(TARGET)]
    if several:
        label, scores = (value.name for value in graph.graph.output)
        parts = _split_targets(graph, scores, len(several))
        given = [label, *parts]
    else:
        del graph.graph.output[len(outputs) :]  # declared also for a classifier without scores
        given = [value.name for value in graph.graph.output]
    return rename(graph, dict(zip(given, outputs, strict=True)))


def _split_targets(graph: Any, name: str, count: int) -> list[str]:
    """Replace an output, a sequence or a stack of the scores of each target, by outputs; return their names."""
    from onnx import TensorProto, helper, numpy_helper

    last = next(node for node in graph.graph.node if name in node.output)
    if last.op_type == "SequenceConstruct":
        parts = list(last.input)
        graph.graph.node.remove(last)
    else:
        parts = [f"target_{at}" for at in range(count)]
        for at, part in enumerate(parts):
            graph.graph.initializer.append(numpy_helper.from_array(np.array(at, np.int64), f"{part}_number"))
            graph.graph.node.append(helper.make_node("Gather", [name, f"{part}_number"], [part], axis=0))
    kind = graph.graph.output[1].type
    number = kind.sequence_type.elem_type.tensor_type if kind.HasField("sequence_type") else kind.tensor_type
    del graph.graph.output[1:]
    graph.graph.output.extend(
        helper.make_tensor_value_info(part, number.elem_type or TensorProto.FLOAT, [None, None]) for part in parts
    )
    return parts


def _two_columns(graph: Any) -> Any:
    """Give the scores of two classes one column each: some converters do, others give one column for both."""
    from onnx import helper, numpy_helper

    declared = next(value for value in graph.graph.output if value.name == "scores")
    graph = rename(graph, {"scores": "decision"})
    last = numpy_helper.from_array(np.array([-1], np.int64), "last_column")
    graph.graph.initializer.append(last)
    graph.graph.node.extend(
        [
            helper.make_node("Gather", ["decision", "last_column"], ["second_class"], axis=1),
            helper.make_node("Neg", ["second_class"], ["first_class"]),
            helper.make_node("Concat", ["first_class", "second_class"], ["scores"], axis=1),
        ]
    )
    declared.name = "scores"
    return graph
