"""
The messages of the Open Inference (V2) protocol, and of Snooze's plain protocol, as a client writes and reads them.

https://github.com/open-inference/open-inference-protocol; binary tensors as in Triton's binary data extension.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from snooze.bundle.codec import read
from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import DATATYPES
from snooze.bundle.errors import InvalidContract, InvalidData
from snooze.client.errors import UnexpectedAnswer, UnknownModel
from snooze.client.exchange import HEADER_LENGTH, TIMEOUT_SECONDS, Address, Answer, Payload, exchange

Array: TypeAlias = NDArray[Any]

MODELS: Final = "/v2/models/"


class ServedModel(NamedTuple):
    """A model of a server; without a `version` the server chooses one."""

    address: Address
    name: str
    version: str | None = None

    @property
    def path(self) -> str:
        """The path of its metadata."""
        return MODELS + quote(self.name, "") + (f"/versions/{quote(self.version, '')}" if self.version else "")


def find_model(
    url: str, name: str | None = None, version: str | None = None, seconds: float = TIMEOUT_SECONDS
) -> ServedModel:
    """
    Return the model `name`, or the one of a URL `.../v2/models/NAME[/versions/N][/infer]`, or the server's only model.

    Raises:
        InvalidOption: it is not a valid URL.
        UnknownModel: no model is named, and the server does not list exactly one.
    """
    base, _, named = url.rstrip("/").removesuffix("/infer").partition(MODELS)
    own_name, _, own_version = named.partition("/versions/")
    address = Address.parse(base)
    name = name or unquote(own_name)
    if not name:
        known = list_models(address, seconds)
        if len(known) != 1:
            raise UnknownModel(address.url, None, known)
        name = known[0]
    return ServedModel(address, name, version or unquote(own_version) or None)


def list_models(address: Address, seconds: float = TIMEOUT_SECONDS) -> list[str]:
    """Return the names in the server's repository index; none if it has no such index."""
    answer = exchange(address, "POST", "/v2/repository/index", _json({}), seconds)
    try:
        return sorted({str(entry["name"]) for entry in json.loads(answer.body)}) if answer.status == 200 else []
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def read_inputs(model: ServedModel, seconds: float = TIMEOUT_SECONDS) -> tuple[Tensor, ...]:
    """Return the inputs in the model's metadata, or raise a ClientError."""
    return read_metadata(model, seconds)[0]


def read_metadata(model: ServedModel, seconds: float = TIMEOUT_SECONDS) -> tuple[tuple[Tensor, ...], str | None]:
    """Return the inputs in the model's metadata, and the kind of its adapter if it has one, or raise a ClientError."""
    answer = exchange(model.address, "GET", model.path, None, seconds)
    if answer.status == 404 and model.name not in (known := list_models(model.address, seconds)):
        raise UnknownModel(model.address.url, model.name, known)
    metadata = answer.json_object()
    described, adapter = metadata.get("inputs"), metadata.get("adapter")
    kind = str(adapter.get("kind")) if isinstance(adapter, dict) else None
    if not described or not isinstance(described, list):
        raise UnexpectedAnswer(answer.url, "the metadata names no inputs")
    try:
        inputs = tuple(read(Tensor, one, f"inputs[{index}]", closed=False) for index, one in enumerate(described))
    except InvalidContract as error:
        raise UnexpectedAnswer(answer.url, f"{error.field}: {error.problem}") from None
    return inputs, kind


def encode(arrays: Mapping[str, Array], inputs: Sequence[Tensor], source: str, binary: bool = False) -> Payload:
    """
    Return an inference request with these inputs, as JSON or with binary tensors.

    Raises:
        InvalidData: NaN or infinity in JSON; `source` names where the rows come from.
    """
    described: list[dict[str, Any]] = [
        {"name": one.name, "shape": list(arrays[one.name].shape), "datatype": one.datatype} for one in inputs
    ]
    if not binary:
        for one in described:
            one["data"] = _nest(arrays[one["name"]].ravel(), source)
        return _json({"inputs": described})
    parts = [_pack(arrays[tensor.name]) for tensor in inputs]
    for one, part in zip(described, parts, strict=True):
        one["parameters"] = {"binary_data_size": len(part)}
    header, _ = _json({"inputs": described, "parameters": {"binary_data_output": True}})
    headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(header))}
    return Payload(b"".join([header, *parts]), headers)


def encode_rows(arrays: Mapping[str, Array], inputs: Sequence[Tensor], source: str) -> Payload:
    """Return a request of the plain protocol: the values of each row, or an object by input; errors as in `encode`."""
    columns = {tensor.name: _nest(arrays[tensor.name], source) for tensor in inputs}
    if len(columns) == 1:
        return _json({"rows": columns[inputs[0].name]})
    return _json({"rows": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]})


def decode(answer: Answer) -> dict[str, Array]:
    """Return the outputs in an inference answer by name (texts as arrays of `str` objects), or raise a ClientError."""
    document = answer.json_object()
    offset = int(answer.headers.get(HEADER_LENGTH.lower(), len(answer.body)))
    outputs = {}
    try:
        for output in document["outputs"]:
            dtype = DATATYPES[output["datatype"]]
            if "data" in output:
                values = np.array(output["data"], dtype)
            else:
                size = output["parameters"]["binary_data_size"]
                values = _unpack(answer.body[offset : offset + size], dtype)
                offset += size
            outputs[str(output["name"])] = values.reshape(output["shape"])
    except (KeyError, TypeError, ValueError):
        raise UnexpectedAnswer(answer.url, "the answer does not contain the model's outputs") from None
    return outputs


def _json(value: Any) -> Payload:
    return Payload(json.dumps(value, separators=(",", ":")).encode(), {"Content-Type": "application/json"})


def _nest(array: Array, source: str) -> Any:
    """Return an array as nested lists for JSON. A float32 gets the shortest digits that mean the same float32."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InvalidData(source, "NaN and infinity cannot be written in JSON; use --binary or other rows")
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        array = np.array([float(str(value)) for value in array.ravel()]).reshape(array.shape)
    elif array.dtype.kind == "O":
        array = np.array([_text(value) for value in array.ravel()], object).reshape(array.shape)
    return array.tolist()


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _pack(array: Array) -> bytes:
    """Return the little-endian bytes of an array; a text is preceded by its length in four bytes."""
    if array.dtype.kind != "O":
        return array.astype(array.dtype.newbyteorder("<")).tobytes()
    texts = [_text(value).encode() for value in array.ravel()]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _unpack(data: bytes, dtype: np.dtype[Any]) -> Array:
    if dtype.kind != "O":
        return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype)
    texts, start = [], 0
    while start < len(data):
        end = start + 4 + int.from_bytes(data[start : start + 4], "little")
        texts.append(data[start + 4 : end].decode("utf-8", "replace"))
        start = end
    return np.array(texts, object)
