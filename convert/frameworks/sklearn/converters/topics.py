"""
Topics of documents.

Formula: M. D. Hoffman et al., "Online Learning for Latent Dirichlet Allocation" (2010), the E step, as in
`sklearn.decomposition._lda._update_doc_distribution`: each document is done when its topics no longer change. The
digamma function is that of `sklearn.decomposition._online_lda_fast`: a recurrence, then an asymptotic series.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from snooze.convert.frameworks.sklearn.converters.loops import repeat
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes, Value

LARGE: Final = 6  # from which on the series is accurate


def _convert_dirichlet_allocation(nodes: Nodes, model: Any) -> None:
    words = model.exp_dirichlet_component_
    epsilon = float(np.finfo(words.dtype).eps)

    def expect(topics: Value) -> Value:
        """Return the exponentials of the expected logarithms of a Dirichlet distribution [rows, topics]."""
        found = _digamma(nodes.join([topics, topics.sum()]))
        return (found.take(range(len(words))) - found.take([-1])).map("Exp")

    def update(_: Value, topics: Value, weights: Value, active: Value, counts: Value) -> tuple[Value, Sequence[Value]]:
        shares = counts / (weights @ words + epsilon)
        updated = weights * (shares @ words.T) + model.doc_topic_prior_
        change = (updated - topics).map("Abs").reduce("ReduceMean")
        going = active & (change >= model.mean_change_tol)
        topics = nodes.where(active, updated, topics)
        weights = nodes.where(active, expect(updated), weights)
        return _any(going), [topics, weights, going]

    counts = nodes.given()
    topics = counts.take([0] * len(words)) * 0.0 + 1.0
    active = topics.take([0]) > 0.0
    topics = repeat(nodes, update, model.max_doc_update_iter, [topics, expect(topics), active], [counts])[0]
    nodes.answer(topics / topics.sum())


def _digamma(numbers: Value) -> Value:
    unsqueezed = numbers.add_axes(2)
    steps = (1.0 / (unsqueezed + np.arange(float(LARGE)))).sum(2, keep=False)
    large = numbers + float(LARGE)
    inverse = 1.0 / large
    square = inverse * inverse
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252)))
    return large.map("Log") - 0.5 * inverse - series - steps


def _any(flags: Value) -> Value:
    """Return whether any row [rows, 1] is true, a scalar."""
    return flags.cast(np.int64).reduce("ReduceMax", axis=0).reshape().cast(bool)


CONVERTERS: Final = (
    Converter(
        "sklearn.decomposition.LatentDirichletAllocation",
        _convert_dirichlet_allocation,
        lambda model: len(model.components_),
    ),
)
