"""The model that a load is aimed at, and its requests, all encoded before the load begins."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from snooze.benchmarks.load.arrivals import SEED
from snooze.bundle.contract import Tensor
from snooze.bundle.errors import InvalidData, InvalidOption
from snooze.bundle.rows.drawing import draw
from snooze.bundle.rows.fitting import fit
from snooze.bundle.rows.reading import Rows, parse, read
from snooze.bundle.samples import read_samples
from snooze.bundle.store import latest
from snooze.client import v2
from snooze.client.exchange import Payload, exchange

MAX_PAYLOADS: Final = 64
DRAWN: Final = "drawn from the signature"


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """What to send, as in the options of `snooze bench load`; an empty text is an option that is not given."""

    model: str = ""
    data: str = ""
    label: str = ""
    row: tuple[str, ...] = ()
    rows: int = 1
    protocol: str = "v2"
    binary: bool = False

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise InvalidOption("--rows", f"expected 1 or more, got {self.rows}")
        if self.binary and self.protocol != "v2":
            raise InvalidOption("--binary", f"requires --protocol v2, got {self.protocol}")
        if self.data and self.row:
            raise InvalidOption("--row", "give either --data or --row, not both")

    @classmethod
    def of(cls, arguments: Namespace) -> "RequestOptions":
        """Return the options among the arguments of a command line."""
        values = {name: getattr(arguments, name) for name in cls.__slots__}
        return cls(**values | {"row": tuple(arguments.row)})


class Target(NamedTuple):
    """A model of a server, the path of its predictions, and at least one request for it."""

    model: v2.ServedModel
    path: str
    payloads: tuple[Payload, ...]
    rows: int
    source: str


def prepare(url: str, options: RequestOptions) -> Target:
    """Read the model's signature from the server at `url` and encode requests that fit it, or raise a SnoozeError."""
    model = v2.find_model(url, options.model)
    inputs = v2.read_inputs(model)
    source, arrays = _read_arrays(options, inputs)
    cut = batches(arrays, inputs, options.rows, source)
    first = cut[0][inputs[0].name]
    rows = len(first) if first.ndim else 1
    if options.protocol == "predict":
        payloads = tuple(v2.encode_rows(one, inputs, source) for one in cut)
        return Target(model, f"{model.path.removeprefix('/v2')}/predict", payloads, rows, source)
    payloads = tuple(v2.encode(one, inputs, source, options.binary) for one in cut)
    return Target(model, f"{model.path}/infer", payloads, rows, source)


def send_once(target: Target) -> None:
    """Send the first request, which also starts a service that is scaled to zero, or raise a ClientError."""
    exchange(target.model.address, "POST", target.path, target.payloads[0]).json_object()


def batches(
    arrays: Mapping[str, v2.Array], inputs: Sequence[Tensor], rows: int, source: str
) -> list[dict[str, v2.Array]]:
    """
    Cut arrays into at most 64 different requests of `rows` rows, repeating rows where there are too few.

    A model whose first dimension is fixed gets exactly that many rows.

    Raises:
        InvalidData: `rows` does not match such a fixed dimension.
    """
    fixed = {tensor.shape[0] for tensor in inputs if tensor.shape and tensor.shape[0] != -1}
    size = fixed.pop() if fixed else rows
    if rows not in (1, size):
        raise InvalidData("--rows", f"the model takes exactly {size} rows per request, got {rows}")
    length = min((len(array) for array in arrays.values() if array.ndim), default=size)
    if length < size and size != rows:
        raise InvalidData(source, f"the model takes exactly {size} rows per request, got {length}")
    return [
        {
            name: array.take(range(index * size, (index + 1) * size), axis=0, mode="wrap") if array.ndim else array
            for name, array in arrays.items()
        }
        for index in range(min(MAX_PAYLOADS, max(1, length // size)))
    ]


def _read_arrays(options: RequestOptions, inputs: Sequence[Tensor]) -> tuple[str, dict[str, v2.Array]]:
    if options.row:
        return "--row", fit(parse(options.row), inputs, "--row")
    if not options.data:
        return DRAWN, draw(inputs, MAX_PAYLOADS, SEED)
    path = Path(options.data)
    rows = read_golden_rows(path) if path.is_dir() else read(path, options.label or None)
    return options.data, fit(rows, inputs, options.data)


def read_golden_rows(path: Path) -> Rows:
    """Return the golden inputs of the latest version of a bundle: of all cases, or the first where shapes differ."""
    found = latest(path)
    samples = read_samples(found.folder, found.bundle)
    try:
        return Rows({name: np.concatenate([one.inputs[name] for one in samples]) for name in samples[0].inputs})
    except ValueError:
        return Rows(dict(samples[0].inputs))
