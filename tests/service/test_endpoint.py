import asyncio
import gzip
import json
import tracemalloc
from collections.abc import Callable
from time import perf_counter
from typing import Any

import pytest
from tests.service.conftest import ELEMENT_TYPES, identity, publish, two_inputs

from snooze.bundle.contract import Datatype
from snooze.bundle.limits import MEMORY_FACTOR
from snooze.service import Settings, create_app
from snooze.service.app import Application
from snooze.service.endpoint import Endpoint
from snooze.service.messages import Request, Response

SIZE = 24_000  # bytes of a hostile body: large beside what every request allocates
PATHS = {"v2": "/v2/models/{}/infer", "v1": "/v1/models/{}:predict", "plain": "/models/{}/predict"}


def dump(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


# Values that take much memory for the bytes of their JSON, or did in some decoder.
HOSTILE: dict[str, Callable[[int], list[Any]]] = {
    "a long string among empty ones": lambda size: ["a" * (size // 3), *[""] * (size // 6)],
    "a long string that is not ASCII": lambda size: ["a" * (size // 2) + "\U0001f600"] * 2,
    "a long string in nested lists": lambda size: [["a" * (size // 3), ""], *[["", ""]] * (size // 12)],
    "empty strings": lambda size: [""] * (size // 3),
    "short strings": lambda size: ["\u00e9"] * (size // 5),
    "zeros": lambda size: [0] * (size // 2),
    "fractions": lambda size: [0.5] * (size // 4),
    "different fractions": lambda size: [i / 8 for i in range(size // 8)],
    "large integers": lambda size: [2**63 + i for i in range(size // 20)],
    "integers beyond 64 bits": lambda size: [10**30] * (size // 32),
    "booleans": lambda size: [True] * (size // 5),
    "nulls": lambda size: [None] * (size // 5),
    "empty lists": lambda size: [[]] * (size // 3),
    "lists of one": lambda size: [[0]] * (size // 4),
    "rows of two": lambda size: [[0, 1]] * (size // 6),
    "rows of two fractions": lambda size: [[0.5, 1.5]] * (size // 10),
    "uneven lists": lambda size: [[0], *[[0, 0]] * (size // 6)],
    "lists of different depth": lambda size: [0, [0], [[0]]] * (size // 12),
    "deep lists": lambda size: [json.loads("[" * 500 + "]" * 500)] * (size // 1000),
    "objects": lambda size: [{}] * (size // 3),
    "a long string of brackets": lambda size: ["[" * size],
    "empty strings in lists": lambda size: [[""]] * (size // 5),
    "empty lists between escapes": lambda size: ["\n", *[[]] * (size // 3), ""],
    "objects of one": lambda size: [{"": 0}] * (size // 7),
    "strings in base64": lambda size: [{"b64": ""}] * (size // 11),
    "rows of strings in base64": lambda size: [[{"b64": "YQ=="}, {"b64": ""}]] * (size // 30),
    "objects with an input": lambda size: [{"x": 0}] * (size // 8),
}


HOSTILE_JSON = {what: dump(make(SIZE)) for what, make in HOSTILE.items()}


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Application:
    """Serves a model for each datatype, with rows of two values and with single values."""
    root = tmp_path_factory.mktemp("models")
    for datatype in ELEMENT_TYPES:
        publish(root, f"pairs-{datatype.lower()}", identity(datatype))
        publish(root, f"values-{datatype.lower()}", identity(datatype, (-1,)))
    publish(root, "person", two_inputs())
    return create_app(Settings(models=(root,), log="off"))


def ask(application: Application, path: str, body: bytes, **headers: bytes) -> tuple[Response, int]:
    """Return the response to a request, and the most memory that was allocated meanwhile."""
    endpoint = application._hot[path]
    assert isinstance(endpoint, Endpoint)
    request = Request(
        "POST",
        path,
        {name.replace("_", "-").encode(): value for name, value in headers.items()},
        body,
        perf_counter(),
        perf_counter(),
    )

    async def answer() -> Response:
        response = endpoint(request)
        return response if isinstance(response, Response) else await response.response

    tracemalloc.start()
    try:
        response = asyncio.run(answer())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return response, peak


def write(protocol: str, datatype: str, data: bytes) -> tuple[str, bytes]:
    """Return the path and the body of a request with these data, for the model whose shape is the likeliest to fit."""
    pairs = data.startswith(b"[[")
    path = PATHS[protocol].format(f"{'pairs' if pairs else 'values'}-{datatype.lower()}")
    if protocol == "plain":
        return path, data
    if protocol == "v1":
        return path, b'{"instances":%s}' % data
    count = len(json.loads(data))
    tensor = {"name": "x", "shape": [count, 2] if pairs else [count], "datatype": datatype, "data": None}
    return path, dump({"inputs": [tensor]}).replace(b"null", data)


@pytest.mark.parametrize("protocol", PATHS)
@pytest.mark.parametrize("datatype", ELEMENT_TYPES)
def test_memory_is_bounded_whatever_a_body_contains(
    application: Application, datatype: Datatype, protocol: str
) -> None:
    factors = {}
    for what, data in HOSTILE_JSON.items():
        path, body = write(protocol, datatype, data)
        response, peak = ask(application, path, body)
        # The answer of these models is their input.
        factors[what] = (peak - (2 * len(response.body) if response.status == 200 else 0)) / len(body)
        assert response.status in (200, 400), response.body[:200]
    assert max(factors.values()) <= MEMORY_FACTOR, max(factors.items(), key=lambda item: item[1])


@pytest.mark.parametrize("protocol", PATHS)
def test_a_compressed_body_counts_with_its_decompressed_size(application: Application, protocol: str) -> None:
    for what, data in HOSTILE_JSON.items():
        path, body = write(protocol, "FP32", data)
        _, peak = ask(application, path, gzip.compress(body), content_encoding=b"gzip")
        assert peak <= MEMORY_FACTOR * len(body), what


def test_memory_of_rows_with_several_inputs_is_bounded(application: Application) -> None:
    rows = [{"age": 0, "weight": 0, "note": ""}] * (SIZE // 32)
    for body in (dump(rows), dump([*rows, {"age": "a" * SIZE, "weight": 0, "note": ""}])):
        for path, text in (("/models/person/predict", body), ("/v1/models/person:predict", b'{"instances":%s}' % body)):
            _, peak = ask(application, path, text)
            assert peak <= MEMORY_FACTOR * len(body), path


@pytest.mark.parametrize(
    "body",
    [b"[" * 1000 + b"]" * 1000, b'[{"":[]}]'.join([b""] * 200), b'{"":' * 400 + b"0" + b"}" * 400],
    ids=["lists", "objects in lists", "objects"],
)
def test_json_of_little_but_lists_and_objects_is_refused(application: Application, body: bytes) -> None:
    response, _ = ask(application, "/models/pairs-fp32/predict", b"[" + body + b"]")

    assert response.status == 400
    assert b"take too much memory; send the data as one flat list" in response.body


def test_brackets_in_strings_are_not_lists(application: Application) -> None:
    rows = dump([["[" * 600, '"[{\\']])

    response, _ = ask(application, "/models/pairs-bytes/predict", rows)

    assert response.status == 200
    assert json.loads(response.body)["predictions"] == [{"y": ["[" * 600, '"[{\\']}]
