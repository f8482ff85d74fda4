"""
Fit every estimator of scikit-learn, convert it, and compare the answers to rows that it was not fitted on.

Prints a table, and exits with 1 if an estimator answers differently or crashes, or if fewer than 120 convert. What is
fitted on which data is in scripts/models/recipes.py.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from scripts.models.entry import Array
from scripts.models.recipes import RECIPES, Case, answers_new_rows, cases, estimators

PAGE: Final = Path(__file__).parents[1] / "docs" / "estimators.md"
MARKS: Final = ("<!-- written by scripts/estimators -->\n", "<!-- end -->\n")
MIN_CONVERTED: Final = 120
RTOL: Final = 1e-4  # of the value itself
ATOL: Final = 1e-5  # of the range of the output
SECONDS: Final = 0.05  # for which an estimator, and its graph, answer the same rows again and again
# The method that gives what an output of the bundle gives.
METHODS: Final = {
    "label": "predict",
    "value": "predict",
    "probabilities": "predict_proba",
    "scores": "decision_function",
    "score": "decision_function",
    "distances": "transform",
    "embedding": "transform",
}
HEADINGS: Final = ("estimator", "converts", "precision", "worst", "1 row", "32 rows", "reason, if it does not convert")


class Differs(Exception):
    """A graph gives other answers than its estimator."""


class Served(NamedTuple):
    """What was published: a graph, its inputs (name and shape), and the attempt that it was converted in."""

    file: Path
    inputs: Sequence[tuple[str, Sequence[int]]]
    attempt: str


Convert: TypeAlias = Callable[[Any, Any, Path], Served]


@dataclass
class Row:
    """What became of an estimator: one of yes, refused, differs and crashes, and the reason unless it is yes."""

    name: str
    outcome: str = "yes"
    reason: str = ""
    attempts: list[str] = field(default_factory=list)
    worst: float = 0.0  # difference, as a share of the range of the output
    seconds: dict[int, tuple[float, float]] = field(default_factory=dict)  # of the graph and the estimator, by rows

    @property
    def precision(self) -> str:
        """The precisions of the graphs, that of the first case first."""
        return ", ".join(dict.fromkeys(one.split(" ")[0] for one in self.attempts))

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table, with run times in microseconds."""
        if self.outcome != "yes":
            return (self.name, self.outcome, "", "", "", "", self.reason)
        times = (f"{1e6 * graph:,.0f} : {1e6 * own:,.0f}" for graph, own in self.seconds.values())
        return (self.name, self.outcome, self.precision, f"{self.worst:.0e}", *times, "")


def convert(model: Any, rows: Any, folder: Path) -> Served:
    """Convert a model as users do, with rows to compare."""
    from snooze.convert import convert

    made = convert(model, name="model", target=folder, data=rows, quantize="none")
    inputs = [(one.name, one.shape) for one in made.bundle.inputs]
    return Served(made.folder / made.bundle.session.file, inputs, made.bundle.evidence["parity"]["attempt"])


def examine(name: str, convert: Convert = convert, measure: bool = True) -> Row:
    """Fit, convert and compare an estimator in each of its cases."""
    from snooze.bundle.errors import SnoozeError

    row = Row(name)
    for case in cases(name):
        try:
            _examine(row, case, convert, measure and not row.attempts)
        except SnoozeError as error:
            row.outcome, row.reason = "refused", f"{case.name}: {error}"
        except Differs as error:
            row.outcome, row.reason = "differs", f"{case.name}: {error}"
        except Exception as error:  # of any kind: that is what is looked for
            row.outcome, row.reason = "crashes", f"{case.name}: {type(error).__name__}: {error}"
        if row.outcome != "yes":
            break
    return row


