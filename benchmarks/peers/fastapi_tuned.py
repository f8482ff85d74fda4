"""The usual twenty lines as an expert writes them: no thread pool, no access log, one thread."""

import os
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import create_model

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
app = FastAPI()
session = onnxruntime.InferenceSession(os.environ["MODEL"], options)
features = session.get_inputs()[0]
outputs = [output.name for output in session.get_outputs()]
rows: Any = float
for _ in features.shape:
    rows = list[rows]
Request: Any = create_model("Request", rows=(rows, ...))


@app.post("/predict")  # type: ignore[untyped-decorator]
async def predict(request: Request) -> dict[str, Any]:
    results = session.run(None, {features.name: np.array(request.rows, np.float32)})
    return {name: result.tolist() for name, result in zip(outputs, results, strict=True)}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False, log_level="warning")
