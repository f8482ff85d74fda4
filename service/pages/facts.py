"""What the page says about a model: from its contract, its evidence and its profile."""

from collections.abc import Iterator
from math import sqrt
from typing import Final, NamedTuple

from snooze.bundle.contract import Bundle
from snooze.bundle.errors import InvalidContract
from snooze.bundle.evidence import Evaluation, Evidence, Profile, read_evidence, read_profile
from snooze.bundle.units import format_count, format_duration, format_size
from snooze.service.runtime.model import Model

MAX_LABELS: Final = 10  # that are listed
Z: Final = 1.959964  # 95 % of a normal distribution lie within so many standard deviations


class Fact(NamedTuple):
    """Something that is known of a model; the note says how."""

    name: str
    value: str
    note: str = ""


def collect(model: Model) -> Iterator[Fact]:
    """Yield what is known about a model, but nothing from evidence or a profile that this version cannot read."""
    bundle = model.bundle
    yield Fact("Task", bundle.task or "unknown", _labels(bundle))
    try:
        evidence, profile = read_evidence(bundle), read_profile(bundle)
    except InvalidContract:
        return
    yield score(evidence.evaluation)
    yield _parity(bundle, evidence)
    yield _speed(profile)
    yield Fact("Size", format_size(profile.model_bytes), f"the model's files, served as {evidence.chosen}")
    yield Fact(
        "Trained with",
        f"{bundle.source.framework} {bundle.source.framework_version}",
        f"converted {bundle.created[:10]}",
    )


def summarize(model: Model) -> str:
    """Return the task and the score in a few words."""
    task = model.bundle.task or "unknown task"
    try:
        evaluation = read_evidence(model.bundle).evaluation
    except InvalidContract:
        return task
    if evaluation is None:
        return f"{task}, score not measured"
    return f"{task}, {evaluation.metric} {_score(evaluation)}"


def score(evaluation: Evaluation | None) -> Fact:
    """Return the score; an accuracy with its interval."""
    if evaluation is None:
        return Fact("Score", "not measured", "the conversion was given no labels")
    on = f"on {format_count(evaluation.rows, 'row')} given to the conversion"
    if evaluation.metric != "accuracy" or not evaluation.rows:
        return Fact(evaluation.metric, _score(evaluation), on)
    least, most = (_percent(share) for share in wilson(evaluation.after, evaluation.rows))
    return Fact("Accuracy", _score(evaluation), f"95 % interval {least} to {most} (Wilson), {on}")


def wilson(share: float, rows: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of `rows` rows (E. B. Wilson, J. Am. Stat. Assoc. 22, 209, 1927)."""
    spread = Z * sqrt(share * (1 - share) / rows + Z**2 / (4 * rows**2))
    middle, scale = share + Z**2 / (2 * rows), 1 + Z**2 / rows
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def _labels(bundle: Bundle) -> str:
    labels = bundle.labels or ()
    if len(labels) > MAX_LABELS:
        return f"{len(labels)} classes: {', '.join(labels[:MAX_LABELS])}, …"
    return f"classes {', '.join(labels)}" if labels else ""


def _parity(bundle: Bundle, evidence: Evidence) -> Fact:
    data, edges = evidence.parity.data, evidence.parity.edges
    rows = format_count(data.rows + (edges.rows if edges else 0), "row")
    flips = f"{format_count(data.flips, 'label')} changed, " if bundle.labels else ""
    worst = f"{data.worst:.1e}".replace("-", "−")  # after a hyphen, a line may be broken
    return Fact("Compared with the original", rows, f"{flips}worst difference {worst}")


def _speed(profile: Profile) -> Fact:
    first, *others = (f"{format_count(run.rows, 'row')} in {format_duration(run.seconds)}" for run in profile.run)
    return Fact("Speed", first, "; ".join((*others[-1:], f"measured on {profile.cpu}")))


def _score(evaluation: Evaluation) -> str:
    return _percent(evaluation.after) if evaluation.metric == "accuracy" else f"{evaluation.after:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
