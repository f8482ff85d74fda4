"""
The inputs of a network: an exported program states them; for other models they are observed on sample rows.

A dimension is variable if the network runs with other sizes of it. Rows are the first dimension of every input.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import NAMES
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.reading import UNNAMED
from snooze.convert.checks.cases import Array, Arrays
from snooze.convert.errors import Unsupported
from snooze.convert.frameworks.interface import Domain, Input, Inputs
from snooze.convert.frameworks.torch.network import Network, as_tensor, import_torch, program_inputs
from snooze.convert.quiet import quiet

SAMPLE: Final = "the sample"
PROBE_ROWS: Final = 4
MOST: Final = 2**31 - 1  # above which a bound of a dimension is no bound

PASSING: Final = re.compile(  # operators that keep the values of an input
    r"aten\.(to|_to_copy|view|reshape|slice|select|squeeze|unsqueeze|contiguous|clone|flatten|alias)\."
)

Dimension = tuple[str, int]  # an input, and an axis of it


def from_sample(network: Network, sample: Arrays | None) -> Inputs:
    """Return the inputs of a module or of TorchScript. Raises InvalidData (no sample, or it does not fit)."""
    if sample is None:
        takes = ", ".join(network.arguments)
        raise InvalidData(network.name, f"needs a sample to find its shapes: add --data with rows for {takes}")
    probe = _fit(network, _pick(network, sample))
    variable = _variable(network, probe)
    embedded = _embedded(network, probe)
    inputs = []
    for name, array in probe.items():
        shape = [-1 if not axis or (name, axis) in variable else size for axis, size in enumerate(array.shape)]
        domain = _domain(array, embedded.get(name))
        if sizes := [array.shape[axis] for axis in range(1, array.ndim) if shape[axis] == -1]:
            domain = domain._replace(lengths=tuple(dict.fromkeys((sizes[0], *_others(sizes[0])))))
        inputs.append(Input(Tensor(name, NAMES[array.dtype], tuple(shape)), 0, domain))
    return tuple(inputs)


def from_program(network: Network) -> Inputs:
    """Return the inputs that an exported program states. Raises Unsupported."""
    inputs = []
    tensors = program_inputs(network.model)
    rows = {str(value.shape[0]) if value.ndim else "" for value in tensors.values()}
    for name, value in tensors.items():
        sizes = [size if isinstance(size, int) else -1 for size in value.shape]
        bounds = [_bounds(network.model, size) for size in value.shape if not isinstance(size, int)]
        dtype = np.dtype(str(value.dtype).removeprefix("torch."))
        axis = 0 if sizes and sizes[0] == -1 and len(rows) == 1 else None
        if axis == 0 and bounds[0][0] > 2:  # PyTorch itself assumes that 0 and 1 are not asked for
            problem = f"input '{name}' was exported for {bounds[0][0]} rows or more"
            raise Unsupported(network.name, f"{problem}; export it with torch.export.Dim('batch')")
        domain = Domain(most=_rows_of_embedding(network.model, name) - 1) if dtype.kind in "iu" else Domain()
        if lengths := bounds[1:] if axis == 0 else bounds:
            least, most = max(low for low, _ in lengths), min(high for _, high in lengths)
            kept = tuple(dict.fromkeys(min(max(size, least), most) for size in domain.lengths))
            domain = domain._replace(lengths=kept)
        inputs.append(Input(Tensor(name, NAMES[dtype], tuple(sizes)), axis, domain))
    return tuple(inputs)


def max_rows(network: Network) -> int | None:
    """Return how many rows an exported program takes at once, if it states a limit."""
    if network.kind != "program":
        return None
    firsts = [value.shape[0] for value in program_inputs(network.model).values() if value.ndim]
    limits = [_bounds(network.model, size)[1] for size in firsts if not isinstance(size, int)]
    return min((limit for limit in limits if limit < MOST), default=None)


def take_rows(arrays: Arrays, count: int) -> Arrays:
    """Return `count` rows, repeated as needed."""
    return {name: np.take(array, range(count), 0, mode="wrap") for name, array in arrays.items()}


def _pick(network: Network, sample: Arrays) -> Arrays:
    """Return a few rows of a sample by the arguments that they are for. Raises InvalidData."""
    required = [name for name, needed in network.arguments.items() if needed]
    picked = {name: sample[name] for name in network.arguments if name in sample}
    if not picked or not set(required) <= set(picked):
        if len(required) > 1 or not network.arguments:
            missing = ", ".join(name for name in required if name not in sample)
            found = ", ".join(name or "an array without a name" for name in sample)
            raise InvalidData(SAMPLE, f"{network.name} also takes {missing}; got {found}")
        only = (required or list(network.arguments))[0]
        columns = list(sample.values())
        if len(columns) > 1 and not all(one.ndim == 1 for one in columns):
            raise InvalidData(SAMPLE, f"{network.name} takes '{only}'; got {', '.join(sample)}")
        picked = {only: np.stack(columns, 1) if len(columns) > 1 else sample.get(UNNAMED, columns[0])}
    for name, array in picked.items():
        if array.dtype.kind not in "biuf":
            raise InvalidData(SAMPLE, f"input '{name}' contains text; {network.name} takes numbers")
        if not array.ndim or not len(array):
            raise InvalidData(SAMPLE, f"input '{name}' has no rows")
    return {name: array[:PROBE_ROWS] for name, array in picked.items()}


def _fit(network: Network, sample: Arrays) -> Arrays:
    """
    Return a sample in the first datatypes and shape with which the network runs, for any number of rows.

    Raises InvalidData if it does not accept the sample, Unsupported if it has a number of rows built in.
    """
    error: Exception | None = None
    for arrays in _forms(sample, _precision(network)):
        rows = 0
        try:
            network.run(arrays)
            for rows in (1, 2, 3):
                network.run(take_rows(arrays, rows))
            return arrays
        except ValueError as reason:
            found: Exception = InvalidData(SAMPLE, f"{network.name} does not accept it: {reason}")
            if rows:
                problem = f"it does not accept {rows} row{'s' * (rows > 1)}: {reason}"
                found = Unsupported(network.name, f"{problem}; take the number of rows from the input, x.shape[0]")
            error = error or found
    assert error is not None
    raise error


def _forms(sample: Arrays, precision: np.dtype[Any]) -> Iterator[Arrays]:
    """Yield a sample with its integers as they are, as INT64 and as floats, and a list of numbers also as a column."""
    given = {name: array.astype(precision) if array.dtype.kind == "f" else array for name, array in sample.items()}
    for arrays in (given, {name: array.reshape(-1, 1) if array.ndim == 1 else array for name, array in given.items()}):
        for kinds, dtype in (("", precision), ("iu", np.dtype(np.int64)), ("biu", precision)):
            yield {name: one.astype(dtype) if one.dtype.kind in kinds else one for name, one in arrays.items()}


def _precision(network: Network) -> np.dtype[Any]:
    kinds = [str(value.dtype).removeprefix("torch.") for value in network.model.parameters()]
    return np.dtype(next((kind for kind in kinds if kind in ("float32", "float64")), "float32"))


def _variable(network: Network, probe: Arrays) -> set[Dimension]:
    """
    Return the dimensions with which, apart from the rows, a network runs in other sizes.

    Dimensions of one size are changed together first (ids and their mask), then alone.
    """
    dimensions = [(name, axis) for name, array in probe.items() for axis in range(1, array.ndim)]
    together: dict[int, list[Dimension]] = {}
    for name, axis in dimensions:
        together.setdefault(probe[name].shape[axis], []).append((name, axis))
    found: set[Dimension] = set()
    for group in together.values():
        if _runs_resized(network, probe, group):
            found |= set(group)
        elif len(group) > 1:
            found |= {one for one in group if _runs_resized(network, probe, [one])}
    return found


def _runs_resized(network: Network, probe: Arrays, dimensions: list[Dimension]) -> bool:
    name, axis = dimensions[0]
    for size in _others(probe[name].shape[axis]):
        try:
            network.run(resize(probe, dimensions, size))
        except ValueError:
            return False
    return True


def resize(probe: Arrays, dimensions: list[Dimension], size: int) -> Arrays:
    """Return rows with other sizes of some dimensions, their values repeated as needed."""
    resized = dict(probe)
    for name, axis in dimensions:
        resized[name] = np.take(resized[name], range(size), axis, mode="wrap")
    return resized


def _others(size: int) -> tuple[int, ...]:
    return tuple(one for one in (size + 1, 2 * size, size - 1) if one > 0)


def _domain(array: Array, words: int | None) -> Domain:
    """Return the values that an input takes, as far as a sample shows them; `words` is the size of its embedding."""
    if array.dtype.kind == "f":
        finite = array[np.isfinite(array)]
        scale = float(finite.std()) if finite.size else 0.0
        return Domain(float(finite.mean()) if finite.size else 0.0, scale or 1.0)
    if array.dtype.kind == "b":
        return Domain()
    return Domain(least=min(int(array.min()), 0), most=max(int(array.max()), 1) if words is None else words - 1)


def _embedded(network: Network, probe: Arrays) -> dict[str, int]:
    """Return the number of entries of the embeddings that inputs of a module go into unchanged, by input."""
    torch = import_torch()
    tensors = {name: as_tensor(array) for name, array in probe.items()}
    names = {tensor.untyped_storage().data_ptr(): name for name, tensor in tensors.items()}
    found: dict[str, int] = {}

    def observe(module: Any, given: tuple[Any, ...]) -> None:
        name = names.get(given[0].untyped_storage().data_ptr()) if given else None
        if name is not None:
            found[name] = min(module.num_embeddings, found.get(name, module.num_embeddings))

    kinds = (torch.nn.Embedding, torch.nn.EmbeddingBag)
    parts = [part for part in network.model.modules() if isinstance(part, kinds)]
    hooks = [part.register_forward_pre_hook(observe) for part in parts]
    try:
        with quiet(), torch.inference_mode():
            network.call(tensors)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _rows_of_embedding(program: Any, name: str) -> int:
    """Return the number of entries of the smallest embedding that an input goes into, 2 if there is none."""
    follow, counts = [node for node in program.graph.nodes if node.name == name], []
    for node in follow:
        for user in node.users:
            target = str(user.target)
            if target.startswith(("aten.embedding.", "aten.embedding_bag.", "aten._embedding_bag")):
                if user.args[1] is node:
                    counts.append(int(user.args[0].meta["val"].shape[0]))
            elif PASSING.match(target) and user not in follow:
                follow.append(user)
    return min(counts, default=2)


def _bounds(program: Any, size: Any) -> tuple[int, int]:
    """Return the smallest and largest value of a variable dimension."""
    bounds = program.range_constraints.get(size.node.expr)
    if bounds is None:
        return 0, MOST
    return max(int(bounds.lower), 0), int(bounds.upper) if bounds.upper.is_Integer else MOST
