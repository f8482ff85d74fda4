"""The same requests to our protocol and, over ASGI, to uvicorn's own: the answers and the metrics are the same."""

import asyncio
import json
import re
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service.conftest import classifier, picture, publish, publish_each_adapter, regressor, two_inputs
from uvicorn.config import Config
from uvicorn.server import ServerState as Connections

from snooze.service import Settings, create_app
from snooze.service.app import Application
from snooze.service.process.server import configure

NUMBERS: st.SearchStrategy[Any] = (
    st.floats(-1e6, 1e6, width=32) | st.integers(-9, 9) | st.sampled_from([True, None, "1", [], 1e39, 2**70])
)
ROW = st.lists(NUMBERS, min_size=2, max_size=4)
PATHS = st.sampled_from(
    [
        "/v2/models/sum/infer",
        "/v2/models/sum/versions/1/infer",
        "/models/sum/predict",
        "/models/threads/predict",
        "/v2/models/threads/infer",
        "/v2/models/tumour/infer",
        "/models/person/predict",
        "/models/sum/predict?top=2",
        "/models/tumour/predict?top=x",
        "/models/colours/predict",
        "/models/colours/predict?top=1&other",
        "/models/clean/predict",
        "/models/patient/predict",
        "/predict",
        "/models/none/predict",
        "/v2/models/sum",
        "/v2/health/ready",
        "/healthz",
        "/v2",
        "/",
    ]
)
HEADERS = st.fixed_dictionaries(
    {"X-Request-Id": st.sampled_from(["one", "two", "x" * 128])},
    optional={
        "traceparent": st.sampled_from(["00-" + "1" * 32 + "-" + "2" * 16 + "-01", "none"]),
        "X-Request-Timeout": st.sampled_from(["0", "60", "1e-9", "soon", "-1"]),
        "Content-Encoding": st.sampled_from(["gzip", "deflate", "br", "identity"]),
        "Content-Type": st.sampled_from(
            ["application/json", "text/csv", "text/plain", "image/png", "multipart/form-data; boundary=cut", "none"]
        ),
        "Accept-Encoding": st.sampled_from(["gzip", "deflate", "gzip;q=0", "*"]),
        "Inference-Header-Content-Length": st.sampled_from(["0", "5", "99999", "-1", "x"]),
        "K-Proxy-Request": st.just("activator"),
    },
)


def form(contents: list[bytes]) -> bytes:
    head = b'--cut\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    return b"".join(head + content + b"\r\n" for content in contents) + b"--cut--\r\n"


def dump(document: Any) -> bytes:
    return json.dumps(document).encode()


@st.composite
def tensors(draw: Callable[..., Any]) -> dict[str, Any]:
    rows = draw(st.lists(ROW, min_size=1, max_size=3))
    tensor = {
        "name": draw(st.sampled_from(["x", "age", "none"])),
        "shape": draw(st.sampled_from([[len(rows), 3], [1, 3], [-1], "x"])),
        "datatype": draw(st.sampled_from(["FP32", "FP32", "INT64", "BYTES"])),
        "data": draw(st.sampled_from([rows, [value for row in rows for value in row]])),
    }
    document: dict[str, Any] = {"inputs": [tensor]}
    if draw(st.booleans()):
        document["id"] = draw(st.sampled_from(["mine", 5, None]))
    if draw(st.booleans()):
        document["parameters"] = draw(
            st.sampled_from([{"binary_data_output": True}, {"timeout": 1}, {"priority": 2}, 7])
        )
    return document


BODIES = st.one_of(
    tensors().map(dump),
    st.lists(ROW, max_size=3).map(dump),
    st.builds(lambda rows: dump({"rows": rows}), st.lists(st.tuples(*[st.floats(-9, 9)] * 3), min_size=1)),
    st.binary(max_size=20),
    st.just(b"[[1,2,3]]"),
    st.just(b"[" * 1000),
    st.sampled_from([b"1,2,3\n", b"age,weight,note\n1,2,good\n", b"1,,good", b"a text", picture((255, 0, 0))]),
    st.lists(st.sampled_from([b"1,2,3", b"1,2,bad", b"a text", picture((0, 255, 0), "JPEG")]), max_size=3).map(form),
)


