"""
How 8-bit versions are built, and which recipes suit a model's operators.

Convolutions are calibrated, with unsigned activations and signed weights per channel; their dynamic form is many times
slower than fp32. MatMul, Gemm and LSTM without convolutions get signed dynamic weights, per tensor and per channel;
networks of MatMul and Gemm alone also the calibrated form. Trees have nothing to quantize.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from snooze.convert.checks.cases import split
from snooze.convert.checks.dataset import Dataset
from snooze.convert.checks.graph import operators
from snooze.convert.quiet import quiet
from snooze.convert.runner import Runner

QUANTIZABLE: Final = frozenset({"Conv", "MatMul", "Gemm", "LSTM", "Attention"})
DENSE: Final = ("MatMul", "Gemm", "LSTM", "Attention", "Gather")
CHANNELS_OPSET: Final = 13
CALIBRATION_BATCH: Final = 32


class Recipe(NamedTuple):
    """A way to build a candidate: from the prepared fp32 file, into another, with data for calibration."""

    name: str
    build: Callable[[Path, Path, Dataset], None]


def recipes(graph: Any) -> list[Recipe]:
    """Return the recipes that suit the operators of a model."""
    found = operators(graph)
    static = Recipe("int8-static", _static)
    if "Conv" in found:
        return [static]
    dynamic = [
        Recipe("int8-dynamic", lambda file, made, _: _dynamic(file, made, per_channel=False)),
        Recipe("int8-dynamic-per-channel", lambda file, made, _: _dynamic(file, made, per_channel=True)),
    ]
    return dynamic if found & {"LSTM", "GRU", "LayerNormalization", "Attention"} else [*dynamic, static]


def prepare(file: Path, made: Path) -> None:
    """Write the model with inferred shapes, folded constants and a recent opset, as the quantizer needs it."""
    file = _upgrade(file, made.with_suffix(".upgraded"))
    with quiet():
        from onnxruntime.quantization.shape_inference import quant_pre_process

        quant_pre_process(str(file), str(made), skip_symbolic_shape=True)
    _flatten_biases(made)


def _upgrade(file: Path, made: Path) -> Path:
    """Return the file of the model in an opset whose quantizing operators know channels, if that can be done."""
    import onnx
    from onnx import version_converter

    model = onnx.load(file)
    if all(entry.version >= CHANNELS_OPSET for entry in model.opset_import if entry.domain in ("", "ai.onnx")):
        return file
    with suppress(Exception):  # it does not know every operator
        onnx.save(version_converter.convert_version(model, CHANNELS_OPSET), made)
        return made
    return file


def _flatten_biases(file: Path) -> None:
    """Change biases of shape [1, n], as in scikit-learn's networks, to [n]: ORT 1.31 calibrates no others."""
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


def _static(file: Path, made: Path, calibration: Dataset) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    feed = Runner(file).feed
    feeds = (feed(part.tensors) for case in calibration.cases for part in split(case, CALIBRATION_BATCH))
    # S8 activations are no faster than fp32 on x86, U8 weights give a third of the gain.
    quantize_static(
        str(file),
        str(made),
        SimpleNamespace(get_next=lambda: next(feeds, None)),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
    )
