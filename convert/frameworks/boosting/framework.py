"""
What LightGBM and XGBoost have in common as frameworks of `convert`.

The input is `features`. Outputs are `label` and `probabilities` (`scores` for an objective without probabilities), or
`value`: of a regression, a ranking, or an objective of the user's own.
"""

import re
import sys
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.bundle.adapters.interface import Declaration
from snooze.bundle.contract import Role, Task, Tensor
from snooze.bundle.errors import InvalidOption
from snooze.bundle.rows.reading import Rows
from snooze.convert.checks.cases import Array, Arrays, rows_case, run_in_parts
from snooze.convert.errors import NotAModel, Unfitted, Unsupported
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.boosting.ensemble import PROBABILITIES, Ensemble
from snooze.convert.frameworks.boosting.graph import FEATURES, make_graph
from snooze.convert.frameworks.boosting.pipelines import register
from snooze.convert.frameworks.boosting.tables import find_table, to_rows
from snooze.convert.frameworks.interface import (
    NO_HINTS,
    Attempt,
    Framework,
    Hints,
    Input,
    Inputs,
    Names,
    Original,
    first_line,
)
from snooze.convert.quiet import quiet

EXTRA: Final = "boost"
PLACE: Final = re.compile(r"^\[[\d:]+\] \S+:\d+: (Check failed: )?")  # of XGBoost's code, in front of its messages
THREADS: Final = 1


class Parts(NamedTuple):
    """What an estimator consists of: a booster, and what only the estimator knows, where there is one."""

    booster: Any
    task: Task | None = None
    classes: Array | None = None
    missing: float = np.nan


class Opened(NamedTuple):
    """A model in its parts, its trees, and its classes if it classifies."""

    parts: Parts
    ensemble: Ensemble
    classes: Array | None


class Boosting(Framework):
    """Boosters and the estimators around them. A library says how it is read, and how it predicts."""

    isolated = True
    precisions: tuple[str, ...] = ("single",)
    refuses_unknown = False  # categories

    def estimators(self) -> tuple[type, ...]:
        """Return the classes of estimators, of the installed library."""
        raise NotImplementedError

    def split_up(self, model: Any, package: ModuleType) -> Parts | None:
        """Return the parts of a model, or None if it is another kind of object."""
        raise NotImplementedError

    def read(self, parts: Parts, name: str) -> Ensemble:
        """Return the trees of a booster; `name` is for errors."""
        raise NotImplementedError

    def predict(self, parts: Parts, ensemble: Ensemble, rows: Array) -> Array:
        """Return what the library answers: the scores of hard decisions instead of the decisions."""
        raise NotImplementedError

    def recognizes(self, model: object) -> bool:
        return self.name in {base.__module__.partition(".")[0] for base in type(model).__mro__}

    def needs_trust(self, path: object) -> bool:
        return False

    def signature(self, model: Any, sample: Arrays | None = None) -> Inputs:
        ensemble = self.open(model).ensemble
        return (Input(Tensor(FEATURES, "FP32", (-1, ensemble.width)), domain=ensemble.domain),)

    def columns(self, model: Any) -> Names:
        return self.open(model).ensemble.columns

    def adapter(self, model: Any, inputs: Inputs, rows: Rows | None) -> Declaration | None:
        return find_table(self.open(model).ensemble, inputs, rows, self.refuses_unknown)

    def describe(self, model: Any, inputs: Inputs, hints: Hints = NO_HINTS) -> Original:
        parts, ensemble, classes = self.open(model)
        name, task = type(model).__name__, ensemble.objective.task
        if hints.task not in (None, task):
            raise InvalidOption("--task", f"the {name} is trained for {task}; leave the option out")
        answer, role = ensemble.answer
        roles: dict[str, Role | None] = {answer: role} if classes is None else {"label": "label", answer: role}

        def call(arrays: Arrays) -> Arrays:
            with quiet():
                scores = _columns(self.predict(parts, ensemble, arrays[FEATURES]), ensemble)
            return {answer: scores} if classes is None else {"label": classes[scores.argmax(1)], answer: scores}

        return Original(
            framework=self.name,
            framework_version=str(self.package().__version__),
            model=name,
            inputs=inputs,
            roles=roles,
            run=lambda rows: run_in_parts(rows_case(rows), call).tensors,
            attempts=tuple(
                Attempt(f"{one} precision", partial(make_graph, ensemble, classes, one == "double"))
                for one in self.precisions
            ),
            task=task,
            classes=None if classes is None else tuple(classes.tolist()),
            decides=None if classes is None else answer,
            answer_raw=lambda raw: call({FEATURES: to_rows(ensemble, raw)}),
            raw_reference=f"{self.name} on {'the raw rows' if ensemble.columns is None else 'a dataframe of them'}",
            remedy="its trees should convert exactly; please report it, with the settings that it was trained with",
        )

    def register_converters(self) -> None:
        if self.name in sys.modules:  # otherwise no estimator of it exists
            register(self)

    def package(self) -> ModuleType:
        """Return the module of the library. Raises MissingExtra."""
        return import_extra(EXTRA, self.name, "onnx", "sklearn")

    def open(self, model: Any) -> Opened:
        """Return a model taken apart. Raises NotAModel, Unfitted, Unsupported, MissingExtra."""
        package, name = self.package(), type(model).__name__
        from sklearn.exceptions import NotFittedError

        try:
            with quiet():
                parts = self.split_up(model, package)
        except NotFittedError:
            raise Unfitted(name, "fit") from None
        if parts is None:
            raise NotAModel(name, f"is not a Booster or an estimator of {self.name}")
        ensemble = self.read(parts, name)
        if parts.task is not None:
            ensemble = replace(ensemble, objective=ensemble.objective._replace(task=parts.task))
        if parts.classes is not None and ensemble.objective.link not in PROBABILITIES:
            problem = f"its objective gives no probabilities, so its classes are not defined; convert its {self.name}"
            raise Unsupported(name, f"{problem} Booster, or train it with an objective for classes")
        return Opened(parts, ensemble, find_classes(parts, ensemble, name))


def find_classes(parts: Parts, ensemble: Ensemble, name: str) -> Array | None:
    """Return the classes of a classifier as integers or texts, as the graph gives them. Raises Unsupported."""
    if ensemble.objective.task != "classification":
        return None
    classes = parts.classes
    if classes is None:
        return np.arange(2 if ensemble.two_columns else ensemble.targets)
    if classes.dtype.kind in "OUS":
        return np.array([str(one) for one in classes.tolist()], object)
    integers = classes.astype(np.int64)
    if (integers != classes).any():
        raise Unsupported(name, f"its classes are fractions such as {classes[0]:g}; number them, or name them")
    return integers


def explain(error: Exception) -> str:
    """Return the first line of a library's error without the place in its code."""
    return PLACE.sub("", first_line(error)).rstrip(" :")


def _columns(answer: Array, ensemble: Ensemble) -> Array:
    """Return the answers of a library with one column for each output or class."""
    answer = answer.reshape(-1, ensemble.targets)
    if not ensemble.two_columns:
        return answer
    return np.concatenate([1 - answer if ensemble.objective.link == "sigmoid" else -answer, answer], 1)
