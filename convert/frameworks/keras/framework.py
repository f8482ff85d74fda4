"""
Models of Keras on TensorFlow. Beside `from_tensorflow_graph.py`, the only importer of them.

What is taken: built Sequential and functional Keras models, from memory or a `.keras` file. Inputs keep the names of
the input layers. The output of a net that classifies is `probabilities` (or `scores`, where it ends in logits); of one
that ends in a single sigmoid, too, as two columns: 1 - p and p. Otherwise it is `value`, and several outputs keep the
names of their layers.
"""

import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Role, Task, Tensor
from snooze.convert.checks.cases import Array, Arrays, joined
from snooze.convert.checks.synthetic import drawn
from snooze.convert.errors import MissingExtra, NotAModel, Unfitted, Unsupported
from snooze.convert.frameworks.interface import Attempt, Original, first_line
from snooze.convert.frameworks.keras.graph import EXTRA, graph
from snooze.convert.quiet import quiet

CHUNK: Final = 256
ORNAMENT: Final = re.compile(r"\x1b\[[0-9;]*m|{{[^}]*}}|\[Op:\w+\]")  # colours and places in what TensorFlow says
PROBES: Final = 16  # made-up rows that an output is looked at on
DATATYPES: Final = {
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "bool": "BOOL",
}


