"""
Functions of numpy and scipy that have an ONNX form, and `FunctionTransformer` of them.

Formulas: the definitions in numpy's reference, "Mathematical functions", and in `scipy.special`. What has no operator
in double precision, or would lose digits in single precision, is calculated in double precision and rounded afterwards.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final

import numpy as np

from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.sklearn.converters.nodes import Nodes, Value

# `Value.map` with these operators is the function, in single and in double precision.
OPERATORS: Final[dict[Any, str]] = {
    np.absolute: "Abs",
    np.fabs: "Abs",
    np.negative: "Neg",
    np.positive: "Identity",
    np.sign: "Sign",
    np.reciprocal: "Reciprocal",
    np.sqrt: "Sqrt",
    np.exp: "Exp",
    np.log: "Log",
    np.sin: "Sin",
    np.cos: "Cos",
    np.tanh: "Tanh",
    np.floor: "Floor",
    np.ceil: "Ceil",
    np.rint: "Round",
}
FORMULAS: Final[dict[Any, Callable[[Value], Value]]] = {  # of a value in double precision
    np.square: lambda x: x * x,
    np.cbrt: lambda x: x.map("Sign") * x.map("Abs") ** (1 / 3),
    np.trunc: lambda x: x.map("Sign") * x.map("Abs").map("Floor"),
    np.exp2: lambda x: (x * np.log(2)).map("Exp"),
    np.expm1: lambda x: x.map("Exp") - 1,
    np.log1p: lambda x: (x + 1).map("Log"),
    np.log2: lambda x: x.map("Log") / np.log(2),
    np.log10: lambda x: x.map("Log") / np.log(10),
    np.deg2rad: lambda x: x * (np.pi / 180),
    np.radians: lambda x: x * (np.pi / 180),
    np.rad2deg: lambda x: x * (180 / np.pi),
    np.degrees: lambda x: x * (180 / np.pi),
    np.tan: lambda x: x.map("Sin") / x.map("Cos"),
    np.sinh: lambda x: (x.map("Exp") - (-x).map("Exp")) / 2,
    np.cosh: lambda x: (x.map("Exp") + (-x).map("Exp")) / 2,
    np.arcsinh: lambda x: x.map("Sign") * ((x * x + 1).map("Sqrt") + x.map("Abs")).map("Log"),
    np.arccosh: lambda x: ((x * x - 1).map("Sqrt") + x).map("Log"),
    np.arctanh: lambda x: ((1 + x) / (1 - x)).map("Log") / 2,
    # These have operators in single precision only, and lose nothing by it.
    np.arcsin: lambda x: x.cast(np.float32).map("Asin"),
    np.arccos: lambda x: x.cast(np.float32).map("Acos"),
    np.arctan: lambda x: x.cast(np.float32).map("Atan"),
}


def apply(function: Any, value: Value, estimator: str) -> Value:
    """Return a function of a value. Raises Unsupported for `estimator` if the function has no ONNX form."""
    function = _of_scipy().get(function, function)
    if isinstance(function, str):
        return value.map(function)
    if (operator := OPERATORS.get(function)) is not None:
        return value.map(operator)
    if (formula := FORMULAS.get(function)) is not None:
        return formula(value.cast(np.float64)).cast(value.dtype)
    name = getattr(function, "__name__", repr(function))
    problem = f"a graph cannot run its function '{name}', only functions of numpy such as log1p, log10, sqrt and square"
    raise Unsupported(estimator, f"{problem}; use one of them, or apply the function outside the model")


@cache
def _of_scipy() -> dict[Any, Any]:
    """Return operators, or the same functions in numpy, of functions of scipy."""
    from scipy import special

    return {
        special.expit: "Sigmoid",
        special.log1p: np.log1p,
        special.expm1: np.expm1,
        special.exp2: np.exp2,
        special.cbrt: np.cbrt,
    }


def register() -> None:
    """Register the converters of this family."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common._registration import _converter_pool, _shape_calculator_pool
    from sklearn.preprocessing import FunctionTransformer

    name = "SklearnFunctionTransformer"
    shape = partial(_shape_applied, _shape_calculator_pool[name])
    convert = partial(_convert_function, _converter_pool[name]._fct)
    update_registered_converter(FunctionTransformer, "SnoozeFunctionTransformer", shape, convert)


def _shape_applied(identity: Callable[..., None], operator: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    if operator.raw_operator.func is None:
        identity(operator)
    else:
        double = any(isinstance(one.type, DoubleTensorType) for one in operator.inputs)
        shape = [None, operator.raw_operator.n_features_in_]
        operator.outputs[0].type = (DoubleTensorType if double else FloatTensorType)(shape)


def _convert_function(identity: Callable[..., None], scope: Any, operator: Any, container: Any) -> None:
    """Convert a function, or pass columns of any type on with the converter of skl2onnx."""
    model = operator.raw_operator
    if model.func is None:
        identity(scope, operator, container)
        return
    if model.kw_args:
        problem = f"a graph cannot run its function with kw_args={model.kw_args!r}"
        raise Unsupported(type(model).__name__, f"{problem}; apply the function outside the model")
    nodes = Nodes(scope, operator, container)
    nodes.answer(apply(model.func, nodes.given(), type(model).__name__))
