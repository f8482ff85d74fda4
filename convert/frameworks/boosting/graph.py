"""
Writes boosted trees as ONNX operators.

One TreeEnsembleRegressor sums the leaves, for classifiers too: the link and the label follow as ordinary operators. All
its nodes compare in the same way, for which ONNX Runtime has a fast path. A split with several bounds becomes a chain
of nodes, whose false branches lead along the chain and whose true branches share the children. Such sharing is not a
tree any more, but ONNX Runtime supports it on true branches, because the set memberships of other converters need it.
"""

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.checks.graph import BATCH, OPSET
from snooze.convert.frameworks.boosting.ensemble import Ensemble, Leaf, Tree
from snooze.convert.quiet import quiet

FEATURES: Final = "features"
IR_VERSION: Final = 10
ML: Final = "ai.onnx.ml"


def make_graph(ensemble: Ensemble, classes: Array | None, double: bool = False) -> Any:
    """Return an ensemble as an ONNX model, from `features` to `label`, if it has classes, and its answer."""
    with quiet():
        from onnx import TensorProto, helper

    columns = 2 if ensemble.two_columns else ensemble.targets
    answer, _ = ensemble.answer
    outputs = [helper.make_tensor_value_info(answer, TensorProto.FLOAT, [BATCH, columns])]
    label = None
    if classes is not None:
        label = "label"
        kind = TensorProto.STRING if classes.dtype.kind == "O" else TensorProto.INT64
        outputs.insert(0, helper.make_tensor_value_info(label, kind, [BATCH]))
    element = TensorProto.DOUBLE if double else TensorProto.FLOAT
    takes = helper.make_tensor_value_info(FEATURES, element, [BATCH, ensemble.width])
    writer = Writer(double=double)
    writer.write(ensemble, FEATURES, answer, label, classes)
    graph = helper.make_graph(writer.nodes, "boosted_trees", [takes], outputs)
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSET.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


class Writer:
    """Collects the nodes of a graph; the names of its tensors begin with a prefix."""

    def __init__(self, prefix: str = "", double: bool = False) -> None:
        self.nodes: list[Any] = []
        self.prefix = prefix
        self.double = double  # the trees read double precision; they give single precision in any case

    def write(
        self, ensemble: Ensemble, features: str, answer: str, label: str | None = None, classes: Array | None = None
    ) -> None:
        """Write an ensemble from the tensor `features` to `answer`, and to the `label` that the answer decides."""
        if not math.isnan(ensemble.missing):
            kind = np.float64 if self.double else np.float32
            absent = self.node("Equal", features, self.constant(kind(ensemble.missing)))
            features = self.node("Where", absent, self.constant(kind(math.nan)), features)
        total = self.node(
            "TreeEnsembleRegressor", features, domain=ML, n_targets=ensemble.targets,
            aggregate_function="SUM", post_transform="NONE", **attributes(ensemble, self.double),
        )  # fmt: skip
        self._write_answer(ensemble, total, answer)
        if label is not None and classes is not None:
            best = self.node("ArgMax", answer, axis=1, keepdims=0)
            self.node("Gather", self.constant(classes), best, output=label)

    def node(self, operator: str, *inputs: str, output: str | None = None, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        from onnx import helper

        output = output or f"{self.prefix}{operator}_{len(self.nodes)}"
        name = f"{self.prefix}{operator}_node_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, domain=domain, **attributes))
        return output

    def constant(self, value: Array | np.generic) -> str:
        """Add a constant and return its name."""
        from onnx import helper, numpy_helper

        if value.dtype.kind == "O":
            texts = [text.encode() for text in value.tolist()]
            return self.node("Constant", value=helper.make_tensor("", 8, [len(texts)], texts))
        return self.node("Constant", value=numpy_helper.from_array(np.asarray(value)))

    def _write_answer(self, ensemble: Ensemble, total: str, output: str) -> None:
        """Write the link; the score of two classes becomes a column for each."""
        if ensemble.scale != 1:
            total = self.node("Mul", total, self.constant(np.float32(ensemble.scale)))
        link = ensemble.objective.link
        if ensemble.two_columns:
            second = self.node("Sigmoid", total) if link == "sigmoid" else total
            first = self.node("Sub", self.constant(np.float32(1)), second) if link == "sigmoid" else None
            self.node("Concat", first or self.node("Neg", total), second, axis=1, output=output)
        elif link == "softmax":
            self.node("Softmax", total, axis=1, output=output)
        elif link == "signed square":
            self.node("Mul", total, self.node("Abs", total), output=output)
        else:
            operators = {"identity": "Identity", "sigmoid": "Sigmoid", "exp": "Exp", "softplus": "Softplus"}
            self.node(operators[link], total, output=output)


def attributes(ensemble: Ensemble, double: bool) -> dict[str, Any]:
    """Return the trees as the attributes of a TreeEnsembleRegressor."""
    from onnx import helper

    rows = [row for number, tree in enumerate(ensemble.trees) for row in _rows(tree, number)]
    trees, nodes, features, bounds, true, false, missing = (list(column) for column in zip(*rows, strict=True))
    leaf = [feature is None for feature in features]
    leaves = [
        (number, at, *weight)
        for number, tree in enumerate(ensemble.trees)
        for at, node in enumerate(tree)
        if isinstance(node, Leaf)
        for weight in node.weights
    ]
    leaf_trees, leaf_nodes, targets, weights = (list(column) for column in zip(*leaves, strict=True))
    below = "BRANCH_LEQ" if ensemble.inclusive else "BRANCH_LT"
    numbers = {
        "nodes_values": np.array(bounds) if double else round_down(np.array(bounds)),
        "target_weights": np.array(weights),
        # ONNX Runtime adds them only where a leaf has added something; every target has its trees.
        "base_values": np.array(ensemble.base),
    }
    numbers = {name: array for name, array in numbers.items() if array.size}
    if double:
        tensors = {name: helper.make_tensor("", 11, array.shape, array) for name, array in numbers.items()}
        exact: dict[str, Any] = {f"{name}_as_tensor": tensor for name, tensor in tensors.items()}
    else:
        exact = {name: array.astype(np.float32).tolist() for name, array in numbers.items()}
    return exact | {
        "nodes_treeids": trees,
        "nodes_nodeids": nodes,
        "nodes_featureids": [feature or 0 for feature in features],
        "nodes_modes": ["LEAF" if one else below for one in leaf],
        "nodes_truenodeids": true,
        "nodes_falsenodeids": false,
        "nodes_missing_value_tracks_true": missing,
        "target_treeids": leaf_trees,
        "target_nodeids": leaf_nodes,
        "target_ids": targets,
    }


def _rows(tree: Tree, number: int) -> Iterator[tuple[int, int, int | None, float, int, int, int]]:
    """Yield tree, node, feature (None: a leaf), bound, true and false branch, and whether missing values are true."""
    free = len(tree)  # the first number for the further nodes of chains
    for at, node in enumerate(tree):
        if isinstance(node, Leaf):
            yield number, at, None, 0.0, 0, 0, 0
            continue
        chain = [at, *range(free, free + len(node.bounds) - 1)]
        free += len(chain) - 1
        following = [*chain[1:], node.children[-1]]
        for one, bound, child, otherwise in zip(chain, node.bounds, node.children, following, strict=False):
            yield number, one, node.feature, bound, child, otherwise, int(child == node.missing)


def round_down(bounds: Array) -> Array:
    """Return the largest numbers in single precision that are not above the bounds."""
    with np.errstate(over="ignore"):
        near = bounds.astype(np.float32)
    return np.where(near > bounds, np.nextafter(near, np.float32(-np.inf)), near)
