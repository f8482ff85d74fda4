"""A model of PyTorch as a function of named tensors: modules, TorchScript and exported programs alike."""

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from snooze.convert.checks.cases import Array, Arrays
from snooze.convert.errors import NotAModel, Unfitted, Unsupported
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.interface import first_line
from snooze.convert.quiet import quiet

WEIGHTS_ONLY: Final = (
    "contains weights without their network; save both: "
    "torch.export.save(torch.export.export(model.eval(), (sample,)), 'model.pt2'), "
    "or torch.jit.save(torch.jit.script(model.eval()), 'model.pt')"
)
LOW_PRECISION: Final = ("torch.float16", "torch.bfloat16")
TRAINING_ARGUMENT: Final = {"dropout": 2, "native_dropout": 2, "feature_dropout": 2, "batch_norm": 5}
RTOL: Final = 1e-4
ATOL: Final = 1e-5
RANDOM: Final = "call model.eval() before it is exported or traced"


@dataclass(frozen=True)
class Network:
    """
    A model that answers as it will be served: in evaluation mode, on the CPU, in at least single precision.

    `arguments` maps the names that it can be called with to whether each is required. `call` takes a tensor for each of
    some names. `cast` is the datatype that the model was saved in, if it was another.
    """

    name: str
    kind: Literal["module", "script", "program"]
    model: Any
    arguments: Mapping[str, bool]
    call: Callable[[Mapping[str, Any]], Any]
    cast: str | None = None

    def run(self, arrays: Arrays) -> Arrays:
        """Return the outputs by name: keys of a dict, fields, or `output_0`... An only output is called ""."""
        torch = import_torch()
        try:
            with quiet(), torch.inference_mode():
                found = [*flatten(self.call({name: as_tensor(array) for name, array in arrays.items()}))]
        except Unsupported:
            raise
        except Exception as error:  # PyTorch raises RuntimeError, and whatever the code of the model runs into
            raise ValueError(cause(error)) from None
        return {one.name: _as_array(one.tensor) for one in found}


def import_torch() -> ModuleType:
    """Return the module torch. Raises MissingExtra."""
    return import_extra("torch", "torch")


def read_network(model: Any) -> Network:
    """Return a model as a network. The model itself is not changed. Raises NotAModel, Unfitted, Unsupported."""
    torch = import_torch()
    model = getattr(model, "_orig_mod", model)  # of torch.compile
    if isinstance(model, torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel):
        model = model.module
    name = getattr(model, "original_name", None) or type(model).__name__
    if isinstance(model, Mapping):
        raise NotAModel(name, WEIGHTS_ONLY)
    if isinstance(model, torch.export.ExportedProgram):
        return _read_program(model)
    if not isinstance(model, torch.nn.Module):
        raise NotAModel(name, "is not a network of PyTorch; expected a torch.nn.Module or an exported program")
    _check_weights(name, model)
    kind: Literal["module", "script"] = "script" if isinstance(model, torch.jit.ScriptModule) else "module"
    low = _low_precision(model)
    if low and kind == "script":
        raise Unsupported(name, f"it has weights in {low}; call .float() on the module and script or trace it again")
    elsewhere = any(value.device.type != "cpu" for value in _weights(model))
    if low or elsewhere or any(part.training for part in model.modules()):
        with quiet():
            model = copy.deepcopy(model).eval().cpu()
            model = model.float() if low else model
    if kind == "script":
        _check_graph(name, model.inlined_graph)
    arguments = _script_arguments(name, model) if kind == "script" else _arguments(model)
    return Network(name, kind, model, arguments, lambda given: model(**given), low)


def as_tensor(array: Array) -> Any:
    """Return an array as a tensor of its own memory."""
    return import_torch().from_numpy(np.ascontiguousarray(array).copy().reshape(array.shape))


class Found(NamedTuple):
    """A tensor in an answer: its name, and the indices and keys that lead to it."""

    name: str
    path: str
    tensor: Any


def flatten(answer: Any, name: str = "", path: str = "") -> Iterator[Found]:
    """Yield the tensors in an answer. Raises Unsupported for other values."""
    if isinstance(answer, import_torch().Tensor):
        yield Found(name, path, answer)
    elif isinstance(answer, Mapping):
        for key, value in answer.items():
            yield from flatten(value, f"{name}_{key}" if name else str(key), f"{path}[{key!r}]")
    elif isinstance(answer, tuple | list):
        names = getattr(answer, "_fields", None) or [f"{name or 'output'}_{at}" for at in range(len(answer))]
        for at, value in enumerate(answer):
            yield from flatten(value, names[at] if len(answer) > 1 else name, f"{path}[{at}]")
    elif answer is not None:
        what = f"output '{name}'" if name else "its answer"
        raise Unsupported("the model", f"{what} is a {type(answer).__name__}; return tensors from forward")


def cause(error: BaseException) -> str:
    """Return the line of an error that states the cause: TorchScript puts a traceback of its own around it."""
    lines = [line.strip() for line in str(error).splitlines()]
    stated = [line for line in lines if line.startswith(("RuntimeError:", "AssertionError:", "torch.jit.Error:"))]
    return (stated[-1].partition(":")[2].strip() if stated else first_line(error)) or type(error).__name__


