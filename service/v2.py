"""
The Open Inference Protocol's `infer`: a request to input arrays, output arrays to a response. JSON, binary, or both.

Extensions: `binary_tensor_data` (also the raw request, whose header length is 0) and `parameters`, of which `timeout`
(microseconds) and `priority` are understood. What we do not do is refused by name, never passed over: shared memory,
sequences, classification.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from snooze.service.errors import InvalidRequest, InvalidTensor, NotInJson
from snooze.service.model import Model
from snooze.service.requests import MAX_TIMEOUT, parsed
from snooze.service.responses import JSON, Headers
from snooze.service.tensors import Array, Slot, count, finite, flat, from_bytes, from_json, to_bytes

PROTOCOL: Final = "v2"
HEADER_LENGTH: Final = b"inference-header-content-length"
MAX_ID: Final = 1024
REFUSED: Final = {
    "shared_memory_region": "shared memory",
    "shared_memory_offset": "shared memory",
    "shared_memory_byte_size": "shared memory",
    "sequence_id": "sequences",
    "sequence_start": "sequences",
    "sequence_end": "sequences",
    "classification": "classification",
}
BINARY_TYPE: Final = (b"content-type", b"application/octet-stream")


@dataclass(slots=True)
class Call:
    """What one request asks for. `binary` says which outputs go out as raw bytes; None is none of them."""

    feeds: dict[str, Array]
    outputs: list[str]
    binary: list[bool] | None
    id: str | None = None
    timeout: float | None = None


def parse(model: Model, headers: Mapping[bytes, bytes], body: bytes) -> Call:
    """
    Return the call that a request's body describes.

    Raises:
        InvalidRequest: it is not what the protocol says.
        InvalidTensor: an input does not fit the model's signature.
    """
    length = headers.get(HEADER_LENGTH)
    if length is None:
        document, tail = parsed(body), None
    else:
        end = _header_length(length, len(body))
        if end == 0:
            return _raw(model, body)
        document, tail = parsed(memoryview(body)[:end]), memoryview(body)[end:]
    if type(document) is not dict:
        raise InvalidRequest("expected a JSON object with 'inputs'")
    call = Call(_inputs(model, document, tail, _may_hold_booleans(body)), model.output_names, None)
    if "id" in document:
        call.id = _id(document["id"])
    parameters = document.get("parameters")
    if parameters:
        _accept(parameters)
        call.timeout = _timeout(parameters)
    if parameters or "outputs" in document:
        _outputs(model, document, parameters or {}, call)
    return call


def answer(model: Model, call: Call, arrays: list[Array], request_id: bytes) -> tuple[bytes, Headers]:
    """
    Return the body of a response and the headers that describe it.

    Raises:
        NotInJson: an output asked for as JSON holds NaN or Infinity.
    """
    raw: list[bytes] = []
    document = {
        "model_name": model.name,
        "model_version": model.version_text,
        "id": call.id if call.id is not None else request_id.decode(),
        "outputs": _described(model, call, arrays, raw),
    }
    text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    if b"null" in text:
        # Where a number cannot be said in JSON, orjson says null; so may a name.
        _check_finite(call, arrays)
    if not raw:
        return text, [JSON]
    return b"".join((text, *raw)), [BINARY_TYPE, (HEADER_LENGTH, str(len(text)).encode())]


def _described(model: Model, call: Call, arrays: list[Array], raw: list[bytes]) -> list[dict[str, Any]]:
    """Return the outputs as the response lists them; what goes out as raw bytes is added to `raw`."""
    outputs: list[dict[str, Any]] = []
    slots, binary = model.outputs, call.binary
    for i, array in enumerate(arrays):
        slot = slots[call.outputs[i]]
        if binary is not None and binary[i]:
            part = to_bytes(array)
            raw.append(part)
            said = {"binary_data_size": len(part)}
            outputs.append({"name": slot.name, "datatype": slot.datatype, "shape": array.shape, "parameters": said})
            continue
        data = array.reshape(-1) if slot.kind != "O" else flat(array)
        outputs.append({"name": slot.name, "datatype": slot.datatype, "shape": array.shape, "data": data})
    return outputs


def _inputs(model: Model, document: dict[str, Any], tail: memoryview | None, booleans: bool) -> dict[str, Array]:
    inputs = document.get("inputs")
    if type(inputs) is not list:
        raise InvalidRequest("expected 'inputs' to be a list of tensors")
    feeds: dict[str, Array] = {}
    at = 0
    for tensor in inputs:
        slot = _slot(model, tensor, feeds)
        shape = tensor.get("shape")
        count(slot, shape)
        parameters = tensor.get("parameters")
        size = None
        if parameters:
            _accept(parameters)
            size = parameters.get("binary_data_size")
        if size is None:
            if "data" not in tensor:
                raise InvalidTensor(slot.name, "has neither data nor binary_data_size")
            feeds[slot.name] = from_json(slot, shape, tensor["data"], booleans)
            continue
        part = _part(slot, tensor, size, tail, at)
        feeds[slot.name] = from_bytes(slot, shape, part)
        at += len(part)
    if tail is not None and at != len(tail):
        raise InvalidRequest(f"{len(tail) - at} bytes after the JSON belong to no input")
    if len(feeds) != len(model.inputs):
        missing = [name for name in model.inputs if name not in feeds]
        raise InvalidRequest(f"input '{missing[0]}' is missing; the model takes: {', '.join(model.inputs)}")
    return feeds


def _may_hold_booleans(body: bytes) -> bool:
    """Return whether `true` or `false` may stand among the data, which then must be looked through one by one."""
    begin = body.find(b'"data"')
    # To look for a byte is many times faster than to look for a word. A backslash may hide a key's name.
    if begin >= 0 and body.find(b"u", begin) < 0 and body.find(b"l", begin) < 0 and body.find(b"\\", 0, begin) < 0:
        return False
    return b"true" in body or b"false" in body


def _slot(model: Model, tensor: Any, feeds: Mapping[str, Array]) -> Slot:
    if type(tensor) is not dict:
        raise InvalidRequest("expected each of 'inputs' to be an object")
    name = tensor.get("name")
    slot = model.inputs.get(name) if type(name) is str else None
    if slot is None:
        raise InvalidRequest(f"unknown input {_brief(name)}; the model takes: {', '.join(model.inputs)}")
    if name in feeds:
        raise InvalidRequest(f"input '{name}' is given twice")
    if tensor.get("datatype") != slot.datatype:
        raise InvalidTensor(slot.name, f"expected datatype {slot.datatype}, got {_brief(tensor.get('datatype'))}")
    return slot


def _part(slot: Slot, tensor: dict[str, Any], size: object, tail: memoryview | None, at: int) -> memoryview:
    if tail is None:
        raise InvalidTensor(slot.name, "has binary_data_size, but there is no Inference-Header-Content-Length header")
    if "data" in tensor:
        raise InvalidTensor(slot.name, "has both data and binary_data_size")
    if type(size) is not int or size < 0:
        raise InvalidTensor(slot.name, f"expected binary_data_size to be a number of bytes, got {_brief(size)}")
    if at + size > len(tail):
        raise InvalidTensor(slot.name, f"binary_data_size is {size}, but only {len(tail) - at} bytes are left")
    return tail[at : at + size]


def _outputs(model: Model, document: dict[str, Any], parameters: dict[str, Any], call: Call) -> None:
    """Note which outputs are asked for, and how. No list, or an empty one, asks for all of them."""
    default = _flag(parameters, "binary_data_output")
    asked = document.get("outputs") or []
    if type(asked) is not list:
        raise InvalidRequest("expected 'outputs' to be a list")
    if not asked:
        call.binary = [True] * len(call.outputs) if default else None
        return
    names: list[str] = []
    binary: list[bool] = []
    for output in asked:
        name = output.get("name") if type(output) is dict else None
        if type(name) is not str or name not in model.outputs:
            raise InvalidRequest(f"unknown output {_brief(name)}; the model gives: {', '.join(model.output_names)}")
        if name in names:
            raise InvalidRequest(f"output '{name}' is asked for twice")
        of_output = output.get("parameters") or {}
        _accept(of_output)
        names.append(name)
        binary.append(_flag(of_output, "binary_data", default))
    call.outputs = names
    call.binary = binary if any(binary) else None


def _accept(parameters: object) -> None:
    if type(parameters) is not dict:
        raise InvalidRequest("expected 'parameters' to be an object")
    for name, value in parameters.items():
        # A client that does not use sequences may still say so.
        if name in REFUSED and value not in (0, False, ""):
            raise InvalidRequest(f"parameter '{name}': the extension for {REFUSED[name]} is not supported")


def _timeout(parameters: dict[str, Any]) -> float | None:
    value = parameters.get("timeout")
    if value is None:
        return None
    if type(value) is not int or not 0 < value <= MAX_TIMEOUT * 1e6:
        raise InvalidRequest(f"parameter 'timeout': expected microseconds, got {_brief(value)}")
    return value / 1e6


def _flag(parameters: dict[str, Any], name: str, default: bool = False) -> bool:
    value = parameters.get(name, default)
    if type(value) is not bool:
        raise InvalidRequest(f"parameter '{name}': expected true or false, got {_brief(value)}")
    return value


def _id(value: object) -> str:
    if type(value) is not str or len(value) > MAX_ID:
        raise InvalidRequest(f"expected 'id' to be a string of at most {MAX_ID} characters, got {_brief(value)}")
    return value


def _header_length(header: bytes, size: int) -> int:
    if not header.isdigit() or len(header) > 18 or int(header) > size:
        shown = header[:40].decode("latin-1")
        raise InvalidRequest(
            f"Inference-Header-Content-Length: expected 0 to {size}, the size of the body, got {shown!r}"
        )
    return int(header)


def _raw(model: Model, body: bytes) -> Call:
    """Return the call of a request that is one raw tensor, nothing else: its shape must follow from its size."""
    if len(model.inputs) != 1:
        raise InvalidRequest(f"a raw request is for a model of one input; this one takes: {', '.join(model.inputs)}")
    (slot,) = model.inputs.values()
    variable = [i for i, size in enumerate(slot.shape) if size == -1]
    shape = list(slot.shape)
    if slot.kind == "O":
        shape = [1] * len(shape)
        body = struct.pack("<I", len(body)) + body
    elif len(variable) > 1:
        raise InvalidTensor(slot.name, "has several variable dimensions; a raw request cannot say them")
    elif variable:
        rest = slot.dtype.itemsize
        for size in slot.shape:
            rest *= size if size != -1 else 1
        if rest and len(body) % rest:
            raise InvalidTensor(slot.name, f"expected a multiple of {rest} bytes, got {len(body)}")
        shape[variable[0]] = len(body) // rest if rest else 0
    count(slot, shape)
    feeds = {slot.name: from_bytes(slot, shape, memoryview(body))}
    return Call(feeds, model.output_names, [True] * len(model.output_names))


def _check_finite(call: Call, arrays: list[Array]) -> None:
    for i, (name, array) in enumerate(zip(call.outputs, arrays, strict=True)):
        if not (call.binary is not None and call.binary[i]) and not finite(array):
            raise NotInJson(name)


def _brief(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
