"""Why a part of a model cannot be converted, where it is, and what to do instead."""

from collections.abc import Iterator
from typing import Any

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import first_line
from snooze.convert.frameworks.sklearn.parts import describe_place, fitted_parts, located_parts
from snooze.convert.frameworks.sklearn.words import find_shortest, translate


def check_parts(model: Any) -> None:
    """Raise Unsupported if a part is converted to something that cannot be served, or that answers differently."""
    for part in fitted_parts(model):
        if hasattr(part, "support_vectors_") and callable(part.kernel):
            advice = "send its values and use kernel='precomputed', or use rbf, poly, sigmoid or linear"
            raise Unsupported(type(part).__name__, f"a graph cannot call the function that is its kernel; {advice}")
        if type(part).__name__ == "GaussianProcessRegressor" and not hasattr(part, "X_train_"):
            problem = "it is not fitted, so it answers 0 and does not know its columns; train it with fit"
            raise Unsupported(type(part).__name__, problem)
        if hasattr(part, "refit") and hasattr(part, "cv_results_") and not hasattr(part, "best_estimator_"):
            problem = f"with refit=False, {type(part).__name__} has no estimator that answers; fit it with refit=True"
            raise Unsupported(type(model).__name__, problem)
    for place, part in located_parts(model):
        if hasattr(part, "build_analyzer") and hasattr(part, "stop_words"):
            for problem in _find_text_problems(part):
                raise Unsupported(type(model).__name__, f"{describe_place(place, part)}: {problem}")


def locate(model: Any, refusal: Unsupported) -> Unsupported:
    """Return a converter's refusal of a part of a model as one of the model that names the place of the part."""
    for place, part in located_parts(model):
        if part is not model and type(part).__name__ == refusal.model:
            return Unsupported(type(model).__name__, f"{describe_place(place, part)}: {refusal.problem}")
    return refusal


def explain_missing(model: Any, error: str) -> str:
    """Return the problem and the advice for an estimator, or a part of it, that skl2onnx does not know."""
    found = [(place, part) for place, part in located_parts(model) if f".{type(part).__name__}'" in error]
    place, part = found[-1] if found else ((), model)
    if part is model:
        return "there is no converter for it; train another kind of model"
    other = "do that step before the rows are sent" if hasattr(part, "transform") else "train it with another estimator"
    return f"there is no converter for its part {describe_place(place, part)}; {other}"


def explain_failure(error: Exception) -> str:
    """Return the problem and the advice for an estimator whose conversion failed."""
    return f"skl2onnx fails with {type(error).__name__}: {first_line(error)}; train another kind of model"


def _find_text_problems(vectorizer: Any) -> Iterator[str]:
    if vectorizer.input != "content":
        yield f"a graph cannot read files (input={vectorizer.input!r}); use input='content', and send what they contain"
    for setting in ("preprocessor", "tokenizer"):
        if getattr(vectorizer, setting) is not None:
            yield f"a graph cannot run its {setting}; leave it at None, and prepare the texts before they are sent"
    if callable(vectorizer.analyzer):
        yield "a graph cannot run its analyzer; use 'word', 'char' or 'char_wb', and prepare texts before they are sent"
    if callable(vectorizer.strip_accents):
        yield "a graph cannot run its strip_accents; use 'unicode' or 'ascii'"
    if vectorizer.strip_accents is not None and not _counts_words(vectorizer):
        problem = f"a graph strips accents (strip_accents={vectorizer.strip_accents!r}) only of words that are counted"
        yield f"{problem}; use a TfidfVectorizer with analyzer='word', the default token_pattern and no stop words"
    if vectorizer.analyzer == "word" and vectorizer.tokenizer is None and translate(vectorizer.token_pattern) is None:
        problem = f"token_pattern={vectorizer.token_pattern!r} means something else in a graph"
        yield f"{problem}; use the default, \\w{{3,}} for longer words, or a class of letters such as [a-z]+"


def _counts_words(vectorizer: Any) -> bool:
    """Return whether texts are counts of runs of letters, from which no stop words are left out."""
    words = vectorizer.analyzer == "word" and find_shortest(vectorizer.token_pattern) is not None
    return words and hasattr(vectorizer, "vocabulary_") and vectorizer.stop_words is None
