"""
Which dimension of each input of an ONNX graph holds its rows, and which sizes the other variable dimensions may have.

Graphs declare little of it, and some of that wrongly, so the graph is run with one, two and three rows, of the user's
data or made up. The rows are the dimension that an output follows.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import DATATYPES, NAMES
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.fitting import fit
from snooze.bundle.rows.reading import Rows
from snooze.convert.checks.cases import Arrays, Case
from snooze.convert.checks.synthetic import draw_inputs
from snooze.convert.frameworks.interface import Domain, Input, Inputs, first_line
from snooze.convert.frameworks.onnx.domains import find_domain
from snooze.convert.frameworks.onnx.graph import NAME
from snooze.convert.runner import Runner

LENGTHS: Final = (16, 7, 23, 32, 48, 64, 96, 160, 224, 256, 288, 320, 512, 576, 640, 1024, 1280, 4096, 16000)
MAX_LENGTHS: Final = 3
MAX_DRAWN_BYTES: Final = 2**23
ANONYMOUS: Final = ("unk__", "p2o.DynamicDimension")  # how converters name each size that they do not know
PLACE: Final = re.compile(r"/\S+:\d+ .*?\) (\S+ was false\. )?")
ROWS: Final = (1, 2, 3)

Axes = Mapping[str, int | None]


class Declared(NamedTuple):
    """An input as the graph declares it; the sizes of variable dimensions are their names, or empty."""

    name: str
    dtype: Any
    sizes: tuple[int | str, ...]

    def tensor(self, pinned: Mapping[int, int], length: int = -1) -> Tensor:
        """Return the tensor with some dimensions pinned, and all other variable ones of this length."""
        shape = (pinned.get(at, length if isinstance(size, str) else size) for at, size in enumerate(self.sizes))
        return Tensor(self.name, NAMES[self.dtype], tuple(shape))


class Layout(NamedTuple):
    """An assumption: the axis of each input's rows (None: it has none), and the dimensions that must be 1."""

    axes: Axes
    single: Axes

    def pinned(self, name: str, rows: int | None = None) -> dict[int, int]:
        """Return the sizes of the dimensions of an input that are not free, with the rows' if they are given."""
        axis, single = self.axes[name], self.single.get(name)
        sizes = {} if single is None else {single: 1}
        return sizes if axis is None or rows is None else sizes | {axis: rows}


class Trial(NamedTuple):
    """What the graph showed for a layout: lengths and an example that it accepts, or why it accepts none."""

    lengths: tuple[int, ...] = ()
    example: Arrays | None = None
    problem: str = ""
    single: bool = False  # it answers one row in another form than several


def find_inputs(model: Any, runner: Runner, sample: Arrays | None) -> Inputs:
    """
    Return the inputs of a prepared model, which `runner` runs, each with an example of a few rows that it accepts.

    Raises:
        InvalidData: it accepts no rows of the sample; or there is no sample, and it accepts no made-up rows.
    """
    declared = [_read(value, runner, sample) for value in model.graph.input]
    domains = {one.name: find_domain(model, one.tensor({})) for one in declared}
    trials: list[Trial] = []
    for layout in _layouts(declared, trials):
        trial = _try(layout, declared, domains, runner, sample)
        if trial.example is not None:
            return tuple(
                Input(
                    one.tensor(layout.pinned(one.name)),
                    layout.axes[one.name],
                    domains[one.name]._replace(lengths=trial.lengths),
                    trial.example[one.name],
                )
                for one in declared
            )
        trials.append(trial)
    problem = next((trial.problem for trial in trials if trial.problem), "no output follows the rows")
    if sample is not None:
        raise InvalidData("the input rows", f"the {NAME} does not accept them: {problem}")
    raise InvalidData(
        "made-up rows", f"the {NAME} accepts none of the sizes tried: {problem}; add --data with real rows"
    )


def find_axes(runner: Runner, inputs: Inputs) -> tuple[dict[str, int | None], Arrays]:
    """Return the axis of the rows of each output, and the outputs for the examples."""
    examples = {one.tensor.name: one.example for one in inputs if one.example is not None}
    runs = _run(runner, Case(examples, {one.tensor.name: one.axis for one in inputs}))
    return _follow(runs), runs[-1]


