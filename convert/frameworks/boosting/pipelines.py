"""Registers converters with skl2onnx, for boosted estimators inside scikit-learn's pipelines and meta-estimators."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from snooze.convert.checks.graph import OPSET
from snooze.convert.frameworks.boosting.ensemble import Objective
from snooze.convert.frameworks.boosting.graph import Writer
from snooze.convert.quiet import quiet

if TYPE_CHECKING:
    from snooze.convert.frameworks.boosting.framework import Boosting

RAW: Final = "raw_scores"  # skl2onnx's option for the decision function instead of probabilities


def register(framework: "Boosting") -> None:
    """Register a converter for every estimator of a library."""
    with quiet():
        from skl2onnx import update_registered_converter
        from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
        from sklearn.base import ClassifierMixin

    for kind in framework.estimators():
        options: dict[str, Any] = {}
        calculate = _shape_calculator(framework)
        if issubclass(kind, ClassifierMixin):
            options = {"zipmap": [True, False, "columns"], "nocl": [True, False]}
            calculate = calculate_linear_classifier_output_shapes
        if hasattr(kind, "decision_function"):  # which CalibratedClassifierCV prefers to probabilities
            options[RAW] = [True, False]
        update_registered_converter(
            kind, f"Boosted{kind.__name__}", calculate, _converter(framework), options=options or None
        )


def _shape_calculator(framework: "Boosting") -> Callable[[Any], None]:
    def calculate(operator: Any) -> None:
        from skl2onnx.common.data_types import guess_tensor_type

        source = operator.inputs[0]
        kind = type(guess_tensor_type(source.type))
        targets = framework.open(operator.raw_operator).ensemble.targets
        operator.outputs[0].type = kind([source.get_first_dimension(), targets])

    return calculate


def _converter(framework: "Boosting") -> Callable[[Any, Any, Any], None]:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        from onnx import TensorProto
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

        source = operator.inputs[0]
        _, ensemble, classes = framework.open(operator.raw_operator)
        if (container.get_options(operator.raw_operator, fail=False) or {}).get(RAW):
            ensemble = replace(ensemble, objective=Objective("identity", "classification"), scale=1.0)
        *labels, answer = [one.full_name for one in operator.outputs]
        doubled = isinstance(source.type, DoubleTensorType)
        writer = Writer(f"{scope.get_unique_operator_name('boosted')}_", doubled and "double" in framework.precisions)
        features = source.full_name
        if not writer.double and not isinstance(source.type, FloatTensorType):
            features = writer.node("Cast", features, to=TensorProto.FLOAT)
        single = f"{writer.prefix}answer" if doubled else answer
        writer.write(ensemble, features, single, next(iter(labels), None), classes)
        if doubled:
            writer.node("Cast", single, to=TensorProto.DOUBLE, output=answer)
        container.nodes.extend(writer.nodes)
        container.node_domain_version_pair_sets.update(OPSET.items())

    return convert
