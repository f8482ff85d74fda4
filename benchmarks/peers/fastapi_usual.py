"""The usual twenty lines: FastAPI and ONNX Runtime as tutorials show them. MODEL and PORT come from the environment."""

import os
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
session = onnxruntime.InferenceSession(os.environ["MODEL"])
outputs = [output.name for output in session.get_outputs()]


class Request(BaseModel):
    rows: list[list[float]]


@app.post("/predict")  # type: ignore[untyped-decorator]
def predict(request: Request) -> dict[str, Any]:
    rows = np.array(request.rows, np.float32)
    results = session.run(None, {session.get_inputs()[0].name: rows})
    return {name: result.tolist() for name, result in zip(outputs, results, strict=True)}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]))
