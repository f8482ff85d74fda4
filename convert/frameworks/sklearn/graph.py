"""Converts fitted scikit-learn estimators to ONNX graphs with skl2onnx, and works around what skl2onnx cannot do."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from snooze.convert.checks.graph import OPSET, declare, rename
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Attempt
from snooze.convert.frameworks.registry import frameworks
from snooze.convert.frameworks.sklearn.columns import Layout, select_by_position
from snooze.convert.frameworks.sklearn.outputs import TARGET, is_multilabel, last_step
from snooze.convert.frameworks.sklearn.parts import fitted_parts, parts
from snooze.convert.frameworks.sklearn.refusals import explain_failure, explain_missing
from snooze.convert.frameworks.sklearn.words import LETTERS, collapse_spaces, translate
from snooze.convert.quiet import quiet

SHAPES: Final[dict[str, dict[str, tuple[int, ...]]]] = {  # of outputs for which skl2onnx has others
    "QuadraticDiscriminantAnalysis": {"label": (-1,)},
    "GaussianMixture": {"label": (-1,)},
    "BayesianGaussianMixture": {"label": (-1,)},
    "SGDOneClassSVM": {"label": (-1, 1), "score": (-1, 1)},
}
MAX_DENSE: Final = 2**31  # bytes; a model file has at most as many
LOCALE: Final = "C.UTF-8"  # there is always one; the converter's en_US is missing in small images


def attempts(model: Any, layout: Layout, names: Mapping[str, str]) -> Iterator[Attempt]:
    """
    Yield ways to convert an estimator, the simplest first. `names` are those of the outputs in the graph.

    The simplest fails for a scaler in front of trees: scikit-learn scales in double precision, the graph in single
    precision, so a value close to a threshold can fall on its other side.
    """
    from sklearn.preprocessing import StandardScaler

    model = _prepare(model, layout)

    def attempt(name: str, cast: bool = False, double: bool = False, more: dict[Any, Any] | None = None) -> Attempt:
        return Attempt(name, lambda: _graph(_with_cast(model) if cast else model, layout, names, double, more or {}))

    yield attempt("single precision")
    if layout.form == "texts":
        return
    if any(isinstance(part, StandardScaler) for part in parts(model)):
        yield attempt("exact division in the scaler", more={StandardScaler: {"div": "div"}})
    if any(map(_predicts_after_steps, fitted_parts(model))):
        yield attempt("double precision up to the last step", cast=True, double=True)
    yield attempt("double precision", double=True)


def _prepare(model: Any, layout: Layout) -> Any:
    """Return a copy of a model with the settings and columns that skl2onnx accepts, which answers the same."""
    from sklearn.ensemble import VotingClassifier
    from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer

    model = _simplify(copy.deepcopy(model))
    if layout.form != "texts":
        select_by_position(model, layout)
    for part in fitted_parts(model):
        if isinstance(part, VotingClassifier):
            part.flatten_transform = False  # changes just `transform`
        _make_dense(part)
        if isinstance(part, KBinsDiscretizer) and part.encode == "onehot":
            part.encode = "onehot-dense"
        if hasattr(part, "steps"):  # skl2onnx knows "passthrough" only in a ColumnTransformer
            part.steps = [
                (name, FunctionTransformer() if step in (None, "passthrough") else step) for name, step in part.steps
            ]
    return model


def _make_dense(part: Any) -> None:
    """Replace the sparse matrices that a part learned, such as the neighbours that were texts. Changes the part."""
    for name, value in list(vars(part).items()):
        if hasattr(value, "toarray"):
            if 4 * value.shape[0] * value.shape[1] > MAX_DENSE:
                problem = f"it keeps a sparse matrix of {value.shape[0]} x {value.shape[1]}, too large for a graph"
                raise Unsupported(type(part).__name__, f"{problem}; put a TruncatedSVD in front of it")
            setattr(part, name, value.toarray())


def _simplify(model: Any) -> Any:
    """Return a model with the best estimators of its searches in their place, and logistic regression for LDA."""
    while hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    if hasattr(model, "steps"):
        *steps, (name, last) = model.steps
        model.steps = [*((one, _without_search(step)) for one, step in steps), (name, _simplify(last))]
    return _as_logistic(model) if type(model).__name__ == "LinearDiscriminantAnalysis" else model


def _without_search(step: Any) -> Any:
    return getattr(step, "best_estimator_", step)


def _as_logistic(model: Any) -> Any:
    """Return a logistic regression with the same answers; skl2onnx gives other probabilities for two classes."""
    from sklearn.linear_model import LogisticRegression

    logistic = LogisticRegression()
    for name in ("coef_", "intercept_", "classes_", "n_features_in_"):
        setattr(logistic, name, getattr(model, name))
    return logistic


def _with_cast(model: Any) -> Any:
    """Return a copy with a cast to single precision before each pipeline's prediction, as in scikit-learn's trees."""
    from skl2onnx.sklapi import CastTransformer

    with quiet():
        cast = CastTransformer(dtype=np.float32).fit(np.zeros((1, 1), np.float32))
    model = copy.deepcopy(model)
    for part in list(filter(_predicts_after_steps, fitted_parts(model))):
        part.steps = [*part.steps[:-1], ("to_single_precision", cast), part.steps[-1]]
    return model


def _predicts_after_steps(part: Any) -> bool:
    return len(getattr(part, "steps", ())) > 1 and hasattr(part.steps[-1][1], "predict")


def _graph(model: Any, layout: Layout, outputs: Mapping[str, str], double: bool, more: dict[Any, Any]) -> Any:
    with quiet():
        from skl2onnx import convert_sklearn
        from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    for framework in frameworks():
        framework.register_converters()
    # By default a classifier returns probabilities as a list of dicts, which is not a tensor.
    options: dict[Any, Any] = (
        {id(model): {"zipmap": False}} if "label" in outputs and hasattr(model, "classes_") else {}
    )
    last = last_step(model)
    if "scores" in outputs and _has_raw_scores(last):
        # Without it the two columns of a support vector machine are swapped, although the label is correct.
        options[id(last)] = {"zipmap": False, "raw_scores": True}
    options |= _text_options(model) | more
    tensors = layout.tensors()
    # skl2onnx replaces letters in names that are not allowed in Python.
    types = [(f"input_{at}", _type(one.datatype, one.shape, double)) for at, one in enumerate(tensors)]
    try:
        with quiet():
            graph = convert_sklearn(model, initial_types=types, options=options, target_opset=OPSET)
    except Unsupported:  # of a converter that another framework registered
        raise
    except (MissingConverter, MissingShapeCalculator) as error:
        raise Unsupported(type(model).__name__, explain_missing(model, str(error))) from None
    except Exception as error:  # converters raise whatever their own code runs into
        raise Unsupported(type(model).__name__, explain_failure(model, layout.form != "matrix", error)) from None
    collapse_spaces(graph)
    graph = _with_outputs(graph, tuple(outputs))
    if is_multilabel(last):  # some converters declare a single label
        declare(graph.graph.output[0], (-1, -1))
    for name, shape in SHAPES.get(type(last).__name__, {}).items():
        _reshape(graph, name, shape)
    if "scores" in outputs and getattr(last, "classes_", np.zeros(0)).shape == (2,):
        graph = _two_columns(graph)
    return rename(graph, dict(outputs) | {name: one.name for (name, _), one in zip(types, tensors, strict=True)})


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


def _reshape(graph: Any, name: str, shape: tuple[int, ...]) -> None:
    from onnx import helper, numpy_helper

    rename(graph, {name: f"{name}_given"})
    graph.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), f"{name}_shape"))
    graph.graph.node.append(helper.make_node("Reshape", [f"{name}_given", f"{name}_shape"], [name]))
    value = next(one for one in graph.graph.output if one.name == f"{name}_given")
    value.name = name
    declare(value, shape)


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


def _type(datatype: str, shape: tuple[int, ...], double: bool) -> Any:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType

    number = DoubleTensorType if double else FloatTensorType
    kind = {"FP32": number, "INT64": Int64TensorType, "BYTES": StringTensorType}[datatype]
    return kind([None if size == -1 else size for size in shape])


def _text_options(model: Any) -> dict[Any, Any]:
    """Return the options of the text vectorizers in a model."""
    options: dict[Any, Any] = {}
    for part in fitted_parts(model):
        if hasattr(part, "vocabulary_") and hasattr(part, "analyzer"):
            pattern = translate(part.token_pattern) if part.analyzer == "word" else LETTERS
            options[id(part)] = {"locale": LOCALE, "tokenexp": pattern}
    return options


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


def _has_raw_scores(estimator: Any) -> bool:
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import _converter_pool

    converter = _converter_pool.get(sklearn_operator_name_map.get(type(estimator), ""))
    return converter is not None and "raw_scores" in (getattr(converter, "_options", None) or {})
