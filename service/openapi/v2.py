"""The bodies of the Open Inference Protocol (V2) as JSON Schema."""

from typing import Any

from snooze.service.openapi.tensors import Schema, any_of, draw, flat, nested, scalar, sizes
from snooze.service.protocols.tensors import Signature, TensorSpec
from snooze.service.protocols.v2 import MAX_ID
from snooze.service.requests import MAX_TIMEOUT


def request(signature: Signature) -> Schema:
    """Return the schema of a request whose tensors are all JSON."""
    inputs = [_input(spec) for spec in signature.inputs.values()]
    output = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"enum": signature.output_names},
            "parameters": {"type": ["object", "null"], "properties": {"binary_data": {"type": "boolean"}}},
        },
    }
    timeout = {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": int(MAX_TIMEOUT * 1e6),
        "description": "Microseconds that the request may take; 0 is no limit.",
    }
    parameters = {
        "timeout": timeout,
        "binary_data_output": {"type": "boolean", "description": "Outputs are binary unless they say otherwise."},
    }
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": ["string", "null"], "maxLength": MAX_ID},
            "inputs": _each_once(inputs),
            "outputs": {"type": ["array", "null"], "items": output, "description": "Which, in order; all if empty."},
            "parameters": {"type": ["object", "null"], "properties": parameters},
        },
    }


def response(signature: Signature) -> Schema:
    """Return the schema of a response whose tensors are all JSON."""
    return {
        "type": "object",
        "required": ["model_name", "model_version", "id", "outputs"],
        "properties": {
            "model_name": {"const": signature.model},
            "model_version": {"const": signature.version_text},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": any_of(*map(_output, signature.outputs.values()))},
        },
    }


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
    return {
        "type": "object",
        "required": ["name", "datatype", "shape", "data"],
        "properties": {"name": {"const": spec.name}, "datatype": datatype, "shape": sizes(spec), "data": data},
    }


def _each_once(tensors: list[Schema]) -> Schema:
    """Return the schema of a list that holds each of the tensors once, in any order."""
    number = len(tensors)
    schema = {"type": "array", "items": any_of(*tensors), "minItems": number, "maxItems": number}
    if number > 1:
        names = [tensor["properties"]["name"] for tensor in tensors]
        schema["allOf"] = [{"contains": {"type": "object", "properties": {"name": name}}} for name in names]
    return schema
