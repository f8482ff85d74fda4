"""Labelled rows as requests of one row each, as a model takes them."""

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

import numpy as np

from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData
from snooze.bundle.rows.fitting import fit
from snooze.bundle.rows.reading import Rows, read
from snooze.bundle.rows.values import Array
from snooze.client import v2
from snooze.client.exchange import Payload
from snooze.client.raw_rows import encode_raw


def read_labelled(data: Path, label: str | None) -> tuple[Rows, Array]:
    """
    Return the rows of a file or folder, and a label for each.

    Raises:
        InvalidData: it cannot be read, or has no labels.
    """
    rows = read(data, label)
    if rows.labels is None:
        raise InvalidData(str(data), "has no labels; name their column with --label")
    if rows.labels.size != len(rows.labels):
        raise InvalidData(str(data), f"expected one label for each row, got labels of shape {list(rows.labels.shape)}")
    return rows, rows.labels.reshape(-1)


def write_requests(
    rows: Rows, data: Path, label: str | None, inputs: Sequence[Tensor], adapter: str | None
) -> list[Payload]:
    """
    Return a request of the plain protocol for each row of `data`.

    Args:
        rows: those that `read_labelled` returned.
        data: the file or folder that they are from.
        label: the column that is not an input.
        inputs: those in the model's metadata.
        adapter: the kind of its adapter, if it has one.

    Raises:
        InvalidData: the rows do not fit the model.
    """
    raw = None if adapter is None else encode_raw(adapter, None, data, label)
    if raw is not None:
        requests = [one for payload in raw for one in _split(payload)]
        if rows.labels is not None and len(requests) != len(rows.labels):
            raise InvalidData(str(data), f"has {len(requests)} rows, but {len(rows.labels)} labels")
        return requests
    arrays = fit(rows, inputs, str(data))
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise InvalidData(str(data), f"row {row} has NaN or infinity for input {name!r}; remove such rows")
    return list(_split(v2.encode_rows(arrays, inputs, str(data))))


def _split(payload: Payload) -> Iterator[Payload]:
    """Return a request for each row of a request in JSON or CSV with a header; a picture is one row."""
    kind = payload.headers["Content-Type"]
    if kind == "text/csv":
        header, *lines = [line for line in csv.reader(StringIO(payload.body.decode(), newline="")) if line]
        for line in lines:
            written = StringIO(newline="")
            csv.writer(written).writerows([header, line])
            yield Payload(written.getvalue().encode(), payload.headers)
    elif kind == "application/json":
        ((key, rows),) = json.loads(payload.body).items()
        for row in rows:
            yield Payload(json.dumps({key: [row]}).encode(), payload.headers)
    else:
        yield payload
