"""Tries the ways to convert a model, the plainest first, until one answers as the original does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snooze.bundle.contract import Batching, Tensor, Tolerance
from snooze.convert import graph as graphs
from snooze.convert.errors import InvalidData, ParityRefused
from snooze.convert.options import MOST_ROWS
from snooze.convert.original import Original
from snooze.convert.parity import Comparison, compare, problem, tolerances
from snooze.convert.rows import Arrays, Rows, joined
from snooze.convert.runner import Runner
from snooze.convert.synthetic import edges, missing


@dataclass(frozen=True)
class Expected:
    """What the original answers to the rows, and to those edge rows that it takes."""

    rows: Rows
    outputs: Arrays
    edges: Arrays | None
    edge_outputs: Arrays | None
    refused: tuple[str, ...]  # kinds of edge rows that the original does not take


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
        ParityRefused: none does.
        GraphRefused: the graph cannot be served at all.
        Unsupported: there is no converter for the model.
    """
    failed: list[dict[str, str]] = []
    for attempt in original.attempts:
        graph = attempt.graph()
        graphs.check(graph)
        file = work / "converted.onnx"
        file.write_bytes(graph.SerializeToString())
        runner = loaded(file)
        trees = bool(graphs.operators(graph) & set(graphs.TREES))
        expected = _expected(original, rows, graphs.thresholds(graph))
        tolerance = tolerances(original, expected.outputs, trees)
        parity, wrong = judged(original, expected, runner, tolerance, trees)
        if wrong is None:
            few, some = (rows.take(slice(count)).inputs for count in (1, 3))
            signature = graphs.signature(
                graph, runner.feed(few), runner.run(few), runner.run(_three(some)), original.roles
            )
            file.write_bytes(graph.SerializeToString())  # the signature put right
            parity |= {"conversion": attempt.name, "failed": failed}
            return Agreed(file, graph, *signature, tolerance, trees, expected, parity)
        failed.append({"conversion": attempt.name, "problem": wrong})
    raise ParityRefused(f"{original.model} converted answers otherwise: {failed[0]['problem']}", original.remedy)


def judged(
    original: Original, expected: Expected, runner: Runner, tolerance: Mapping[str, Tolerance], trees: bool
) -> tuple[dict[str, Any], str | None]:
    """Return the figures of a graph's parity, and what is wrong with it, if anything."""
    found = compare(original, expected.outputs, runner.run_all(expected.rows.inputs), tolerance)
    wrong = problem(found, trees)
    edge: Comparison | None = None
    if expected.edges is not None and expected.edge_outputs is not None:
        edge = compare(original, expected.edge_outputs, runner.run_all(expected.edges), tolerance)
        edge_wrong = problem(edge, trees)
        wrong = wrong or (edge_wrong and f"on edge rows, {edge_wrong}")
    figures = found.counts() | {
        "edge_rows": len(edge.flips) if edge else 0,
        "edge": edge.counts() if edge else {},
        "edge_refused": list(expected.refused),
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
    outputs = original(rows.inputs)
    taken: list[tuple[Arrays, Arrays]] = []
    refused: list[str] = []
    for kind, arrays in (edges(rows, thresholds) | missing(rows)).items():
        try:
            taken.append((arrays, original(arrays)))
        except InvalidData:  # such as NaN to most of scikit-learn: then a request with it is wrong too
            refused.append(kind)
    inputs = joined([one for one, _ in taken]) if taken else None
    answers = joined([one for _, one in taken]) if taken else None
    return Expected(rows, outputs, inputs, answers, tuple(refused))


def _three(arrays: Arrays) -> Arrays:
    return {name: array[[index % len(array) for index in range(3)]] for name, array in arrays.items()}


def _written(tolerance: Tolerance) -> dict[str, Any]:
    return {"exact": True} if tolerance.exact else {"rtol": tolerance.rtol, "atol": tolerance.atol}