def _read(value: Any, runner: Runner, sample: Arrays | None) -> Declared:
    """Return an input as declared; one without a shape as the sample has it."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        given = (sample or {}).get(value.name)
        if given is None:
            raise InvalidData("--data", f"input '{value.name}' declares no shape, so its rows are needed by this name")
        return Declared(value.name, runner.dtypes[value.name], ("",) * given.ndim)
    sizes = (size.dim_value if size.dim_value > 0 else _symbol(size.dim_param) for size in tensor.shape.dim)
    return Declared(value.name, runner.dtypes[value.name], tuple(sizes))


def _symbol(name: str) -> str:
    return "" if name.startswith(ANONYMOUS) else name


def _layouts(declared: Sequence[Declared], trials: Sequence[Trial]) -> Iterator[Layout]:
    """
    Yield the layouts to try, the likeliest first. `trials` are the results of those before.

    The rows are in the first dimension, or in the one that is named like the first one of another input. Last come
    graphs without rows: of one recording of any length, or of a batch that is always 1.
    """
    shared = next(
        (one.sizes[0] for one in declared if one.sizes and one.sizes[0] and isinstance(one.sizes[0], str)), ""
    )
    sure = {one.name: _find_axis(one.sizes, shared) for one in declared}
    likely = {
        one.name: _index(one.sizes, "") if axis is None else axis for one in declared for axis in (sure[one.name],)
    }
    first = {one.name: 0 if one.sizes and isinstance(one.sizes[0], str) else likely[one.name] for one in declared}
    none = dict.fromkeys(sure)
    if 0 in sure.values():
        for axes in [one for at, one in enumerate((sure, likely, first)) if one not in (sure, likely, first)[:at]]:
            yield Layout(axes, none)
    if not any(trial.single for trial in trials):
        yield Layout(none, none)
    yield Layout(none, first)


def _find_axis(sizes: tuple[int | str, ...], shared: str) -> int | None:
    """Return the dimension of an input's rows, if its first one has no name, or one has the shared name."""
    if sizes and sizes[0] == "":
        return 0
    return _index(sizes, shared) if shared else None


def _index(sizes: tuple[int | str, ...], name: str) -> int | None:
    return sizes.index(name) if name in sizes else None


def _try(
    layout: Layout, declared: Sequence[Declared], domains: Mapping[str, Domain], runner: Runner, sample: Arrays | None
) -> Trial:
    """Run the graph with rows of the sample, or with made-up ones of several lengths."""
    if sample is not None:
        try:
            return _try_rows(runner, _fit(sample, layout, declared))
        except InvalidData as error:
            return Trial(problem=error.problem)
    rows = None if {*layout.axes.values()} == {None} else ROWS[-1]
    free = any(-1 in one.tensor(layout.pinned(one.name, rows)).shape for one in declared)
    found: dict[int, Arrays] = {}
    problem = ""
    for length in _lengths(found) if free else LENGTHS[:1]:
        tensors = [one.tensor(layout.pinned(one.name, rows), length) for one in declared]
        if sum(prod(one.shape) * DATATYPES[one.datatype].itemsize for one in tensors) > MAX_DRAWN_BYTES:
            break
        inputs = tuple(Input(one, layout.axes[one.name], domains[one.name]) for one in tensors)
        trial = _try_rows(runner, Case(draw_inputs(inputs, ROWS[-1]), layout.axes))
        if trial.single:
            return trial
        if trial.example is not None:
            found[length] = trial.example
        problem = problem or trial.problem
    lengths = tuple(found) if free else Domain().lengths
    return Trial(lengths, next(iter(found.values()), None), problem)


def _lengths(found: Mapping[int, object]) -> Iterator[int]:
    """
    Yield the lengths to try, until three are found.

    After a first long one come its multiples, because lengths that differ much show which outputs vary with them.
    """
    for at, length in enumerate(LENGTHS):
        yield length
        if at and len(found) == 1:
            yield from (2 * length, 4 * length)
        if len(found) >= MAX_LENGTHS:
            return


def _try_rows(runner: Runner, case: Case) -> Trial:
    """Run the graph with one, two and three rows of a case."""
    try:
        runs = _run(runner, case)
    except InvalidData as error:
        return Trial(problem=error.problem)
    if any(len({run[name].ndim for run in runs}) > 1 for name in runs[0]):
        return Trial(single=True)
    follows = case.rows is None or any(axis is not None for axis in _follow(runs).values())
    return Trial(Domain().lengths, case.tensors) if follows else Trial()


def _fit(sample: Arrays, layout: Layout, declared: Sequence[Declared]) -> Case:
    """Return the first rows of the sample, repeated if there are fewer, as the inputs of a layout."""
    tensors = [one.tensor(layout.pinned(one.name)) for one in declared]
    case = Case(fit(Rows(sample), tensors, "the input rows", axes=layout.axes), layout.axes)
    return case if case.rows is None else case.take(np.arange(ROWS[-1]) % case.units)


def _run(runner: Runner, case: Case) -> list[Arrays]:
    """Return the outputs for one, two and three rows, or for the whole case if it has no rows. Raises InvalidData."""
    parts = [case] if case.rows is None else [case.take(slice(rows)) for rows in ROWS]
    try:
        return [{name: np.asarray(one) for name, one in runner.run(part.tensors).items()} for part in parts]
    except Exception as error:  # ONNX Runtime has no common base for its errors
        raise InvalidData("the input rows", run_problem(error)) from None


def run_problem(error: Exception) -> str:
    """Return what ONNX Runtime says is wrong, without its codes and the places in its source."""
    return PLACE.sub("", first_line(error).rpartition(" : ")[2]) or type(error).__name__


def _follow(runs: Sequence[Arrays]) -> dict[str, int | None]:
    """Return the axis of each output whose size is that of the rows in every run."""
    if len(runs) == 1:
        return dict.fromkeys(runs[0])
    return {
        name: next((at for at in range(array.ndim) if tuple(run[name].shape[at] for run in runs) == ROWS), None)
        for name, array in runs[0].items()
    }
