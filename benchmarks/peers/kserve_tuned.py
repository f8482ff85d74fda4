"""
KServe's Python server with a custom model, as an expert runs it: uvloop, no gRPC, one ONNX Runtime thread, no log per
request. MODEL (a file), NAME and PORT come from the environment.
"""

import asyncio
import logging
import os
from typing import Any

import onnxruntime
import uvloop
from kserve import InferOutput, InferResponse, Model, ModelServer
from kserve.utils.utils import from_np_dtype, generate_uuid


class Session(Model):  # type: ignore[misc]
    """A model of one input that returns all outputs, binary where the client asks for it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options)
        self.names = [output.name for output in self.session.get_outputs()]
        self.ready = True

    async def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        results = self.session.run(None, {one.name: one.as_numpy() for one in payload.inputs})
        outputs = []
        for name, result in zip(self.names, results, strict=True):
            output = InferOutput(name, list(result.shape), from_np_dtype(result.dtype))
            output.set_data_from_numpy(result, binary_data=payload.use_binary_outputs)
            outputs.append(output)
        return InferResponse(
            payload.id or generate_uuid(), self.name, outputs, use_binary_outputs=payload.use_binary_outputs
        )


if __name__ == "__main__":
    uvloop.install()
    asyncio.set_event_loop(asyncio.new_event_loop())  # KServe asks for one before it runs another
    server = ModelServer(http_port=int(os.environ["PORT"]), enable_grpc=False, enable_latency_logging=False)
    logging.getLogger("uvicorn.access").handlers.clear()  # uvicorn asks whether there are any
    logging.getLogger("kserve.trace").setLevel(logging.WARNING)
    server.start([Session(os.environ["NAME"])])