def _examine(row: Row, case: Case, convert: Convert, measure: bool) -> None:
    from snooze.convert.quiet import quiet

    (rows, targets), model = case.data, case.model
    with quiet():
        model.fit(rows[::2]) if targets is None else model.fit(rows[::2], targets[::2])
    others = rows[1::2]
    half = len(others) // 2
    with tempfile.TemporaryDirectory(prefix="snooze-estimators-") as folder:
        served = convert(model, others[:half], Path(folder))
        session = _load(served.file)
    feed = _feed(served, others[half:])
    names = [one.name for one in session.get_outputs()]
    with quiet():
        for output, got in zip(names, session.run(None, feed(session)), strict=True):
            row.worst = max(row.worst, compare(output, ask(model, output, others[half:]), got))
        row.attempts.append(served.attempt)
        if measure:
            for count in (1, 32):
                rows = others[half : half + count]
                row.seconds[count] = _measure(session, _feed(served, rows)(session), model, names[-1], rows)


def _load(file: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def _feed(served: Served, rows: Any) -> Callable[[Any], dict[str, Array]]:
    """Return a function from a session to its inputs: one matrix or list of texts, or a tensor for each column."""
    from onnxruntime import InferenceSession

    def feed(session: InferenceSession) -> dict[str, Array]:
        kinds = {one.name: one.type for one in session.get_inputs()}
        columns = hasattr(rows, "columns")
        found = {}
        for name, shape in served.inputs:
            array = np.asarray(rows[name] if columns and len(served.inputs) > 1 else rows)
            array = array.reshape(-1, *shape[1:])
            dtype = {"tensor(string)": object, "tensor(double)": np.float64, "tensor(int64)": np.int64}
            found[name] = array.astype(dtype.get(kinds[name], np.float32))
        return found

    return feed


def ask(model: Any, output: str, rows: Any) -> Array:
    """Return what an estimator answers where its graph gives an output."""
    name, _, number = output.partition("_")
    answer = getattr(model, METHODS[name])(rows)
    if number:  # of several targets
        answer = answer[int(number)]
    array = np.asarray(answer.toarray() if hasattr(answer, "toarray") else answer)
    return np.stack([-array, array], axis=1) if name == "scores" and array.ndim == 1 else array


def compare(output: str, expected: Array, got: Array) -> float:
    """Return the largest difference as a share of the output's range. Raises Differs beyond the tolerance."""
    if expected.size != got.size or len(expected) != len(got):
        raise Differs(f"'{output}' has the shape {got.shape}, expected {expected.shape}")
    got = got.reshape(expected.shape)
    if output == "label":
        flips = int((expected.astype(object) != got.astype(object)).sum())  # 1 and 1.0 are one label
        if flips:
            raise Differs(f"{flips} of {expected.size} labels")
        return 0.0
    expected = expected.astype(np.float64)
    finite = expected[np.isfinite(expected)]
    extent = float(np.ptp(finite)) if finite.size else 0.0
    with np.errstate(invalid="ignore"):
        equal = (expected == got) | (np.isnan(expected) & np.isnan(got))
        difference = np.where(equal, 0.0, np.abs(expected - got))
    if not (difference <= ATOL * extent + RTOL * np.nan_to_num(np.abs(expected), posinf=0.0)).all():
        worst = float(np.nan_to_num(difference, nan=np.inf).max())
        raise Differs(f"'{output}' by up to {worst:.2g}, where its values extend over {extent:.2g}")
    return float(difference.max(initial=0.0)) / (extent or 1.0)


def _measure(session: Any, feed: dict[str, Array], model: Any, output: str, rows: Any) -> tuple[float, float]:
    """Return the median seconds of the graph and of the estimator for the same rows, asked in turn."""
    calls: tuple[Callable[[], object], ...] = (lambda: session.run(None, feed), lambda: ask(model, output, rows))
    taken: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + 2 * SECONDS
    while time.perf_counter() < end or len(taken[1]) < 5:
        for call, found in zip(calls, taken, strict=True):
            begin = time.perf_counter()
            call()
            found.append(time.perf_counter() - begin)
    return float(np.median(taken[0])), float(np.median(taken[1]))


def run(names: Sequence[str]) -> Iterator[Row]:
    """Yield what becomes of each estimator, in order, with as many at a time as there are cores."""
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for number, row in enumerate(pool.map(examine, names), 1):
            shown = " | ".join(filter(None, row.cells()[1:]))
            print(f"[{number} of {len(names)}] {row.name:<30} {shown}", file=sys.stderr, flush=True)
            yield row


def format_table(rows: Sequence[Row]) -> str:
    """Return the rows as a table of Markdown."""
    cells = [HEADINGS, tuple("---" for _ in HEADINGS), *(row.cells() for row in rows)]
    return "".join("| " + " | ".join(one.replace("|", "\\|") for one in row) + " |\n" for row in cells)


def summarize(rows: Sequence[Row]) -> str:
    """Return how many estimators had each outcome, in all and by kind."""
    outcomes = [row.outcome for row in rows]
    return ", ".join(f"{outcomes.count(one)} {one}" for one in dict.fromkeys(outcomes))


def write_page(rows: Sequence[Row]) -> None:
    """Replace the tables on the page of the estimators."""
    import onnxruntime
    import skl2onnx
    import sklearn

    before, _, rest = PAGE.read_text("utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    versions = (
        f"scikit-learn {sklearn.__version__}, skl2onnx {skl2onnx.__version__}, ONNX Runtime {onnxruntime.__version__}"
    )
    kinds: dict[str, list[Row]] = {}
    for row in rows:
        kinds.setdefault(_kind(row.name), []).append(row)
    counts = "".join(
        f"| {kind} | {sum(row.outcome == 'yes' for row in found)} | {len(found)} |\n"
        for kind, found in sorted(kinds.items())
    )
    total = f"| **all** | **{sum(row.outcome == 'yes' for row in rows)}** | **{len(rows)}** |\n"
    none = ", ".join(name for name in estimators() if not answers_new_rows(name))
    parts = [
        f"{versions}.\n\n| kind | converts | of |\n| --- | --- | --- |\n{counts}{total}\n",
        format_table(rows),
        f"\nNothing to convert, because they do not answer for new rows: {none}.\n",
    ]
    PAGE.write_text("".join([before, MARKS[0], *parts, MARKS[1], after]), "utf-8")


def _kind(name: str) -> str:
    from sklearn import base

    kinds = {"ClassifierMixin": "classifier", "RegressorMixin": "regressor", "ClusterMixin": "clusters"}
    kinds |= {"OutlierMixin": "outliers", "TransformerMixin": "transformer"}
    found = (kind for mixin, kind in kinds.items() if issubclass(estimators()[name], getattr(base, mixin)))
    return next(found, "takes another estimator's kind")


def main(arguments: argparse.Namespace) -> int:
    """Run what was asked for, and return the exit code."""
    if unknown := set(arguments.only) - set(RECIPES):
        print(f"scripts/estimators: unknown estimator {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    missing = [name for name in estimators() if answers_new_rows(name) and name not in RECIPES]
    if missing:
        print(f"scripts/estimators: no recipe for {', '.join(missing)}", file=sys.stderr)
        return 1
    rows = list(
        run([name for name in estimators() if name in RECIPES and (name in arguments.only or not arguments.only)])
    )
    print(format_table(rows) + "\n" + summarize(rows))
    if arguments.write:
        write_page(rows)
    converted = sum(row.outcome == "yes" for row in rows)
    wrong = any(row.outcome in ("differs", "crashes") for row in rows)
    return int(wrong or (converted < MIN_CONVERTED and not arguments.only))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scripts/estimators", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these estimators")
    parser.add_argument("--write", action="store_true", help="write the table to docs/estimators.md too")
    try:
        sys.exit(main(parser.parse_args()))
    except KeyboardInterrupt:
        sys.exit(130)