def keras() -> ModuleType:
    """
    Return the module keras, on TensorFlow and on the CPU.

    Raises:
        MissingExtra: keras or tensorflow is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    try:
        with quiet():  # native code greets on import
            import keras
            import tensorflow
    except ModuleNotFoundError as error:
        if error.name not in ("keras", "tensorflow"):  # installed but broken: show the real cause
            raise
        raise MissingExtra(error.name, extra=EXTRA) from None
    assert tensorflow is not None
    if keras.backend.backend() != "tensorflow":
        raise Unsupported("the model", f"Keras runs on {keras.backend.backend()} here; set KERAS_BACKEND=tensorflow")
    module: ModuleType = keras
    return module


def load(path: Path) -> tuple[Any, tuple[str, ...]]:
    """
    Return the model in a `.keras` file, and what to mind about it. Code in it, such as a Lambda layer's, is refused.

    Raises:
        NotAModel: it cannot be read.
    """
    if not zipfile.is_zipfile(path):
        kind = (
            "is an .h5 file; load it in Keras and save it as .keras" if path.suffix == ".h5" else "is not a .keras file"
        )
        raise NotAModel(str(path), f"{kind}, or a damaged one" if "not a" in kind else kind)
    module = keras()
    try:
        with quiet():
            return module.saving.load_model(path, compile=False, safe_mode=True), ()
    except Exception as error:  # zip, JSON, HDF5 and the layers' own code each raise their own
        raise NotAModel(str(path), f"cannot be read: {_cause(error)}") from None


def inputs(model: Any) -> tuple[Tensor, ...]:
    """
    Return what a Keras model takes.

    Raises:
        Unfitted: it was not built, so its input shapes are not known.
        Unsupported: it is subclassed, or takes texts, or a fixed number of rows.
    """
    module = keras()
    name = type(model).__name__
    if not isinstance(model, module.Model):
        raise NotAModel(name, "is not a Keras model; a layer alone cannot be converted")
    if not model.built:
        raise Unfitted(name, "fit (or build)")
    if not getattr(model, "inputs", None):
        problem = (
            "it is subclassed, so its inputs are not known; wrap it: x = keras.Input(...); keras.Model(x, model(x))"
        )
        raise Unsupported(name, problem)
    tensors = []
    for value in model.inputs:
        if value.dtype not in DATATYPES:
            raise Unsupported(name, f"input '{value.name}' takes {value.dtype}; encode it as numbers before")
        if not value.shape or value.shape[0] is not None:
            raise Unsupported(name, f"input '{value.name}' has a fixed number of rows; leave batch_size out")
        tensors.append(Tensor(value.name, DATATYPES[value.dtype], tuple(size or -1 for size in value.shape)))
    return tuple(tensors)


def columns(model: Any) -> tuple[str, ...] | None:
    """Return the names of the features: Keras does not know any."""
    return None


def original(model: Any, labels: Array | None, names: tuple[str, ...] | None) -> Original:
    """
    Return a Keras model as an `Original`.

    Whether a single output classifies is told by its softmax (or that its columns add up to one) or sigmoid, or by
    `labels` that are whole numbers for it, or by `names` for its columns; the model itself does not say.
    """
    takes, name = inputs(model), type(model).__name__
    # As plain lists: tf2onnx looks for a Sequential's outputs under other names, and trips over inputs by name.
    model = keras().Model(list(model.inputs), list(model.outputs), name=model.name)
    single = len(model.outputs) == 1
    activations = _activations(model, takes)
    binary = single and activations[0] == "sigmoid" and model.outputs[0].shape == (None, 1)
    classes = _classes(model, activations[0], binary, labels, names) if single else None
    roles, decides = _roles(model, activations, classes)
    outputs = tuple(roles)
    task: Task | None = "classification" if classes else "regression" if single and "value" in roles else None
    return Original(
        framework="keras",
        framework_version=str(keras().__version__),
        model=name,
        inputs=takes,
        roles=roles,
        answer=_answer(model, takes, outputs, binary),
        attempts=(Attempt("single precision", lambda: graph(model, name, outputs, binary)),),
        task=task,
        classes=classes,
        decides=decides,
    )


def _classes(
    model: Any, activation: str | None, binary: bool, labels: Array | None, names: tuple[str, ...] | None
) -> tuple[object, ...] | None:
    """Return the class numbers of a net with one output that classifies, None for one that does not."""
    shape = model.outputs[0].shape
    if binary:
        return (0, 1)
    if len(shape) != 2 or shape[1] is None or shape[1] < 2:
        return None
    count = int(shape[1])
    whole = labels is not None and labels.ndim == 1 and labels.dtype.kind in "iub"
    fits = whole and labels is not None and bool(((labels >= 0) & (labels < count)).all())
    if activation == "softmax" or fits or (names is not None and len(names) == count):
        return tuple(range(count))
    return None


def _roles(
    model: Any, activations: list[str | None], classes: tuple[object, ...] | None
) -> tuple[dict[str, Role | None], str | None]:
    if classes:
        name = "probabilities" if activations[0] in ("softmax", "sigmoid") else "scores"
        return {name: "scores"}, name
    if len(activations) == 1:
        return {"value": "value" if len(model.outputs[0].shape) == 2 else None}, None
    kinds: list[Role | None] = ["scores" if activation == "softmax" else None for activation in activations]
    return dict(zip(model.output_names, kinds, strict=True)), None


def _activations(model: Any, takes: tuple[Tensor, ...]) -> list[str | None]:
    """Return the activation that each output comes from: as its last layer says, or a softmax as its answers show."""
    found = [_activation(output) for output in model.outputs]
    if all(found):
        return found
    rows = drawn(takes, PROBES).inputs
    try:
        answers = _called(model, [rows[tensor.name] for tensor in takes])
    except ValueError:  # such as sizes that only real rows have; those will tell
        return found
    return [name or ("softmax" if _is_softmax(answer) else None) for name, answer in zip(found, answers, strict=True)]


def _is_softmax(answer: Array) -> bool:
    """Return whether an output has several columns, none negative, that add up to one in every row."""
    several = answer.ndim == 2 and answer.shape[1] > 1 and answer.dtype.kind == "f"
    return bool(several and (answer >= 0).all() and np.allclose(answer.sum(1), 1, atol=1e-3))


def _activation(output: Any) -> str | None:
    """Return the name of the activation that an output comes from, where its last layer has one."""
    layer = getattr(output, "_keras_history", None)
    operation = getattr(layer, "operation", None)
    inner = getattr(operation, "outputs", None) if hasattr(operation, "layers") else None
    if inner:  # the last layer is itself a model
        return _activation(inner[0])
    name = getattr(getattr(operation, "activation", None), "__name__", None)
    return str(name) if name else {"Softmax": "softmax"}.get(type(operation).__name__)


def _answer(
    model: Any, takes: tuple[Tensor, ...], outputs: tuple[str, ...], binary: bool
) -> Callable[[Arrays], Arrays]:
    def answer(rows: Arrays) -> Arrays:
        count = len(next(iter(rows.values())))
        parts = [
            _called(model, [rows[tensor.name][begin : begin + CHUNK] for tensor in takes])
            for begin in range(0, count, CHUNK)
        ]
        answers = joined([dict(zip(outputs, part, strict=True)) for part in parts])
        return {name: np.concatenate([1 - one, one], 1) for name, one in answers.items()} if binary else answers

    return answer


def _called(model: Any, arrays: list[Array]) -> list[Array]:
    try:
        with quiet():
            answers = model(arrays if len(arrays) > 1 else arrays[0], training=False)
            return [np.asarray(one) for one in (answers if isinstance(answers, list | tuple) else [answers])]
    except Exception as error:  # TensorFlow's errors have no base but this
        raise ValueError(_told(error)) from None


def _told(error: Exception) -> str:
    """Return the sentence that tells, without the frames and arguments that Keras and TensorFlow put around it."""
    lines = [ORNAMENT.sub("", line).strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(("Exception encountered", "Arguments received"))]
    return (telling or [type(error).__name__])[0]


def _cause(error: Exception) -> str:
    """Return the one sentence of Keras' long message that tells the cause."""
    text = " ".join(str(error).split())
    if "Lambda" in text and "safe" in text:
        return "it holds a Lambda layer, which is code; replace it by a layer of Keras"
    if isinstance(error, TypeError) and "register_keras_serializable" in text:
        return "it holds a class of your own; convert the model object from Python, where the class is known"
    return f"{type(error).__name__}: {first_line(error)}"
