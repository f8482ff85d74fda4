"""
Keras on TensorFlow: Sequential, functional and subclassed models, of Keras 3 and of tf_keras.

Inputs keep the names of the input layers, or of the arguments or keys of a subclassed model. The output of a network
that classifies is `probabilities`, or `scores` if it ends in logits; a single sigmoid becomes two columns, 1 - p and p.
Other single outputs are `value`; several outputs keep their keys, or the names of their layers.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from snooze.bundle.adapters.interface import Declaration
from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidData
from snooze.convert.checks.cases import Arrays
from snooze.convert.errors import NotAModel, Unfitted, Unsupported
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.interface import (
    NO_HINTS,
    Framework,
    Hints,
    Inputs,
    Loaded,
    Original,
    PictureReader,
)
from snooze.convert.frameworks.keras import files, pictures
from snooze.convert.frameworks.tensorflow import network
from snooze.convert.frameworks.tensorflow.arguments import (
    Arguments,
    arrange,
    from_sample,
    from_shapes,
    make_tensor,
    name_outputs,
    parameters,
)
from snooze.convert.frameworks.tensorflow.graph import Function, cause, import_tensorflow
from snooze.convert.quiet import quiet

TEXT_REMEDY: Final = (
    "ONNX has no operators for its TextVectorization; convert the layers behind it as a model of their own, and give "
    "its vocabulary as a tokenizer with --adapter (docs/inputs.md shows how)"
)


class Keras(Framework):
    """Keras models in memory, or in `.keras` and `.h5` files."""

    name = "keras"
    suffixes = (".keras", ".h5", ".hdf5")
    formats = ".keras, .h5"
    isolated = True

    def recognizes_file(self, path: Path) -> bool:
        return files.is_archive(path) or files.is_hdf5(path)

    def recognizes(self, model: object) -> bool:
        return not {"keras", "tf_keras"}.isdisjoint(base.__module__.partition(".")[0] for base in type(model).__mro__)

    def needs_trust(self, path: Path) -> bool:
        return False  # code in the file, such as a Lambda layer's, is refused

    def load(self, path: Path, trust: bool = False) -> Loaded:
        return Loaded(files.load(path, import_keras()))

    def signature(self, model: Any, sample: Arrays | None = None) -> Inputs:
        keras, name = _keras_of(model), type(model).__name__
        if not isinstance(model, keras.Model):
            raise NotAModel(name, "is not a Keras model; a layer alone cannot be converted")
        if any(type(layer).__name__ == "TextVectorization" for layer in _layers(model)):
            raise Unsupported(name, TEXT_REMEDY)
        if not model.built:
            _build(model, sample)
        if _is_functional(model):
            tensors = [make_tensor(name, value.name, value.dtype, tuple(value.shape)) for value in model.inputs]
            model = keras.Model(list(model.inputs), list(model.outputs))
            return network.find_inputs(Function(name, tuple(tensors), lambda *values: _call(model, values), model))
        arguments = _arguments(model, sample)
        return network.find_inputs(_function(model, arguments))

    def scales_pictures(self, model: Any) -> bool:
        return pictures.scales(model)

    def picture_reader(self, declaration: Declaration) -> PictureReader | None:
        return pictures.make_reader(import_keras(), declaration)

    def describe(self, model: Any, inputs: Inputs, hints: Hints = NO_HINTS) -> Original:
        """Return a Keras model with what it answers; see `networks.find_meaning`."""
        keras, name = _keras_of(model), type(model).__name__
        tensors = tuple(one.tensor for one in inputs)
        if _is_functional(model):
            # With lists, because a functional model of a dict takes nothing else.
            flat = keras.Model(list(model.inputs), list(model.outputs), name=model.name)
            outputs = _output_names(model, flat)
            function = Function(name, tensors, lambda *values: _call(flat, values), flat)
        else:
            function, outputs = _function(model, arrange(parameters(model.call), tensors)), None
        made = network.Network("keras", str(keras.__version__), function, outputs)
        return network.describe(made, inputs, hints)


FRAMEWORK: Final = Keras()


def import_keras() -> ModuleType:
    """Return the module keras, on TensorFlow and on the CPU. Raises MissingExtra, Unsupported (another backend)."""
    import_tensorflow()
    keras = import_extra("tensorflow", "keras")
    if keras.backend.backend() != "tensorflow":
        raise Unsupported("the model", f"Keras runs on {keras.backend.backend()} here; set KERAS_BACKEND=tensorflow")
    return keras


def _keras_of(model: object) -> ModuleType:
    """Return keras, or tf_keras if the model comes from it."""
    keras = import_keras()
    bases = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    return import_extra("tensorflow", "tf_keras") if "tf_keras" in bases else keras


def _is_functional(model: Any) -> bool:
    """Return whether a model knows its inputs. A subclassed one does not."""
    return bool(getattr(model, "inputs", None)) and bool(getattr(model, "outputs", None))


def _arguments(model: Any, sample: Arrays | None) -> Arguments:
    """Return the arguments of a subclassed model. Raises InvalidData if neither it nor rows tell them."""
    names, model_name = parameters(model.call), type(model).__name__
    if sample is not None:
        return from_sample(names, sample, model_name)
    shapes = getattr(model, "_build_shapes_dict", None)
    # Keras records shapes but no datatypes, and only those of the arguments of `build`.
    looks_up = any("Embedding" in type(layer).__name__ or "Lookup" in type(layer).__name__ for layer in _layers(model))
    if not isinstance(shapes, Mapping) or len(shapes) != len(names) or looks_up:
        raise InvalidData(model_name, "it is subclassed and does not tell its inputs; add rows, from which they show")
    return from_shapes(names, shapes, "float32")


def _layers(model: Any) -> list[Any]:
    return list(model._flatten_layers(include_self=False))


def _build(model: Any, sample: Arrays | None) -> None:
    """Build a model that was never called, by a call with a sample row. Raises Unfitted (no sample), InvalidData."""
    name = type(model).__name__
    if sample is None:
        raise Unfitted(name, "fit (or build)")
    arguments = from_sample(parameters(model.call), sample, name)
    try:
        with quiet():
            keras, tensors = _keras_of(model), arguments.ordered
            if isinstance(model, keras.Sequential):  # becomes functional, with the number of rows of its first call
                rows = [keras.Input(one.shape[1:], dtype=_dtype(one)) for one in tensors]
            else:  # with zeros and empty texts, because the rows may still be columns of a table
                rows = [_blank(one) for one in tensors]
            model(**arguments.bind(rows), training=False)
    except Exception as error:  # code of the model's author runs here
        raise InvalidData("the rows", f"{name} does not accept them: {cause(error)}") from None


def _blank(tensor: Tensor) -> Any:
    from tensorflow import zeros

    return zeros([1, *tensor.shape[1:]], _dtype(tensor))


def _dtype(tensor: Tensor) -> str:
    return "string" if tensor.datatype == "BYTES" else DATATYPES[tensor.datatype].name


def _call(model: Any, values: Sequence[Any]) -> Any:
    return model(list(values) if len(values) > 1 else values[0], training=False)


def _function(model: Any, arguments: Arguments) -> Function:
    name = type(model).__name__
    return Function(name, arguments.ordered, lambda *values: model(**arguments.bind(values), training=False), model)


def _output_names(model: Any, flat: Any) -> tuple[str, ...]:
    """Return the keys of a functional model's outputs, else the names of the layers of its `flat` form."""
    structure = getattr(model, "_outputs_struct", getattr(model, "_nested_outputs", None))
    if isinstance(structure, Mapping):
        return name_outputs(structure)
    return tuple(map(str, flat.output_names)) if len(flat.outputs) > 1 else ("output_0",)
