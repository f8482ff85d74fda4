"""
The Open Inference Protocol (V2) with JSON and binary tensors.

Extensions: `binary_tensor_data` (including the raw request, whose header length is 0), `classification`, and
`parameters`, of which `timeout` (microseconds) and `priority` are accepted. Extensions that are not supported (shared
memory, sequences) are refused by name, never ignored.
"""

import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from snooze.bundle.contract import Tensor
from snooze.service.errors import InvalidRequest, InvalidTensor, NotInJson, RequestError
from snooze.service.messages import Call, Headers, Route
from snooze.service.protocols.tensors import (
    LONG_LIST,
    Array,
    Signature,
    TensorSpec,
    brief,
    count,
    finite,
    flat,
    from_bytes,
    from_json,
    may_hold_booleans,
    to_bytes,
)
from snooze.service.requests import MAX_TIMEOUT, memory_needed, parse_json
from snooze.service.responses import JSON

if TYPE_CHECKING:
    from snooze.service.protocols.numbers import NumberList

PROTOCOL: Final = "v2"
ROUTES: Final = (
    Route("POST", "/v2/models/{model}/infer", "predict"),
    Route("POST", "/v2/models/{model}/versions/{version}/infer", "predict"),
    Route("GET", "/v2/health/live", "alive"),
    Route("GET", "/v2/health/ready", "ready"),
    Route("GET", "/v2", "server"),
    Route("GET", "/v2/", "server"),
    Route("GET", "/v2/models/stats", "statistics"),  # as Triton has it: a model of that name has no page of its own
    Route("GET", "/v2/models/{model}", "model"),
    Route("GET", "/v2/models/{model}/versions/{version}", "model"),
    Route("GET", "/v2/models/{model}/ready", "model_ready"),
    Route("GET", "/v2/models/{model}/versions/{version}/ready", "model_ready"),
    Route("GET", "/v2/models/{model}/stats", "statistics"),
    Route("GET", "/v2/models/{model}/versions/{version}/stats", "statistics"),
    Route("POST", "/v2/repository/index", "index"),
    Route("POST", "/v2/repository/models/{model}/load", "load"),
    Route("POST", "/v2/repository/models/{model}/unload", "unload"),
)
EXTENSIONS: Final = ("binary_tensor_data", "classification", "parameters", "statistics")
LOAD_EXTENSIONS: Final = ("model_repository", "model_repository(unload_dependents)")  # only with --allow-load
DATA: Final = b'"data"'
CLASSIFICATION: Final = "classification"
HEADER_LENGTH: Final = b"inference-header-content-length"
MAX_ID: Final = 1024
UNSUPPORTED: Final = {
    "shared_memory_region": "the extension for shared memory is not supported",
    "shared_memory_offset": "the extension for shared memory is not supported",
    "shared_memory_byte_size": "the extension for shared memory is not supported",
    "sequence_id": "the extension for sequences is not supported",
    "sequence_start": "the extension for sequences is not supported",
    "sequence_end": "the extension for sequences is not supported",
    CLASSIFICATION: "only an entry of 'outputs' may have it",
}
BINARY_TYPE: Final = (b"content-type", b"application/octet-stream")


def decode(signature: Signature, headers: Mapping[bytes, bytes], body: bytes, query: bytes = b"") -> Call:
    """
    Return the call that a request describes.

    Raises:
        InvalidRequest: it does not follow the protocol.
        InvalidTensor: an input does not fit the model's signature.
    """
    tail = None
    if HEADER_LENGTH in headers:
        end = json_size(headers, len(body))
        if end == 0:
            return _decode_raw(signature, body)
        tail = memoryview(body)[end:]
        body = body[:end]
    if len(body) > LONG_LIST and (call := _decode_numbers(signature, body, tail)) is not None:
        return call
    return _decode_document(signature, body, tail, {})


def _decode_numbers(signature: Signature, body: bytes, tail: memoryview | None) -> Call | None:
    """Return what `_decode_document` returns for a request with long lists of numbers; None where it has to decide."""
    from snooze.service.protocols.numbers import NotNumbers, cut

    try:
        text, lists = cut(body, DATA)
        call = _decode_document(signature, text, tail, lists)
    except (NotNumbers, RequestError):
        return None
    return None if lists else call  # a list that belongs to no input has not been parsed


