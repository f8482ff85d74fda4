"""
Keras on TensorFlow: built Sequential and functional models.

Inputs keep the names of the input layers. The output of a network that classifies is `probabilities`, or `scores` if it
ends in logits; a single sigmoid becomes two columns, 1 - p and p. Other single outputs are `value`; several outputs
keep the names of their layers.
"""

import os
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import NAMES
from snooze.bundle.rows import draw
from snooze.convert.checks.cases import Array, Arrays, rows_case, run_in_parts
from snooze.convert.errors import NotAModel, Unfitted, Unsupported
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.interface import (
    NO_HINTS,
    Attempt,
    Framework,
    Hints,
    Input,
    Inputs,
    Loaded,
    Original,
    first_line,
)
from snooze.convert.frameworks.keras.graph import convert
from snooze.convert.frameworks.networks import Output, find_meaning, has_probabilities
from snooze.convert.quiet import quiet

DECORATION: Final = re.compile(r"\x1b\[[0-9;]*m|{{[^}]*}}|\[Op:\w+\]")  # colours and places in TensorFlow's messages
PROBE_ROWS: Final = 16  # drawn rows on which an output without a known activation is examined


class Keras(Framework):
    """Keras models in memory, or in `.keras` files."""

    name = "keras"
    suffixes = (".keras",)
    formats = ".keras"
    isolated = True

    def recognizes_file(self, path: Path) -> bool:
        if not path.is_file() or not zipfile.is_zipfile(path):
            return False
        with zipfile.ZipFile(path) as archive:
            return "config.json" in archive.namelist()

    def recognizes(self, model: object) -> bool:
        return "keras" in {base.__module__.partition(".")[0] for base in type(model).__mro__}

    def needs_trust(self, path: Path) -> bool:
        return False  # code in the file, such as a Lambda layer's, is refused

    def load(self, path: Path, trust: bool = False) -> Loaded:
        if not zipfile.is_zipfile(path):
            kind = "is an .h5 file; load it in Keras and save it as .keras"
            raise NotAModel(str(path), kind if path.suffix == ".h5" else "is not a .keras file, or is damaged")
        keras = import_keras()
        try:
            with quiet():
                return Loaded(keras.saving.load_model(path, compile=False, safe_mode=True))
        except Exception as error:  # zip, JSON, HDF5 and the layers' own code each raise their own
            raise NotAModel(str(path), f"cannot be read: {_load_problem(error)}") from None

    def signature(self, model: Any, sample: Arrays | None = None) -> Inputs:
        keras, name = import_keras(), type(model).__name__
        if not isinstance(model, keras.Model):
            raise NotAModel(name, "is not a Keras model; a layer alone cannot be converted")
        if not model.built:
            raise Unfitted(name, "fit (or build)")
        if not getattr(model, "inputs", None):
            wrap = "wrap it: x = keras.Input(...); keras.Model(x, model(x))"
            raise Unsupported(name, f"it is subclassed, so its inputs are not known; {wrap}")
        return tuple(Input(_tensor(name, value)) for value in model.inputs)

    def describe(self, model: Any, inputs: Inputs, hints: Hints = NO_HINTS) -> Original:
        """Return a Keras model with what it answers; see `networks.find_meaning`."""
        keras, name = import_keras(), type(model).__name__
        # With lists, because tf2onnx fails for inputs by name and renames the outputs of a Sequential.
        model = keras.Model(list(model.inputs), list(model.outputs), name=model.name)
        found = list(_outputs(model, inputs))
        meaning = find_meaning(found, hints)
        if len(found) == 1:  # the name of an only output says what it is
            new = "value"
            if meaning.classes:
                new = "probabilities" if has_probabilities(found[0]) else "scores"
            elif meaning.task == "transform":
                new = "embedding"
            meaning = find_meaning([found[0]._replace(name=new)], hints)
        names, binary = tuple(meaning.roles), meaning.binary
        return Original(
            framework="keras",
            framework_version=str(keras.__version__),
            model=name,
            inputs=inputs,
            roles=meaning.roles,
            run=_runner(model, inputs, names, binary),
            attempts=(Attempt("single precision", lambda: convert(model, name, names, binary)),),
            task=meaning.task,
            classes=meaning.classes,
            decides=meaning.decides,
        )


