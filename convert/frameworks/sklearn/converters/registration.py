"""
Registers the converters of this folder with skl2onnx, and repairs its own parsers.

* `LinearSVC` in a pipeline is passed the option zipmap, which its converter refuses.
* A `ColumnTransformer` behind another step does not know its number of columns.
* A `ColumnTransformer` that changes the order of all columns of a matrix is given them in the order that they have.
* A `TargetEncoder` in a `ColumnTransformer` is given one matrix, of texts, even if some of its columns are numbers.
* A `RandomTreesEmbedding` is made another operator of.

It also looks for the names in options among all estimators of a model, twice, which takes seconds for many trees. The
options that `building.py` gives name none.
"""

from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import Any, Final

import numpy as np

from snooze.convert.frameworks.sklearn.converters import (
    adaptive,
    bayes,
    calibration,
    centroids,
    chains,
    clusters,
    cross_decomposition,
    decisions,
    densities,
    dictionaries,
    discretizers,
    distributions,
    dummies,
    encoders,
    ensembles,
    factorizations,
    functions,
    gaussian_processes,
    gaussians,
    histograms,
    imputers,
    kernel_machines,
    kernel_maps,
    linear,
    manifolds,
    multiclass,
    neighbours,
    networks,
    polynomials,
    projections,
    propagation,
    scalers,
    selectors,
    splines,
    stacking,
    steps,
    support_vectors,
    targets,
    texts,
    topics,
    transformed_targets,
    trees,
    voting,
)
from snooze.convert.frameworks.sklearn.converters.nodes import Converter, Nodes
from snooze.convert.frameworks.sklearn.outputs import find_classes, is_multilabel
from snooze.convert.quiet import quiet

CONVERTERS: Final[tuple[Converter, ...]] = (
    *adaptive.CONVERTERS,
    *bayes.CONVERTERS,
    *calibration.CONVERTERS,
    *centroids.CONVERTERS,
    *chains.CONVERTERS,
    *clusters.CONVERTERS,
    *cross_decomposition.CONVERTERS,
    *decisions.CONVERTERS,
    *densities.CONVERTERS,
    *dictionaries.CONVERTERS,
    *discretizers.CONVERTERS,
    *distributions.CONVERTERS,
    *dummies.CONVERTERS,
    *encoders.CONVERTERS,
    *ensembles.CONVERTERS,
    *factorizations.CONVERTERS,
    *gaussian_processes.CONVERTERS,
    *gaussians.CONVERTERS,
    *histograms.CONVERTERS,
    *imputers.CONVERTERS,
    *kernel_machines.CONVERTERS,
    *kernel_maps.CONVERTERS,
    *linear.CONVERTERS,
    *manifolds.CONVERTERS,
    *multiclass.CONVERTERS,
    *neighbours.CONVERTERS,
    *networks.CONVERTERS,
    *polynomials.CONVERTERS,
    *projections.CONVERTERS,
    *propagation.CONVERTERS,
    *scalers.CONVERTERS,
    *selectors.CONVERTERS,
    *splines.CONVERTERS,
    *stacking.CONVERTERS,
    *steps.CONVERTERS,
    *support_vectors.CONVERTERS,
    *targets.CONVERTERS,
    *texts.CONVERTERS,
    *topics.CONVERTERS,
    *transformed_targets.CONVERTERS,
    *trees.CONVERTERS,
    *voting.CONVERTERS,
)
TRANSFORMS: Final[tuple[Converter, ...]] = (  # of estimators that also predict
    *clusters.TRANSFORMS,
    *cross_decomposition.TRANSFORMS,
    *gaussians.TRANSFORMS,
    *stacking.TRANSFORMS,
    *voting.TRANSFORMS,
)
WRAPPED: Final = (functions,)  # which use converters of skl2onnx


