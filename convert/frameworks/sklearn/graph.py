"""
Fitted scikit-learn estimators as ONNX graphs, by skl2onnx and the remedies for what it does not do by itself.

Beside `from_sklearn.py`, the only importer of scikit-learn and skl2onnx.
"""

import copy
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Task
from snooze.convert.checks.graph import OPSET, renamed
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Attempt, first_line
from snooze.convert.quiet import quiet

FEATURES: Final = "features"


def listed(value: Any) -> list[Any]:
    """Return what is in a list, tuple or array, or the one thing that it is."""
    return list(value) if isinstance(value, list | tuple | np.ndarray) else [value]


def parts(model: Any) -> Iterator[Any]:
    """Return the estimator and all those that it is made of."""
    yield model
    for value in model.get_params(deep=False).values():
        for item in listed(value):
            for part in item if isinstance(item, tuple) else (item,):
                if hasattr(part, "get_params") and not isinstance(part, type):
                    yield from parts(part)


def attempts(model: Any, outputs: tuple[str, ...], task: Task) -> Iterator[Attempt]:
    """
    Yield ways to convert, the plainest first.

    A scaler in front of trees is where the plain way goes wrong: scikit-learn scales in double precision, the graph in
    single, and a value near a threshold lands on the other side of it.
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
    """Return a pipeline that is cast to single precision before its last step, as scikit-learn's trees do inside."""
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

    _register_linear_svc()
    model = _without_flat_votes(model)
    # By default a classifier returns probabilities as a list of dicts, which no tensor can carry.
    options: dict[Any, Any] = {id(model): {"zipmap": False}} if task == "classification" else {}
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    if "scores" in outputs and _has_raw_scores(last):
        # Without it the two columns of a support vector machine are the wrong way round, beside a right label.
        options[id(last)] = {"zipmap": False, "raw_scores": True}
    kind = DoubleTensorType if double else FloatTensorType
    try:
        with quiet():
            types = [(FEATURES, kind([None, model.n_features_in_]))]
            graph = convert_sklearn(model, initial_types=types, options=options | (more or {}), target_opset=OPSET)
    except (MissingConverter, MissingShapeCalculator) as error:
        found = next((type(one).__name__ for one in parts(model) if type(one).__name__ in str(error)), "a step")
        raise Unsupported(type(model).__name__, f"skl2onnx has no converter for {found}; leave it out") from None
    except Exception as error:  # converters raise whatever their own code runs into
        problem = f"skl2onnx fails with {type(error).__name__}: {first_line(error)}"
        raise Unsupported(type(model).__name__, problem) from None
    del graph.graph.output[len(outputs) :]  # a classifier without scores still declares some
    graph = renamed(graph, {}, {value.name: name for value, name in zip(graph.graph.output, outputs, strict=True)})
    return _two_columns(graph) if "scores" in outputs and len(model.classes_) == 2 else graph


def _two_columns(graph: Any) -> Any:
    """Give the scores of two classes a column for each. Some converters do, others make one column of both."""
    from onnx import helper, numpy_helper

    declared = next(value for value in graph.graph.output if value.name == "scores")
    graph = renamed(graph, {}, {"scores": "decision"})
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


def _register_linear_svc() -> None:
    """Let LinearSVC know the option zipmap: skl2onnx 1.20 passes it on to it and then refuses it."""
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
    """Return a VotingClassifier as skl2onnx takes it. The setting only shapes `transform`, which is not converted."""
    from sklearn.ensemble import VotingClassifier

    if not any(isinstance(part, VotingClassifier) for part in parts(model)):
        return model
    model = copy.deepcopy(model)
    for part in parts(model):
        if isinstance(part, VotingClassifier):
            part.flatten_transform = False
    return model
