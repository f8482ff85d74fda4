"""One prediction by a running server: with labels and confidences from a Snooze server, else the model's outputs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from snooze.bundle.contract import Tensor
from snooze.bundle.datatypes import NAMES
from snooze.client import v2
from snooze.client.exchange import TIMEOUT_SECONDS, Payload, exchange


def predict(
    model: v2.ServedModel,
    arrays: Mapping[str, v2.Array],
    inputs: Sequence[Tensor],
    source: str,
    seconds: float = TIMEOUT_SECONDS,
) -> dict[str, Any]:
    """
    Return the server's answer for rows that fit the model's inputs, as a JSON object, or raise a ClientError.

    NaN and infinity do not exist in JSON, so rows that contain them are sent as binary tensors.
    """
    finite = all(np.isfinite(array).all() for array in arrays.values() if array.dtype.kind == "f")
    server = exchange(model.address, "GET", "/v2", None, seconds)
    if finite and server.status == 200 and server.json_object().get("name") == "snooze":
        return predict_raw(model, [v2.encode_rows(arrays, inputs, source)], seconds)
    payload = v2.encode(arrays, inputs, source, binary=not finite)
    answer = exchange(model.address, "POST", f"{model.path}/infer", payload, seconds)
    outputs = v2.decode(answer)
    described = answer.json_object()
    described["outputs"] = [
        {"name": name, "datatype": NAMES[array.dtype], "shape": list(array.shape), "data": array.ravel().tolist()}
        for name, array in outputs.items()
    ]
    return described


def predict_raw(model: v2.ServedModel, requests: Iterable[Payload], seconds: float = TIMEOUT_SECONDS) -> dict[str, Any]:
    """Return the answers of a Snooze server to requests of the plain protocol as one, or raise a ClientError."""
    path = model.path.removeprefix("/v2") + "/predict"
    answers = [exchange(model.address, "POST", path, request, seconds).json_object() for request in requests]
    return answers[0] | {"predictions": [one for answer in answers for one in answer.get("predictions", ())]}
