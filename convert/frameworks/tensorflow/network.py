"""A function of TensorFlow as an original: what its outputs mean, what it answers, and how it is converted."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Tensor
from snooze.convert.checks.cases import Array, Arrays, Case, run_in_parts
from snooze.convert.checks.synthetic import draw_inputs
from snooze.convert.frameworks.interface import Attempt, Domain, Hints, Input, Inputs, Original
from snooze.convert.frameworks.networks import (
    Meaning,
    Output,
    find_meaning,
    name_only_output,
    split_column,
    split_columns,
)
from snooze.convert.frameworks.tensorflow.graph import (
    Function,
    cause,
    convert,
    find_activation,
    find_domain,
    freeze,
)
from snooze.convert.quiet import quiet

PROBE_ROWS: Final = 16  # drawn rows on which an output without a known activation is examined

UNNAMED: Final = re.compile(r"output_\d+|Identity(_\d+)?|(Stateful)?PartitionedCall(_\d+)?(:0)?")  # by TensorFlow


@dataclass(frozen=True)
class Network:
    """A trained network: its framework, its function, and the names of the outputs unless the function names them."""

    framework: str
    version: str
    function: Function
    outputs: tuple[str, ...] | None = None


def find_inputs(function: Function) -> Inputs:
    """Return the inputs of a function, with the values that their use shows. The first variable dimension is rows."""
    domains = [Domain()] * len(function.inputs)
    if function.inputs:
        frozen = freeze(function)
        domains = [find_domain(frozen, at, tensor) for at, tensor in enumerate(function.inputs)]
    return tuple(
        Input(tensor, 0 if tensor.shape[:1] == (-1,) else None, domain)
        for tensor, domain in zip(function.inputs, domains, strict=True)
    )


def describe(network: Network, inputs: Inputs, hints: Hints) -> Original:
    """Return a network as an original. Raises Unsupported, InvalidOption."""
    function = network.function
    frozen = freeze(function)
    activations = [find_activation(frozen, at) for at in range(len(frozen.outputs))]
    answers = _probe(function, inputs, len(frozen.outputs))
    shapes = [_shape(answer) if one is None else one for one, answer in zip(frozen.shapes, answers, strict=True)]
    taken = {one.tensor.name for one in inputs}
    outputs = [f"{name}_output" if name in taken else name for name in network.outputs or frozen.keys]
    found = [Output(*one) for one in zip(outputs, shapes, activations, answers, strict=True)]
    meaning = name_unnamed_output(found, hints, inputs)
    names, binary, model = tuple(meaning.roles), meaning.binary, function.model

    def attempt() -> Any:
        made = convert(frozen, model, [one.tensor.name for one in inputs], names, shapes)
        return split_columns(made, names[0]) if binary else made

    return Original(
        framework=network.framework,
        framework_version=network.version,
        model=model,
        inputs=inputs,
        roles=meaning.roles,
        run=make_runner(lambda arrays: call(function, arrays), inputs, names, binary),
        attempts=(Attempt("single precision", attempt),),
        task=meaning.task,
        classes=meaning.classes,
        decides=meaning.decides,
        probabilities=find_probabilities(meaning, found),
    )


def name_unnamed_output(found: Sequence[Output], hints: Hints, inputs: Inputs) -> Meaning:
    """Return what outputs mean; an only output that nobody named is called what it is."""
    if not UNNAMED.fullmatch(found[0].name):
        return find_meaning(found, hints)
    return name_only_output(found, hints, {one.tensor.name for one in inputs})


def find_probabilities(meaning: Meaning, found: Sequence[Output]) -> frozenset[str]:
    """Return the names of the outputs that end in a softmax or sigmoid."""
    return frozenset(name for name, one in zip(meaning.roles, found, strict=True) if one.activation)


def make_runner(
    answer: Callable[[list[Array]], list[Array]], inputs: Inputs, outputs: tuple[str, ...], binary: bool
) -> Callable[[Arrays], Arrays]:
    """Return `Original.run` for a function of arrays in the order of the inputs. See `Meaning` for `binary`."""
    axes = {one.tensor.name: one.axis for one in inputs}

    def call(rows: Arrays) -> Arrays:
        return dict(zip(outputs, answer([rows[name] for name in axes]), strict=True))

    def run(rows: Arrays) -> Arrays:
        answers = run_in_parts(Case({name: rows[name] for name in axes}, axes), call).tensors
        return {name: split_column(one) for name, one in answers.items()} if binary else answers

    return run


def call(function: Function, arrays: list[Array]) -> list[Array]:
    """Return what a function answers. Raises ValueError, of whatever kind its own error is."""
    from tensorflow import convert_to_tensor, nest

    try:
        with quiet():
            tensors = [convert_to_tensor(one, _dtype(spec)) for one, spec in zip(arrays, function.inputs, strict=True)]
            return [_array(one) for one in nest.flatten(function.call(*tensors))]
    except Exception as error:  # TensorFlow's errors have no other base class
        raise ValueError(cause(error)) from None


def _dtype(tensor: Tensor) -> Any:
    from snooze.bundle.datatypes import DATATYPES

    return "string" if tensor.datatype == "BYTES" else DATATYPES[tensor.datatype]


def _array(tensor: Any) -> Array:
    array = np.asarray(tensor)
    return np.vectorize(bytes.decode, otypes=[object])(array) if array.dtype.kind in "OS" else array


def _probe(function: Function, inputs: Inputs, outputs: int) -> list[Array | None]:
    """Return what a function answers to drawn rows, or nothing if it does not accept them."""
    rows = draw_inputs(inputs, PROBE_ROWS)
    with suppress(ValueError):  # drawn rows may have sizes that the model does not accept
        return list(call(function, [rows[one.tensor.name] for one in inputs]))
    return [None] * outputs


def _shape(answer: Array | None) -> tuple[int, ...]:
    return () if answer is None else (-1, *answer.shape[1:])
