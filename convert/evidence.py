"""Puts together what a bundle holds: the files that are served, and the contract with all the evidence."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from snooze.bundle.codec import SAMPLES
from snooze.bundle.contract import Bundle, Source, Tolerance
from snooze.bundle.evidence import Data, Evidence
from snooze.bundle.samples import write_samples
from snooze.convert import profile
from snooze.convert.attempts import Agreed, batching, judged
from snooze.convert.checks import golden
from snooze.convert.checks.cases import Rows
from snooze.convert.checks.parity import compare
from snooze.convert.checks.score import score
from snooze.convert.checks.statistics import statistics
from snooze.convert.errors import ParityRefused
from snooze.convert.frameworks.interface import Original
from snooze.convert.options import MOST_ROWS
from snooze.convert.quantization.candidates import LEAST_GAIN, Choice, Limits
from snooze.convert.runner import Runner
from snooze.convert.variants import Served


@dataclass(frozen=True)
class Findings:
    """Everything found out about a model on its way to a bundle."""

    original: Original
    names: tuple[str, ...] | None
    rows: Rows
    limits: Limits
    notes: tuple[str, ...]
    agreed: Agreed
    choice: Choice
    quantized: bool
    tolerance: Mapping[str, Tolerance]
    served: Served


def assembled(name: str, source: Source, found: Findings, folder: Path, work: Path) -> Bundle:
    """
    Put the served files and the golden samples into `folder`, and return the contract. Its version is not yet known.

    Raises:
        ParityRefused: the served form does not answer as the original does.
        Interrupted: a process that measures failed.
    """
    for path in found.served.folder.iterdir():
        shutil.copyfile(path, folder / path.name)
    session = found.served.session
    runner = Runner(folder / session.file, session.optimization)
    parity = _parity(found, runner)
    joining = batching(found.agreed, runner, found.tolerance, found.original)
    edges = found.agreed.expected.edges
    samples = golden.samples(runner, found.original, found.rows, edges.inputs if edges else None, found.quantized)
    write_samples(folder / SAMPLES, samples)
    most = joining.max_rows if joining else 1
    return Bundle(
        name=name,
        version=1,  # the draft numbers it
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        source=source,
        inputs=found.agreed.inputs,
        outputs=found.agreed.outputs,
        session=session,
        tolerance=found.tolerance,
        evidence=_evidence(found, runner, parity),
        profile=profile.measure(folder, session, runner.feed(found.rows.at_most(MOST_ROWS).inputs), most, work),
        files={},  # so does it list them
        task=found.original.task,
        labels=found.names,
        batching=joining,
    )


def _parity(found: Findings, runner: Runner) -> dict[str, Any]:
    """Return the parity of what is served; for int8 that of the fp32 model behind it, and its own as `served`."""
    agreed = found.agreed
    if found.quantized:
        outputs = runner.run_all(agreed.expected.rows.inputs)
        served = compare(found.original, agreed.expected.outputs, outputs, agreed.tolerance)
        return agreed.parity | {"served": served.counts()}
    figures, wrong = judged(found.original, agreed.expected, runner, agreed.tolerance, agreed.trees)
    if wrong:
        raise ParityRefused(f"the form to be served answers otherwise: {wrong}", "report it with the model")
    return agreed.parity | figures


def _evidence(found: Findings, runner: Runner, parity: dict[str, Any]) -> Evidence:
    data: Data = "synthetic" if not found.rows.real else "given" if found.rows.labels is None else "labelled"
    return Evidence(
        data=data,
        parity=parity,
        evaluation=_evaluation(found, runner),
        candidates=tuple(one.record() for one in found.choice.candidates),
        chosen=found.choice.chosen.name,
        statistics=statistics(found.rows),
        more={
            "limits": asdict(found.limits) | {"least_gain": LEAST_GAIN},
            "notes": list(found.notes),
            "variants": [one.record() for one in found.served.variants],
        },
    )


def _evaluation(found: Findings, runner: Runner) -> dict[str, Any]:
    """Return the score of the original and of what is served, on rows that nothing was chosen by."""
    rows = found.choice.report
    if rows.labels is None:
        return {}
    before = score(found.original, found.original(rows.inputs), rows.labels)
    after = score(found.original, runner.run_all(rows.inputs), rows.labels)
    return {"metric": before.metric, "before": before.value, "after": after.value, "rows": len(rows)}
