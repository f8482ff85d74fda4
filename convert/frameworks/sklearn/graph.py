"""The ways to convert a fitted scikit-learn estimator: in single precision, in double precision, and between."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snooze.convert.checks.graph import rename
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Attempt
from snooze.convert.frameworks.registry import frameworks
from snooze.convert.frameworks.sklearn.building import build, keep_needed
from snooze.convert.frameworks.sklearn.columns import Layout
from snooze.convert.frameworks.sklearn.equivalents import rewrite
from snooze.convert.frameworks.sklearn.parts import fitted_parts
from snooze.convert.frameworks.sklearn.refusals import explain_failure, explain_missing, locate
from snooze.convert.quiet import quiet


def attempts(model: Any, layout: Layout, names: Mapping[str, str]) -> Iterator[Attempt]:
    """
    Yield ways to convert an estimator, the simplest first. `names` are those of the outputs in the graph.

    The simplest fails for a scaler in front of trees: scikit-learn scales in double precision, the graph in single
    precision, so a value close to a threshold can fall on its other side. It also fails for columns of scales that
    differ very much, without a scaler.
    """
    model = rewrite(model, layout, transforms="embedding" in names)

    def attempt(name: str, cast: Any = None, double: bool = False) -> Attempt:
        return Attempt(name, lambda: _graph(_with_cast(model, cast) if cast else model, layout, names, double))

    yield attempt("single precision")
    steps = any(map(_predicts_after_steps, fitted_parts(model)))
    if any(one.kind == "number" for one in layout.columns):  # the inputs that become double precision
        if steps:
            yield attempt("double precision up to the last step", cast=np.float32, double=True)
        yield attempt("double precision", double=True)
    if steps:  # scalers keep rows in single precision, vectorizers and encoders give them so
        yield attempt("double precision in the last step", cast=np.float64)


def _with_cast(model: Any, dtype: Any) -> Any:
    """Return a copy with a cast before each pipeline's prediction: to single precision as in scikit-learn's trees."""
    from skl2onnx.sklapi import CastTransformer

    with quiet():
        cast = CastTransformer(dtype=dtype).fit(np.zeros((1, 1), np.float32))
    model = copy.deepcopy(model)
    for part in list(filter(_predicts_after_steps, fitted_parts(model))):
        part.steps = [*part.steps[:-1], ("cast", cast), part.steps[-1]]
    return model


def _predicts_after_steps(part: Any) -> bool:
    return len(getattr(part, "steps", ())) > 1 and hasattr(part.steps[-1][1], "predict")


def _graph(model: Any, layout: Layout, outputs: Mapping[str, str], double: bool) -> Any:
    with quiet():
        from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    for framework in frameworks():
        framework.register_converters()
    tensors = layout.tensors()
    # skl2onnx replaces letters in names that are not allowed in Python.
    types = [(f"input_{at}", _type(one.datatype, one.shape, double)) for at, one in enumerate(tensors)]
    try:
        graph = build(model, types, tuple(outputs))
    except Unsupported as refusal:  # of a converter of ours, or of another framework
        raise locate(model, refusal) from None
    except (MissingConverter, MissingShapeCalculator) as error:
        raise Unsupported(type(model).__name__, explain_missing(model, str(error))) from None
    except Exception as error:  # converters raise whatever their own code runs into
        raise Unsupported(type(model).__name__, explain_failure(error)) from None
    keep_needed(graph)
    return rename(graph, dict(outputs) | {name: one.name for (name, _), one in zip(types, tensors, strict=True)})


def _type(datatype: str, shape: tuple[int, ...], double: bool) -> Any:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType

    number = DoubleTensorType if double else FloatTensorType
    kind = {"FP32": number, "INT64": Int64TensorType, "BYTES": StringTensorType}[datatype]
    return kind([None if size == -1 else size for size in shape])