FRAMEWORK: Final = Keras()


def import_keras() -> ModuleType:
    """Return the module keras, on TensorFlow and on the CPU. Raises MissingExtra, Unsupported (another backend)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    keras = import_extra("tensorflow", "keras", "tensorflow")
    if keras.backend.backend() != "tensorflow":
        raise Unsupported("the model", f"Keras runs on {keras.backend.backend()} here; set KERAS_BACKEND=tensorflow")
    return keras


def _tensor(model: str, value: Any) -> Tensor:
    """Return an input of a Keras model as a tensor of the signature."""
    try:
        datatype = NAMES[np.dtype(value.dtype)]
    except (TypeError, KeyError):
        problem = f"input '{value.name}' has datatype {value.dtype}; encode it as numbers before"
        raise Unsupported(model, problem) from None
    if not value.shape or value.shape[0] is not None:
        raise Unsupported(model, f"input '{value.name}' has a fixed number of rows; leave batch_size out")
    return Tensor(value.name, datatype, tuple(size or -1 for size in value.shape))


def _outputs(model: Any, inputs: Inputs) -> Iterator[Output]:
    """Yield the outputs with the activation of their last layer, or with an answer if that is not known."""
    answers: list[Array | None] = [None] * len(model.outputs)
    activations = [_activation(output) for output in model.outputs]
    if not all(activations):
        rows = draw([one.tensor for one in inputs], PROBE_ROWS)
        with suppress(ValueError):  # drawn rows may have sizes that the model does not accept
            answers = list(_call(model, [rows[one.tensor.name] for one in inputs]))
    for name, output, activation, answer in zip(model.output_names, model.outputs, activations, answers, strict=True):
        yield Output(name, tuple(size or -1 for size in output.shape), activation, answer)


def _activation(output: Any) -> str | None:
    """Return the name of the activation that an output comes from, if its last layer has one."""
    layer = getattr(output, "_keras_history", None)
    operation = getattr(layer, "operation", None)
    inner = getattr(operation, "outputs", None) if hasattr(operation, "layers") else None
    if inner:  # the last layer is itself a model
        return _activation(inner[0])
    name = getattr(getattr(operation, "activation", None), "__name__", None)
    return str(name) if name else {"Softmax": "softmax"}.get(type(operation).__name__)


def _runner(model: Any, inputs: Inputs, outputs: tuple[str, ...], binary: bool) -> Callable[[Arrays], Arrays]:
    def call(rows: Arrays) -> Arrays:
        return dict(zip(outputs, _call(model, [rows[one.tensor.name] for one in inputs]), strict=True))

    def run(rows: Arrays) -> Arrays:
        answers = run_in_parts(rows_case(rows), call).tensors
        return {name: np.concatenate([1 - one, one], 1) for name, one in answers.items()} if binary else answers

    return run


def _call(model: Any, arrays: list[Array]) -> list[Array]:
    try:
        with quiet():
            answers = model(arrays if len(arrays) > 1 else arrays[0], training=False)
            return [np.asarray(one) for one in (answers if isinstance(answers, list | tuple) else [answers])]
    except Exception as error:  # TensorFlow's errors have no other base class
        raise ValueError(_cause(error)) from None


def _cause(error: Exception) -> str:
    """Return the line of an error that states the cause, without what Keras and TensorFlow put around it."""
    lines = [DECORATION.sub("", line).strip() for line in str(error).splitlines()]
    causes = [line for line in lines if line and not line.startswith(("Exception encountered", "Arguments received"))]
    return (causes or [type(error).__name__])[0]


def _load_problem(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "Lambda" in text and "safe" in text:
        return "it contains a Lambda layer, which is code; replace it by a layer of Keras"
    if isinstance(error, TypeError) and "register_keras_serializable" in text:
        return "it contains a class of your own; convert the model object from Python, where the class is known"
    return f"{type(error).__name__}: {first_line(error)}"
