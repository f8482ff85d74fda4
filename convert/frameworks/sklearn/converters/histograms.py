"""
Gradient boosting on histograms, with categorical columns and missing values.

Formulas: scikit-learn's user guide, "Histogram-Based Gradient Boosting", and `_predict_one_from_raw_data` of
`sklearn.ensemble._hist_gradient_boosting._predictor`. Categorical columns become the numbers of their categories, as
the model's own encoder makes them, and are put in front; a category that it does not know is a missing value.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.boosting.ensemble import Leaf, Split, runs, split_on_intervals, split_on_number
from snooze.convert.frameworks.sklearn.converters.encoders import encode
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value, one_column
from snooze.convert.frameworks.sklearn.converters.trees import add_leaves, answer_classes

WORD: Final = 32  # categories in each number of a bit set


def _boost(nodes: Nodes, model: Any) -> Value:
    """Return the sums of the leaves that rows reach [rows, 1], or a column for each of several classes."""
    trees = [list(_read_nodes(one, target)) for stage in model._predictors for target, one in enumerate(stage)]
    base = np.ravel(model._baseline_prediction)
    return add_leaves(_find_rows(nodes, model), trees, len(base), base.tolist())


def _read_nodes(predictor: Any, target: int) -> Iterator[Split | Leaf]:
    names = ("is_leaf", "value", "feature_idx", "num_threshold", "left", "right", "missing_go_to_left")
    columns = [predictor.nodes[name].tolist() for name in (*names, "is_categorical", "bitset_idx")]
    for is_leaf, value, feature, bound, left, right, to_left, is_set, number in zip(*columns, strict=True):
        missing = left if to_left else right
        if is_leaf:
            yield Leaf([(target, value)])
        elif is_set:
            words = predictor.raw_left_cat_bitsets[number].tolist()
            known = (WORD * at + bit for at, word in enumerate(words) for bit in range(WORD) if word >> bit & 1)
            between = ((first - 0.5, last + 0.5) for first, last in runs(known))
            yield split_on_intervals(feature, between, left, right, missing)
        else:
            yield split_on_number(feature, bound, left, right, missing)


def _find_rows(nodes: Nodes, model: Any) -> Value:
    """Return the rows as the trees read them."""
    if model.is_categorical_ is None:
        return nodes.given()
    if model._preprocessor is None:
        problem = "its categories are those of scikit-learn 1.3 or older, which reads a fraction as the number below it"
        raise Unsupported(type(model).__name__, f"{problem}; train it again with a newer version")
    is_category = np.asarray(model.is_categorical_)
    categories, numbers = (np.flatnonzero(chosen).tolist() for chosen in (is_category, ~is_category))
    encoder = model._preprocessor.named_transformers_["encoder"]
    if len(nodes.inputs) > 1:
        columns = nodes.columns()
        others = [columns[at].cast(nodes.dtype) for at in numbers]
        return nodes.join([encode([columns[at] for at in categories], encoder), *others])
    rows = nodes.given()
    codes = encode([rows.take([at]) for at in categories], encoder)
    return nodes.join([codes, rows.take(numbers)]) if numbers else codes


def _convert_classifier(nodes: Nodes, model: Any) -> None:
    answer_classes(nodes, _boost(nodes, model), model.classes_)


def _convert_regressor(nodes: Nodes, model: Any) -> None:
    total = _boost(nodes, model)
    nodes.answer(total.map("Exp") if model.loss in ("poisson", "gamma") else total)


CONVERTERS: Final = (
    Converter("sklearn.ensemble.HistGradientBoostingClassifier", _convert_classifier, scores=True),
    Converter("sklearn.ensemble.HistGradientBoostingRegressor", _convert_regressor, one_column),
)
