"""
TFLite files.

Inputs and outputs have the names of the file's signature, or of its tensors. Most files have a fixed number of rows,
often 1, and so no dimension of rows.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.bundle.contract import Tensor
from snooze.convert.checks.cases import Array, Arrays
from snooze.convert.checks.graph import rename
from snooze.convert.errors import NotAModel, Unsupported
from snooze.convert.frameworks.interface import (
    NO_HINTS,
    Attempt,
    Domain,
    Framework,
    Hints,
    Input,
    Inputs,
    Loaded,
    Original,
)
from snooze.convert.frameworks.networks import Output, split_columns
from snooze.convert.frameworks.tensorflow.arguments import make_tensor
from snooze.convert.frameworks.tensorflow.graph import PIXELS, cause, import_tensorflow, make_onnx
from snooze.convert.frameworks.tensorflow.network import find_probabilities, make_runner, name_unnamed_output
from snooze.convert.quiet import quiet

MAGIC: Final = b"TFL3"  # behind the first four bytes
SAMPLES: Final = (1600, 800, 2400)  # the interpreter crashes if there are fewer than a window of a spectrogram has
ACTIVATIONS: Final = {"SOFTMAX": "softmax", "LOGISTIC": "sigmoid"}


class Lite(NamedTuple):
    """A TFLite file, its interpreter, and the name of each input and output with what the interpreter tells of it."""

    path: Path
    interpreter: Any
    inputs: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, Mapping[str, Any]]


class TFLite(Framework):
    """TFLite files, with the outputs of their first signature."""

    name = "tflite"
    suffixes = (".tflite",)
    formats = ".tflite"
    isolated = True

    def recognizes_file(self, path: Path) -> bool:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(8)[4:] == MAGIC

    def recognizes(self, model: object) -> bool:
        return isinstance(model, Lite)

    def needs_trust(self, path: Path) -> bool:
        return False

    def load(self, path: Path, trust: bool = False) -> Loaded:
        if not self.recognizes_file(path):
            raise NotAModel(str(path), "is not a .tflite file, or is damaged; convert the model to TFLite again")
        tf = import_tensorflow()
        try:
            with quiet():
                interpreter = tf.lite.Interpreter(model_path=str(path), num_threads=1)
                interpreter.allocate_tensors()
                return Loaded(Lite(path, interpreter, *_tensors(interpreter)))
        except Exception as error:  # RuntimeError or ValueError, with whatever the native code says
            text = cause(error)
            if "custom op" in text:
                operator = text.rpartition(": ")[2]
                problem = f"it uses the operator {operator}, which TensorFlow does not have"
                raise Unsupported(str(path), f"{problem}; do that step before the rows are sent") from None
            raise NotAModel(str(path), f"cannot be read: {text}") from None

    def signature(self, model: Lite, sample: Arrays | None = None) -> Inputs:
        return tuple(_input(model.path.name, name, details) for name, details in model.inputs.items())

    def describe(self, model: Lite, inputs: Inputs, hints: Hints = NO_HINTS) -> Original:
        """Return what the file answers; see `networks.find_meaning`."""
        tf, name = import_tensorflow(), model.path.name
        found = _outputs(model)
        meaning = name_unnamed_output(found, hints, inputs)
        outputs, binary = tuple(meaning.roles), meaning.binary

        def convert() -> Any:
            made = make_onnx(name, None, tflite_path=str(model.path))
            old = [str(one["name"]) for one in (*model.inputs.values(), *model.outputs.values())]
            made = rename(made, dict(zip(old, (*model.inputs, *outputs), strict=True)))
            return split_columns(made, outputs[0]) if binary else made

        return Original(
            framework="tflite",
            framework_version=str(tf.__version__),
            model=name,
            inputs=inputs,
            roles=meaning.roles,
            run=make_runner(lambda arrays: _answer(model, arrays), inputs, outputs, binary),
            attempts=(Attempt("single precision", convert),),
            task=meaning.task,
            classes=meaning.classes,
            decides=meaning.decides,
            probabilities=find_probabilities(meaning, found),
        )


FRAMEWORK: Final = TFLite()


def _tensors(interpreter: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the details of the inputs and of the outputs by name: that of the first signature, or of the tensor."""
    takes, gives = interpreter.get_input_details(), interpreter.get_output_details()
    signatures = interpreter.get_signature_list()
    if not signatures:
        return {str(one["name"]): one for one in takes}, {str(one["name"]): one for one in gives}
    runner = interpreter.get_signature_runner(next(iter(signatures)))
    named = ({one["index"]: name for name, one in runner.get_input_details().items()},
             {one["index"]: name for name, one in runner.get_output_details().items()})  # fmt: skip
    return tuple(
        {names.get(one["index"], str(one["name"])): one for one in details}
        for names, details in zip(named, (takes, gives), strict=True)
    )  # type: ignore[return-value]


def _input(model: str, name: str, details: Mapping[str, Any]) -> Input:
    shape = [None if size < 0 else int(size) for size in _shape(details)]
    tensor = make_tensor(model, name, details["dtype"], shape)
    return Input(tensor, 0 if tensor.shape[:1] == (-1,) else None, _domain(tensor))


def _domain(tensor: Tensor) -> Domain:
    """Return what is drawn: 8-bit pixels, floats from 0 to 1 for images, and sound of more than a few samples."""
    if tensor.datatype in PIXELS:
        return PIXELS[tensor.datatype]
    if tensor.datatype == "FP32" and len(tensor.shape) == 4 and tensor.shape[3] in (1, 3):
        return Domain(center=0.5, scale=0.25)
    if tensor.datatype == "FP32" and len(tensor.shape) <= 2:
        return Domain(lengths=SAMPLES)
    return Domain()


def _shape(details: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(map(int, details["shape_signature"]))


def _outputs(model: Lite) -> list[Output]:
    """Return the outputs with the activation that they end in, if that shows."""
    lite = import_tensorflow().lite
    with quiet():  # the interpreter that answers hides operators in a delegate
        plain = lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        reader = lite.Interpreter(model_path=str(model.path), experimental_op_resolver_type=plain)
    steps = reader._get_ops_details()
    if any(one["op_name"] == "DENSIFY" for one in steps):
        raise Unsupported(model.path.name, "its weights are sparse; convert the model to TFLite without sparsity")
    makers = {out: one for one in steps for out in one["outputs"]}
    found = []
    for name, details in model.outputs.items():
        maker = makers.get(details["index"])
        while maker is not None and maker["op_name"] in ("QUANTIZE", "DEQUANTIZE"):
            maker = makers.get(maker["inputs"][0])
        activation = ACTIVATIONS.get(maker["op_name"]) if maker else None
        if np.issubdtype(details["dtype"], np.integer) and activation == "sigmoid":
            activation = None  # 1 - p is not a number of the same scale
        found.append(Output(name, _shape(details), activation))
    return found


def _answer(model: Lite, arrays: list[Array]) -> list[Array]:
    """Return what the interpreter answers. Raises ValueError."""
    interpreter, inputs = model.interpreter, [*model.inputs.values()]
    try:
        with quiet():
            for details, array in zip(inputs, arrays, strict=True):
                if tuple(details["shape"]) != array.shape:
                    interpreter.resize_tensor_input(details["index"], array.shape, strict=True)
            interpreter.allocate_tensors()
            for details, array in zip(inputs, arrays, strict=True):
                interpreter.set_tensor(details["index"], array.astype(details["dtype"]))
            interpreter.invoke()
            return [np.array(interpreter.get_tensor(one["index"])) for one in model.outputs.values()]
    except RuntimeError as error:
        raise ValueError(cause(error)) from None
