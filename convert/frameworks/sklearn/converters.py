"""
Converters of scikit-learn estimators that replace or repair those of skl2onnx 1.20.

* `LinearSVC` in a pipeline is passed the option zipmap, which its converter refuses.
* `SimpleImputer` works in double precision and on texts, where the empty text is missing.
* `OneHotEncoder`, `OrdinalEncoder` and `TargetEncoder` know missing values (the empty text in texts), infrequent and
  unknown categories, and numbers that are not integers.
* `MLPRegressor` gives a column for each value, and not one below the other.
* `TfidfTransformer(sublinear_tf=True)` is `1 + log(tf)`, and not `log(1 + tf)`.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.convert.checks.cases import Array
from snooze.convert.frameworks.sklearn.columns import is_missing
from snooze.convert.quiet import quiet

ML: Final = "ai.onnx.ml"

_registered: list[str] = []


class Lookup(NamedTuple):
    """What an encoder makes of a column: a value for each category, or for one-hot the number of one of `size`."""

    categories: Array
    values: Array
    default: float
    size: int | None = None


class Nodes:
    """The part of a graph that a converter adds."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self._scope, self._container = scope, container
        self.output: str = operator.outputs[0].full_name

    def add(
        self, kind: str, inputs: Sequence[str], output: str | None = None, domain: str = "", **attributes: Any
    ) -> str:
        """Add a node and return the name of its output."""
        name = output or str(self._scope.get_unique_variable_name(kind.lower()))
        version = {"op_version": 2} if domain == ML else {}
        self._container.add_node(kind, list(inputs), [name], op_domain=domain, **version, **attributes)
        return name

    def constant(self, array: Array) -> str:
        """Add a constant and return its name."""
        from onnx import TensorProto, helper

        text = array.dtype.kind == "O"
        kind = TensorProto.STRING if text else helper.np_dtype_to_tensor_dtype(array.dtype)
        values = [str(one).encode() for one in array.ravel()] if text else array.ravel()
        name = str(self._scope.get_unique_variable_name("constant"))
        self._container.add_initializer(name, kind, list(array.shape), values)
        return name

    def cast(self, name: str, dtype: Any, output: str | None = None) -> str:
        """Cast a tensor to a numeric type."""
        from onnx import helper

        return self.add("Cast", [name], output, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def concat(self, names: Sequence[str], output: str | None = None) -> str:
        """Put tensors side by side."""
        return self.add("Concat", names, output, axis=1)


def register() -> None:
    """Register the converters, once."""
    if _registered:
        return
    with quiet():
        from skl2onnx import update_registered_converter, update_registered_parser
        from skl2onnx._parse import sklearn_parsers_map
        from skl2onnx.common._registration import _converter_pool, _shape_calculator_pool, register_converter
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.neural_network import MLPRegressor
        from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder
        from sklearn.svm import LinearSVC

        linear = _converter_pool["SklearnLinearSVC"]
        options = {**linear._options, "zipmap": [True, False, "columns"]}
        shape = _shape_calculator_pool["SklearnLinearSVC"]
        update_registered_converter(LinearSVC, "SnoozeLinearSVC", shape, linear._fct, options=options)
        update_registered_converter(SimpleImputer, "SnoozeImputer", _shape_imputed, _convert_imputer)
        for encoder in (OneHotEncoder, OrdinalEncoder, TargetEncoder):
            update_registered_converter(encoder, f"Snooze{encoder.__name__}", _shape_encoded, _convert_encoder)
        update_registered_converter(MLPRegressor, "SnoozeMLPRegressor", _shape_values, _convert_mlp)
        weighting = _converter_pool["SklearnTfidfTransformer"]
        convert = partial(_convert_tfidf, weighting._fct)
        register_converter("SklearnTfidfTransformer", convert, overwrite=True, options=weighting._options)
        update_registered_parser(ColumnTransformer, partial(_parse_columns, sklearn_parsers_map[ColumnTransformer]))
    _registered.append("all")


def _parse_columns(parse: Callable[..., Any], scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """Parse a ColumnTransformer behind another step, whose number of columns skl2onnx does not know yet."""
    if len(inputs) == 1 and not inputs[0].type.shape:
        inputs[0].type.shape = [None, model.n_features_in_]
    return parse(scope, model, inputs, custom_parsers=custom_parsers)


def _shape_imputed(operator: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    kind = type(operator.inputs[0].type)
    kind = kind if kind in (DoubleTensorType, StringTensorType) else FloatTensorType
    _, kept, indicated = _imputed_columns(operator.raw_operator)
    operator.outputs[0].type = kind([None, len(kept) + len(indicated)])


def _imputed_columns(imputer: Any) -> tuple[list[object], list[int], list[int]]:
    """Return the statistics, the columns that are kept, and those with an indicator of missing values."""
    statistics = np.asarray(imputer.statistics_).tolist()
    kept = [at for at, value in enumerate(statistics) if not is_missing(value)]
    return statistics, kept, imputer.indicator_.features_.tolist() if imputer.add_indicator else []


def _convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.common.data_types import DoubleTensorType, StringTensorType

    nodes, imputer = Nodes(scope, operator, container), operator.raw_operator
    statistics, kept, indicated = _imputed_columns(imputer)
    texts = isinstance(operator.inputs[0].type, StringTensorType)
    dtype: type = np.float64 if isinstance(operator.inputs[0].type, DoubleTensorType) else np.float32
    names = [one.full_name for one in operator.inputs]
    given = names[0] if len(names) == 1 else nodes.concat(names)
    if texts:
        keys = ["" if is_missing(imputer.missing_values) else str(imputer.missing_values)]
        found = nodes.add("LabelEncoder", [given], domain=ML, keys_strings=keys, values_int64s=[1], default_int64=0)
        missing = nodes.cast(found, bool)
    else:
        given = nodes.cast(given, dtype)
        if is_missing(imputer.missing_values):
            missing = nodes.add("IsNaN", [given])
        else:
            missing = nodes.add("Equal", [given, nodes.constant(np.array([imputer.missing_values], dtype))])
    filled = [0 if at not in kept and not texts else value for at, value in enumerate(statistics)]
    fills = nodes.constant(np.array([filled], object if texts else dtype))
    imputed = [nodes.add("Where", [missing, fills, given])]
    if len(kept) < len(filled):
        imputed = [nodes.add("Gather", [imputed[0], nodes.constant(np.array(kept))], axis=1)]
    if indicated:
        imputed.append(nodes.cast(nodes.add("Gather", [missing, nodes.constant(np.array(indicated))], axis=1), dtype))
    nodes.concat(imputed, nodes.output)


def _shape_encoded(operator: Any) -> None:
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType

    encoder = operator.raw_operator
    integers = hasattr(encoder, "dtype") and np.dtype(encoder.dtype).kind in "iu"
    width = sum(1 if one.size is None else one.size for _, one in _lookups(encoder))
    operator.outputs[0].type = (Int64TensorType if integers else FloatTensorType)([None, width])


def _convert_encoder(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.common.data_types import Int64TensorType

    nodes = Nodes(scope, operator, container)
    columns = [(one, at) for one in operator.inputs for at in range(one.type.shape[1])]
    encoded = []
    for column, lookup in _lookups(operator.raw_operator):
        tensor, at = columns[column]
        single = tensor.type.shape[1] == 1
        name = (
            tensor.full_name
            if single
            else nodes.add("Gather", [tensor.full_name, nodes.constant(np.array([at]))], axis=1)
        )
        encoded.append(_look_up(nodes, name, tensor.type, lookup))
    integers = isinstance(operator.outputs[0].type, Int64TensorType)
    nodes.cast(nodes.concat(encoded), np.int64 if integers else np.float32, nodes.output)


def _look_up(nodes: Nodes, name: str, kind: Any, lookup: Lookup) -> str:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    categories, values = lookup.categories.tolist(), lookup.values.astype(np.float32)
    missing = next((at for at, value in enumerate(categories) if is_missing(value)), None)
    nan = None
    if isinstance(kind, StringTensorType):
        keys: dict[str, Any] = {"keys_strings": ["" if is_missing(value) else str(value) for value in categories]}
    elif isinstance(kind, FloatTensorType | DoubleTensorType):
        name = nodes.cast(name, np.float32)
        nan = None if missing is None else nodes.add("IsNaN", [name])  # LabelEncoder does not find NaN
        keys = {"keys_floats": np.array(categories, np.float32)}
    else:
        name, keys = nodes.cast(name, np.int64), {"keys_int64s": np.array(categories, np.int64)}
    found = nodes.add(
        "LabelEncoder", [name], domain=ML, **keys, values_floats=values, default_float=float(lookup.default)
    )
    if nan is not None:
        found = nodes.add("Where", [nan, nodes.constant(values[missing]), found])
    if lookup.size is None:
        return found
    numbers = nodes.constant(np.arange(lookup.size, dtype=np.float32).reshape(1, -1))
    return nodes.cast(nodes.add("Equal", [found, numbers]), np.float32)


def _lookups(encoder: Any) -> Iterator[tuple[int, Lookup]]:
    """Yield what an encoder does with its columns, after the number of the column."""
    for at, known in enumerate(encoder.categories_):
        categories = np.asarray(known)
        if hasattr(encoder, "encodings_"):
            classes = len(encoder.classes_) if encoder.target_type_ == "multiclass" else 1
            means = np.broadcast_to(encoder.target_mean_, classes)
            for number in range(classes):
                values = np.asarray(encoder.encodings_[at * classes + number])
                yield at, Lookup(categories, values, float(means[number]))
        elif hasattr(encoder, "encoded_missing_value"):
            yield at, _ordinal(encoder, at, categories)
        else:
            yield at, _one_hot(encoder, at, categories)


def _ordinal(encoder: Any, at: int, categories: Array) -> Lookup:
    values = _grouped(encoder, at, categories).astype(np.float64)
    if at in encoder._missing_indices:
        values[encoder._missing_indices[at]] = encoder.encoded_missing_value
    unknown = encoder.unknown_value if encoder.handle_unknown == "use_encoded_value" else -1
    return Lookup(categories, values, unknown)


def _one_hot(encoder: Any, at: int, categories: Array) -> Lookup:
    values = _grouped(encoder, at, categories)
    rare = encoder._infrequent_enabled and encoder._infrequent_indices[at] is not None
    default = values.max() if rare and encoder.handle_unknown in ("infrequent_if_exist", "warn") else -1
    dropped = None if encoder.drop_idx_ is None else encoder._drop_idx_after_grouping[at]
    if dropped is not None:
        values = np.where(values == dropped, -1, values - (values > dropped))
        default -= default > dropped
    return Lookup(categories, values, default, int(encoder._n_features_outs[at]))


def _grouped(encoder: Any, at: int, categories: Array) -> Array:
    """Return the number of each category, where infrequent ones share one."""
    groups = encoder._default_to_infrequent_mappings[at] if encoder._infrequent_enabled else None
    numbers = np.arange(len(categories)) if groups is None else np.asarray(groups)
    # A missing category that is not infrequent is not among the groups, and is the last.
    return np.concatenate([numbers, np.arange(len(numbers), len(categories))])


def _shape_values(operator: Any) -> None:
    kind = type(operator.inputs[0].type)
    operator.outputs[0].type = kind([None, operator.raw_operator.n_outputs_])


def _convert_mlp(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.common.data_types import guess_proto_type
    from skl2onnx.operator_converters.multilayer_perceptron import _predict

    given, network = operator.inputs[0], operator.raw_operator
    values = _predict(scope, given.full_name, container, network, proto_dtype=guess_proto_type(given.type))
    nodes = Nodes(scope, operator, container)
    nodes.add("Reshape", [values, nodes.constant(np.array([-1, network.n_outputs_]))], nodes.output)


def _convert_tfidf(convert: Callable[..., None], scope: Any, operator: Any, container: Any) -> None:
    """Convert term weights with the converter of skl2onnx, which is given sublinear counts where they are asked for."""
    if not operator.raw_operator.sublinear_tf:
        return convert(scope, operator, container)
    nodes, given = Nodes(scope, operator, container), operator.inputs[0]
    from skl2onnx.common.data_types import DoubleTensorType

    one = nodes.constant(np.array([1], np.float64 if isinstance(given.type, DoubleTensorType) else np.float32))
    logarithm = nodes.add("Log", [nodes.add("Max", [given.full_name, one])])
    counts = nodes.add("Add", [logarithm, nodes.add("Min", [given.full_name, one])])
    linear = copy.copy(operator.raw_operator)
    linear.sublinear_tf = False
    view = SimpleNamespace(
        raw_operator=linear,
        inputs=operator.inputs,
        input_full_names=[counts],
        outputs=operator.outputs,
        output_full_names=operator.output_full_names,
    )
    return convert(scope, view, container)