def _decode_document(
    signature: Signature, body: bytes, tail: memoryview | None, lists: "dict[str, NumberList]"
) -> Call:
    """
    Return the call of a request whose JSON is `body`, with the binary tensors `tail`.

    What is replaced by one of `lists` is removed from them.
    """
    document = parse_json(body)
    if type(document) is not dict:
        raise InvalidRequest("expected a JSON object with 'inputs'")
    feeds = _decode_inputs(signature, document, body, tail, lists)
    call = Call(feeds, signature.output_names)
    if signature.raw is not None and signature.raw.name in feeds:
        from snooze.service.protocols.forms.raw import read_tensor

        call.feeds, call.raw = {}, read_tensor(signature, feeds)
    if document.get("id") is not None:
        call.id = _check_id(document["id"])
    parameters = document.get("parameters")
    if parameters is not None:
        _check_parameters(parameters)
        call.timeout = _read_timeout(parameters)
    if parameters or "outputs" in document:
        _select_outputs(signature, document, parameters or {}, call)
    return call


def json_size(headers: Mapping[bytes, bytes], size: int) -> int:
    """
    Return how many bytes of a body of `size` bytes are JSON; binary tensors follow.

    Raises:
        InvalidRequest: the header that says so is not a number up to `size`.
    """
    header = headers.get(HEADER_LENGTH)
    if header is None:
        return size
    if not header.isdigit() or len(header) > 18 or int(header) > size:
        value = header[:40].decode("latin-1")
        raise InvalidRequest(
            f"Inference-Header-Content-Length: expected 0 to {size}, the size of the body, got {value!r}"
        )
    return int(header)


def estimate_memory(signature: Signature, headers: Mapping[bytes, bytes], body: bytes, enough: int) -> int:
    """Return what `requests.memory_needed` returns."""
    texts = signature.texts or signature.raw is not None
    return memory_needed(body, json_size(headers, len(body)), texts, enough)


def encode(signature: Signature, call: Call, arrays: list[Array], request_id: bytes) -> tuple[bytes, Headers]:
    """
    Return the body of a response and the headers that describe it.

    Raises:
        InvalidRequest: an output has too many classes.
        NotInJson: an output asked for as JSON holds NaN or Infinity.
    """
    specs = signature.outputs
    if call.classes is not None:
        specs, arrays = _classify(signature, call, call.classes, arrays)
    raw: list[bytes] = []
    document = {
        "model_name": signature.model,
        "model_version": signature.version_text,
        "id": call.id if call.id is not None else request_id.decode(),
        "outputs": _describe_outputs(specs, call, arrays, raw),
    }
    text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    if b"null" in text:
        # orjson writes NaN and Infinity as null; a string may also contain "null".
        _check_finite(call, arrays)
    if not raw:
        return text, [JSON]
    return b"".join((text, *raw)), [BINARY_TYPE, (HEADER_LENGTH, str(len(text)).encode())]


def _classify(
    signature: Signature, call: Call, classes: list[int], arrays: list[Array]
) -> tuple[dict[str, TensorSpec], list[Array]]:
    """Return specifications and arrays of the outputs with those replaced for which `classes` is not 0."""
    from snooze.service.protocols.classification import classify

    specs, arrays = dict(signature.outputs), list(arrays)
    for i, (name, most) in enumerate(zip(call.outputs, classes, strict=True)):
        if most:
            arrays[i] = classify(signature, specs[name], arrays[i], most)
            specs[name] = TensorSpec(Tensor(name, "BYTES", (-1,) * arrays[i].ndim, specs[name].role))
    return specs, arrays


def _describe_outputs(
    specs: Mapping[str, TensorSpec], call: Call, arrays: list[Array], raw: list[bytes]
) -> list[dict[str, Any]]:
    """Return the outputs as the response lists them, and append the bytes of binary outputs to `raw`."""
    outputs: list[dict[str, Any]] = []
    binary = call.binary
    value: Any
    for i, array in enumerate(arrays):
        spec = specs[call.outputs[i]]
        if binary is not None and binary[i]:
            part = to_bytes(array)
            raw.append(part)
            key, value = "parameters", {"binary_data_size": len(part)}
        else:
            key, value = "data", flat(array) if spec.kind == "O" else array.reshape(-1)
        outputs.append({"name": spec.name, "datatype": spec.datatype, "shape": array.shape, key: value})
    return outputs


