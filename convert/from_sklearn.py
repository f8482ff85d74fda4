"""
scikit-learn to ONNX: the only importer of scikit-learn and skl2onnx.

What is taken: fitted estimators and pipelines over one matrix of numbers. The input is called `features`. Outputs are
`label` and `probabilities` (or `scores`, where a classifier has no probabilities), `label` and `score` or `distances`
(outliers, clusters), `value`, or `embedding`.
"""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Role, Task, Tensor
from snooze.convert.errors import ConversionError, MissingExtra, NotAModel, Unfitted, Unsupported
from snooze.convert.graph import OPSET, renamed
from snooze.convert.original import Attempt, Original, first_line
from snooze.convert.quiet import quiet
from snooze.convert.rows import Array, Arrays

FEATURES: Final = "features"
EXTRA: Final = "sklearn"


def load(path: Path) -> Any:
    """
    Return the estimator in a joblib or pickle file. Reading it runs the code in it: only for files that are trusted.

    Raises:
        NotAModel: it cannot be read, or holds something else.
    """
    sklearn()
    import joblib

    try:
        with quiet():
            model = joblib.load(path)
    except ModuleNotFoundError as error:
        problem = f"needs the module '{error.name}' to be read; install it, or make it importable from here"
        raise NotAModel(str(path), problem) from None
    except Exception as error:  # a pickle can raise anything
        raise NotAModel(str(path), f"cannot be read: {type(error).__name__}: {first_line(error)}") from None
    if "sklearn" not in {base.__module__.partition(".")[0] for base in type(model).__mro__}:
        raise NotAModel(str(path), f"holds a {type(model).__qualname__}, not a scikit-learn estimator")
    return model


def sklearn() -> ModuleType:
    """
    Return the module sklearn, with skl2onnx known to be there as well.

    Raises:
        MissingExtra: one of them is not installed.
    """
    try:
        with quiet():
            import skl2onnx
            import sklearn
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "skl2onnx", "sklearn"):  # installed but broken: show the real cause
            raise
        raise MissingExtra(error.name, extra=EXTRA) from None
    assert skl2onnx is not None
    module: ModuleType = sklearn
    return module


def inputs(model: Any) -> tuple[Tensor, ...]:
    """
    Return what a fitted estimator takes: one matrix of as many columns as it was trained on.

    Raises:
        Unfitted: it was not trained.
        Unsupported: it takes something else than a matrix of numbers.
    """
    sklearn()
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    name = type(model).__name__
    try:
        with quiet():
            check_is_fitted(model)
    except NotFittedError:
        raise Unfitted(name, "fit") from None
    except TypeError:
        raise NotAModel(name, "is not an estimator") from None
    width = getattr(model, "n_features_in_", None)
    if width is None:
        raise Unsupported(name, "it takes something else than a matrix of numbers, such as texts")
    for part in parts(model):
        picks = [pick for _, _, picks in getattr(part, "transformers", []) for pick in _listed(picks)]
        if any(isinstance(pick, str) for pick in picks):
            problem = "its ColumnTransformer picks columns by name, which needs a dataframe; pick them by position"
            raise Unsupported(name, problem)
        if any(np.asarray(one).dtype.kind in "OUS" for one in _listed(getattr(part, "categories_", []))):
            raise Unsupported(name, f"{type(part).__name__} was trained on texts; encode them as numbers before")
    return (Tensor(FEATURES, "FP32", (-1, int(width))),)


