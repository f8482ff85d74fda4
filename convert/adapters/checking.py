"""Whether raw rows get the same answers from adapter and graph as from the original with its own preprocessing."""

from snooze.bundle.adapters.interface import Adapter
from snooze.bundle.evidence import AdapterParity
from snooze.convert.attempts import Conversion
from snooze.convert.checks.parity import compare, find_problem
from snooze.convert.errors import ParityRefused
from snooze.convert.frameworks.interface import Original
from snooze.convert.runner import Runner

ITSELF = "the model on the inputs that the adapter made"


def check_adapter(adapter: Adapter, original: Original, conversion: Conversion) -> AdapterParity | None:
    """
    Return how raw rows compare; None if there are no real ones.

    Raises:
        ParityRefused: the answers differ.
        InvalidData: the original does not accept the raw rows.
    """
    expected = conversion.expected
    data = expected.data
    if data.raw is None:
        return None
    runner = Runner(conversion.file, axes=original.axes)
    wanted, got = [], []
    at = 0
    for case, known in zip(data.cases, expected.outputs, strict=True):
        raw = data.raw[at : at + case.units]
        at += case.units
        own = original.answer_raw
        wanted.append(known if own is None else case.answer(original.ask(own, raw, "the raw rows"), original.axes))
        got.append(runner.answer(case._replace(tensors=adapter.apply(raw))))
    differences = compare(original, wanted, got, expected.tolerance).differences
    problem = find_problem(differences, expected.trees)
    if problem:
        what = f"from raw rows on, with the {adapter.kind} adapter, the {original.model} answers differently: {problem}"
        raise ParityRefused(what, "declare what it does with raw rows with --adapter", differences)
    return AdapterParity(ITSELF if original.answer_raw is None else original.raw_reference, differences)