def _decode_inputs(
    signature: Signature, document: dict[str, Any], body: bytes, tail: memoryview | None, lists: "dict[str, NumberList]"
) -> dict[str, Any]:
    """
    Return the inputs of a request whose JSON is `body`; `tail` are the binary tensors after it.

    They are arrays; of the adapter's input it may be a list of bytes.
    """
    inputs = document.get("inputs")
    if type(inputs) is not list:
        raise InvalidRequest("expected 'inputs' to be a list of tensors")
    feeds: dict[str, Any] = {}
    booleans: bool | None = None
    at = 0
    for tensor in inputs:
        spec = _find_input(signature, tensor, feeds)
        shape = tensor.get("shape")
        number = count(spec, shape)
        parameters = tensor.get("parameters")
        size = None
        if parameters is not None:
            _check_parameters(parameters)
            size = parameters.get("binary_data_size")
        if size is not None:
            part = _slice_tail(spec, tensor, size, tail, at)
            at += len(part)
            if spec is signature.raw:
                from snooze.service.protocols.forms.raw import split_strings

                feeds[spec.name] = split_strings(spec, number, part)
                continue
            sent = spec.narrow if spec.narrow is not None and tensor["datatype"] == "FP32" else spec
            # In JSON the digits count, whatever the datatype; raw FP32 has to be widened.
            feeds[spec.name] = from_bytes(sent, shape, number, part).astype(spec.dtype, copy=False)
            continue
        if "data" not in tensor:
            raise InvalidTensor(spec.name, "has neither data nor binary_data_size")
        data = tensor["data"]
        if lists and type(data) is str and data in lists:
            feeds[spec.name] = lists.pop(data).to_array(spec, shape, number)
            continue
        if booleans is None:
            start = body.find(DATA)
            # A backslash may hide the name of a key before it.
            hidden = start < 0 or body.find(b"\\", 0, start) >= 0
            booleans = may_hold_booleans(body, 0 if hidden else start)
        feeds[spec.name] = from_json(spec, shape, number, data, booleans)
    if tail is not None and at != len(tail):
        raise InvalidRequest(f"{len(tail) - at} bytes after the JSON belong to no input")
    is_raw = signature.raw is not None and signature.raw.name in feeds
    if len(feeds) != len(signature.inputs) and not is_raw:
        missing = next(name for name in signature.inputs if name not in feeds)
        raise InvalidRequest(f"input '{missing}' is missing; the model takes: {', '.join(signature.inputs)}")
    return feeds


def _find_input(signature: Signature, tensor: Any, feeds: Mapping[str, Array]) -> TensorSpec:
    if type(tensor) is not dict:
        raise InvalidRequest("expected each of 'inputs' to be an object")
    name = tensor.get("name")
    spec = signature.inputs.get(name) if type(name) is str else None
    if spec is None and signature.raw is not None and name == signature.raw.name:
        spec = signature.raw
    if spec is None:
        raise InvalidRequest(f"unknown input {brief(name)}; the model takes: {', '.join(signature.inputs)}")
    if name in feeds:
        raise InvalidRequest(f"input '{name}' is duplicated")
    datatype = tensor.get("datatype")
    if datatype != spec.datatype and (spec.narrow is None or datatype != "FP32"):
        raise InvalidTensor(spec.name, f"expected datatype {spec.datatype}, got {brief(datatype)}")
    return spec


def _slice_tail(spec: TensorSpec, tensor: dict[str, Any], size: object, tail: memoryview | None, at: int) -> memoryview:
    if tail is None:
        raise InvalidTensor(spec.name, "has binary_data_size, but there is no Inference-Header-Content-Length header")
    if "data" in tensor:
        raise InvalidTensor(spec.name, "has both data and binary_data_size")
    if type(size) is not int or size < 0:
        raise InvalidTensor(spec.name, f"expected binary_data_size to be a number of bytes, got {brief(size)}")
    if at + size > len(tail):
        raise InvalidTensor(spec.name, f"binary_data_size is {size}, but only {len(tail) - at} bytes are left")
    return tail[at : at + size]


