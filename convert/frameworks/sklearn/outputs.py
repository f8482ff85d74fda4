"""
What a fitted model answers.

A classifier gives `label` and `probabilities` (or `scores`, or nothing else). One with several targets gives a `label`
for each, and the probabilities of their classes as `probabilities_0`, `probabilities_1` and so on; if the targets are
yes or no (multilabel), `probabilities` has a column for each.
"""

from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.bundle.contract import Role, Task
from snooze.convert.checks.cases import Array, Arrays
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.parts import stand_in
from snooze.convert.quiet import quiet

TARGET: Final = "probabilities_"  # and its number
OWN_LABEL: Final = (  # classifiers whose label may be another than that of the highest score
    "FixedThresholdClassifier",
    "NearestCentroid",
    "NuSVC",
    "SVC",
    "TunedThresholdClassifierCV",
)

Call = Callable[[Any], Any]


class Answers(NamedTuple):
    """The outputs of a model in the order of skl2onnx: roles, the calls for them, and the one that decides."""

    roles: dict[str, Role | None]
    calls: dict[str, Call]
    task: Task | None = None
    decides: str | None = None
    classes: tuple[object, ...] | None = None

    def avoid(self, taken: Collection[str]) -> "tuple[Answers, dict[str, str]]":
        """Return the answers with other names if an input has one of theirs, and the new names by the old."""
        prefix = "predicted_" if set(taken) & set(self.roles) else ""
        names = {name: prefix + name for name in self.roles}
        renamed = self._replace(
            roles={names[name]: role for name, role in self.roles.items()},
            calls={names[name]: call for name, call in self.calls.items()},
            decides=self.decides and names[self.decides],
        )
        return renamed, names

    def run(self, rows: Any) -> Arrays:
        """Return the outputs for rows, in the shapes of the graph: single values as one column."""
        with quiet():  # scikit-learn warns of a matrix without the column names that it was trained with
            found = {name: call(rows) for name, call in self.calls.items()}
        arrays = {name: np.asarray(one.toarray() if hasattr(one, "toarray") else one) for name, one in found.items()}
        return {
            name: array if array.ndim != 1 or self.roles[name] == "label" else array.reshape(-1, 1)
            for name, array in arrays.items()
        }


def find_answers(model: Any) -> Answers:
    """Return what a model answers. Raises Unsupported if it answers nothing about new rows."""
    from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor

    if is_classifier(model):
        return _classify(model)
    if is_outlier_detector(model) and hasattr(model, "predict"):
        calls: dict[str, Call] = {
            "label": lambda rows: model.predict(rows).reshape(-1, 1),
            "score": model.decision_function,
        }
        return Answers({"label": "label", "score": "value"}, calls, "outliers", "score")
    if is_regressor(model):
        return Answers({"value": "value"}, {"value": model.predict}, "regression")
    if is_clusterer(model) and hasattr(model, "predict"):
        if not hasattr(model, "transform"):
            return Answers({"label": "label"}, {"label": model.predict}, "clustering")
        calls = {"label": model.predict, "distances": model.transform}
        return Answers({"label": "label", "distances": None}, calls, "clustering", "distances")
    if hasattr(model, "predict_proba"):  # a mixture
        calls = {"label": model.predict, "probabilities": model.predict_proba}
        return Answers({"label": "label", "probabilities": "scores"}, calls, "clustering", "probabilities")
    if hasattr(model, "transform"):
        return Answers({"embedding": "embedding"}, {"embedding": _embedding(model)}, "transform")
    problem = "it gives no label, value or embedding for new rows; train a model that predicts or transforms"
    raise Unsupported(type(model).__name__, problem)


def last_step(model: Any) -> Any:
    """Return the estimator that answers, which is the last one of pipelines and the best one of searches."""
    while (inner := model.steps[-1][1] if hasattr(model, "steps") else stand_in(model)) is not None:
        model = inner
    return model


def find_classes(model: Any) -> list[Any]:
    """Return the classes of each target of a model; of one target without classes if it is no classifier."""
    classes = getattr(model, "classes_", ())
    return classes if isinstance(classes, list) else [classes]


def is_multilabel(model: Any) -> bool:
    """Return whether a classifier says yes or no to each of several targets, and has one matrix of scores for them."""
    binarizer = getattr(model, "label_binarizer_", getattr(model, "_label_binarizer", None))
    if str(getattr(binarizer, "y_type_", "")).startswith("multilabel"):
        return True
    return type(model).__name__ in ("ClassifierChain", "StackingClassifier") and isinstance(model.classes_, list)


def _classify(model: Any) -> Answers:
    calls: dict[str, Call] = {"label": model.predict}
    multilabel = is_multilabel(last_step(model))
    if isinstance(model.classes_, list) and not multilabel:
        if hasattr(model, "predict_proba"):
            calls |= {f"{TARGET}{at}": _target(model, at) for at in range(len(model.classes_))}
        each: dict[str, Role | None] = {name: "label" if name == "label" else "scores" for name in calls}
        return Answers(each, calls)
    name = "probabilities" if _has_probabilities(model) else "scores"
    if name == "probabilities":
        calls[name] = model.predict_proba
    elif hasattr(model, "decision_function"):
        calls[name] = model.decision_function if multilabel else _scores(model)
    if multilabel:
        return Answers(dict.fromkeys(calls, None) | {"label": "label"}, calls)
    roles: dict[str, Role | None] = {"label": "label"}
    classes = tuple(model.classes_.tolist())
    if name == "scores" and len(classes) > 2 and getattr(last_step(model), "decision_function_shape", None) == "ovo":
        return Answers(roles | {name: None}, calls, "classification", None, classes)  # scores of pairs of classes
    if name in calls:
        roles[name] = "scores"
    own = type(last_step(model)).__name__ in OWN_LABEL
    return Answers(roles, calls, "classification", name if name in calls and not own else None, classes)


def _has_probabilities(model: Any) -> bool:
    """Return whether a classifier gives probabilities. Gaussian processes of pairs of classes have just the method."""
    process = last_step(model)
    pairs = getattr(process, "n_classes_", 2) > 2 and getattr(process, "multi_class", None) == "one_vs_one"
    return hasattr(model, "predict_proba") and not pairs


def _embedding(model: Any) -> Call:
    """Return the transform, a matrix also where it is a vector: of labels, or that SparsePCA gives for one row."""

    def embed(rows: Any) -> Any:
        found = model.transform(rows)
        return found.reshape(len(rows), -1) if found.ndim == 1 else found

    return embed


def _target(model: Any, at: int) -> Call:
    return lambda rows: model.predict_proba(rows)[at]


def _scores(model: Any) -> Call:
    """Return the decision function with one column for each class, also for two classes, as in the graph."""

    def scores(rows: Any) -> Array:
        decision = np.asarray(model.decision_function(rows))
        return np.stack([-decision, decision], axis=1) if decision.ndim == 1 else decision

    return scores
