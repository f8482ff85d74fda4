"""
Selections of columns.

Formula: scikit-learn's user guide, "Feature selection"; `get_support` says which columns are kept.
"""

from typing import Any, Final

from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes

SELECTORS: Final = (
    "GenericUnivariateSelect",
    "RFE",
    "RFECV",
    "SelectFdr",
    "SelectFpr",
    "SelectFromModel",
    "SelectFwe",
    "SelectKBest",
    "SelectPercentile",
    "SequentialFeatureSelector",
    "VarianceThreshold",
)


def _convert_selector(nodes: Nodes, model: Any) -> None:
    nodes.answer(nodes.given().take(model.get_support(indices=True)))


def _count_kept(model: Any) -> int:
    return len(model.get_support(indices=True))


CONVERTERS: Final = tuple(
    Converter(f"sklearn.feature_selection.{name}", _convert_selector, _count_kept) for name in SELECTORS
)
