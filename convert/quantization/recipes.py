"""
How 8-bit versions are built, and which fit a model's operators.

Convolutions are calibrated (unsigned activations, signed weights per channel; their dynamic form is many times slower
than fp32); MatMul, Gemm and LSTM without convolutions get dynamic signed weights, per tensor and per channel, and nets
of MatMul and Gemm alone the calibrated form as well. Trees and linear models hold nothing to quantize.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from snooze.convert.checks.cases import Arrays, Rows
from snooze.convert.checks.graph import operators
from snooze.convert.quiet import quiet
from snooze.convert.runner import Runner

QUANTIZABLE: Final = frozenset({"Conv", "MatMul", "Gemm", "LSTM", "Attention"})
DENSE: Final = ("MatMul", "Gemm", "LSTM", "Attention", "Gather")


@dataclass(frozen=True)
class Recipe:
    """How a candidate is built: from the prepared fp32 file, into another, with rows to calibrate by."""

    name: str
    build: Callable[[Path, Path, Rows], None]


def recipes(graph: Any) -> list[Recipe]:
    """Return the recipes that fit the operators of a model."""
    found = operators(graph)
    static = Recipe("int8-static", _static)
    if "Conv" in found:
        return [static]
    dynamic = [
        Recipe("int8-dynamic", lambda file, made, _: _dynamic(file, made, per_channel=False)),
        Recipe("int8-dynamic-per-channel", lambda file, made, _: _dynamic(file, made, per_channel=True)),
    ]
    return dynamic if found & {"LSTM", "GRU", "LayerNormalization", "Attention"} else [*dynamic, static]


def prepare(file: Path, made: Path) -> Path:
    """Write the model with its shapes inferred and constants folded, as the quantizer wants it."""
    with quiet():
        from onnxruntime.quantization.shape_inference import quant_pre_process

        quant_pre_process(str(file), str(made), skip_symbolic_shape=True)
    _flatten_biases(made)
    return made


def _flatten_biases(file: Path) -> None:
    """Give biases of shape [1, n], as scikit-learn's nets have them, the shape [n]: ORT 1.31 calibrates no others."""
    import onnx

    model = onnx.load(file)
    biases = {node.input[2] for node in model.graph.node if node.op_type == "Gemm" and len(node.input) == 3}
    for tensor in model.graph.initializer:
        if tensor.name in biases and len(tensor.dims) == 2 and tensor.dims[0] == 1:
            del tensor.dims[0]
    onnx.save(model, file)


def _dynamic(file: Path, made: Path, per_channel: bool) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(
        str(file), str(made), weight_type=QuantType.QInt8, per_channel=per_channel, op_types_to_quantize=list(DENSE)
    )


def _static(file: Path, made: Path, calibration: Rows) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    # S8 activations are no faster than fp32 on x86, U8 weights give a third of the gain.
    quantize_static(
        str(file),
        str(made),
        _Calibration(file, calibration.inputs),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )


class _Calibration:
    """Rows one batch after another, as `quantize_static` asks for them."""

    def __init__(self, file: Path, inputs: Arrays, batch: int = 32) -> None:
        feed = Runner(file).feed(inputs)
        count = len(next(iter(feed.values())))
        self.batches = iter(
            [{name: array[begin : begin + batch] for name, array in feed.items()} for begin in range(0, count, batch)]
        )

    def get_next(self) -> Arrays | None:
        return next(self.batches, None)
