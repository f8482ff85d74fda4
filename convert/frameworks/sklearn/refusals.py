"""Why a part of a model cannot be converted, where it is, and what to do instead."""

from collections.abc import Iterator
from typing import Any, Final

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import first_line
from snooze.convert.frameworks.sklearn.parts import describe_place, fitted_parts, located_parts
from snooze.convert.frameworks.sklearn.words import translate

# What to do instead of estimators that skl2onnx has no converter for.
ADVICE: Final = {
    "FunctionTransformer": "apply the function to the rows before they are sent, and train on its results",
    "HashingVectorizer": "use TfidfVectorizer or CountVectorizer, whose words are known",
    "SplineTransformer": "use PolynomialFeatures or KBinsDiscretizer",
    "Nystroem": "use an SVC or MLPClassifier, which learn the same kind of boundary",
    "RBFSampler": "use an SVC or MLPClassifier, which learn the same kind of boundary",
    "TransformedTargetRegressor": "train its regressor on the transformed target, and transform the answers back",
    "GaussianProcessClassifier": "use an SVC with an RBF kernel",
    "ClassifierChain": "use a MultiOutputClassifier, or train one model for each target",
    "RegressorChain": "use a MultiOutputRegressor, or train one model for each target",
    "DictVectorizer": "train on a dataframe with a ColumnTransformer and OneHotEncoder",
    "FeatureHasher": "train on a dataframe with a ColumnTransformer and OneHotEncoder",
}
READERS: Final = {"InvalidInputLengthException": "ColumnTransformer", "InvalidInputTypeException": "TfidfVectorizer"}


def check_parts(model: Any) -> None:
    """Raise Unsupported if a part is converted to something that cannot be served, or that answers differently."""
    for part in fitted_parts(model):
        if hasattr(part, "predict") and getattr(part, "is_categorical_", None) is not None:
            problem = f"skl2onnx does not know the categorical columns of {type(part).__name__}"
            advice = "put an OrdinalEncoder in front of it, and set categorical_features=None"
            raise Unsupported(type(model).__name__, f"{problem}; {advice}")
    for place, part in located_parts(model):
        if type(part).__name__ == "KNNImputer":
            problem = f"{describe_place(place, part)} is converted to functions that are not served; use SimpleImputer"
            raise Unsupported(type(model).__name__, problem)
        if hasattr(part, "build_analyzer") and hasattr(part, "stop_words"):
            for problem in _find_text_problems(part):
                raise Unsupported(type(model).__name__, f"{describe_place(place, part)}: {problem}")


def explain_missing(model: Any, error: str) -> str:
    """Return the problem and the advice for an estimator, or a part of it, that skl2onnx does not know."""
    found = [(place, part) for place, part in located_parts(model) if f".{type(part).__name__}'" in error]
    place, part = found[-1] if found else ((), model)
    advice = _advise(part)
    if part is model:
        return f"skl2onnx has no converter for it; {advice or 'train another kind of model'}"
    other = "do that step before the rows are sent" if hasattr(part, "transform") else "train it with another estimator"
    return f"skl2onnx has no converter for its part {describe_place(place, part)}; {advice or other}"


def explain_failure(model: Any, reads: bool, error: Exception) -> str:
    """Return the problem and the advice for an estimator whose conversion failed. `reads`: columns or texts."""
    text = first_line(error)
    reader = READERS.get(type(error).__name__)
    if reader is not None and reads:
        name = type(model).__name__
        problem = "skl2onnx can give it nothing but one matrix of numbers; put the part that reads the rows in front"
        return f"{problem}, as in make_pipeline({reader}(...), {name}(...))"
    for place, part in located_parts(model):
        if advice := _advise(part):
            return f"skl2onnx has no converter for its part {describe_place(place, part)}; {advice}"
    return f"skl2onnx fails with {type(error).__name__}: {text}; train another kind of model"


def _advise(part: Any) -> str | None:
    name = type(part).__name__
    if name == "FunctionTransformer" and part.func is None:
        return None
    return ADVICE.get(name)


def _find_text_problems(vectorizer: Any) -> Iterator[str]:
    for setting in ("preprocessor", "tokenizer"):
        if getattr(vectorizer, setting) is not None:
            yield f"a graph cannot run its {setting}; leave it at None, and prepare the texts before they are sent"
    if callable(vectorizer.analyzer):
        yield "a graph cannot run its analyzer; use 'word' or 'char', and prepare the texts before they are sent"
    if vectorizer.analyzer == "char_wb":
        yield "skl2onnx cannot convert analyzer='char_wb'; use 'char' or 'word'"
    if vectorizer.strip_accents is not None:
        yield "a graph cannot strip accents; use strip_accents=None, and strip them before the texts are sent"
    if vectorizer.analyzer == "word" and vectorizer.tokenizer is None and translate(vectorizer.token_pattern) is None:
        problem = f"token_pattern={vectorizer.token_pattern!r} means something else in a graph"
        yield f"{problem}; use the default, \\w{{3,}} for longer words, or a class of letters such as [a-z]+"
    if vectorizer.stop_words is not None and vectorizer.ngram_range[1] > 1 and vectorizer.analyzer == "word":
        yield "a graph keeps stop words, so other words are neighbours; use stop_words=None or ngram_range=(1, 1)"
