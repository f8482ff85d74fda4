"""
MLServer with a custom runtime, as an expert runs it: uvloop, no worker processes, one ONNX Runtime thread, no metrics,
no compression, no access log. MODEL (a file), NAME and PORT come from the environment.
"""

import os
from typing import Any

import onnxruntime
import uvloop
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Session(MLModel):  # type: ignore[misc]
    """A model that returns all outputs."""

    async def load(self) -> bool:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options)
        self.names = [output.name for output in self.session.get_outputs()]
        return True

    async def predict(self, payload: Any) -> Any:
        results = self.session.run(None, {one.name: NumpyCodec.decode_input(one) for one in payload.inputs})
        outputs = [NumpyCodec.encode_output(name, one) for name, one in zip(self.names, results, strict=True)]
        return InferenceResponse(model_name=self.name, outputs=outputs)


async def main() -> None:
    """Serve the model until a signal ends the process."""
    settings = Settings(
        host="127.0.0.1",
        http_port=int(os.environ["PORT"]),
        grpc_port=0,
        debug=False,
        parallel_workers=0,
        metrics_endpoint=None,
        gzip_enabled=False,
    )
    await MLServer(settings).start([ModelSettings(name=os.environ["NAME"], implementation=Session)])


if __name__ == "__main__":
    uvloop.run(main())
