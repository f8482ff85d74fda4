"""Converts fitted scikit-learn estimators to ONNX graphs with skl2onnx, and works around what skl2onnx cannot do."""

import copy
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Task
from snooze.convert.checks.graph import OPSET, rename
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Attempt, first_line
from snooze.convert.frameworks.registry import frameworks
from snooze.convert.frameworks.sklearn.imputers import replace_imputers
from snooze.convert.quiet import quiet

FEATURES: Final = "features"


def as_list(value: Any) -> list[Any]:
    """Return the items of a list, tuple or array, or a list of the value itself."""
    return list(value) if isinstance(value, list | tuple | np.ndarray) else [value]


def parts(model: Any) -> Iterator[Any]:
    """Yield the estimator and, recursively, the estimators among its parameters."""
    yield model
    for value in model.get_params(deep=False).values():
        for item in as_list(value):
            for part in item if isinstance(item, tuple) else (item,):
                if hasattr(part, "get_params") and not isinstance(part, type):
                    yield from parts(part)


def attempts(model: Any, outputs: tuple[str, ...], task: Task) -> Iterator[Attempt]:
    """
    Yield ways to convert an estimator, the simplest first.

    The simplest fails for a scaler in front of trees: scikit-learn scales in double precision, the graph in single
    precision, so a value close to a threshold can fall on its other side.
    """
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    yield Attempt("single precision", lambda: _graph(model, outputs, task))
    if any(isinstance(part, StandardScaler) for part in parts(model)):
        options = {StandardScaler: {"div": "div"}}
        yield Attempt("exact division in the scaler", lambda: _graph(model, outputs, task, more=options))
    if isinstance(model, Pipeline) and len(model.steps) > 1:
        yield Attempt(
            "double precision up to the last step", lambda: _graph(_with_cast(model), outputs, task, double=True)
        )
    yield Attempt("double precision", lambda: _graph(model, outputs, task, double=True))


def _with_cast(pipeline: Any) -> Any:
    """Return a pipeline with a cast to single precision before its last step, as in scikit-learn's trees."""
    from skl2onnx.sklapi import CastTransformer
    from sklearn.pipeline import Pipeline

    with quiet():
        cast = CastTransformer(dtype=np.float32).fit(np.zeros((1, 1), np.float32))
    return Pipeline([*pipeline.steps[:-1], ("to_single_precision", cast), pipeline.steps[-1]])


def _graph(
    model: Any, outputs: tuple[str, ...], task: Task, double: bool = False, more: dict[Any, Any] | None = None
) -> Any:
    with quiet():
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
        from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    for framework in frameworks():
        framework.register_converters()
    model = _without_flat_votes(model)
    # By default a classifier returns probabilities as a list of dicts, which is not a tensor.
    options: dict[Any, Any] = {id(model): {"zipmap": False}} if task == "classification" else {}
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    if "scores" in outputs and _has_raw_scores(last):
        # Without it the two columns of a support vector machine are swapped, although the label is correct.
        options[id(last)] = {"zipmap": False, "raw_scores": True}
    kind = DoubleTensorType if double else FloatTensorType
    try:
        with quiet():
            types = [(FEATURES, kind([None, model.n_features_in_]))]
            graph = convert_sklearn(model, initial_types=types, options=options | (more or {}), target_opset=OPSET)
    except (MissingConverter, MissingShapeCalculator) as error:
        raise Unsupported(type(model).__name__, _missing_converter(model, str(error))) from None
    except Exception as error:  # converters raise whatever their own code runs into
        problem = f"skl2onnx fails with {type(error).__name__}: {first_line(error)}; train another kind of model"
        raise Unsupported(type(model).__name__, problem) from None
    if double:
        replace_imputers(graph)
    del graph.graph.output[len(outputs) :]  # declared also for a classifier without scores
    graph = rename(graph, {value.name: name for value, name in zip(graph.graph.output, outputs, strict=True)})
    return _two_columns(graph) if "scores" in outputs and len(model.classes_) == 2 else graph


def _missing_converter(model: Any, error: str) -> str:
    """Return the problem and the advice for an estimator, or a part of it, that skl2onnx does not know."""
    part = next((one for one in parts(model) if type(one).__name__ in error), model)
    if part is model:
        return "skl2onnx has no converter for it; train another kind of model"
    advice = (
        "do that step before the rows are sent" if hasattr(part, "transform") else "train it with another estimator"
    )
    return f"skl2onnx has no converter for its part {type(part).__name__}; {advice}"


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


def register_linear_svc() -> None:
    """Register LinearSVC with the option zipmap, which skl2onnx 1.20 passes to it in a pipeline and then refuses."""
    with quiet():
        from skl2onnx import update_registered_converter
        from skl2onnx.common._registration import _converter_pool, _shape_calculator_pool
        from sklearn.svm import LinearSVC

        known = _converter_pool["SklearnLinearSVC"]
        if "zipmap" not in known._options:
            update_registered_converter(
                LinearSVC,
                "SklearnLinearSVCWithZipmap",
                _shape_calculator_pool["SklearnLinearSVC"],
                getattr(known, "_fct", known),
                options={**known._options, "zipmap": [True, False, "columns"]},
            )


def _without_flat_votes(model: Any) -> Any:
    """Return a copy with the only setting of VotingClassifier that skl2onnx accepts; it changes just `transform`."""
    from sklearn.ensemble import VotingClassifier

    if not any(isinstance(part, VotingClassifier) for part in parts(model)):
        return model
    model = copy.deepcopy(model)
    for part in parts(model):
        if isinstance(part, VotingClassifier):
            part.flatten_transform = False
    return model
