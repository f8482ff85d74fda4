"""Tries the ways to convert a model, the simplest first, until one answers as the original does."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from snooze.bundle.contract import Batching, Tensor, Tolerance
from snooze.bundle.errors import InvalidData, SnoozeError
from snooze.bundle.evidence import Differences, FailedAttempt, Parity
from snooze.convert.checks import graph as graphs
from snooze.convert.checks.boundaries import find_boundaries
from snooze.convert.checks.cases import Array, Case, join
from snooze.convert.checks.dataset import Dataset
from snooze.convert.checks.golden import check_size
from snooze.convert.checks.parity import compare, compare_edges, find_problem, tolerances
from snooze.convert.checks.synthetic import edge_cases, missing_cases
from snooze.convert.errors import ConversionError, GraphRefused, ParityRefused, Refused, Unsupported
from snooze.convert.frameworks.interface import Attempt, Original, first_line
from snooze.convert.runner import Runner

MAX_BATCH_ROWS = 64  # up to which requests are joined
COPIES = 8  # of a row, in which a framework adds in different orders
UNSTEADY = "rows that the original itself answers differently among copies of them"


class Answers(NamedTuple):
    """Cases, and the outputs for them."""

    cases: tuple[Case, ...]
    outputs: Sequence[Case]


Asked: TypeAlias = dict[object, tuple[Answers | None, tuple[str, ...]]]


@dataclass(frozen=True)
class Expected:
    """
    The original's answers to the data, to the edge cases that it accepts, and to cases with missing values.

    `edges` and `missing` are None if it accepts none of them; `refused` names the kinds that it does not accept.
    `tolerance` is what a graph must keep, and `trees` whether it contains tree ensembles.
    """

    data: Dataset
    outputs: Sequence[Case]
    edges: Answers | None
    missing: Answers | None
    refused: tuple[str, ...]
    tolerance: Mapping[str, Tolerance]
    trees: bool


@dataclass(frozen=True)
class Conversion:
    """A graph that answers as the original does, and the evidence for it."""

    file: Path
    graph: Any
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    expected: Expected
    parity: Parity


def convert(original: Original, data: Dataset, work: Path) -> Conversion:
    """
    Return the first conversion that agrees with the original without a near tie that it decides otherwise.

    If each has some, return the first that agrees. If none agrees, raise the error of the simplest.
    """
    try:
        data, outputs = answer(original, data)
    except InvalidData:
        original.attempts[0].convert()  # no rows help a model that cannot be converted at all: that is the error then
        raise
    check_size(data.cases, outputs)
    failed: list[FailedAttempt] = []
    errors: list[ConversionError] = []
    agreeing: list[Conversion] = []
    asked: Asked = {}
    for number, attempt in enumerate(original.attempts):
        try:
            file = work / f"converted_{number}.onnx"
            conversion = _try(attempt, original, data, outputs, file, tuple(failed), asked)
        except (Refused, Unsupported) as error:
            errors.append(error)
            failed.append(FailedAttempt(attempt.name, str(error), getattr(error, "differences", None)))
            continue
        if not conversion.parity.data.near_ties:
            return conversion
        agreeing.append(conversion)
    if not agreeing:
        raise errors[0]
    return agreeing[0]


def answer(original: Original, data: Dataset) -> tuple[Dataset, Sequence[Case]]:
    """
    Return data and the original's answers to it; of drawn data the cases that it accepts, for some lengths it may not.

    Raises InvalidData if it does not accept the user's rows, or any that were drawn.
    """
    if data.real:
        return data, original.answer_all(data.cases)
    accepted: list[Case] = []
    outputs: list[Case] = []
    for case in data.cases:
        try:
            outputs.append(original.answer(case))
            accepted.append(case)
        except InvalidData as error:
            refusal = InvalidData("rows drawn from the signature", f"{error.problem}; give real ones with --data")
    if not accepted:
        raise refusal
    return replace(data, cases=tuple(accepted)), outputs


def find_accepted(original: Original, kinds: Mapping[str, list[Case]]) -> tuple[Answers | None, tuple[str, ...]]:
    """Return the cases that the original accepts with its answers, None if there are none; and the kinds it refuses."""
    accepted: list[Case] = []
    outputs: list[Case] = []
    refused: list[str] = []
    for kind, cases in kinds.items():
        try:
            outputs += original.answer_all(cases)
            accepted += cases
        except InvalidData:  # as most of scikit-learn refuses NaN: such a request is invalid too
            refused.append(kind)
    return Answers(tuple(accepted), outputs) if accepted else None, tuple(refused)


def check_parity(original: Original, attempt: str, expected: Expected, runner: Runner) -> tuple[Parity, str | None]:
    """
    Return the parity of a graph with the original, and what is wrong with it, or None.

    Made-up missing values are compared but do not decide, because some trees accept what they were not trained on.
    Missing values in the user's rows do decide.
    """

    def differences(answers: Answers) -> Differences:
        return compare(original, answers.outputs, runner.answer_all(answers.cases), expected.tolerance).differences

    trees = expected.trees
    data = differences(Answers(expected.data.cases, expected.outputs))
    edges, refused = None, expected.refused
    if expected.edges:
        wanted, got = expected.edges.outputs, runner.answer_all(expected.edges.cases)
        found = compare_edges(original, wanted, got, expected.tolerance, trees)
        if found.outliers.any() and not trees and are_unsteady(original, expected, found.outliers):
            found = replace(found, outliers=np.zeros_like(found.outliers), flips=found.flips & ~found.outliers)
            refused += (UNSTEADY,)
        edges = found.differences
    problem = find_problem(data, trees)
    if problem is None and edges is not None and (edge_problem := find_problem(edges, trees)):
        problem = f"on edge cases, {edge_problem}"
    missing = find_problem(differences(expected.missing), trees=False) if expected.missing else None
    parity = Parity(
        attempt=attempt,
        verdict="refused" if problem else "agrees",
        kind="trees" if trees else "smooth",
        data=data,
        edges=edges,
        edges_refused=refused,
        missing="differs" if missing else "agrees" if expected.missing else "refused",
        tolerance=expected.tolerance,
        reference=original.reference,
    )
    return parity, problem


def are_unsteady(original: Original, expected: Expected, outliers: Array) -> bool:
    """
    Return whether the original itself answers each of some edge rows differently among copies of it.

    Some networks normalize noise, as of a recording that is silent: there the order of additions decides, and a
    difference says nothing about the graph. `outliers` marks the rows, over all cases in order.
    """
    pairs = zip(*expected.edges, strict=True) if expected.edges else ()
    rows = [(case, answer, at) for case, answer in pairs for at in range(case.units)]
    return all(_is_unsteady(original, expected, *row) for row, marked in zip(rows, outliers, strict=True) if marked)


def _is_unsteady(original: Original, expected: Expected, case: Case, answer: Case, at: int) -> bool:
    copies = np.full(COPIES, at)
    again = [original.answer(case.take(copies))]
    found = compare_edges(original, [answer.take(copies)], again, expected.tolerance, expected.trees)
    return bool(found.outliers.any() or found.flips.any())


def find_batching(
    conversion: Conversion, runner: Runner, tolerance: Mapping[str, Tolerance], original: Original
) -> Batching | None:
    """Return how requests may be joined: None if a tensor has no rows, or if rows change each other's answers."""
    if original.coupled:
        return None
    rows = conversion.expected.data.request(3)
    axes = {*rows.axes.values(), *(original.axes or {}).values()}
    if axes != {0} or any(tensor.shape[:1] != (-1,) for tensor in conversion.outputs):
        return None
    alone = join([runner.answer(rows.take(slice(at, at + 1))) for at in range(3)])
    found = compare(original, [alone], [runner.answer(rows)], tolerance)
    return None if found.outliers.any() or found.flips.any() else Batching(axis=0, max_rows=MAX_BATCH_ROWS)


