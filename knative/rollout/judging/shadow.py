"""
What is found out before the first percent: does the new revision hold the bundle, and how do its answers differ from
those of the old one?

Two versions of a model are expected to differ somewhere. Labels, and texts, are compared by row, values as a whole: the
sum of the absolute differences / the sum of the old revision's absolute values.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.bundle.contract import Bundle
from snooze.bundle.samples import matches, read_samples
from snooze.bundle.store import Found
from snooze.bundle.units import format_count
from snooze.client import v2
from snooze.client.errors import ClientError, RequestFailed, UnexpectedAnswer
from snooze.client.exchange import Address, Payload, exchange
from snooze.knative.rollout.judging.options import DISAGREEMENT, Options
from snooze.knative.rollout.judging.questions import golden_questions, path_of
from snooze.knative.rollout.judging.verdict import Verdict
from snooze.knative.rollout.live import Target

MIN_ROWS: Final = 2  # with another label: one row near the border between two classes decides nothing
NOT_COMPARED: Final = {
    "clustering": "the numbers of clusters mean nothing",
    "transform": "features of two versions mean different things",
}
SERVER_FAULT: Final = 500


class Difference(NamedTuple):
    """How answers differ: `share` is what `--max-disagreement` limits."""

    share: float
    rows: int
    summary: str
    decides: bool


def shadow(options: Options, old: Target, new: Target, found: Found, questions: Sequence[Payload] | None) -> Verdict:
    """
    Ask the new revision for its golden samples, and both for the same rows; both have a tag, and so a URL.

    Args:
        options: `disagreement` of `abort_on` makes a problem of answers that differ too much.
        old: the revision that serves now.
        new: the one that is to serve `found`.
        found: the new bundle.
        questions: the rows, as requests of the plain protocol; None stands for the golden samples.

    Raises:
        InvalidSamples: the golden samples of the bundle cannot be read.
    """
    bundle = found.bundle
    served = v2.ServedModel(_address(new), bundle.name)
    try:
        problems = list(_check_golden(served, found))
    except ClientError as error:
        return Verdict(0, (f"{new.revision} cannot answer its golden samples: {error}",), "not compared")
    if problems:
        return Verdict(0, tuple(f"{new.revision}: {problem}" for problem in problems), "not compared")
    verdict = _compare(options, old, new, bundle, golden_questions(found)[1] if questions is None else questions)
    return verdict._replace(summary=f"{new.revision} gives its golden outputs; {verdict.summary}")


def compare(old: Sequence[Any], new: Sequence[Any], bundle: Bundle) -> Difference:
    """Return how the predictions of the same rows differ, those of the plain protocol."""
    rows = len(old)
    before, now = _numbers(old), _numbers(new)
    by_label = all("label" in one for one in (*old, *new))
    if by_label or not (before.size or now.size):
        differ = sum(_said(a, by_label) != _said(b, by_label) for a, b in zip(old, new, strict=True))
        share = differ / rows
        what = "label" if by_label else "answer"
        text = f"{differ:,} of {format_count(rows, 'row')} got another {what} ({share * 100:.3g} %)"
        return Difference(share, rows, text, bundle.task not in NOT_COMPARED and differ >= MIN_ROWS)
    if before.shape != now.shape:
        return Difference(1.0, rows, f"the {format_count(rows, 'row')} got answers of another size", decides=True)
    difference, size = np.abs(now - before).sum(), np.abs(before).sum()
    share = float(difference / size) if size else float(difference > 0)
    text = f"the values of {format_count(rows, 'row')} differ by {share * 100:.3g} %"
    comparable = bundle.task not in NOT_COMPARED and not any(one.role == "embedding" for one in bundle.outputs)
    return Difference(share, rows, text, comparable)


def _check_golden(served: v2.ServedModel, found: Found) -> Iterator[str]:
    """Yield what shows that the image holds another model than the bundle; or raise a ClientError."""
    bundle = found.bundle
    samples = read_samples(found.folder, bundle)
    for number, sample in enumerate(samples):
        question = v2.encode(sample.inputs, bundle.inputs, "samples.npz", binary=True)
        answer = exchange(served.address, "POST", f"{served.path}/infer", question)
        outputs = v2.decode(answer)
        version = answer.json_object().get("model_version")
        if version != str(bundle.version):
            yield f"its image serves version {version} of {bundle.name}, the bundle is version {bundle.version}"
            return
        for name, golden in sample.outputs.items():
            if name not in outputs or not matches(outputs[name], golden, bundle.tolerance[name]):
                yield f"golden sample {number} gives another {name!r} than in the bundle: the image holds another model"
                return


def _compare(options: Options, old: Target, new: Target, bundle: Bundle, questions: Sequence[Payload]) -> Verdict:
    judged = DISAGREEMENT in options.abort_on
    try:
        problem = _compare_signatures(old, new, bundle.name)
        before = [] if problem else _predict(old, bundle.name, questions)
    except RequestFailed as error:
        if error.status >= SERVER_FAULT:
            return Verdict(0, (), f"not compared, because {old.revision} fails: {error}")
        problem = f"{old.revision} does not take the requests that {new.revision} takes: {error}"
    except ClientError as error:
        return Verdict(0, (), f"not compared, because {old.revision} does not answer: {error}")
    if problem:
        return Verdict(0, (problem,) if judged else (), f"not compared: {problem}")
    try:
        now = _predict(new, bundle.name, questions)
    except ClientError as error:
        return Verdict(
            0, (f"{new.revision} does not answer rows that {old.revision} answers: {error}",), "not compared"
        )
    if not before:
        return Verdict(0, (), "not compared: no golden sample can be sent as a request; use --shadow FILE")
    difference = compare(before, now, bundle)
    reason = NOT_COMPARED.get(bundle.task or "")
    summary = difference.summary + (f" (not judged: {reason})" if reason else "")
    if judged and difference.decides and difference.share > options.max_disagreement:
        limit = f"{options.max_disagreement * 100:.3g} % may differ"
        return Verdict(difference.rows, (f"{new.revision} and {old.revision}: {difference.summary}; {limit}",), summary)
    return Verdict(difference.rows, (), summary)


def _compare_signatures(old: Target, new: Target, name: str) -> str | None:
    """Return how the inputs of the two differ, None if they do not; or raise a ClientError."""
    before, now = (_signature(target, name) for target in (old, new))
    if before == now:
        return None
    return f"{new.revision} takes other inputs ({now}) than {old.revision} ({before}), so callers would fail"


def _signature(target: Target, name: str) -> str:
    inputs, adapter = v2.read_metadata(v2.ServedModel(_address(target), name))
    tensors = ", ".join(f"{one.name} {one.datatype} {list(one.shape)}" for one in inputs)
    return tensors + (f" by adapter {adapter}" if adapter else "")


def _predict(target: Target, name: str, questions: Sequence[Payload]) -> list[Any]:
    found: list[Any] = []
    for question in questions:
        answer = exchange(_address(target), "POST", path_of(name), question)
        predictions = answer.json_object().get("predictions")
        if not isinstance(predictions, list) or not all(isinstance(one, dict) for one in predictions):
            raise UnexpectedAnswer(answer.url, "the answer has no predictions")
        found += predictions
    return found


def _said(prediction: Any, by_label: bool) -> Any:
    return prediction["label"] if by_label else prediction


def _numbers(predictions: Sequence[Any]) -> v2.Array:
    return np.array([number for one in predictions for number in _flatten(one)])


def _flatten(value: Any) -> Iterator[float]:
    """Yield the numbers in a prediction, in the order of its keys and lists."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield from _flatten(value[key])
    elif isinstance(value, list):
        for one in value:
            yield from _flatten(one)
    elif isinstance(value, int | float):
        yield float(value)


def _address(target: Target) -> Address:
    assert target.url is not None, "each revision of a rollout has a tag"
    return Address.parse(target.url)
