"""
Convert, serve and ask real models, and compare the answers with those of the original runtimes.

Prints a table, and exits with 1 if a model is refused, cannot be served, or answers something else than the original.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from scripts.models import carried, trained
from scripts.models.comparison import Comparison, Difference, compare
from scripts.models.entry import Answers, Array, Entry, Question
from scripts.models.wheels import WHEELS, DownloadFailed, cache_folder, download

PAGE: Final = Path(__file__).parents[1] / "docs" / "catalogue.md"
MARKS: Final = ("<!-- written by scripts/catalogue -->\n", "<!-- end -->\n")
SNOOZE: Final = (sys.executable, "-m", "snooze.cli")
MAX_CONVERT_SECONDS: Final = 900.0
MAX_WAIT_SECONDS: Final = 120.0
HEADINGS: Final = (
    "model",
    "framework",
    "source",
    "KiB",
    "convert s",
    "outcome",
    "rows",
    "worst",
    "of allowed",
    "flips",
)
PASSED: Final = ("same", "refused rightly", "left out")


@dataclass
class Row:
    """What became of a model. `problem` is the message where the outcome is not what it should be."""

    entry: Entry
    size: int = 0
    seconds: float = 0.0
    outcome: str = "converted"
    rows: int = 0
    comparison: Comparison | None = None
    problem: str = ""

    @property
    def passed(self) -> bool:
        return self.outcome in PASSED

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        found = self.comparison
        return (
            self.entry.name,
            self.entry.framework,
            self.entry.source,
            f"{self.size / 1024:,.0f}" if self.size else "",
            f"{self.seconds:.1f}" if self.seconds else "",
            self.outcome,
            str(self.rows or ""),
            *((f"{found.worst:.1e}", f"{found.share:.3f}", str(found.flips)) if found else ("", "", "")),
        )


def convert(entry: Entry, folder: Path, repository: Path) -> tuple[Row, Path]:
    """Make the model's file in `folder`, and convert it into the repository with the command."""
    if entry.missing:
        return Row(entry, outcome="left out", problem=f"needs {', '.join(entry.missing)}, not installed here"), folder
    folder.mkdir(parents=True, exist_ok=True)
    file = entry.file(folder)
    options = [*entry.options, "--name", entry.name, "--target", str(repository), "--quantize", "none"]
    if entry.give_rows:
        data = folder / "rows.npz"
        np.savez(data, **entry.questions()[0])  # type: ignore[arg-type]
        options += ["--data", str(data)]
    row = Row(entry, _size(file))
    command = [*SNOOZE, "convert", str(file), *options]
    start = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=MAX_CONVERT_SECONDS)
    except subprocess.TimeoutExpired:
        row.outcome, row.problem = "too slow", f"not done after {MAX_CONVERT_SECONDS:g} s"
        return row, file
    row.seconds = time.monotonic() - start
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        row.outcome, row.problem = "refused", "\n".join(lines).replace(f"{folder}/", "")
        if "Traceback" in done.stderr or len(lines) > 3 or done.returncode not in (1, 2):
            row.outcome = f"crashed ({done.returncode})"
        elif entry.refusal and entry.refusal in done.stderr:
            row.outcome = "refused rightly"
    elif entry.refusal:
        row.outcome, row.problem = "not refused", f"expected a refusal that names {entry.refusal}"
    return row, file


@contextmanager
def serve(repository: Path, log: Path) -> Iterator[str]:
    """Serve a repository on a free port; yield host and port. Raises Difference if the server does not start."""
    command = [*SNOOZE, "serve", str(repository), "--port", "0"]
    with log.open("wb") as stderr, subprocess.Popen(command, stderr=stderr) as process:
        try:
            end = time.monotonic() + MAX_WAIT_SECONDS
            while not (found := re.search(r"http://(127\.0\.0\.1:\d+)", log.read_text())):
                if process.poll() is not None or time.monotonic() > end:
                    raise Difference(f"the server does not start: {log.read_text().strip()}")
                time.sleep(0.02)
            yield found[1]
        finally:
            process.terminate()


def examine(row: Row, file: Path, address: str) -> None:
    """Ask a converted model over HTTP and its original, and put what differs into its row."""
    entry = row.entry
    questions = entry.questions()
    row.rows = sum(len(next(iter(question.values()))) for question in questions)
    expected = entry.original(file, questions)
    try:
        answers = ask(address, entry.name, questions)
        row.comparison = compare(entry, expected, answers)
    except Difference as difference:
        row.outcome, row.problem = "differs", str(difference)
        return
    row.outcome = "same"
    if row.comparison.share > 1 or row.comparison.flips:
        row.outcome, row.problem = "differs", "the values are farther apart than allowed, or classes differ"


def ask(address: str, name: str, questions: Sequence[Question]) -> list[Answers]:
    """Return the model's answers over V2 with binary tensors. Raises Difference if a question is refused."""
    import tritonclient.http

    with tritonclient.http.InferenceServerClient(address, network_timeout=MAX_WAIT_SECONDS) as client:
        try:
            described = client.get_model_metadata(name)
            return [_infer(client, name, described, question) for question in questions]
        except tritonclient.http.InferenceServerException as error:
            raise Difference(f"the server refuses a request: {error}") from None


