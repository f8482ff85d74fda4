"""Made-up data: drawn from a model's signature if there are no rows, and edge cases derived from the rows."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from snooze.bundle.datatypes import DATATYPES
from snooze.convert.checks.boundaries import Boundaries, Values
from snooze.convert.checks.cases import Array, Arrays, Case
from snooze.convert.checks.dataset import Dataset
from snooze.convert.frameworks.interface import Domain, Input, Inputs

ROWS: Final = 512
MAX_BYTES: Final = 64 * 2**20  # of drawn rows
FIXED_CASES: Final = 24  # of inputs without a variable number of rows
BASES: Final = 8  # units from which each kind of edge case is derived
BASE_BYTES: Final = 8 * 2**20
BOUNDARY_ROWS: Final = 256
SEED: Final = 20261121
TEXTS: Final = ("red", "green", "blue")
EDGE_TEXTS: Final = {
    "empty text": "",
    "unknown word": "qzxvwk",
    "accents": "Élan ÜBER naïve Straße Ωmega 東京 🙂",
    "long text": "many words, " * 500,
}


def draw_data(inputs: Inputs, count: int = ROWS) -> Dataset:
    """
    Return about `count` rows drawn from the domains of the inputs, the same each time; fewer if they are large.

    Inputs with variable dimensions besides the rows give one case for each length. Floats are exact in single
    precision, and a quarter of the rows has integers where the scale is larger than 1, as measurements often have.
    """
    generator = np.random.default_rng(SEED)
    has_rows = any(one.axis is not None and one.tensor.shape[one.axis] < 0 for one in inputs)
    lengths = max((len(one.domain.lengths) for one in inputs if _varies(one)), default=1)
    cases = lengths if has_rows else max(lengths, FIXED_CASES)
    size = max(sum(_bytes(one, number) for one in inputs) for number in range(cases))
    most = max(1, MAX_BYTES // size)  # units that fit
    cases = min(cases, most)
    rows = max(1, min(count, most) // cases)
    axes = {one.tensor.name: one.axis for one in inputs}
    drawn = (draw_inputs(inputs, rows, number, generator) for number in range(cases))
    return Dataset(tuple(Case(tensors, axes) for tensors in drawn), real=False)


def draw_inputs(inputs: Inputs, rows: int, number: int = 0, generator: np.random.Generator | None = None) -> Arrays:
    """Return rows drawn from the domains of inputs; `number` picks a length of each domain for variable dimensions."""
    generator = generator or np.random.default_rng(SEED)
    return {one.tensor.name: _draw(one, rows, number, generator) for one in inputs}


def edge_cases(data: Dataset, inputs: Inputs, boundaries: Boundaries | None = None) -> dict[str, list[Case]]:
    """
    Return cases on which conversions fail although they agree on ordinary ones, by kind.

    From some units: floats as integers, zeros, negated, ten times as large, and the nearest neighbours in single
    precision; integers as the least and the most; each text input with texts that tokenizers differ on; the minimum
    and maximum of each feature; and rows whose columns all lie on `boundaries` of trees, or between them.
    """
    known = {one.tensor.name: one for one in inputs}
    bases = data.take_evenly(BASES, BASE_BYTES).cases
    with np.errstate(over="ignore"):  # ten times as large may be infinite
        kinds = {kind: [_change(case, known, "f", change) for case in bases] for kind, change in EDGES.items()}
    for kind, limit in LIMITS.items():
        kinds[kind] = [_limit(case, known, limit) for case in bases]
    for kind, text in EDGE_TEXTS.items():
        kinds[kind] = [found for case in bases[:1] for found in _with_text(case.take(slice(1)), text)]
    for kind, extreme in EXTREMES.items():
        kinds[kind] = [_reduce(case, extreme) for case in data.cases if case.rows]
    if boundaries is not None:
        for kind, values in zip(("on thresholds", "between thresholds"), boundaries, strict=True):
            kinds[kind] = [_with_values(data, known, values)]
    made = {kind: [case for case in cases if case is not None] for kind, cases in kinds.items()}
    return {kind: cases for kind, cases in made.items() if cases}


def missing_cases(data: Dataset, inputs: Inputs) -> dict[str, list[Case]]:
    """Return cases in which some or all features are missing (NaN, or an empty text), or each of several inputs is."""
    first = data.cases[0].take(slice(1))
    known = {one.tensor.name: one for one in inputs}
    holding = [name for name, array in first.tensors.items() if _kind(name, array, known) in "fO"]
    if not holding:
        return {}
    removed = {name: _without(_as_float(first.tensors[name]), 1) for name in holding}
    some = {name: _without(_as_float(first.tensors[name]), 2) for name in holding}
    if len(holding) == 1:
        return {"some missing": [_replace(first, some)], "all missing": [_replace(first, removed)]}
    each = {f"'{name}' missing": [_replace(first, {name: removed[name]})] for name in holding}
    return each | {"all missing": [_replace(first, removed)]}


def _varies(one: Input) -> bool:
    return any(size < 0 for axis, size in enumerate(one.tensor.shape) if axis != one.axis)


def _shape(one: Input, rows: int, number: int) -> tuple[int, ...]:
    """Return the shape of an input in the case with this number."""
    length = one.domain.lengths[number % len(one.domain.lengths)]
    return tuple(
        size if size >= 0 else rows if axis == one.axis else length for axis, size in enumerate(one.tensor.shape)
    )


def _bytes(one: Input, number: int) -> int:
    """Return the size of one row of an input in the case with this number."""
    return max(1, math.prod(_shape(one, 1, number))) * DATATYPES[one.tensor.datatype].itemsize


def _draw(one: Input, rows: int, number: int, generator: np.random.Generator) -> Array:
    shape, dtype, domain = _shape(one, rows, number), DATATYPES[one.tensor.datatype], one.domain
    if domain.choices is not None or dtype.kind == "O":
        choices = np.empty(len(domain.choices or TEXTS), object)
        choices[:] = domain.choices or TEXTS
        # A category such as 0.1 is another number in single precision, which the model does not know.
        return np.asarray(generator.choice(choices, shape)).astype(np.float64 if dtype.kind == "f" else dtype)
    if dtype.kind != "f":
        integers = np.asarray(generator.integers(domain.least, domain.most, shape, endpoint=True)).astype(dtype)
        return _choose_columns(integers, domain, generator)
    values = np.asarray(generator.standard_normal(shape) * domain.scale + domain.center)
    if one.axis == 0:
        values[::4] = np.where(np.broadcast_to(domain.scale, shape[1:]) > 1, np.round(values[::4]), values[::4])
    return _choose_columns(values.astype(np.float32).astype(_precision(domain, dtype)), domain, generator)


def _choose_columns(values: Array, domain: Domain, generator: np.random.Generator) -> Array:
    """Return a matrix with the columns replaced that have choices, in double precision if it has floats."""
    if any(domain.columns) and values.dtype.kind == "f":
        values = values.astype(np.float64)
    for column, choices in enumerate(domain.columns):
        if choices:
            values[:, column] = generator.choice(np.array(choices), len(values))
    return values


def _precision(domain: Domain, dtype: Any) -> Any:
    """Return the datatype of drawn floats: a domain in double precision shows that the model calculates in it."""
    return np.result_type(dtype, domain.center, domain.scale)


def _kind(name: str, array: Array, known: Mapping[str, Input]) -> str:
    """Return the kind of an input: f, O or another; integers that were given for a float input are floats."""
    return DATATYPES[known[name].tensor.datatype].kind if name in known else array.dtype.kind


def _as_float(array: Array, always: bool = False) -> Array:
    """Return integers in double precision; `always`: floats too."""
    return array.astype(np.float64) if always or array.dtype.kind in "biu" else array


def _replace(case: Case, tensors: Arrays) -> Case:
    return Case({**case.tensors, **tensors}, case.axes)


def _change(case: Case, known: Mapping[str, Input], kind: str, change: Callable[[Array], Array]) -> Case | None:
    """Return a case with its tensors of a kind changed, None if it has none."""
    changed = {  # a function of a rank-0 array returns a scalar
        name: np.asarray(change(_as_float(array)))
        for name, array in case.tensors.items()
        if _kind(name, array, known) == kind
    }
    return _replace(case, changed) if changed else None


def _limit(case: Case, known: Mapping[str, Input], limit: Callable[[Domain], int]) -> Case | None:
    """Return a case with each integer input filled with the least or the most of its domain."""
    changed = {
        name: np.full_like(array, limit(known[name].domain))
        for name, array in case.tensors.items()
        if name in known and _kind(name, array, known) in "iu"
    }
    return _replace(case, changed) if changed else None


def _with_text(case: Case, text: str) -> Iterator[Case]:
    """Yield the case with the text in each of its text inputs."""
    for name, array in case.tensors.items():
        if array.dtype.kind in "OU":
            yield _replace(case, {name: np.full(array.shape, text, object)})


def _reduce(case: Case, extreme: Callable[..., Array]) -> Case:
    """Return a case of one row: the extremes of each feature of numeric tensors, the first row of others."""
    first = case.take(slice(1))
    tensors = {
        name: array
        if (axis := case.axes[name]) is None or array.dtype.kind not in "biuf"
        else extreme(case.tensors[name], axis=axis, keepdims=True)
        for name, array in first.tensors.items()
    }
    return Case(tensors, case.axes)


def _neighbour(direction: float) -> Callable[[Array], Array]:
    def neighbour(array: Array) -> Array:
        return np.nextafter(array.astype(np.float32), np.float32(direction)).astype(array.dtype)

    return neighbour


def _without(array: Array, step: int) -> Array:
    missing = "" if array.dtype.kind in "OU" else np.nan
    return np.where(np.arange(array.size).reshape(array.shape) % step, array, missing).astype(array.dtype)


EDGES: Final[Mapping[str, Callable[[Array], Array]]] = {
    "integers": np.round,
    "zeros": np.zeros_like,
    "negated": np.negative,
    "ten times as large": lambda array: array * 10,
    "next larger": _neighbour(np.inf),
    "next smaller": _neighbour(-np.inf),
}
LIMITS: Final[Mapping[str, Callable[[Domain], int]]] = {
    "least integers": lambda domain: domain.least,
    "most integers": lambda domain: domain.most,
}
EXTREMES: Final[Mapping[str, Callable[..., Array]]] = {"minimum": np.min, "maximum": np.max}


def _with_values(data: Dataset, known: Mapping[str, Input], values: Values) -> Case | None:
    """
    Return rows in which each column of a float input that has values has one of them; None if there are none.

    Without real rows they are in double precision, in which most rows are given to scikit-learn.
    """
    case = data.cases[0]
    if case.rows is None:
        return None
    generator = np.random.default_rng(SEED)
    rows = case.take(np.arange(BOUNDARY_ROWS) % case.units)
    floats = {name for name, array in rows.tensors.items() if _kind(name, array, known) == "f"}
    changed = {
        name: _as_float(rows.tensors[name], always=not data.real).copy()
        for name in floats & {name for name, _ in values}
    }
    for (name, column), choices in values.items():
        if name in changed:
            changed[name].reshape(BOUNDARY_ROWS, -1)[:, column] = generator.choice(choices, BOUNDARY_ROWS)
    return _replace(rows, changed) if changed else None
