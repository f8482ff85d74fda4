"""Replaces missing values in double precision, for which ONNX Runtime has no Imputer."""

from typing import Any

import numpy as np


def replace_imputers(graph: Any) -> None:
    """Replace the imputers of a graph in double precision by a comparison and a choice. Changes the model."""
    from onnx import helper, numpy_helper

    nodes = list(graph.graph.node)
    del graph.graph.node[:]
    for node in nodes:
        if node.op_type != "Imputer":
            graph.graph.node.append(node)
            continue
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        (given,), (filled,) = node.input, node.output
        missing, replaced = float(attributes.get("replaced_value_float", 0.0)), f"{filled}__missing"
        for name, values in (("values", attributes["imputed_value_floats"]), ("marker", [missing])):
            constant = np.array(values, np.float64)
            graph.graph.initializer.append(numpy_helper.from_array(constant, f"{filled}__{name}"))
        test = (
            helper.make_node("IsNaN", [given], [replaced])
            if np.isnan(missing)
            else helper.make_node("Equal", [given, f"{filled}__marker"], [replaced])
        )
        graph.graph.node.extend([test, helper.make_node("Where", [replaced, f"{filled}__values", given], [filled])])
