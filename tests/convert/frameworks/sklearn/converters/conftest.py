"""Checks that an estimator and its graph give the same answers to rows that it was not trained on; runs formulas."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from sklearn.base import BaseEstimator, TransformerMixin, clone, is_classifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from snooze.convert.attempts import Conversion
from snooze.convert.checks.graph import OPSET
from snooze.convert.frameworks.interface import NO_HINTS, Framework, Hints, Inputs, Original
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes
from snooze.convert.frameworks.sklearn.converters.registration import register, register_converter
from snooze.convert.frameworks.sklearn.framework import FRAMEWORK, ScikitLearn
from snooze.convert.quiet import quiet

Array = NDArray[Any]
Agree = Callable[..., list[Conversion]]
Run = Callable[..., Array]


def with_awkward_scales(rows: Array) -> Array:
    """Return rows with columns from thousandths to ten thousands, every other one far from zero. They stay positive."""
    scales = np.logspace(-3, 4, rows.shape[1])
    return rows * scales + np.where(np.arange(rows.shape[1]) % 2, 100 * scales, 0)


def _variants(estimator: Any, rows: Array, targets: Any) -> Iterator[tuple[Any, Array, Any]]:
    awkward = with_awkward_scales(rows)
    yield clone(estimator), rows, targets
    yield clone(estimator), awkward, targets
    yield make_pipeline(MinMaxScaler(), clone(estimator)), awkward, targets
    if is_classifier(estimator):
        yield clone(estimator), rows, np.array([f"class {one}" for one in targets], object)


@pytest.fixture
def agree(converter: Callable[[Framework], Callable[..., tuple[Original, Conversion]]]) -> Agree:
    """
    Make a function that converts an estimator, and fails if the graph answers anything else.

    The estimator is fitted on rows as they are, on columns of awkward scales, behind a scaler, and (a classifier) with
    texts for labels. Compared are the rows that it was not trained on, as numbers of the type `kind`, in which a scaler
    calculates. The conversions are returned in this order.
    """

    def agree(estimator: Any, rows: Array, targets: Any = None, kind: Any = np.float32) -> list[Conversion]:
        found = []
        for model, given, wanted in _variants(estimator, rows, targets):
            with quiet():
                model.fit(given[::2], None if wanted is None else wanted[::2])
            _, conversion = converter(FRAMEWORK)(model, given[1::2].astype(np.float32).astype(kind))
            data = conversion.parity.data
            assert (data.outliers, data.flips, data.near_ties) == (0, 0, 0), conversion.parity
            found.append(conversion)
        return found

    return agree


class DoublePrecision(ScikitLearn):
    """Converts in double precision only, which is otherwise tried where single precision does not agree."""

    def describe(self, model: Any, inputs: Inputs, hints: Hints = NO_HINTS) -> Original:
        original = super().describe(model, inputs, hints)
        return replace(original, attempts=original.attempts[-1:])


class Formula(TransformerMixin, BaseEstimator):
    """A transformer whose converter is a function of `Nodes`."""

    def __init__(self, function: Callable[[Nodes], Any]) -> None:
        self.function = function


def _convert_formula(nodes: Nodes, model: Any) -> None:
    nodes.answer(model.function(nodes).cast(nodes.dtype))


@pytest.fixture(scope="session")
def run() -> Run:
    """Make a function that runs a formula of `Nodes` on arrays, in their precision."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import guess_data_type

    register()
    register_converter(Converter(f"{__name__}.Formula", _convert_formula, width=lambda model: 3))

    def run(function: Callable[[Nodes], Any], *inputs: Array) -> Array:
        names = [f"x{at}" for at in range(len(inputs))]
        types = [
            (name, type(guess_data_type(one)[0][1])([None, one.shape[1]]))
            for name, one in zip(names, inputs, strict=True)
        ]
        graph = convert_sklearn(Formula(function), initial_types=types, target_opset=OPSET)
        session = InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, dict(zip(names, inputs, strict=True)))[0])

    return run
