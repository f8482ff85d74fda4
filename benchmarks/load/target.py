"""
What a load is aimed at: one model of a running server, and ready-made requests for it.

Everything is learnt from the server itself by the Open Inference protocol, so any server of it can be measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from snooze.benchmarks.errors import InvalidData, InvalidOption, NotServed, UnknownModel
from snooze.benchmarks.exchange import Address, exchange
from snooze.benchmarks.load import payloads, rows
from snooze.benchmarks.load.arrivals import SEED
from snooze.benchmarks.load.payloads import PROTOCOLS, Payload, Protocol
from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import DATATYPES

MODELS: Final = "/v2/models/"
SIGNATURE: Final = "drawn from the signature"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asks for: see the options of `snooze bench load`."""

    model: str | None = None
    data: Path | None = None
    row: tuple[str, ...] = ()
    label: str | None = None
    rows: int = 1
    protocol: Protocol = "v2"
    binary: bool = False

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise InvalidOption("--rows", self.rows, "1 or more")
        if self.protocol not in PROTOCOLS:
            raise InvalidOption("--protocol", self.protocol, " or ".join(PROTOCOLS))
        if self.binary and self.protocol != "v2":
            raise InvalidOption("--binary", self.protocol, "--protocol v2, the plain one has no binary form")
        if self.data and self.row:
            raise InvalidOption("--row", self.row[0], "either --data or --row")


@dataclass(frozen=True, slots=True)
class Target:
    """A model of a server, the path that predicts, and at least one request for it."""

    address: Address
    model: str
    path: str
    payloads: tuple[Payload, ...]
    rows: int
    source: str


def prepare(url: str, wanted: Wanted) -> Target:
    """
    Ask the server at `url` for the model's signature and make requests that fit it.

    The URL may be the server's, or the model's own (`.../v2/models/NAME`).

    Raises:
        BenchmarkError: the server is not there, has no such model, or the data does not fit.
    """
    base, _, named = url.partition(MODELS)
    address = Address.parse(base)
    model = wanted.model or unquote(named.partition("/")[0]) or _only_model(address)
    tensors = _signature(address, model)
    source, inputs = _inputs(wanted, tensors)
    cut = payloads.batches(inputs, tensors, wanted.rows, source)
    path = f"{MODELS}{quote(model)}/infer" if wanted.protocol == "v2" else f"/models/{quote(model)}/predict"
    made = tuple(payloads.encode(one, tensors, wanted.protocol, wanted.binary, source) for one in cut)
    first = cut[0][tensors[0].name]
    return Target(address, model, path, made, len(first) if first.ndim else 1, source)


def try_once(target: Target) -> None:
    """
    Send the first request, which also wakes a service that sleeps.

    Raises:
        Unreachable: no answer.
        NotServed: an answer other than 200; repeating it for the length of a load would measure refusals.
    """
    payload = target.payloads[0]
    answer = exchange(target.address, "POST", target.path, payload.body, payload.headers)
    if answer.status != 200:
        raise NotServed(target.address.url + target.path, answer.status, answer.error())


def _only_model(address: Address) -> str:
    names = _listed(address)
    if len(names) != 1:
        raise UnknownModel(address.url, None, names)
    return names[0]


def _listed(address: Address) -> list[str]:
    """Return the names in the server's repository index; none if it has no such index."""
    answer = exchange(address, "POST", "/v2/repository/index", b"{}", {"Content-Type": "application/json"})
    listed = answer.json() if answer.status == 200 else None
    if not isinstance(listed, list):
        return []
    return sorted({str(one["name"]) for one in listed if isinstance(one, dict) and "name" in one})


def _signature(address: Address, model: str) -> tuple[Tensor, ...]:
    path = MODELS + quote(model)
    answer = exchange(address, "GET", path)
    if answer.status == 404:
        raise UnknownModel(address.url, model, _listed(address))
    if answer.status != 200:
        raise NotServed(address.url + path, answer.status, answer.error())
    try:
        return tuple(_tensor(one) for one in answer.json()["inputs"])
    except (KeyError, TypeError, ValueError):
        raise NotServed(address.url + path, answer.status, "not the metadata of a model") from None


def _tensor(described: Any) -> Tensor:
    datatype = str(described["datatype"])
    if datatype not in DATATYPES:
        raise InvalidData(f"input {described['name']!r}", f"its datatype {datatype} is none of {', '.join(DATATYPES)}")
    return Tensor(str(described["name"]), datatype, tuple(int(size) for size in described["shape"]))


def _inputs(wanted: Wanted, tensors: Sequence[Tensor]) -> tuple[str, payloads.Inputs]:
    if not tensors:
        raise InvalidData("the model's signature", "it has no inputs")
    if wanted.data:
        return str(wanted.data), rows.fit(rows.read(wanted.data, wanted.label), tensors, str(wanted.data))
    if wanted.row:
        return "--row", rows.fit(rows.parse(wanted.row), tensors, "--row")
    return SIGNATURE, rows.fit(rows.draw(tensors, SEED), tensors, SIGNATURE)
