"""Golden samples: a few inputs, and what the served model must answer to them on any CPU."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np

from snooze.bundle.adapters.interface import Adapter
from snooze.bundle.contract import Tolerance
from snooze.bundle.errors import InvalidData
from snooze.bundle.samples import MAX_BYTES, Sample
from snooze.bundle.units import format_size
from snooze.convert.checks.cases import Array, Case
from snooze.convert.checks.dataset import Dataset
from snooze.convert.checks.parity import by_column, margins, spans
from snooze.convert.frameworks.interface import Original
from snooze.convert.runner import Runner

CANDIDATES: Final = 256
ROWS: Final = 6
EDGES: Final = 2
MIN_MARGIN: Final = {False: 0.01, True: 0.2}  # of the two best scores, with weights in fp32 and in int8
INT8_TOLERANCE: Final = 0.05  # int8 sums round differently on other CPUs: a share of an output's range
MIN_SPAN: Final = 1e-3
RAW_BYTES: Final = 2**20  # of raw rows, for each start adapts them: a photograph of 12 megapixels takes 0.1 s

Golden: TypeAlias = tuple[Case, tuple[bytes, ...] | None]  # with its raw rows


def choose_samples(
    runner: Runner,
    original: Original,
    data: Dataset,
    edges: Dataset | None,
    quantized: bool,
    adapter: Adapter | None = None,
) -> tuple[Sample, ...]:
    """
    Return some rows, edge rows among them, and the outputs that `runner` gives for them; fewer if they are large.

    With an `adapter`, the raw rows of the data come with them, or if it has none, some that are drawn.

    Rows with a large margin are preferred, because only those keep their label on a CPU that rounds differently.
    Raises InvalidData if a single row is too large.
    """
    data = data.take_evenly(CANDIDATES)
    rows = _find_usable(runner, original, data, quantized)
    edge_rows = None if edges is None else _find_usable(runner, original, edges, quantized)
    for count, edge_count in ((ROWS, EDGES), (EDGES, 1), (1, 0)):
        cases = [*_pick(data, rows, count, adapter)]
        if adapter is not None and data.raw is None:
            cases.append(_draw(adapter, data, edge_count + 1))
        if edges is not None and edge_rows is not None and edge_count:
            cases += _pick(edges, edge_rows, edge_count)
        samples = tuple(Sample(runner.feed(case.tensors), runner.answer(case).tensors, raw) for case, raw in cases)
        size = sum(array.nbytes for sample in samples for side in sample.sides for array in side.values())
        raw = sum(len(row) for sample in samples for row in sample.raw or ())
        if size + raw <= MAX_BYTES and (raw <= RAW_BYTES or count == 1):
            return samples
    raise _too_large(size + raw)


def check_size(inputs: Sequence[Case], outputs: Sequence[Case]) -> None:
    """Raise InvalidData if no row is small enough for a golden sample, before everything else is done."""
    smallest = min(
        _bytes(given) // given.units + _bytes(answer) // given.units
        for given, answer in zip(inputs, outputs, strict=True)
    )
    if smallest > MAX_BYTES:
        raise _too_large(smallest)


def _bytes(case: Case) -> int:
    return sum(array.size * min(array.itemsize, 4) for array in case.tensors.values())  # floats are single at least


def _too_large(size: int) -> InvalidData:
    problem = f"one row and its answer have {format_size(size)}, a golden sample may have {format_size(MAX_BYTES)}"
    return InvalidData("the input rows", f"{problem}; give smaller ones with --data")


def tolerances(
    parity: Mapping[str, Tolerance], outputs: Sequence[Case], quantized: bool, original: Original
) -> dict[str, Tolerance]:
    """Return how close another CPU must come to the golden outputs: as close as to the original, or less for int8."""
    if not quantized:
        return dict(parity)
    return {name: one if one.exact else _int8(outputs, name, original) for name, one in parity.items()}


def _int8(outputs: Sequence[Case], name: str, original: Original) -> Tolerance:
    """Return the tolerance of an output of an 8-bit version; scores share one range, other columns have their own."""
    found = np.maximum(spans(outputs, name), MIN_SPAN)
    return by_column(
        INT8_TOLERANCE,
        INT8_TOLERANCE,
        found.max(keepdims=True) if original.roles.get(name) == "scores" else found,
        INT8_TOLERANCE,
    )


def _find_usable(runner: Runner, original: Original, data: Dataset, quantized: bool) -> Array:
    """Return the numbers of the units with finite outputs and a large margin, or of the best one."""
    outputs = runner.answer_all(data.cases)
    usable = np.concatenate([_finite(case) for case in outputs])
    margin = margins(original, outputs)
    if margin is not None:
        usable &= margin >= MIN_MARGIN[quantized]
    places = np.flatnonzero(usable)
    if len(places) == 0:
        places = np.arange(1) if margin is None else np.argsort(-margin)[:1]
    return places


def _pick(data: Dataset, places: Array, count: int, adapter: Adapter | None = None) -> Iterator[Golden]:
    """Yield `count` units, spread evenly over those at the places, with their raw rows if they have any."""
    picked = data.take(places[np.unique(np.linspace(0, len(places) - 1, count).astype(np.int64))])
    at = 0
    for case in picked.cases:
        if adapter is None or picked.raw is None:
            yield case, None
        else:
            raw = picked.raw[at : at + case.units]
            made = adapter.apply(raw)  # padded to the longest of these, not of all that were adapted together
            yield case._replace(tensors=made), tuple(map(adapter.pack, raw))
        at += case.units


def _draw(adapter: Adapter, data: Dataset, count: int) -> Golden:
    """Return drawn raw rows, and the inputs that the adapter makes of them."""
    raw = adapter.draw(count)
    return Case(adapter.apply(raw), data.cases[0].axes), tuple(map(adapter.pack, raw))


def _finite(case: Case) -> Array:
    finite = np.ones(case.units, bool)
    for name, array in case.tensors.items():
        if array.dtype.kind == "f":
            finite &= np.isfinite(case.by_unit(name)).reshape(case.units, -1).all(1)
    return finite