def _try(
    attempt: Attempt,
    original: Original,
    data: Dataset,
    answers: Sequence[Case],
    file: Path,
    failed: tuple[FailedAttempt, ...],
    asked: Asked,
) -> Conversion:
    graph = attempt.convert()
    graphs.check(graph)
    file.write_bytes(graph.SerializeToString())
    expected = _expect(original, data, answers, graph, asked)
    try:
        runner = Runner(file, axes=original.axes)
        parity, problem = check_parity(original, attempt.name, expected, runner)
        feeds = [case.tensors for case in _different(original, data)]
        runs = [runner.run(feed) for feed in feeds]
    except (SnoozeError, ImportError, OSError):
        raise
    except Exception as error:  # onnxruntime has no common base for its errors
        reason = first_line(error).replace(str(file), "the graph")
        what = f"ONNX Runtime cannot run the converted {original.model}: {reason}"
        raise GraphRefused(what, original.remedy) from None
    if problem:
        what = f"converted in {attempt.name}, the {original.model} answers differently: {problem}"
        differs = parity.edges if find_problem(parity.data, expected.trees) is None else parity.data
        raise ParityRefused(what, original.remedy, differs)
    inputs, outputs = graphs.signature(graph, runner.dtypes, runs, original.roles, feeds)
    file.write_bytes(graph.SerializeToString())  # with the observed output shapes
    return Conversion(file, graph, inputs, outputs, expected, parity._replace(failed=failed))


def _different(original: Original, data: Dataset) -> Iterable[Case]:
    """
    Yield cases of different numbers of rows and lengths, in which the shapes of outputs show.

    Rows of one length are cropped and repeated; what the original does not accept then is left out.
    """
    yield from (data.request(rows) for rows in (1, 3))
    yield from data.take_evenly(8).cases if len(data.cases) > 1 else ()
    variable = {
        one.tensor.name: [at for at, size in enumerate(one.tensor.shape) if size < 0 and at != one.axis]
        for one in original.inputs
    }
    for factor in (0.5, 2) if any(variable.values()) else ():
        case = data.request(1)
        resized = {name: _resize(array, variable[name], factor) for name, array in case.tensors.items()}
        with suppress(InvalidData):
            original.answer(Case(resized, case.axes))
            yield Case(resized, case.axes)


def _resize(array: Array, axes: Sequence[int], factor: float) -> Array:
    """Return an array cropped or repeated along some axes."""
    for axis in axes:
        size = array.shape[axis]
        array = np.take(array, np.arange(max(1, int(size * factor))) % max(1, size), axis)
    return array


def _expect(original: Original, data: Dataset, outputs: Sequence[Case], graph: Any, asked: Asked) -> Expected:
    """Return what a graph must answer. `asked`: what the original answered in other attempts, by the kind of rows."""
    trees = bool(graphs.operators(graph) & set(graphs.TREES))
    boundaries = find_boundaries(graph, original)
    key = tuple((place, values.tobytes()) for kind in boundaries for place, values in kind.items())
    if key not in asked:
        asked[key] = find_accepted(original, edge_cases(data, original.inputs, boundaries))
    if None not in asked:
        asked[None] = find_accepted(original, missing_cases(data, original.inputs))
    (edges, refused), (missing, without) = asked[key], asked[None]
    return Expected(data, outputs, edges, missing, refused + without, tolerances(original, outputs, trees), trees)
