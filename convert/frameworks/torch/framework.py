"""
PyTorch: modules in memory, exported programs (`.pt2`), TorchScript, and pickled modules.

Inputs have the names of forward's arguments. The output of a network that classifies is `probabilities`, or `scores` if
it ends in logits; a single sigmoid becomes two columns, 1 - p and p. Other single outputs are `value`; several outputs
have the keys of the dict that forward returns, or are `output_0`, `output_1`...
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.bundle.datatypes import DATATYPES
from snooze.convert.checks.cases import Array, Arrays, Case, join, split
from snooze.convert.checks.synthetic import draw_inputs
from snooze.convert.errors import NotAModel, Untrusted
from snooze.convert.frameworks.interface import NO_HINTS, Attempt, Framework, Hints, Inputs, Loaded, Original
from snooze.convert.frameworks.networks import Meaning, Output, name_only_output, split_column, split_columns
from snooze.convert.frameworks.torch.archive import check_archive, find_kind, is_from_gpu, reaches_out
from snooze.convert.frameworks.torch.graph import add_axis, convert_program, convert_trace
from snooze.convert.frameworks.torch.network import (
    WEIGHTS_ONLY,
    Network,
    answer_twice,
    as_tensor,
    cause,
    flatten,
    import_torch,
    read_network,
)
from snooze.convert.frameworks.torch.signature import from_program, from_sample, max_rows
from snooze.convert.quiet import quiet

Convert = Callable[[Network, Inputs, Sequence[str], bool], Any]

PROBE_ROWS: Final = 16  # drawn rows on which outputs are examined
CHUNK: Final = 256  # rows that a network is given at once
ACTIVATIONS: Final = {"Sigmoid": "sigmoid", "Softmax": "softmax", "LogSoftmax": "log_softmax"}  # by gradient function
PASSING: Final = ("Squeeze", "Unsqueeze", "View", "UnsafeView", "Alias", "Clone", "ToCopy", "Reshape")


class Form(NamedTuple):
    """The names of the outputs; whether the only one becomes a column for each of two classes, and is `flat` before."""

    names: tuple[str, ...]
    binary: bool
    flat: bool


class Torch(Framework):
    """PyTorch models in memory, or in `.pt2` and `.pt` files."""

    name = "torch"
    suffixes = (".pt", ".pth", ".pt2", ".torchscript")
    formats = ".pt (TorchScript), .pt2 with --trust (torch.export)"
    isolated = True

    def recognizes_file(self, path: Path) -> bool:
        return find_kind(path) is not None

    def recognizes(self, model: object) -> bool:
        kinds = [model] if not isinstance(model, Mapping) else list(model.values())[:1]  # a state dict
        packages = {base.__module__.partition(".")[0] for kind in kinds for base in type(kind).__mro__}
        return "torch" in packages and "keras" not in packages  # Keras on PyTorch is Keras

    def needs_trust(self, path: Path) -> bool:
        kind = find_kind(path)
        return kind in ("program", "module") or (kind == "script" and reaches_out(path))

    def load(self, path: Path, trust: bool = False) -> Loaded:
        kind = find_kind(path)
        if kind is None:
            raise NotAModel(str(path), "is not a file of PyTorch, or is damaged; save the model again")
        check_archive(path)
        if kind == "weights":
            raise NotAModel(str(path), WEIGHTS_ONLY)
        if self.needs_trust(path) and not trust:
            raise Untrusted(str(path))
        torch = import_torch()
        readers: dict[str, Callable[[str], Any]] = {
            "script": lambda file: torch.jit.load(file, map_location="cpu"),
            "program": torch.export.load,
            "module": lambda file: torch.load(file, map_location="cpu", weights_only=False),
        }
        try:
            with quiet():
                model = readers[kind](str(path))
        except Exception as error:  # PyTorch raises RuntimeError, and pickles raise anything
            raise NotAModel(str(path), f"cannot be read: {_load_problem(error, kind, path)}") from None
        if not self.recognizes(model):
            raise NotAModel(str(path), f"contains a {type(model).__name__}, expected a torch.nn.Module")
        return Loaded(model)

    def signature(self, model: Any, sample: Arrays | None = None) -> Inputs:
        network = read_network(model)
        return from_program(network) if network.kind == "program" else from_sample(network, sample)

    def describe(self, model: Any, inputs: Inputs, hints: Hints = NO_HINTS) -> Original:
        """Return a PyTorch model with what it answers; see `networks.find_meaning`."""
        network = read_network(model)
        limit = min(max_rows(network) or CHUNK, CHUNK)
        rows = draw_inputs(inputs, min(PROBE_ROWS, limit))
        answers = answer_twice(network, rows)
        meaning = _find_meaning(answers, _activations(network, rows), inputs, hints)
        flat = all(array.ndim == 1 for array in answers.values())
        form = Form(tuple(meaning.roles), meaning.binary, flat)
        axes = _row_axes(network, inputs, form.names, limit)
        return Original(
            framework="torch",
            framework_version=str(import_torch().__version__),
            model=network.name,
            inputs=inputs,
            roles=meaning.roles,
            run=_runner(network, inputs, form, axes, limit),
            attempts=tuple(_attempts(network, inputs, form)),
            task=meaning.task,
            classes=meaning.classes,
            decides=meaning.decides,
            axes=axes,
        )


FRAMEWORK: Final = Torch()


def _attempts(network: Network, inputs: Inputs, form: Form) -> Iterator[Attempt]:
    """Yield the ways to convert a network: with every variable dimension, then with the lengths of the sample only."""
    exporters: list[tuple[str, Convert]] = [("torch.export", convert_program), ("TorchScript", convert_trace)]
    chosen = {"program": exporters[:1], "script": exporters[1:]}.get(network.kind, exporters)
    cast = f", cast from {network.cast}" if network.cast else ""
    lengths = network.kind != "program" and any(-1 in one.tensor.shape[1:] for one in inputs)
    for variable, note in ((True, ""), (False, ", lengths of the sample only"))[: 1 + lengths]:
        for name, convert in chosen:
            make = partial(_convert, convert, network, inputs, form, variable)
            yield Attempt(f"{name}{note}{cast}", make)


def _convert(convert: Convert, network: Network, inputs: Inputs, form: Form, variable: bool) -> Any:
    graph = convert(network, inputs, form.names, variable)
    if not form.binary:
        return graph
    return split_columns(add_axis(graph, form.names[0]) if form.flat else graph, form.names[0])


def _runner(
    network: Network, inputs: Inputs, form: Form, axes: Mapping[str, int | None] | None, limit: int
) -> Callable[[Arrays], Arrays]:
    dtypes = {one.tensor.name: DATATYPES[one.tensor.datatype] for one in inputs}

    def call(rows: Arrays) -> Arrays:
        with np.errstate(over="ignore"):  # beyond single precision is infinite, as in a request
            given = {name: np.asarray(rows[name], dtype) for name, dtype in dtypes.items()}
        return dict(zip(form.names, network.run(given).values(), strict=True))

    def run(rows: Arrays) -> Arrays:
        case = Case(rows, {one.tensor.name: one.axis for one in inputs})
        whole = axes is None or None in axes.values()
        parts = [part.answer(call(part.tensors), axes) for part in ([case] if whole else split(case, limit))]
        answers = join(parts).tensors
        return {name: split_column(one) for name, one in answers.items()} if form.binary else answers

    return run


def _activations(network: Network, rows: Arrays) -> dict[str, str | None]:
    """Return the activation that each output comes from, if autograd has noted a known one."""
    torch = import_torch()
    given = {name: as_tensor(array) for name, array in rows.items()}
    # Copies, because a network may change its input in place.
    given = {name: one.requires_grad_().clone() if one.is_floating_point() else one for name, one in given.items()}
    try:
        with quiet(), torch.enable_grad(), torch.jit.optimized_execution(False):
            return {one.name: _activation(one.tensor.grad_fn) for one in flatten(network.call(given))}
    except Exception:  # what runs without gradients may fail with them
        return dict.fromkeys(network.run(rows))


def _activation(node: Any) -> str | None:
    while node is not None and node.name().partition("Backward")[0] in PASSING:
        node = node.next_functions[0][0]
    return None if node is None else ACTIVATIONS.get(node.name().partition("Backward")[0])


def _find_meaning(answers: Arrays, activations: Mapping[str, str | None], inputs: Inputs, hints: Hints) -> Meaning:
    """Return what the outputs mean, with their final names."""
    taken = {one.tensor.name for one in inputs}
    found = [
        _output(f"{name}_output" if name in taken else name, array, activations[name])
        for name, array in answers.items()
    ]
    return name_only_output(found, hints, taken)


def _output(name: str, array: Array, activation: str | None) -> Output:
    shape = (-1, *array.shape[1:])
    if len(shape) == 1:
        shape = (-1, 1)  # its only column is usually squeezed
    return Output(name, shape, activation, array)


def _row_axes(network: Network, inputs: Inputs, names: tuple[str, ...], limit: int) -> dict[str, int | None] | None:
    """Return the axis of the rows in each output, observed; None if the network has no rows."""
    if limit < 3 or any(one.axis is None for one in inputs):
        return None
    two, three = (network.run(draw_inputs(inputs, rows)).values() for rows in (2, 3))
    sizes = [list(zip(few.shape, more.shape, strict=True)) for few, more in zip(two, three, strict=True)]
    return {name: one.index((2, 3)) if (2, 3) in one else None for name, one in zip(names, sizes, strict=True)}


def _load_problem(error: Exception, kind: str, path: Path) -> str:
    """Return why a file cannot be read, and what to do."""
    remedy = "or save the network with torch.export.save"
    if isinstance(error, ModuleNotFoundError):
        module = f"its class is in the module '{error.name}', which cannot be imported"
        return f"{module}; add its folder to PYTHONPATH, {remedy}"
    if kind == "module" and isinstance(error, AttributeError):
        found = re.search(r"attribute '(\w+)'", str(error))
        name = f" {found[1]}" if found else ""
        return (
            f"its class{name} is not in the module that it was saved from; put it into one that is imported, {remedy}"
        )
    if kind == "program" and isinstance(error, KeyError):
        return "it contains no exported program; save one with torch.export.save"
    if kind == "program" and is_from_gpu(path):
        return "it was exported on a GPU; export it again from model.cpu()"
    problem = f"{type(error).__name__}: {cause(error)}"
    if kind == "program" or "version" in problem:
        problem += f"; it is damaged, or of another version of PyTorch than {import_torch().__version__}"
    return problem
