"""
Models of scikit-learn. Beside `from_sklearn_graph.py`, the only importer of it.

What is taken: fitted estimators and pipelines over one matrix of numbers. The input is called `features`. Outputs are
`label` and `probabilities` (or `scores`, where a classifier has no probabilities), `label` and `score` or `distances`
(outliers, clusters), `value`, or `embedding`.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Role, Task, Tensor
from snooze.convert.checks.cases import Array, Arrays
from snooze.convert.errors import MissingExtra, NotAModel, Unfitted, Unsupported
from snooze.convert.frameworks.interface import Original, first_line
from snooze.convert.frameworks.sklearn.graph import FEATURES, attempts, listed, parts
from snooze.convert.quiet import quiet

EXTRA: Final = "sklearn"


def load(path: Path) -> tuple[Any, tuple[str, ...]]:
    """
    Return the estimator in a joblib or pickle file, and what to mind about it: that another version saved it.

    Reading the file runs the code in it: only for files that are trusted.

    Raises:
        NotAModel: it cannot be read, or holds something else.
    """
    sklearn()
    import joblib
    from sklearn.exceptions import InconsistentVersionWarning

    try:
        with quiet(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", InconsistentVersionWarning)
            model = joblib.load(path)
    except ModuleNotFoundError as error:
        problem = f"needs the module '{error.name}' to be read; install it, or make it importable from here"
        raise NotAModel(str(path), problem) from None
    except (Exception, SystemExit) as error:  # a pickle can raise anything
        raise NotAModel(str(path), f"cannot be read: {type(error).__name__}: {first_line(error)}") from None
    if "sklearn" not in {base.__module__.partition(".")[0] for base in type(model).__mro__}:
        raise NotAModel(str(path), f"holds a {type(model).__qualname__}, not a scikit-learn estimator")
    other = [one.message for one in caught if isinstance(one.message, InconsistentVersionWarning)]
    return model, tuple(_version_note(one) for one in other[:1])  # one for each estimator of a pipeline


def _version_note(warning: Any) -> str:
    saved, here = warning.original_sklearn_version, warning.current_sklearn_version
    return f"saved by scikit-learn {saved} and read by {here}: what it answers here may not be what it answered there"


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
        picks = [pick for _, _, picks in getattr(part, "transformers", []) for pick in listed(picks)]
        if any(isinstance(pick, str) for pick in picks):
            problem = "its ColumnTransformer picks columns by name, which needs a dataframe; pick them by position"
            raise Unsupported(name, problem)
        if any(np.asarray(one).dtype.kind in "OUS" for one in listed(getattr(part, "categories_", []))):
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
        attempts=tuple(attempts(model, tuple(roles), task)),
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
