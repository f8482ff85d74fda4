"""
Bins of numbers.

Formula: scikit-learn's user guide, "K-bins discretization". A number is in the last bin whose lower edge it reaches;
the outer bins have no end.
"""

from typing import Any, Final

import numpy as np

from snooze.convert.frameworks.sklearn.converters.intervals import count_reached
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes


def _convert_bins(nodes: Nodes, model: Any) -> None:
    inner = [edges[1:-1] for edges in model.bin_edges_]
    edges = np.full((max(1, *map(len, inner)), len(inner)), np.nan)
    for column, known in enumerate(inner):
        edges[: len(known), column] = known
    bins = count_reached(nodes.given(), edges)
    if model.encode != "ordinal":
        columns = np.repeat(np.arange(len(inner)), model.n_bins_)
        bins = bins.take(columns).equals(np.concatenate([np.arange(count) for count in model.n_bins_])[None])
    nodes.answer(bins.cast(nodes.dtype))


def _width(model: Any) -> int:
    return len(model.n_bins_) if model.encode == "ordinal" else int(np.sum(model.n_bins_))


CONVERTERS: Final = (Converter("sklearn.preprocessing.KBinsDiscretizer", _convert_bins, _width),)
