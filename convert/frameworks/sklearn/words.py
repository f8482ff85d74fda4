"""How texts are split: token patterns in the syntax of RE2, which ONNX Runtime has, and letters."""

import re
from typing import Any, Final

import numpy as np

LETTER: Final = r"[\p{L}\p{N}_]"  # \w of Python; that of RE2 is only ASCII
RUN: Final = re.compile(r"(?:\\b)?((?:\\w)*)\\w(\+|\{(\d+),\})(?:\\b)?")  # of at least so many letters
DIFFERENT: Final = re.compile(r"\\[a-zA-Z]|\(\?")  # escapes and groups that mean something else, or nothing, in RE2
SPACE: Final = r"[\s\v\x1c-\x1f\x{85}\p{Z}]"  # \s of Python
SPACES: Final = f"{SPACE}{{2,}}"  # which scikit-learn replaces with one space before it counts letters
LETTERS: Final = f"{SPACES}|(?s)."
PADDING: Final = "#"
OPSETS: Final = {"": 13, "ai.onnx.ml": 2}  # of ReduceSum and LabelEncoder as they are used here


def translate(pattern: str) -> str | None:
    """
    Return a token pattern in the syntax of RE2, or None if it cannot say the same.

    Runs of letters such as the default `(?u)\\b\\w\\w+\\b` are translated. Other patterns are the same if they only
    have classes of letters, such as `[a-z]+`.
    """
    pattern = pattern.removeprefix("(?u)")
    run = RUN.fullmatch(pattern)
    if run:
        least = len(run[1]) // 2 + int(run[3] or 1)
        return f"{LETTER}{{{least},}}"
    return None if DIFFERENT.search(pattern) else pattern


def collapse_spaces(graph: Any) -> None:
    """Replace the runs of spaces among the letters that `LETTERS` splits texts into by one space. Changes the model."""
    from onnx import TensorProto, helper, numpy_helper

    for node in list(graph.graph.node):
        if node.op_type != "Tokenizer" or not any(one.s == LETTERS.encode() for one in node.attribute):
            continue
        flatten = next(one for one in graph.graph.node if node.output[0] in one.input)  # [rows, letters]
        letters, collapsed = f"{flatten.output[0]}_letters", flatten.output[0]
        flatten.output[0] = letters
        runs, found, count, is_run, space, axis = (f"{letters}_{at}" for at in range(6))
        graph.graph.initializer.extend(
            [
                numpy_helper.from_array(np.array([" "], object), space),
                numpy_helper.from_array(np.array([2], np.int64), axis),
            ]
        )
        # Without its type, the shape inference of onnx crashes.
        graph.graph.value_info.append(helper.make_tensor_value_info(runs, TensorProto.STRING, [None] * 3))
        splits = {"tokenexp": SPACES, "pad_value": PADDING, "mark": 0, "mincharnum": 1}
        matches = {"keys_strings": [PADDING], "values_int64s": [0], "default_int64": 1}
        nodes = [
            helper.make_node("Tokenizer", [letters], [runs], domain="com.microsoft", **splits),
            helper.make_node("LabelEncoder", [runs], [found], domain="ai.onnx.ml", **matches),
            helper.make_node("ReduceSum", [found, axis], [count], keepdims=0),
            helper.make_node("Cast", [count], [is_run], to=TensorProto.BOOL),
            helper.make_node("Where", [is_run, space, letters], [collapsed]),
        ]
        _require_opsets(graph)
        at = list(graph.graph.node).index(flatten) + 1
        for offset, new in enumerate(nodes):
            graph.graph.node.insert(at + offset, new)


def _require_opsets(graph: Any) -> None:
    """Declare the opsets of `OPSETS`, of which skl2onnx declares the oldest that suffice for its own operators."""
    declared = {one.domain: one for one in graph.opset_import}
    for domain, version in OPSETS.items():
        opset = declared.get(domain) or graph.opset_import.add(domain=domain)
        opset.version = max(opset.version, version)