@st.composite
def requests(draw: Callable[..., Any]) -> bytes:
    headers = draw(HEADERS)
    body = draw(BODIES)
    if headers.get("Content-Encoding") in ("gzip", "deflate") and draw(st.booleans()):
        packer = zlib.compressobj(wbits=31 if headers["Content-Encoding"] == "gzip" else 15)
        body = packer.compress(body) + packer.flush()
    method = draw(st.sampled_from(["POST"] * 6 + ["GET", "HEAD", "DELETE"]))
    lines = [f"{method} {draw(PATHS)} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}\r\n\r\n"]).encode()
    return bytes(head + body)


@pytest.fixture(scope="module")
def applications(tmp_path_factory: pytest.TempPathFactory) -> list[Application]:
    """Two applications of the same models."""
    root = tmp_path_factory.mktemp("models")
    publish(root, "sum", regressor())
    publish(root, "threads", regressor(), run_in="executor")
    publish(root, "tumour", classifier(), labels=("malignant", "benign"))
    publish(root, "person", two_inputs())
    publish_each_adapter(root)
    return [create_app(Settings(models=(root,), log="off", max_body=5000)) for _ in range(2)]


async def exchange(config: Config, requests: list[bytes]) -> list[bytes]:
    """Return the answers to requests on one connection, without the date."""
    config.load()
    state = Connections()
    state.default_headers = [(b"date", b"today")]
    make: Any = config.http_protocol_class
    server = await asyncio.get_running_loop().create_server(
        lambda: make(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    answers = []
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length
        answers.append(head + (b"" if request.startswith(b"HEAD") else await reader.readexactly(int(length[1]))))
    writer.close()
    server.close()
    return answers


def count(app: Application) -> list[str]:
    """Return the metrics that do not depend on time."""
    text = app.state.metrics.exposition().decode()
    return [line for line in text.splitlines() if re.match(r"snooze_(requests|refused|in_flight|batch)", line)]


OTHER_FORMS = [
    ("/models/colours/predict?top=2", "image/png", picture((255, 0, 0))),
    ("/models/colours/predict", "multipart/form-data; boundary=cut", form([picture((0, 255, 0), "JPEG", 256)] * 2)),
    ("/models/colours/predict", "multipart/form-data; boundary=cut", form([])),
    ("/models/colours/predict", "multipart/form-data; boundary=other", form([picture((0, 255, 0))])),
    ("/models/colours/predict", "text/csv", b"1,2"),
    ("/models/clean/predict", "text/plain; charset=utf-8", b"A Text"),
    ("/models/clean/predict", "application/json", b'{"texts": ["A Text"]}'),
    ("/models/patient/predict", "text/csv", b"note,age,weight\r\ngood,1,2\r\nbad,3,\r\n"),
    ("/models/patient/predict", "text/csv", b"note,age,weight\r\ngood,x,2\r\n"),
    ("/models/tumour/predict?top=1", "text/csv", b",".join([b"0.5"] * 30)),
]


@settings(max_examples=60, deadline=None)
@given(requests=st.lists(requests(), min_size=1, max_size=8))
def test_both_paths_give_the_same_answers(applications: list[Application], requests: list[bytes]) -> None:
    check_both(applications, requests)


def test_both_paths_give_the_same_answers_to_other_forms(applications: list[Application]) -> None:
    written = []
    for path, media, body in OTHER_FORMS:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {media}\r\nX-Request-Id: one\r\n"
        written.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    answers = check_both(applications, written)

    statuses = [int(answer[9:12]) for answer in answers]
    assert statuses == [200, 200, 400, 400, 415, 200, 200, 200, 400, 200]


def check_both(applications: list[Application], requests: list[bytes]) -> list[bytes]:
    """Check that both applications answer requests in the same way, and return the answers."""
    direct, other = applications
    theirs = Config(other, http="httptools", ws="none", lifespan="off", interface="asgi3", log_config=None)
    theirs.proxy_headers = theirs.access_log = False

    async def compare() -> list[bytes]:
        answers = await exchange(configure(direct), requests)
        for request, ours, expected in zip(requests, answers, await exchange(theirs, requests), strict=True):
            assert ours == expected, request
        assert count(direct) == count(other)
        return answers

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(compare())
