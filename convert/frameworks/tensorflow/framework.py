"""
TensorFlow: SavedModel folders, modules (`tf.Module`) and functions (`tf.function`).

A SavedModel is served by its signature `serving_default`, or by its only one, with the names of that signature. An only
output that TensorFlow itself named (`output_0`) is called what it is, as those of Keras are.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData
from snooze.convert.checks.cases import Arrays
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import NO_HINTS, Framework, Hints, Inputs, Loaded, Original
from snooze.convert.frameworks.tensorflow import network, saved_model
from snooze.convert.frameworks.tensorflow.arguments import (
    arrange,
    from_sample,
    make_tensor,
    parameters,
)
from snooze.convert.frameworks.tensorflow.graph import Frozen, Function, import_tensorflow
from snooze.convert.frameworks.tensorflow.saved_model import SavedModel, choose_signature


class Entry(NamedTuple):
    """A function of Python to convert: its arguments, what is known about them, and the object that it belongs to."""

    model: str
    call: Callable[..., Any]
    names: Sequence[str]
    specs: Sequence[Any] | None  # a `tf.TensorSpec` for each name
    owner: Any
    freeze: Callable[[], Frozen] | None = None

    def function(self, tensors: Sequence[Tensor]) -> Function:
        """Return it as a function of a tensor for each of the inputs."""
        arguments = arrange(self.names, tensors)

        def call(*values: Any) -> Any:
            return self.call(**arguments.bind(values))

        return Function(self.model, arguments.ordered, call, self.owner, self.freeze)


class TensorFlow(Framework):
    """SavedModel folders, and modules and functions in memory."""

    name = "tensorflow"
    suffixes = (".pb", ".pbtxt")
    formats = "SavedModel folder"
    isolated = True

    def recognizes_file(self, path: Path) -> bool:
        return path.name in saved_model.FILES or any((path / name).is_file() for name in saved_model.FILES)

    def recognizes(self, model: object) -> bool:
        bases = type(model).__mro__
        return isinstance(model, SavedModel) or "tensorflow" in {one.__module__.partition(".")[0] for one in bases}

    def needs_trust(self, path: Path) -> bool:
        return False  # its operators are data; those that run Python or use files are refused

    def load(self, path: Path, trust: bool = False) -> Loaded:
        return Loaded(saved_model.load(path))

    def signature(self, model: Any, sample: Arrays | None = None) -> Inputs:
        entry = _find_entry(model)
        return network.find_inputs(entry.function(_tensors(entry, sample)))

    def describe(self, model: Any, inputs: Inputs, hints: Hints = NO_HINTS) -> Original:
        """Return what a signature or function answers; see `networks.find_meaning`."""
        tf, entry = import_tensorflow(), _find_entry(model)
        function = entry.function([one.tensor for one in inputs])
        return network.describe(network.Network("tensorflow", str(tf.__version__), function), inputs, hints)


FRAMEWORK: Final = TensorFlow()


def _find_entry(model: Any) -> Entry:
    """Return the function of a model that is converted. Raises Unsupported if there are several, or none."""
    import_tensorflow()
    from tensorflow.types.experimental import ConcreteFunction, PolymorphicFunction

    name = type(model).__name__
    if isinstance(model, SavedModel):
        return _find_entry(model.function)._replace(model="SavedModel", owner=model.owner, freeze=model.freeze)
    if getattr(model, "signatures", None):  # what tf.saved_model.load returns
        return _find_entry(SavedModel(model.signatures[choose_signature(name, model.signatures)], model))
    if isinstance(model, ConcreteFunction):
        positional, named = model.structured_input_signature
        names = [*model.function_type.parameters][: len(positional)] + sorted(named)
        return Entry(name, model, names, [*positional, *(named[one] for one in sorted(named))], model)
    if isinstance(model, PolymorphicFunction):
        names, specs = parameters(model), model.input_signature
        return Entry(name, model, names, specs if specs and len(specs) == len(names) else None, model)
    if "__call__" in vars(type(model)):
        found = model.__call__  # a bound function keeps its input_signature
        inner = _find_entry(found) if isinstance(found, PolymorphicFunction) else None
        return inner._replace(model=name, owner=model) if inner else Entry(name, model, parameters(found), None, model)
    functions = [one for one in dir(model) if isinstance(getattr(model, one, None), PolymorphicFunction)]
    if len(functions) == 1:
        return _find_entry(getattr(model, functions[0]))._replace(model=name, owner=model)
    problem = f"it has the functions {', '.join(functions)}" if functions else "it has no function"
    raise Unsupported(name, f"{problem}, and no __call__; give the tf.function itself to snooze.convert.convert")


def _tensors(entry: Entry, sample: Arrays | None) -> Sequence[Tensor]:
    """Return the inputs as stated, or as rows show them. Raises InvalidData if rows are needed."""
    specs = entry.specs
    if specs is not None and all(
        getattr(one, "shape", None) is not None and one.shape.rank is not None for one in specs
    ):
        return [
            make_tensor(entry.model, name, one.dtype, tuple(one.shape))
            for name, one in zip(entry.names, specs, strict=True)
        ]
    if sample is None:
        problem = f"the shapes of {', '.join(entry.names)} are not known; add rows, from which they show"
        raise InvalidData(entry.model, problem)
    return from_sample(entry.names, sample, entry.model).ordered