def columns(model: Any) -> tuple[str, ...] | None:
    """Return the names of the features, where the estimator was trained on named ones."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else tuple(map(str, names))


def original(model: Any, labels: Array | None, names: tuple[str, ...] | None) -> Original:
    """
    Return a fitted estimator as an `Original`. What labels and names say, scikit-learn already knows.

    Raises:
        Unsupported: it is of a kind that has no answer to serve, such as a classifier of several outputs.
    """
    model = getattr(model, "best_estimator_", model)  # a search answers as the best that it found
    roles, task, calls, decides = _answers(model)
    classes = _classes(model, task)
    return Original(
        framework="scikit-learn",
        framework_version=str(sklearn().__version__),
        model=type(model).__name__,
        inputs=inputs(model),
        roles=roles,
        answer=lambda rows: _answer(calls, rows),
        attempts=tuple(_attempts(model, tuple(roles), task)),
        task=task,
        classes=classes,
        decides=decides,
        lowest_wins=task == "clustering",
        columns=columns(model),
        **_remedy(model),
    )


def _remedy(model: Any) -> dict[str, str]:
    """Return what to do where no way to convert agrees, if the model shows it."""
    if any(getattr(part, "method", None) == "isotonic" for part in parts(model)):
        return {"remedy": "isotonic calibration jumps where rounding decides; calibrate with method='sigmoid'"}
    trees = any("tree" in type(part).__module__ or hasattr(part, "n_estimators") for part in parts(model))
    if trees and hasattr(model, "steps"):
        return {"remedy": "trees behind a scaler turn on the last digit; train them without it, they do not need one"}
    return {}


def parts(model: Any) -> Iterator[Any]:
    """Return the estimator and all those that it is made of."""
    yield model
    for value in model.get_params(deep=False).values():
        for item in _listed(value):
            for part in item if isinstance(item, tuple) else (item,):
                if hasattr(part, "get_params") and not isinstance(part, type):
                    yield from parts(part)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | np.ndarray) else [value]


Calls = dict[str, Callable[[Array], Array]]


def _answers(model: Any) -> tuple[dict[str, Role | None], Task, Calls, str | None]:
    """Return outputs and their roles in the order that skl2onnx gives them, the task, the calls, and what decides."""
    from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

    if is_classifier(model):
        if isinstance(model.classes_, list):
            raise Unsupported(type(model).__name__, "it predicts several labels at once; train one model for each")
        if hasattr(model, "predict_proba"):
            roles: dict[str, Role | None] = {"label": "label", "probabilities": "scores"}
            calls: Calls = {"label": model.predict, "probabilities": model.predict_proba}
            return roles, "classification", calls, "probabilities"
        if not hasattr(model, "decision_function"):
            return {"label": "label"}, "classification", {"label": model.predict}, None
        calls = {"label": model.predict, "scores": _scores(model)}
        return {"label": "label", "scores": "scores"}, "classification", calls, "scores"
    if is_outlier_detector(model) and hasattr(model, "predict"):
        calls = {"label": model.predict, "score": model.decision_function}
        return {"label": "label", "score": "value"}, "outliers", calls, "score"
    if is_regressor(model):
        return {"value": "value"}, "regression", {"value": model.predict}, None
    if is_clusterer(model) and hasattr(model, "predict") and hasattr(model, "transform"):
        calls = {"label": model.predict, "distances": model.transform}
        return {"label": "label", "distances": None}, "clustering", calls, "distances"
    if hasattr(model, "transform"):
        return {"embedding": "embedding"}, "transform", {"embedding": model.transform}, None
    raise Unsupported(type(model).__name__, "what it answers is neither a label, a value nor an embedding of new rows")


def _scores(model: Any) -> Callable[[Array], Array]:
    """Return the decision function with a column for each class, as skl2onnx gives it for two classes as well."""

    def scores(rows: Array) -> Array:
        decision = np.asarray(model.decision_function(rows))
        return np.stack([-decision, decision], axis=1) if decision.ndim == 1 else decision

    return scores


def _classes(model: Any, task: Task) -> tuple[object, ...] | None:
    if task == "classification":
        return tuple(model.classes_.tolist())
    return None


def _answer(calls: Calls, rows: Arrays) -> Arrays:
    (matrix,) = rows.values()
    with quiet():  # scikit-learn warns of a matrix without the names of the dataframe it was trained on
        answers = {name: np.asarray(call(matrix)) for name, call in calls.items()}
    # Single values come as one column from the graph, as does the label of an outlier detector.
    flat = [
        name for name, array in answers.items() if array.ndim == 1 and not (name == "label" and "score" not in answers)
    ]
    return {name: array.reshape(-1, 1) if name in flat else array for name, array in answers.items()}


def _attempts(model: Any, outputs: tuple[str, ...], task: Task) -> Iterator[Attempt]:
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
    if task == "classification" and "scores" in outputs and _has_raw_scores(model):
        options[id(model)]["raw_scores"] = True
    kind = DoubleTensorType if double else FloatTensorType
    try:
        with quiet():
            types = [(FEATURES, kind([None, model.n_features_in_]))]
            graph = convert_sklearn(model, initial_types=types, options=options | (more or {}), target_opset=OPSET)
    except (MissingConverter, MissingShapeCalculator) as error:
        found = next((type(one).__name__ for one in parts(model) if type(one).__name__ in str(error)), "a step")
        raise Unsupported(type(model).__name__, f"skl2onnx has no converter for {found}; leave it out") from None
    except ConversionError:
        raise
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


def _has_raw_scores(model: Any) -> bool:
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import _converter_pool

    last = model.steps[-1][1] if hasattr(model, "steps") else model
    converter = _converter_pool.get(sklearn_operator_name_map.get(type(last), ""))
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
