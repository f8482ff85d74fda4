"""
scikit-learn: fitted estimators and pipelines over a matrix of numbers, the columns of a dataframe, or texts.

`columns.py` says what the inputs are. Outputs are `label` and `probabilities` (or `scores`, for a classifier without
probabilities), `label` and `score` or `distances` (outliers, clusters), `value`, or `embedding`.
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Role, Task
from snooze.bundle.errors import InvalidOption
from snooze.convert.checks.cases import Array, Arrays
from snooze.convert.errors import NotAModel, Unfitted, Unsupported
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.interface import NO_HINTS, Framework, Hints, Inputs, Loaded, Original
from snooze.convert.frameworks.sklearn.columns import find_layout
from snooze.convert.frameworks.sklearn.converters import register
from snooze.convert.frameworks.sklearn.domains import find_inputs
from snooze.convert.frameworks.sklearn.files import SUFFIXES, is_pickle, is_skops, load_pickle, load_skops
from snooze.convert.frameworks.sklearn.graph import attempts
from snooze.convert.frameworks.sklearn.parts import parts
from snooze.convert.frameworks.sklearn.refusals import check_parts
from snooze.convert.frameworks.sklearn.thresholds import find_features
from snooze.convert.quiet import quiet

Calls = dict[str, Callable[[Array], Any]]


class ScikitLearn(Framework):
    """Estimators in memory, or in joblib, pickle and skops files."""

    name = "sklearn"
    suffixes = SUFFIXES
    formats = ".skops, or .joblib, .pkl or .pickle with --trust (scikit-learn)"
    isolated = False  # a pickle may need classes of the caller

    def recognizes_file(self, path: Path) -> bool:
        return is_pickle(path) or is_skops(path)

    def recognizes(self, model: object) -> bool:
        return "sklearn" in {base.__module__.partition(".")[0] for base in type(model).__mro__}

    def needs_trust(self, path: Path) -> bool:
        return not is_skops(path)  # whose loading names the types that need trust

    def load(self, path: Path, trust: bool = False) -> Loaded:
        import_sklearn()
        return load_skops(path, trust) if is_skops(path) else load_pickle(path)

    def signature(self, model: Any, sample: Arrays | None = None) -> Inputs:
        """Return the inputs, which a fitted model knows without a sample."""
        import_sklearn()
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
        check_parts(model)
        return find_inputs(find_layout(model), model)

    def columns(self, model: Any) -> tuple[str, ...] | None:
        return find_layout(model).known_columns()

    def describe(self, model: Any, inputs: Inputs, hints: Hints = NO_HINTS) -> Original:
        layout = find_layout(model)
        roles, task, calls, decides = _outputs(model)
        if hints.task not in (None, task):
            raise InvalidOption("--task", f"the {type(model).__name__} is trained for {task}; leave the option out")
        return Original(
            framework="scikit-learn",
            framework_version=str(import_sklearn().__version__),
            model=type(model).__name__,
            inputs=inputs,
            roles=roles,
            run=lambda arrays: _run(calls, layout.rows(arrays)),
            attempts=tuple(attempts(model, layout, tuple(roles), task)),
            task=task,
            classes=tuple(model.classes_.tolist()) if task == "classification" else None,
            decides=decides,
            lowest_wins=task == "clustering",
            features=find_features(model, layout),
            remedy=_remedy(model) or Original.remedy,
        )

    def register_converters(self) -> None:
        register()


FRAMEWORK: Final = ScikitLearn()


def import_sklearn() -> ModuleType:
    """Return the module sklearn, if skl2onnx is installed as well. Raises MissingExtra."""
    return import_extra("sklearn", "sklearn", "skl2onnx")


def _remedy(model: Any) -> str | None:
    """Return what to do if no attempt agrees, if the model's parts show the cause."""
    found = list(parts(model))
    if any(getattr(part, "method", None) == "isotonic" for part in found):
        return "isotonic calibration jumps at single values, so rounding changes it; calibrate with method='sigmoid'"
    if any(type(part).__name__.startswith("RadiusNeighbors") for part in found):
        return "the converter of radius neighbours fails for rows without neighbours; train a KNeighbors model instead"
    if hasattr(model, "steps") and any("tree" in type(one).__module__ or hasattr(one, "n_estimators") for one in found):
        return (
            "a scaler in front of trees changes which side of a threshold a value falls on; train the trees without it"
        )
    return None


def _outputs(model: Any) -> tuple[dict[str, Role | None], Task, Calls, str | None]:
    """Return outputs and roles in the order of skl2onnx, the task, the call for each, and the output that decides."""
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
        calls = {"label": lambda rows: model.predict(rows).reshape(-1, 1), "score": model.decision_function}
        return {"label": "label", "score": "value"}, "outliers", calls, "score"
    if is_regressor(model):
        return {"value": "value"}, "regression", {"value": model.predict}, None
    if is_clusterer(model) and hasattr(model, "predict") and hasattr(model, "transform"):
        calls = {"label": model.predict, "distances": model.transform}
        return {"label": "label", "distances": None}, "clustering", calls, "distances"
    if hasattr(model, "transform"):
        return {"embedding": "embedding"}, "transform", {"embedding": model.transform}, None
    raise Unsupported(
        type(model).__name__,
        "it gives no label, value or embedding for new rows; train a model that predicts or transforms",
    )


def _scores(model: Any) -> Callable[[Array], Array]:
    """Return the decision function with one column for each class, also for two classes, as in the graph."""

    def scores(rows: Array) -> Array:
        decision = np.asarray(model.decision_function(rows))
        return np.stack([-decision, decision], axis=1) if decision.ndim == 1 else decision

    return scores


def _run(calls: Calls, rows: Any) -> Arrays:
    with quiet():  # scikit-learn warns of a matrix without the column names that it was trained with
        answers = {name: call(rows) for name, call in calls.items()}
    arrays = {name: np.asarray(one.toarray() if hasattr(one, "toarray") else one) for name, one in answers.items()}
    return {  # the graph gives single values as one column
        name: array.reshape(-1, 1) if array.ndim == 1 and name != "label" else array for name, array in arrays.items()
    }
