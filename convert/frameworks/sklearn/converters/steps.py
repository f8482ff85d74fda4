"""
Steps: estimators that also predict, of which a pipeline asks the `transform`.

A family lists the transforms of its estimators as `TRANSFORMS`; `registration.py` collects them. Without one,
clusterers give the distances that are their second output, and selectors the columns that they selected.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes

TRANSFORMS: Final[dict[str, Converter]] = {}  # by the name of the class


class Step:
    """A fitted estimator of which only the `transform` is asked."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    @property
    def n_features_in_(self) -> Any:
        """The number of columns that the estimator takes."""
        return self.estimator.n_features_in_

    def transform(self, rows: Any) -> Any:
        """Return what the estimator makes of rows."""
        return self.estimator.transform(rows)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return what is inside, as estimators do."""
        return {"transform": self.estimator}

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator

        return BaseEstimator().__sklearn_tags__()  # neither a classifier nor a regressor


def _convert_step(nodes: Nodes, model: Any) -> None:
    from sklearn.base import is_clusterer

    estimator = model.estimator
    known = TRANSFORMS.get(type(estimator).__name__)
    if known is not None:
        known.convert(nodes, estimator)
    elif hasattr(estimator, "get_support"):
        nodes.answer(nodes.given().take(np.flatnonzero(estimator.get_support())))
    elif is_clusterer(estimator) and hasattr(estimator, "predict"):
        nodes.answer(nodes.apply(estimator)[1])
    else:
        problem = "there is no converter for its transform, which a step in front of another is asked for"
        raise Unsupported(type(estimator).__name__, f"{problem}; make it the last step")


def _width(model: Any) -> int | None:
    estimator = model.estimator
    known = TRANSFORMS.get(type(estimator).__name__)
    if known is not None and known.width is not None:
        return known.width(estimator)
    if hasattr(estimator, "get_support"):
        return int(estimator.get_support().sum())
    centers = getattr(estimator, "cluster_centers_", None)
    return None if centers is None else len(centers)


CONVERTERS: Final = (Converter(f"{__name__}.Step", _convert_step, _width),)
