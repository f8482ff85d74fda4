"""
scikit-learn: fitted estimators and pipelines over a matrix of numbers, the columns of a dataframe, or texts.

`columns.py` says what the inputs are. Outputs are `label` and `probabilities` (or `scores`, for a classifier without
probabilities), `label` and `score` or `distances` (outliers, clusters), `value`, or `embedding`. If an input has one of
these names, they are `predicted_label` and so on.
"""

from pathlib import Path
from types import ModuleType
from typing import Any, Final

from snooze.bundle.adapters import text
from snooze.bundle.adapters.interface import Declaration
from snooze.bundle.errors import InvalidOption
from snooze.bundle.rows.reading import Rows
from snooze.convert.checks.cases import Arrays
from snooze.convert.errors import NotAModel, Unfitted
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.interface import NO_HINTS, Framework, Hints, Inputs, Loaded, Original
from snooze.convert.frameworks.sklearn.columns import TEXT, find_layout
from snooze.convert.frameworks.sklearn.converters.registration import register
from snooze.convert.frameworks.sklearn.domains import find_inputs
from snooze.convert.frameworks.sklearn.files import SUFFIXES, is_pickle, is_skops, load_pickle, load_skops
from snooze.convert.frameworks.sklearn.graph import attempts
from snooze.convert.frameworks.sklearn.outputs import find_answers
from snooze.convert.frameworks.sklearn.parts import couples_rows, fitted_parts, parts
from snooze.convert.frameworks.sklearn.reference import REFERENCE, has_neighbours, make_reference
from snooze.convert.frameworks.sklearn.refusals import check_parts
from snooze.convert.frameworks.sklearn.tables import find_table, to_rows
from snooze.convert.frameworks.sklearn.thresholds import find_features
from snooze.convert.quiet import quiet

KERNEL_MACHINES: Final = ("KernelRidge", "KernelPCA", "Nystroem")


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

    def adapter(self, model: Any, inputs: Inputs, rows: Rows | None) -> Declaration | None:
        layout = find_layout(model)
        if layout.form == "texts":
            return text.Declaration("text", TEXT)
        answers = find_answers(make_reference(model))
        return find_table(layout, lambda raw: answers.run(to_rows(layout, raw)), inputs, rows)

    def describe(self, model: Any, inputs: Inputs, hints: Hints = NO_HINTS) -> Original:
        layout = find_layout(model)
        answers, names = find_answers(make_reference(model)).avoid([one.tensor.name for one in inputs])
        if hints.task not in (None, answers.task):
            trained = f"the {type(model).__name__} is trained for {answers.task or 'several targets'}"
            raise InvalidOption("--task", f"{trained}; leave the option out")
        return Original(
            framework="scikit-learn",
            framework_version=str(import_sklearn().__version__),
            model=type(model).__name__,
            inputs=inputs,
            roles=answers.roles,
            run=lambda arrays: answers.run(layout.rows(arrays)),
            attempts=tuple(attempts(model, layout, names)),
            task=answers.task,
            coupled=any(couples_rows(part) for part in fitted_parts(model)),
            classes=answers.classes,
            decides=answers.decides,
            lowest_wins=answers.decides == names.get("distances"),
            features=find_features(model, layout),
            answer_raw=lambda raw: answers.run(list(raw) if layout.form == "texts" else to_rows(layout, raw)),
            raw_reference=f"the model on {'a dataframe of ' if layout.names else ''}the raw rows",
            reference=REFERENCE if has_neighbours(model) else Original.reference,
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
        problem = "isotonic calibration jumps between almost equal scores, which a graph may not tell apart"
        return f"{problem}, as it has those of trees in single precision; calibrate with method='sigmoid'"
    if any(type(part).__name__ in KERNEL_MACHINES for part in found):
        problem = "large values of its kernel cancel, so the model's own answers depend on the order of additions"
        return f"{problem}; scale the columns in front of it, or train it with a larger alpha or another kernel"
    if has_neighbours(model):
        problem = "rounding decides which rows are the nearest where many are equally far away, as scaled integers are"
        return f"{problem}; train it on columns that are not scaled, or a model without neighbours"
    texts = any(hasattr(part, "build_analyzer") for part in found)
    sparse = texts or any(
        getattr(part, "sparse_output", False) or getattr(part, "encode", None) == "onehot" for part in found
    )
    if sparse and any(type(part).__module__.startswith("xgboost") for part in found):
        settings = "OneHotEncoder(sparse_output=False), KBinsDiscretizer(encode='onehot-dense')"
        dense = "a TruncatedSVD" if texts else f"{settings} or ColumnTransformer(sparse_threshold=0)"
        problem = "XGBoost takes the zeros of a sparse matrix for missing values, and a graph has no sparse matrices"
        return f"{problem}; train it behind {dense}"
    trees = ("tree" in type(one).__module__ or "Boosting" in type(one).__name__ for one in found)
    if hasattr(model, "steps") and (any(trees) or any(hasattr(one, "n_estimators") for one in found)):
        return (
            "a scaler in front of trees changes which side of a threshold a value falls on; train the trees without it"
        )
    return None
