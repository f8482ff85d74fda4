"""Tries the ways to convert a model, the plainest first, until one answers as the original does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from snooze.bundle.contract import Batching, Tensor, Tolerance
from snooze.convert.checks import graph as graphs
from snooze.convert.checks.cases import Arrays, Rows, joined
from snooze.convert.checks.parity import Comparison, compare, problem, tolerances
from snooze.convert.checks.synthetic import edges, missing
from snooze.convert.errors import ConversionError, InvalidData, ParityRefused, Refused, Unsupported
from snooze.convert.frameworks.interface import Attempt, Original
from snooze.convert.options import MOST_ROWS
from snooze.convert.runner import Runner


class Answered(NamedTuple):
    """Rows and what the original answers to them."""

    inputs: Arrays
    outputs: Arrays


@dataclass(frozen=True)
class Expected:
    """
    What the original answers to the rows, to those edge rows that it takes, and to rows of missing values.

    The latter two are None where the original takes none of them; `refused` names the kinds that it does not take.
    """

    rows: Rows
    outputs: Arrays
    edges: Answered | None
    missing: Answered | None
    refused: tuple[str, ...]


@dataclass(frozen=True)
class Agreed:
    """A graph that answers as the original does, and the figures that say so."""

    file: Path
    graph: Any
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    tolerance: Mapping[str, Tolerance]
    trees: bool
    expected: Expected
    parity: dict[str, Any]


def agree(original: Original, rows: Rows, work: Path) -> Agreed:
    """
    Return the first way to convert that agrees with the original on the rows and on edge rows.

    Raises:
        Refused, Unsupported: none does; the error is that of the plainest way.
    """
    failed: list[dict[str, str]] = []
    first: ConversionError | None = None
    for attempt in original.attempts:
        try:
            return _agreed(original, rows, attempt, work, failed)
        except (Refused, Unsupported) as error:
            first = first or error
            failed.append({"conversion": attempt.name, "problem": str(error)})
    assert first is not None
    raise first


def _agreed(original: Original, rows: Rows, attempt: Attempt, work: Path, failed: list[dict[str, str]]) -> Agreed:
    graph = attempt.graph()
    graphs.check(graph)
    file = work / "converted.onnx"
    file.write_bytes(graph.SerializeToString())
    runner = loaded(file)
    trees = bool(graphs.operators(graph) & set(graphs.TREES))
    expected = _expected(original, rows, graphs.thresholds(graph))
    tolerance = tolerances(original, expected.outputs, trees)
    parity, wrong = judged(original, expected, runner, tolerance, trees)
    if wrong:
        raise ParityRefused(
            f"converted in {attempt.name}, the {original.model} answers otherwise: {wrong}", original.remedy
        )
    few, some = (rows.take(slice(count)).inputs for count in (1, 3))
    signature = graphs.signature(graph, runner.feed(few), runner.run(few), runner.run(_three(some)), original.roles)
    file.write_bytes(graph.SerializeToString())  # the signature put right
    parity |= {"conversion": attempt.name, "failed": list(failed)}
    return Agreed(file, graph, *signature, tolerance, trees, expected, parity)


def judged(
    original: Original, expected: Expected, runner: Runner, tolerance: Mapping[str, Tolerance], trees: bool
) -> tuple[dict[str, Any], str | None]:
    """
    Return the figures of a graph's parity, and what is wrong with it, if anything.

    Made-up rows of missing values are compared but do not decide: some trees take what they were never trained on.
    Missing values in the rows given do decide, like everything in them.
    """

    def compared(rows: Answered | None) -> Comparison | None:
        return compare(original, rows.outputs, runner.run_all(rows.inputs), tolerance) if rows else None

    found = compare(original, expected.outputs, runner.run_all(expected.rows.inputs), tolerance)
    edge, missing = compared(expected.edges), compared(expected.missing)
    wrong = problem(found, trees)
    if wrong is None and edge is not None:
        edge_wrong = problem(edge, trees)
        wrong = f"on edge rows, {edge_wrong}" if edge_wrong else None
    figures = found.counts() | {
        "edge_rows": len(edge.flips) if edge else 0,
        "edge": edge.counts() if edge else {},
        "edge_refused": list(expected.refused),
        "missing": "refused" if missing is None else "differs" if problem(missing, trees=False) else "agrees",
        "kind": "trees" if trees else "smooth",
        "tolerance": {name: _written(one) for name, one in tolerance.items()},
        "verdict": "refused" if wrong else "agrees",
    }
    return figures, wrong


def batching(agreed: Agreed, runner: Runner, tolerance: Mapping[str, Tolerance], original: Original) -> Batching | None:
    """
    Return how requests may be joined, or None: where a dimension is not the rows', or rows change each other's answers.
    """
    if any(not tensor.shape or tensor.shape[0] != -1 for tensor in (*agreed.inputs, *agreed.outputs)):
        return None
    rows = _three(agreed.expected.rows.take(slice(3)).inputs)
    alone = joined([runner.run({name: array[at : at + 1] for name, array in rows.items()}) for at in range(3)])
    found = compare(original, alone, runner.run(rows), tolerance)
    return None if found.outliers.any() or found.flips.any() else Batching(axis=0, max_rows=MOST_ROWS)


def loaded(file: Path) -> Runner:
    """
    Return the model in a file, loaded.

    Raises:
        GraphRefused: ONNX Runtime refuses it.
    """
    try:
        return Runner(file)
    except Exception as error:  # onnxruntime has no common base for its errors
        if isinstance(error, ImportError | OSError) or type(error).__module__.startswith("snooze"):
            raise
        raise graphs.not_loaded(error) from None


def _expected(original: Original, rows: Rows, thresholds: list[tuple[int, float]]) -> Expected:
    refused: list[str] = []

    def answered(kinds: dict[str, Arrays]) -> Answered | None:
        taken = []
        for kind, arrays in kinds.items():
            try:
                taken.append((arrays, original(arrays)))
            except InvalidData:  # such as NaN to most of scikit-learn: then a request with it is wrong too
                refused.append(kind)
        return Answered(joined([one for one, _ in taken]), joined([one for _, one in taken])) if taken else None

    edge, without = answered(edges(rows, thresholds)), answered(missing(rows))
    return Expected(rows, original(rows.inputs), edge, without, tuple(refused))


def _three(arrays: Arrays) -> Arrays:
    return {name: array[[index % len(array) for index in range(3)]] for name, array in arrays.items()}


def _written(tolerance: Tolerance) -> dict[str, Any]:
    return {"exact": True} if tolerance.exact else {"rtol": tolerance.rtol, "atol": tolerance.atol}
