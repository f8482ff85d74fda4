"""Ask a server through KServe's unmodified client, in an environment that has it, and print as JSON what came back."""

import asyncio
import json
import sys
from collections.abc import Awaitable
from typing import Any

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

DTYPES = {
    "BOOL": "?", "UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q", "INT8": "b", "INT16": "h", "INT32": "i",
    "INT64": "q", "FP16": "e", "FP32": "f", "FP64": "d",
}  # fmt: skip
ROW = [0.5] * 30


async def ask_v2(url: str) -> dict[str, Any]:
    """Send every datatype as JSON and as binary, and request each as JSON, as binary and by no name."""
    came: dict[str, Any] = {}
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        came["ready"] = [await client.is_server_ready(url), await client.is_server_live(url)]
        came["models"] = [await client.is_model_ready(url, name) for name in ("tumour", "none")]
        for datatype in (*DTYPES, "BYTES"):
            if datatype == "BYTES":
                array: Any = np.array([["a", "ü"], ["", "null"]], object)
            else:
                array = np.array([[0, 1], [1, 100]]).astype(DTYPES[datatype])
            for binary in (True, False):
                if datatype == "FP16" and not binary:
                    continue  # the client itself refuses it
                for wanted in (True, False, None):
                    key = f"{datatype} {'binary' if binary else 'json'} {wanted}"
                    answer = await client.infer(
                        url, _request(datatype, array, binary, wanted), f"identity-{datatype.lower()}"
                    )
                    got = answer.outputs[0].as_numpy()
                    came[key] = bool(
                        answer.id == "mine" and got.dtype.kind == array.dtype.kind and (got == array).all()
                    )
        large = np.full((10_000, 2), 1.25)
        for wanted in (True, False):
            headers: dict[str, str] = {}
            asked = _request("FP64", large, True, wanted)
            answer = await client.infer(url, asked, "identity-fp64", response_headers=headers)
            same = bool((answer.outputs[0].as_numpy() == large).all())
            came[f"large {wanted}"] = same and headers["content-encoding"] == "gzip"
        came["error"] = await _error(client.infer(url, _request("FP32", np.zeros((1, 2), "f"), True, None), "none"))
    return came


async def ask_v1(url: str) -> dict[str, Any]:
    """Ask for predictions by row and by column, and for what is not there."""
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        return {
            "live": await client.is_server_live(url),
            "ready": await client.is_model_ready(url, "tumour"),
            "instances": await client.infer(url, {"instances": [[1, 2, 3]]}, "sum"),
            "inputs": await client.infer(url, {"inputs": {"x": [[1, 2, 3]]}}, "sum"),
            "unknown": await _error(client.is_model_ready(url, "none")),
            "explain": await _error(client.explain(url, "sum", {"instances": [[1, 2, 3]]})),
        }


def _request(datatype: str, array: Any, binary: bool, wanted: bool | None) -> InferRequest:
    tensor = InferInput("x", list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary)
    outputs = None if wanted is None else [RequestedOutput("y", {"binary_data": wanted})]
    return InferRequest("any", [tensor], request_id="mine", request_outputs=outputs)


async def _error(answer: Awaitable[Any]) -> str:
    try:
        return f"no error: {await answer}"
    except Exception as error:
        return str(error)


async def main() -> None:
    """Ask the server at the address that is the only argument."""
    url = sys.argv[1]
    print(json.dumps({"v1": await ask_v1(url), "v2": await ask_v2(url)}))


asyncio.run(main())
