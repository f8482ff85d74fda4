import asyncio
import gzip
import json
import tracemalloc
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import Any

import pytest
from tests.service.conftest import (
    ELEMENT_TYPES,
    identity,
    picture,
    publish,
    publish_adapted,
    publish_each_adapter,
    two_inputs,
)

from snooze.bundle.contract import Datatype
from snooze.bundle.errors import InvalidRow
from snooze.bundle.limits import MEMORY_FACTOR
from snooze.service import Settings, create_app
from snooze.service.app import Application
from snooze.service.endpoint import Endpoint
from snooze.service.errors import RequestError
from snooze.service.messages import Request, Response
from snooze.service.protocols import plain

SMALL = 16_384  # bytes that any request may take
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
    publish_each_adapter(root)
    column = {"kind": "table", "columns": [{"name": "a", "type": "number", "missing": True}]}
    publish_adapted(root, "column", identity("FP32", (-1, 1)), column)
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
    def measure(data: bytes) -> float:
        path, body = write(protocol, datatype, data)
        response, peak = ask(application, path, body)
        assert response.status in (200, 400), response.body[:200]
        # The answer of these models is their input.
        return (peak - (2 * len(response.body) if response.status == 200 else 0)) / len(body)

    factors = {what: measure(data) for what, data in HOSTILE_JSON.items()}
    for what, factor in factors.items():
        if factor > MEMORY_FACTOR:  # now and then Python's table of interned strings grows meanwhile, by megabytes
            factors[what] = measure(HOSTILE_JSON[what])
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


def form(head: bytes, data: bytes, size: int) -> bytes:
    part = b"--cut\r\n%s\r\n\r\n%s\r\n" % (head, data)
    return part * (size // len(part)) + b"--cut--\r\n"


NAMED = b'Content-Disposition:form-data;name=""'
FORM = b"multipart/form-data; boundary=cut"
# Bodies of other forms, by the model that takes them and the media type: many small things, or a large one.
OTHER_FORMS: list[tuple[str, bytes, bytes]] = [
    *[
        (model, b"text/csv", line * (SIZE // len(line)))
        for model in ("column", "patient", "pairs-fp32", "pairs-int64")
        for line in (b"5\n", b"10\n", b"100\n", b"5\r", b"\n", b"1,1\n", b"10,20\n", b"1,2,good\n", b",", b'"', b'""\n')
    ],
    ("patient", b"text/csv", b"age,weight,note\n" + b"1,2,good\n" * (SIZE // 9)),
    ("patient", b"text/csv", b"age,weight,note\n" + ("1,2,\U0001f600\n" * (SIZE // 9)).encode()),
    ("patient", b"text/csv", b'age,weight,note\n1,2,"' + b"a" * SIZE + b'"'),
    *[
        (model, FORM, form(NAMED, data, SIZE))
        for model in ("colours", "clean", "words", "patient")
        for data in (b"", b"a")
    ],
    *[(model, FORM, form(b"", b"", SIZE)) for model in ("colours", "words")],
    ("colours", FORM, b"--cut\r\n" + b"a: b\r\n" * (SIZE // 6)),
    ("colours", FORM, b"--cut\r\n" + NAMED + b"a" * SIZE),
    ("colours", FORM, b"--cut\r\n%s\r\n\r\n" % NAMED + b"\r\n--cu" * (SIZE // 6) + b"\r\n--cut--"),
    ("colours", b"image/png", b"a" * SIZE),
    ("colours", b"image/png", picture((0, 0, 0))[:8] + b"\0" * SIZE),
    ("words", b"text/plain", b"a" * SIZE),
    ("words", b"text/plain", b"a" * SIZE + "\U0001f600".encode()),
    ("words", b"text/plain", b"\xff" * SIZE),
]


@pytest.mark.parametrize(("model", "media", "body"), OTHER_FORMS, ids=lambda value: repr(value[:24]))
def test_memory_of_other_forms_is_bounded(application: Application, model: str, media: bytes, body: bytes) -> None:
    path = f"/models/{model}/predict"
    ask(application, path, body[:30], content_type=media)  # imports what it needs
    for compressed in (False, True):
        sent = gzip.compress(body) if compressed else body
        encoding = {"content_encoding": b"gzip"} if compressed else {}
        response, peak = ask(application, path, sent, content_type=media, **encoding)
        assert response.status in (200, 400, 406), response.body[:200]  # 406: a missing number is NaN
        assert peak - (2 * len(response.body) if response.status == 200 else 0) <= MEMORY_FACTOR * len(body)


@pytest.mark.parametrize(("model", "media", "body"), OTHER_FORMS, ids=lambda value: repr(value[:24]))
def test_what_other_forms_need_is_known_before(application: Application, model: str, media: bytes, body: bytes) -> None:
    entry = application.repository.default(model)
    assert entry is not None
    assert entry.model is not None
    signature, headers = entry.model.signature(), {b"content-type": media}
    with suppress(RequestError, InvalidRow):
        plain.decode(signature, headers, body[:30])  # imports what it needs
    needed = plain.estimate_memory(signature, headers, body, 0)
    tracemalloc.start()
    try:
        with suppress(RequestError, InvalidRow):
            plain.decode(signature, headers, body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak <= needed + SMALL


def test_a_picture_needs_little_more_than_itself(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    file = picture((255, 0, 0), "BMP", 512)
    multipart = b"--cut\r\n%s\r\n\r\n%s\r\n--cut--\r\n" % (NAMED, file)
    json_body = dump([{"b64": b64encode(file).decode()}])
    monkeypatch.setattr(application.state.budget, "limit", 8 * len(file))

    for media, body in ((b"image/bmp", file), (FORM, multipart), (b"application/json", json_body)):
        response, _ = ask(application, "/models/colours/predict", body, content_type=media)
        assert response.status == 200, response.body
    monkeypatch.setattr(application.state.budget, "limit", 2 * len(file))
    response, _ = ask(application, "/models/colours/predict", multipart, content_type=FORM)
    assert response.status == 413


@pytest.mark.parametrize("what", HOSTILE)
def test_memory_of_raw_rows_in_json_is_bounded(application: Application, what: str) -> None:
    data = HOSTILE_JSON[what]
    tensor = {"name": "image", "shape": [len(json.loads(data))], "datatype": "BYTES", "data": None}
    bodies = {
        **{f"/models/{model}/predict": data for model in ("colours", "clean", "words", "patient", "column")},
        "/v1/models/colours:predict": b'{"instances":%s}' % data,
        "/v2/models/colours/infer": dump({"inputs": [tensor]}).replace(b"null", data),
    }
    for path, body in bodies.items():
        ask(application, path, body[:40])
        response, peak = ask(application, path, body)
        assert response.status in (200, 400, 406)
        assert peak - (2 * len(response.body) if response.status == 200 else 0) <= MEMORY_FACTOR * len(body), path


@pytest.mark.parametrize("value", [b"", b"a", b"ab"])
def test_memory_of_many_small_pictures_in_a_tensor_is_bounded(application: Application, value: bytes) -> None:
    one = len(value).to_bytes(4, "little") + value
    raw = one * (SIZE // len(one))
    tensor = {"name": "image", "shape": [SIZE // len(one)], "datatype": "BYTES"}
    head = dump({"inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}]})

    length = b"%d" % len(head)
    response, peak = ask(application, "/v2/models/colours/infer", head + raw, inference_header_content_length=length)

    assert response.status == 400
    assert peak <= MEMORY_FACTOR * len(head + raw)
