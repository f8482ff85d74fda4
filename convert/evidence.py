"""Puts together a bundle: the files that are served, and the contract with all the evidence."""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from snooze.bundle.codec import SAMPLES, document
from snooze.bundle.contract import Bundle, Source, Tolerance
from snooze.bundle.evidence import AdapterParity, Data, Evaluation, Evidence, Parity, QuantizationLimits
from snooze.bundle.evidence import Samples as ShownSamples
from snooze.bundle.samples import write_samples
from snooze.convert import profile
from snooze.convert.adapters.choosing import Chosen
from snooze.convert.attempts import UNSTEADY, Conversion, answer, find_accepted, find_batching
from snooze.convert.checks import golden
from snooze.convert.checks.dataset import Dataset
from snooze.convert.checks.parity import compare
from snooze.convert.checks.score import score
from snooze.convert.checks.statistics import describe
from snooze.convert.checks.synthetic import draw_data, edge_cases
from snooze.convert.frameworks.interface import Original
from snooze.convert.options import Samples
from snooze.convert.quantization.candidates import Choice
from snooze.convert.runner import Runner
from snooze.convert.variants import Served

DRAWN_ROWS: Final = 64  # from which golden samples are chosen without real rows
MAX_REQUEST_BYTES: Final = 64 * 2**20  # of the largest request that is measured


class Findings(NamedTuple):
    """Everything found out about a model on its way to a bundle."""

    original: Original
    names: tuple[str, ...] | None
    data: Dataset
    limits: QuantizationLimits
    notes: tuple[str, ...]
    conversion: Conversion
    choice: Choice
    tolerance: Mapping[str, Tolerance]
    served: Served
    samples: Samples
    chosen: Chosen | None
    adapter: AdapterParity | None


def write_bundle(name: str, source: Source, found: Findings, folder: Path, work: Path) -> Bundle:
    """Write the served files and golden samples into `folder`, and return the contract."""
    for path in (*found.served.folder.iterdir(), *(found.chosen.adapter.files if found.chosen else ())):
        shutil.copyfile(path, folder / path.name)
    session, original, conversion = found.served.session, found.original, found.conversion
    runner = Runner(folder / session.file, session.optimization, original.axes)
    parity = _parity(found, runner)
    batching = find_batching(conversion, runner, found.tolerance, original)
    rows, edges = _rows_for_samples(found)
    adapter = None if found.chosen is None else found.chosen.adapter
    samples = golden.choose_samples(runner, original, rows, edges, found.choice.quantized, adapter)
    write_samples(folder / SAMPLES, samples)
    request = found.data.request(found.data.count_fitting(batching.max_rows if batching else 1, MAX_REQUEST_BYTES))
    costs = profile.measure(folder, session, request._replace(tensors=runner.feed(request.tensors)), work)
    return Bundle(
        name=name,
        version=1,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        source=source,
        inputs=conversion.inputs,
        outputs=conversion.outputs,
        task=original.task,
        labels=found.names,
        batching=batching,
        adapter=None if found.chosen is None else document(found.chosen.declaration),
        session=session,
        tolerance=found.tolerance,
        evidence=document(_evidence(found, runner, parity)),
        profile=document(costs),
        files={},  # the draft lists them
    )


def _rows_for_samples(found: Findings) -> tuple[Dataset, Dataset | None]:
    """Return the rows and edge cases from which golden samples are chosen: drawn ones, if no real row may be shown."""
    data, edges = found.data, found.conversion.expected.edges
    if UNSTEADY in found.conversion.parity.edges_refused:
        edges = None  # another CPU would answer them differently, too
    if data.real and found.samples == "synthetic":
        data, _ = answer(found.original, draw_data(found.original.inputs, DRAWN_ROWS))
        edges, _ = find_accepted(found.original, edge_cases(data, found.original.inputs))
    return data, Dataset(edges.cases) if edges else None


def _parity(found: Findings, runner: Runner) -> Parity:
    """Return the parity of what is served; for an 8-bit version that of the fp32 model, and its own as `served`."""
    conversion, expected = found.conversion, found.conversion.expected
    if found.served.parity is None:
        outputs = runner.answer_all(expected.data.cases)
        served = compare(found.original, expected.outputs, outputs, expected.tolerance).differences
        return conversion.parity._replace(served=served)
    return found.served.parity._replace(failed=conversion.parity.failed)


def _evidence(found: Findings, runner: Runner, parity: Parity) -> Evidence:
    data: Data = "synthetic" if not found.data.real else "given" if found.data.labels is None else "labelled"
    statistics, choice, evaluation = describe(found.data), found.choice, _evaluate(found, runner)
    samples: ShownSamples = "given" if found.data.real and found.samples == "real" else "drawn"
    rest = (found.limits, found.notes, found.served.variants, found.adapter, samples)
    return Evidence(data, parity, evaluation, choice.candidates, choice.name, statistics, *rest)


def _evaluate(found: Findings, runner: Runner) -> Evaluation | None:
    """Return the score of the original and of what is served, on data by which nothing was chosen."""
    data, original = found.choice.report, found.original
    if data.labels is None:
        return None
    before = score(original, original.answer_all(data.cases), data.labels)
    after = score(original, runner.answer_all(data.cases), data.labels)
    return Evaluation(before.metric, before.value, after.value, len(data))