def program_inputs(program: Any) -> dict[str, Any]:
    """Return the placeholders of an exported program that a user feeds, with their example values."""
    found = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    return {
        name: found[name] for name in program.graph_signature.user_inputs if isinstance(name, str) and name in found
    }


def _read_program(program: Any) -> Network:
    torch = import_torch()
    name = "ExportedProgram"
    tensors = program_inputs(program)
    if low := next((str(one.dtype) for one in _weights(program) if str(one.dtype) in LOW_PRECISION), None):
        raise Unsupported(name, f"it has weights in {low.split('.')[1]}; call .float() on the module and export again")
    for argument, value in tensors.items():
        if not isinstance(value, torch.Tensor):
            problem = f"input '{argument}' is a {type(value).__name__}, not a tensor"
            raise Unsupported(name, f"{problem}; export the module with a constant or a tensor in its place")
    _check_graph(name, program.graph)
    with quiet():
        module = program.module()
    constants = list(program.graph_signature.user_inputs)

    def call(given: Mapping[str, Any]) -> Any:
        flat = [given.get(one) if isinstance(one, str) else one for one in constants]
        arguments, keywords = torch.utils._pytree.tree_unflatten(flat, program.call_spec.in_spec)
        return module(*arguments, **keywords)

    return Network(name, "program", program, dict.fromkeys(tensors, True), call)


def _arguments(module: Any) -> dict[str, bool]:
    """Return the arguments of a module's forward, and whether each is required."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = inspect.signature(module.forward).parameters.values()
    named = {one.name: one.default is inspect.Parameter.empty for one in found if one.kind in kinds}
    if not named:
        remedy = "give each of its inputs an argument of its own, def forward(self, image, mask)"
        raise Unsupported(type(module).__name__, f"its forward has no named arguments; {remedy}")
    return named


def _script_arguments(name: str, module: Any) -> dict[str, bool]:
    """Return the tensors among the arguments of TorchScript. Raises Unsupported if it requires something else."""
    found = {}
    for one in module.forward.schema.arguments[1:]:
        if str(one.type) in ("Tensor", "Optional[Tensor]"):
            found[one.name] = not one.has_default_value()
        elif not one.has_default_value():
            problem = f"its argument '{one.name}' is of type {one.type}, and only tensors are sent"
            raise Unsupported(name, f"{problem}; give it a default, or script a module that fixes it")
    return found


def _weights(model: Any) -> list[Any]:
    return [*model.parameters(), *model.buffers()]


def _low_precision(model: Any) -> str | None:
    """Return the datatype of weights that have less than single precision."""
    kinds = [str(value.dtype) for value in _weights(model)]
    return next((kind.split(".")[1] for kind in kinds if kind in LOW_PRECISION), None)


def _check_weights(name: str, model: Any) -> None:
    torch = import_torch()
    for value in _weights(model):
        if isinstance(value, torch.nn.parameter.UninitializedTensorMixin):
            raise Unfitted(name, "forward, which gives its lazy layers their weights,")
        if value.device.type == "meta":
            raise Unsupported(name, "its weights are on the meta device, where they have no values; load them first")


def _check_graph(name: str, graph: Any) -> None:
    """Raise Unsupported if a graph was recorded in training mode, in which it drops values or averages over rows."""
    for operation, training in _training_flags(graph):
        if training is True:
            raise Unsupported(name, f"{operation} was recorded in training mode; {RANDOM}")


def _training_flags(graph: Any) -> Iterator[tuple[str, Any]]:
    """Yield operations of a graph of TorchScript or of an exported program, with the argument that says `training`."""
    for operation, place in TRAINING_ARGUMENT.items():
        if hasattr(graph, "findAllNodes"):
            for node in graph.findAllNodes(f"aten::{operation}"):
                yield operation, [*node.inputs()][place].toIValue()
        else:
            for node in graph.nodes:
                if str(node.target).startswith(f"aten.{operation}.") and len(node.args) > place:
                    yield operation, node.args[place]


def _as_array(tensor: Any) -> Array:
    torch = import_torch()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    if tensor.is_complex() or tensor.is_sparse or tensor.is_quantized:
        kind = "complex" if tensor.is_complex() else "sparse" if tensor.is_sparse else "quantized"
        raise Unsupported("the model", f"it answers with a {kind} tensor; return dense real tensors from forward")
    return np.asarray(tensor.detach().cpu().numpy())


def answer_twice(network: Network, arrays: Arrays) -> Arrays:
    """Return the outputs. Raises Unsupported if the same rows get other answers the second time."""
    first, second = network.run(arrays), network.run(arrays)
    for name in first:
        if not np.allclose(first[name], second[name], RTOL, ATOL, equal_nan=True):  # threads may sum in another order
            problem = "it answers differently to the same rows, as dropout in training mode or random numbers do"
            raise Unsupported(network.name, f"{problem}; {RANDOM}, and draw no numbers in forward")
    return first