@cache
def register() -> None:
    """Register the converters, once."""
    with quiet():
        from skl2onnx import _parse, update_registered_converter, update_registered_parser
        from skl2onnx import convert as conversion
        from skl2onnx._parse import sklearn_parsers_map
        from skl2onnx.common._registration import _converter_pool, _shape_calculator_pool
        from sklearn.compose import ColumnTransformer
        from sklearn.ensemble import RandomTreesEmbedding
        from sklearn.preprocessing import TargetEncoder
        from sklearn.svm import LinearSVC

        linear = _converter_pool["SklearnLinearSVC"]
        options = {**linear._options, "zipmap": [True, False, "columns"]}
        shape = _shape_calculator_pool["SklearnLinearSVC"]
        update_registered_converter(LinearSVC, "SnoozeLinearSVC", shape, linear._fct, options=options)
        update_registered_parser(ColumnTransformer, partial(_parse_columns, sklearn_parsers_map[ColumnTransformer]))
        del sklearn_parsers_map[RandomTreesEmbedding]
        _parse._process_options = conversion._process_options = lambda model, options: options
        _parse.do_not_merge_columns = (*_parse.do_not_merge_columns, TargetEncoder)
        _parse._fetch_input_slice = partial(_fetch_columns, _parse._fetch_input_slice)
        for family in WRAPPED:
            family.register()
        for converter in CONVERTERS:
            register_converter(converter)
        steps.TRANSFORMS.update((one.estimator.rpartition(".")[2], one) for one in TRANSFORMS)


def register_converter(converter: Converter) -> None:
    """Register a converter, in place of the one that skl2onnx has for the estimator."""
    from skl2onnx import update_registered_converter
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import _converter_pool
    from sklearn.base import ClassifierMixin

    module, _, name = converter.estimator.rpartition(".")
    estimator = getattr(import_module(module), name)
    # skl2onnx's parsers ask for the options of its own converter, so they stay known.
    known = getattr(_converter_pool.get(sklearn_operator_name_map.get(estimator, "")), "_options", None) or {}
    options = {name: values for name, values in known.items() if name != "raw_scores"}
    if issubclass(estimator, ClassifierMixin):
        options |= {"zipmap": [True, False, "columns"]} | ({"raw_scores": [True, False]} if converter.scores else {})

    def shape(operator: Any) -> None:
        _infer(operator, converter)

    def convert(scope: Any, operator: Any, container: Any) -> None:
        converter.convert(Nodes(scope, operator, container), operator.raw_operator)

    update_registered_converter(estimator, f"Snooze{name}", shape, convert, options=options)


def _infer(operator: Any, converter: Converter) -> None:
    """Set the types of the outputs: labels of texts or integers, and values in the precision of the inputs."""
    from skl2onnx.common import data_types as types
    from sklearn.base import is_outlier_detector

    model = operator.raw_operator
    double = any(isinstance(one.type, types.DoubleTensorType) for one in operator.inputs)
    number = types.DoubleTensorType if double else types.FloatTensorType
    labels, *scores = operator.outputs if len(operator.outputs) > 1 else (None, *operator.outputs)
    classes = find_classes(model)
    several = isinstance(getattr(model, "classes_", None), list)  # targets, each with its classes
    if labels is not None:
        texts = np.asarray(classes[0]).dtype.kind in "OU"
        shape = [None, len(classes)] if several else [None, 1] if is_outlier_detector(model) else [None]
        labels.type = (types.StringTensorType if texts else types.Int64TensorType)(shape)
    if len(scores) < len(classes) and not is_multilabel(model):
        scores[0].type = types.SequenceType(number([None, None]))
        return
    dtype = converter.dtype and converter.dtype(model)
    kinds = {None: number, object: types.StringTensorType, np.int64: types.Int64TensorType}
    for one, known in zip(scores, classes, strict=False):
        one.type = kinds[dtype]([None, len(known) if converter.width is None else converter.width(model)])


def _parse_columns(parse: Callable[..., Any], scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """Parse a ColumnTransformer behind another step, whose number of columns skl2onnx does not know yet."""
    if len(inputs) == 1 and not inputs[0].type.shape:
        inputs[0].type.shape = [None, model.n_features_in_]
    return parse(scope, model, inputs, custom_parsers=custom_parsers)


def _fetch_columns(fetch: Callable[..., Any], scope: Any, inputs: list[Any], columns: list[int]) -> Any:
    """Return some of the columns of a matrix; skl2onnx takes as many as it has for the matrix itself."""
    if list(columns) == sorted(set(columns)):
        return fetch(scope, inputs, columns)
    operator = scope.declare_local_operator("SklearnArrayFeatureExtractor")
    operator.inputs, operator.column_indices = inputs, columns
    operator.outputs.append(scope.declare_local_variable("columns", type(inputs[0].type)()))
    return operator.outputs