def _infer(client: Any, name: str, described: dict[str, Any], question: Question) -> Answers:
    from tritonclient.http import InferInput, InferRequestedOutput

    inputs = []
    by_name = {one["name"] for one in described["inputs"]} == set(question)
    if len(described["inputs"]) != len(question):
        named = ", ".join(one["name"] for one in described["inputs"])
        raise Difference(f"the inputs are {named}, expected {', '.join(question)}")
    for place, array in zip(described["inputs"], question.values(), strict=True):
        tensor = _fit(question[place["name"]] if by_name else array, place)
        inputs.append(InferInput(place["name"], list(tensor.shape), place["datatype"]))
        inputs[-1].set_data_from_numpy(tensor, binary_data=True)
    outputs = [InferRequestedOutput(one["name"], binary_data=True) for one in described["outputs"]]
    answer = client.infer(name, inputs, outputs=outputs)
    return {one["name"]: _texts(answer.as_numpy(one["name"])) for one in described["outputs"]}


def _fit(array: Array, place: dict[str, Any]) -> Array:
    """Return an array with the datatype of an input; a column is a matrix where one is expected."""
    from tritonclient.utils import triton_to_np_dtype

    if array.ndim + 1 == len(place["shape"]) and place["shape"][-1] == 1:
        array = array[..., None]
    return np.ascontiguousarray(array.astype(triton_to_np_dtype(place["datatype"]))).reshape(array.shape)


def _texts(array: Array) -> Array:
    return np.char.decode(array.astype(bytes), "utf-8") if array.dtype.kind == "O" else array


def run(entries: Sequence[Entry], folder: Path) -> list[Row]:
    """Run the catalogue, and tell what becomes of each model."""
    rows = []
    for number, entry in enumerate(entries, 1):
        row = run_one(entry, folder / entry.name)
        rows.append(row)
        found = " | ".join(filter(None, row.cells()[3:]))
        print(f"[{number} of {len(entries)}] {entry.name:<24} {found}", file=sys.stderr, flush=True)
        for line in row.problem.splitlines() if row.outcome != "refused rightly" else ():
            print(f"    {line}", file=sys.stderr, flush=True)
    return rows


def run_one(entry: Entry, folder: Path) -> Row:
    """Convert, serve and ask one model."""
    repository = folder / "models"
    row, file = convert(entry, folder / "original", repository)
    if row.outcome == "converted":
        try:
            with serve(repository, folder / "server.log") as address:
                examine(row, file, address)
        except Difference as difference:
            row.outcome, row.problem = "not served", str(difference)
    return row


def format_table(rows: Sequence[Row]) -> str:
    """Return the rows as a table of Markdown, followed by the problems."""
    cells = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(HEADINGS))]
    lines = [
        "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    problems = [f"- {row.entry.name}: {row.outcome}: {' '.join(row.problem.split())}" for row in rows if row.problem]
    return "\n".join([*lines, "", *problems, ""])


def write_page(rows: Sequence[Row], seconds: float) -> None:
    """Replace the table on the page of the catalogue."""
    from datetime import UTC, datetime

    before, _, rest = PAGE.read_text("utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    summary = f"Run of {datetime.now(UTC):%Y-%m-%d}: {summarize(rows)} in {seconds:.0f} s.\n\n"
    PAGE.write_text("".join([before, MARKS[0], summary, format_table(rows).rstrip() + "\n", MARKS[1], after]), "utf-8")


def summarize(rows: Sequence[Row]) -> str:
    """Return how many models had each outcome."""
    outcomes = [row.outcome for row in rows]
    return ", ".join(f"{outcomes.count(one)} {one}" for one in dict.fromkeys(outcomes))


def main(arguments: argparse.Namespace) -> int:
    """Run what was asked for, and return the exit code."""
    entries = carried.entries(arguments.cache) + trained.entries()
    known = [entry.name for entry in entries]
    if unknown := set(arguments.only) - set(known):
        print(f"scripts/catalogue: unknown model {', '.join(sorted(unknown))}; --list names all", file=sys.stderr)
        return 2
    chosen = [entry for entry in entries if entry.name in arguments.only or not arguments.only]
    if arguments.list:
        print(*(f"{entry.name:<24} {entry.framework:<14} {entry.source}" for entry in chosen), sep="\n")
        return 0
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="snooze-catalogue-") as folder:
        try:
            for package in dict.fromkeys(entry.source.partition(" ")[0] for entry in chosen if not entry.missing):
                if package in WHEELS:
                    download(package, arguments.cache)
        except DownloadFailed as error:
            print(f"scripts/catalogue: {error}", file=sys.stderr)
            return 1
        rows = run(chosen, Path(folder))
    seconds = time.monotonic() - start
    print(format_table(rows))
    print(f"{summarize(rows)} in {seconds:.0f} s")
    if arguments.write:
        write_page(rows, seconds)
    return 0 if all(row.passed for row in rows) else 1


def _size(path: Path) -> int:
    return sum(one.stat().st_size for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scripts/catalogue", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the models, and convert none")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these models")
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="the folder of the wheels (%(default)s)")
    parser.add_argument("--write", action="store_true", help="write the table to docs/catalogue.md too")
    try:
        sys.exit(main(parser.parse_args()))
    except KeyboardInterrupt:
        sys.exit(130)
