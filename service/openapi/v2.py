"""The bodies of the Open Inference Protocol (V2) as JSON Schema."""

from typing import Any, Final

from snooze.service.openapi.schemas import COUNT, TEXT, Schema, any_of, list_of, object_of
from snooze.service.openapi.tensors import draw, flat, nested, scalar, sizes
from snooze.service.protocols.tensors import Signature, TensorSpec
from snooze.service.protocols.v2 import MAX_ID
from snooze.service.requests import MAX_TIMEOUT

PARAMETERS: Final = {
    "timeout": {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": int(MAX_TIMEOUT * 1e6),
        "description": "Microseconds that the request may take; 0 is no limit.",
    },
    "binary_data_output": {"type": "boolean", "description": "Outputs are binary unless they say otherwise."},
}
OF_OUTPUT: Final = {
    "binary_data": {"type": "boolean"},
    "classification": COUNT | {"description": "The output as so many of its highest values; 0: the output itself."},
}


def request(signature: Signature) -> Schema:
    """Return the schema of a request whose tensors are all JSON."""
    output = object_of({"name": {"enum": signature.output_names}})
    output["properties"]["parameters"] = _or_null({"type": "object", "properties": OF_OUTPUT})
    inputs = _each_once([_input(spec) for spec in signature.inputs.values()])
    if signature.raw is not None:
        inputs = any_of(inputs, _each_once([_input(signature.raw)]))
    schema = object_of({"inputs": inputs})
    schema["properties"] |= {
        "id": _or_null(TEXT) | {"maxLength": MAX_ID},
        "outputs": _or_null(list_of(output)) | {"description": "Which, in this order; all if it is empty."},
        "parameters": _or_null({"type": "object", "properties": PARAMETERS}),
    }
    return schema


def response(signature: Signature) -> Schema:
    """Return the schema of a response whose tensors are all JSON."""
    outputs = [_output(spec) for spec in signature.outputs.values()]
    numbers = [spec.name for spec in signature.outputs.values() if spec.kind in "fiu"]
    if numbers:
        texts = {"datatype": {"const": "BYTES"}, "shape": list_of(COUNT), "data": list_of(TEXT)}
        outputs.append(object_of({"name": {"enum": numbers}, **texts}) | {"description": "With `classification`."})
    head = {"model_name": {"const": signature.model}, "model_version": {"const": signature.version_text}, "id": TEXT}
    return object_of({**head, "outputs": list_of(any_of(*outputs))})


def other_requests(signature: Signature) -> dict[str, Schema]:
    """Return the content of requests with binary tensors."""
    return {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def example(signature: Signature) -> Any:
    """Return a drawn request, or None if it would be too large."""
    arrays = draw(signature)
    if arrays is None:
        return None
    return {
        "inputs": [
            {"name": spec.name, "datatype": spec.datatype, "shape": list(array.shape), "data": array.ravel().tolist()}
            for spec, array in zip(signature.inputs.values(), arrays.values(), strict=True)
        ]
    }


def _input(spec: TensorSpec) -> Schema:
    ways = [flat(spec)]
    if not spec.shape:
        ways.append(scalar(spec))
    elif len(spec.shape) > 1:
        ways.append(nested(scalar(spec), spec.shape))
    datatype = {"const": spec.datatype} if spec.narrow is None else {"enum": [spec.datatype, "FP32"]}
    return _tensor(spec, datatype, any_of(*ways))


def _output(spec: TensorSpec) -> Schema:
    return _tensor(spec, {"const": spec.datatype}, flat(spec))


def _tensor(spec: TensorSpec, datatype: Schema, data: Schema) -> Schema:
    return object_of({"name": {"const": spec.name}, "datatype": datatype, "shape": sizes(spec), "data": data})


def _each_once(tensors: list[Schema]) -> Schema:
    """Return the schema of a list that holds each of the tensors once, in any order."""
    schema = list_of(any_of(*tensors), len(tensors))
    if len(tensors) > 1:
        names = [tensor["properties"]["name"] for tensor in tensors]
        schema["allOf"] = [{"contains": {"type": "object", "properties": {"name": name}}} for name in names]
    return schema


def _or_null(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}
