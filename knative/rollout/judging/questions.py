"""Rows as requests for both revisions: the golden samples of the new bundle, or those of a file."""

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from snooze.bundle.adapters.registry import declaration
from snooze.bundle.contract import Bundle
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.fitting import fit
from snooze.bundle.rows.reading import read
from snooze.bundle.samples import Sample, read_samples
from snooze.bundle.store import Found
from snooze.client.exchange import Payload
from snooze.client.raw_rows import encode_raw
from snooze.client.v2 import Array, encode_rows

MAX_ROWS: Final = 1000
ROWS_PER_REQUEST: Final = 8  # `snooze deploy` allows bodies of as many rows as the model runs at once


def path_of(model: str) -> str:
    """Return the path of a model's predictions by the plain protocol."""
    return f"/models/{quote(model, '')}/predict"


def golden_questions(found: Found) -> tuple[str, list[Payload]]:
    """
    Return the path and the requests with the golden samples, as users send such rows.

    Left out are samples that JSON cannot hold, and those of a model with an adapter that came without raw rows.

    Raises:
        InvalidSamples: they cannot be read.
    """
    bundle = found.bundle
    samples = read_samples(found.folder, bundle)
    return path_of(bundle.name), [one for sample in samples for one in _of_sample(bundle, sample)]


def read_questions(path: Path, label: str | None, bundle: Bundle) -> list[Payload]:
    """
    Return requests with the first rows of a file, at most `MAX_ROWS`; `label` is a column that is not an input.

    Raises:
        InvalidData: the file cannot be read, or its rows do not fit the model.
    """
    requests = encode_raw(_kind(bundle), None, path, label) if bundle.adapter else None
    found = _of_arrays(path, label, bundle) if requests is None else _of_requests(requests, bundle)
    questions: list[Payload] = []
    rows = 0
    for question, count in found:
        if rows + count > MAX_ROWS:
            break
        questions.append(question)
        rows += count
    if not questions:
        raise InvalidData(str(path), "has no rows")
    return questions


def _of_sample(bundle: Bundle, sample: Sample) -> Iterator[Payload]:
    if bundle.adapter is None:
        arrays = sample.inputs
        by_rows = bundle.batching is None or bundle.batching.axis == 0
        if by_rows and all(np.isfinite(one).all() for one in arrays.values() if one.dtype.kind == "f"):
            yield encode_rows(arrays, bundle.inputs, "samples.npz")
        return
    kind, raw = _kind(bundle), sample.raw or ()
    if kind == "image":
        yield from (Payload(picture, {"Content-Type": "application/octet-stream"}) for picture in raw)
    elif raw:
        yield _json([row.decode() if kind == "text" else json.loads(row) for row in raw])


def _of_arrays(path: Path, label: str | None, bundle: Bundle) -> Iterator[tuple[Payload, int]]:
    arrays = fit(read(path, label), bundle.inputs, str(path))
    count = len(next(iter(arrays.values())))
    step = _rows_per_request(bundle)
    for begin in range(0, min(count, MAX_ROWS), step):
        part: dict[str, Array] = {name: array[begin : begin + step] for name, array in arrays.items()}
        yield encode_rows(part, bundle.inputs, str(path)), min(step, count - begin)


def _of_requests(requests: Iterator[Payload], bundle: Bundle) -> Iterator[tuple[Payload, int]]:
    """Yield smaller requests with the same rows, and how many these are."""
    step = _rows_per_request(bundle)
    for request in requests:
        form = request.headers["Content-Type"]
        if form == "application/json":
            (rows,) = json.loads(request.body).values()
            yield from ((_json(part), len(part)) for part in _parts(rows, step))
        elif form == "text/csv":
            yield from _of_csv(request.body.decode(), bundle, step)
        else:
            yield request, 1


def _of_csv(text: str, bundle: Bundle, step: int) -> Iterator[tuple[Payload, int]]:
    lines = [line for line in csv.reader(StringIO(text, newline="")) if line]
    assert bundle.adapter is not None
    names = {column.name for column in declaration(bundle.adapter).columns}
    head = lines[:1] if lines and names <= set(lines[0]) else []
    for part in _parts(lines[len(head) :], step):
        written = StringIO(newline="")
        csv.writer(written).writerows([*head, *part])
        yield Payload(written.getvalue().encode(), {"Content-Type": "text/csv"}), len(part)


def _parts(rows: Sequence[Any], step: int) -> Iterator[Sequence[Any]]:
    return (rows[begin : begin + step] for begin in range(0, len(rows), step))


def _rows_per_request(bundle: Bundle) -> int:
    return 1 if bundle.batching is None else min(ROWS_PER_REQUEST, bundle.batching.max_rows)


def _kind(bundle: Bundle) -> str:
    assert bundle.adapter is not None
    return str(bundle.adapter["kind"])


def _json(rows: Sequence[Any]) -> Payload:
    return Payload(json.dumps({"rows": list(rows)}).encode(), {"Content-Type": "application/json"})
