"""How tensors are handed to a function of Python, and what its outputs are called."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from snooze.bundle.contract import Datatype, Tensor
from snooze.bundle.datatypes import NAMES
from snooze.bundle.errors import InvalidData
from snooze.convert.checks.cases import Array, Arrays
from snooze.convert.errors import Unsupported


class Arguments(NamedTuple):
    """The tensors of a function, and for each of its arguments the name of a tensor, or names by key or in a list."""

    tensors: Mapping[str, Tensor]
    structure: Mapping[str, Any]

    @property
    def ordered(self) -> tuple[Tensor, ...]:
        """The tensors in the order in which `bind` takes them."""
        from tensorflow import nest

        return tuple(self.tensors[name] for name in nest.flatten([*self.structure.values()]))

    def bind(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return values, one for each tensor, as keyword arguments."""
        from tensorflow import nest

        packed = nest.pack_sequence_as([*self.structure.values()], list(values))
        return dict(zip(self.structure, packed, strict=True))


def parameters(call: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments that a function must be given, without `training` and `mask`."""
    found = inspect.signature(call).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = [one.name for one in found if one.kind in kinds and one.default is one.empty]
    return [name for name in names if name not in ("self", "training", "mask")]


def arrange(names: Sequence[str], tensors: Sequence[Tensor]) -> Arguments:
    """Return which of the tensors each argument takes: the one of its name, or the only other argument all others."""
    by_name = {one.name: one for one in tensors}
    rest = [name for name in by_name if name not in names]
    structure: dict[str, Any] = {}
    for name in names:
        if name in by_name:
            structure[name] = name
        elif rest == [f"{name}_{index}" for index in range(len(rest))]:
            structure[name] = rest
        else:
            structure[name] = {one: one for one in rest}
    return Arguments(by_name, structure)


def from_sample(names: Sequence[str], sample: Arrays, model: str) -> Arguments:
    """Return the arguments `names` of a function with the shapes and datatypes of sample rows. Raises InvalidData."""
    if len(names) == 1 and len(sample) == 1:
        sample = {names[0]: next(iter(sample.values()))}
    elif len(names) == 1 and all(array.ndim == 1 for array in sample.values()):  # the columns of a table
        table = np.stack([*sample.values()], 1)
        sample = {names[0]: table.astype(np.float32) if table.dtype.kind in "biuf" else table}
    elif len(missing := set(names) - set(sample)) > 1 or (missing and set(sample) <= set(names)):
        raise InvalidData("the rows", f"{model} takes {', '.join(names)}; got {', '.join(sample)}")
    return arrange(names, [_from_array(name, array) for name, array in sample.items()])


def from_shapes(names: Sequence[str], shapes: Mapping[str, Any], dtype: str) -> Arguments:
    """Return the arguments `names` with the shapes that Keras recorded when it built a model."""
    datatype = NAMES[np.dtype(dtype)]

    def tensors(name: str, shape: Any) -> Iterator[Tensor]:
        if isinstance(shape, Mapping):
            for key, one in shape.items():
                yield from tensors(str(key), one)
        elif shape and isinstance(shape[0], tuple | list):
            for index, one in enumerate(shape):
                yield from tensors(f"{name}_{index}", one)
        else:
            yield Tensor(name, datatype, (-1, *(size or -1 for size in shape[1:])))

    found = zip(names, shapes.values(), strict=True)
    return arrange(names, [one for name, shape in found for one in tensors(name, shape)])


def name_outputs(structure: Any) -> tuple[str, ...]:
    """Return a name for each tensor that a function gives: its key, or its position, in the order of `nest.flatten`."""
    return tuple(f"output_{path or 0}" if path.isdigit() or not path else path for path in _paths(structure))


def make_tensor(model: str, name: str, dtype: Any, shape: Sequence[int | None]) -> Tensor:
    """Return an input that a model states as a tensor of the signature. Raises Unsupported."""
    return Tensor(name, find_datatype(model, name, dtype), tuple(-1 if size is None else size for size in shape))


def find_datatype(model: str, name: str, dtype: Any) -> Datatype:
    """Return the datatype of an input of Keras or TensorFlow. Raises Unsupported."""
    dtype = getattr(dtype, "as_numpy_dtype", dtype)
    try:
        return "BYTES" if str(dtype) == "string" else NAMES[np.dtype(dtype)]
    except (TypeError, KeyError):
        problem = f"input '{name}' has datatype {dtype}; cast it inside the model from one that a request can have"
        raise Unsupported(model, problem) from None


def _paths(structure: Any, path: str = "") -> list[str]:
    if isinstance(structure, Mapping):
        parts = [(str(key), structure[key]) for key in sorted(structure)]
    elif isinstance(structure, list | tuple):
        parts = [(str(index), one) for index, one in enumerate(structure)]
    else:
        return [path]
    return [found for key, one in parts for found in _paths(one, f"{path}_{key}" if path else key)]


def _from_array(name: str, array: Array) -> Tensor:
    kind = array.dtype.kind
    datatype: Datatype = "FP32" if kind == "f" else "BYTES" if kind in "OUS" else NAMES[array.dtype]
    return Tensor(name, datatype, (-1, *array.shape[1:]))