def _select_outputs(signature: Signature, document: dict[str, Any], parameters: dict[str, Any], call: Call) -> None:
    """Set which outputs the call returns, and which as binary. A missing or empty list means all of them."""
    default = _read_flag(parameters, "binary_data_output")
    asked = document.get("outputs")
    if asked is None:
        asked = []
    if type(asked) is not list:
        raise InvalidRequest("expected 'outputs' to be a list")
    if not asked:
        call.binary = [True] * len(call.outputs) if default else None
        return
    names: list[str] = []
    binary: list[bool] = []
    classes: list[int] = []
    for output in asked:
        name = output.get("name") if type(output) is dict else None
        if type(name) is not str or name not in signature.outputs:
            raise InvalidRequest(
                f"unknown output {brief(name)}; the model returns: {', '.join(signature.output_names)}"
            )
        if name in names:
            raise InvalidRequest(f"output '{name}' is duplicated")
        of_output = output.get("parameters")
        if of_output is None:
            of_output = {}
        _check_parameters(of_output, CLASSIFICATION)
        names.append(name)
        binary.append(_read_flag(of_output, "binary_data", default))
        classes.append(_read_classes(signature.outputs[name], of_output) if CLASSIFICATION in of_output else 0)
    call.outputs = names
    call.classes = classes if any(classes) else None
    call.binary = binary if any(binary) else None


def _check_parameters(parameters: object, supported: str = "") -> None:
    if type(parameters) is not dict:
        raise InvalidRequest("expected 'parameters' to be an object")
    for name, value in parameters.items():
        # Clients send sequence_id 0 when they do not use sequences.
        if name in UNSUPPORTED and name != supported and value not in (0, False, ""):
            raise InvalidRequest(f"parameter '{name}': {UNSUPPORTED[name]}")


def _read_timeout(parameters: dict[str, Any]) -> float | None:
    value = parameters.get("timeout")
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= MAX_TIMEOUT * 1e6:
        most = int(MAX_TIMEOUT * 1e6)
        problem = f"expected microseconds from 0 (no limit) to {most}, got {brief(value)}"
        raise InvalidRequest(f"parameter 'timeout': {problem}")
    return value / 1e6


def _read_flag(parameters: dict[str, Any], name: str, default: bool = False) -> bool:
    value = parameters.get(name, default)
    if type(value) is not bool:
        raise InvalidRequest(f"parameter '{name}': expected true or false, got {brief(value)}")
    return value


def _read_classes(spec: TensorSpec, parameters: dict[str, Any]) -> int:
    """Return how many classes of an output are requested, 0 for the output itself."""
    from snooze.service.protocols.classification import check_classified

    value = parameters[CLASSIFICATION]
    if type(value) is not int or value < 0:
        raise InvalidRequest(f"parameter '{CLASSIFICATION}': expected a number of classes, got {brief(value)}")
    if value:
        check_classified(spec)
    return value


def _check_id(value: object) -> str:
    if type(value) is not str or len(value) > MAX_ID:
        raise InvalidRequest(f"expected 'id' to be a string of at most {MAX_ID} characters, got {brief(value)}")
    return value


def _decode_raw(signature: Signature, body: bytes) -> Call:
    """Return the call of a body that is one raw tensor, whose shape follows from its size."""
    if len(signature.inputs) != 1:
        raise InvalidRequest(
            f"a raw request needs a model with one input; this one takes: {', '.join(signature.inputs)}"
        )
    (spec,) = signature.inputs.values()
    variable = [i for i, size in enumerate(spec.shape) if size == -1]
    shape = list(spec.shape)
    if spec.kind == "O":
        shape = [1] * len(shape)
        body = struct.pack("<I", len(body)) + body
    elif len(variable) > 1:
        raise InvalidTensor(
            spec.name,
            "has several variable dimensions, which a raw request cannot state; send JSON with binary_data_size",
        )
    elif variable:
        rest = spec.dtype.itemsize
        for size in spec.shape:
            rest *= size if size != -1 else 1
        if rest and len(body) % rest:
            raise InvalidTensor(spec.name, f"expected a multiple of {rest} bytes, got {len(body)}")
        shape[variable[0]] = len(body) // rest if rest else 0
    number = count(spec, shape)
    feeds = {spec.name: from_bytes(spec, shape, number, memoryview(body))}
    return Call(feeds, signature.output_names, [True] * len(signature.output_names))


def _check_finite(call: Call, arrays: list[Array]) -> None:
    for i, (name, array) in enumerate(zip(call.outputs, arrays, strict=True)):
        if not (call.binary is not None and call.binary[i]) and not finite(array):
            raise NotInJson(name)
