"""The unmodified clients of the Triton server, blocking and asynchronous, against a real process."""

import asyncio
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.service.conftest import (
    ELEMENT_TYPES,
    Running,
    StartServer,
    picture,
    publish,
    publish_each_adapter,
    regressor,
)

from snooze.bundle.contract import Datatype
from snooze.bundle.datatypes import DATATYPES

http = pytest.importorskip("tritonclient.http")
aio = pytest.importorskip("tritonclient.http.aio")
utils = pytest.importorskip("tritonclient.utils")

pytestmark = pytest.mark.process

COMPRESSIONS = [None, "gzip", "deflate"]
WAYS = [
    (True, None),
    (True, False),
    (False, True),
    (False, False),
]  # binary in and out; None requests no output by name
VERSIONS = ["", "1"]
RED, GREEN = (255, 0, 0), (0, 255, 0)
LARGE = [
    np.full((10_000, 2), 1.25),
    np.random.default_rng(0).normal(size=(10_000, 2)),  # of which binary data do not become smaller
]


@pytest.fixture(scope="module")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for all tests of this module."""
    from tests.service.conftest import start_server as fixture

    steps = fixture.__wrapped__(tmp_path_factory.mktemp("triton"))  # type: ignore[attr-defined]
    start: StartServer = next(steps)
    adapted = tmp_path_factory.mktemp("adapted")
    publish_each_adapter(adapted)
    running = start(repository, adapted)
    try:
        running.wait_for("serving")
        yield running
    finally:
        next(steps, None)


@pytest.fixture
def triton(server: Running) -> Iterator[Any]:
    """A client of it."""
    client = http.InferenceServerClient(f"127.0.0.1:{server.port}")
    yield client
    client.close()


def values(datatype: Datatype) -> Any:
    if datatype == "BYTES":
        return np.array([[b"a", "\u00fc".encode()], [b"", b"null"]], object)
    if datatype == "BOOL":
        return np.array([[True, False], [False, False]])
    if datatype.startswith("FP"):
        return np.array([[1.5, -2], [0, 1000]], DATATYPES[datatype])
    limits = np.iinfo(DATATYPES[datatype])
    return np.array([[limits.min, limits.max], [0, 1]], DATATYPES[datatype])


def arguments(
    module: Any, datatype: Datatype, array: Any, binary_in: bool = True, binary_out: bool | None = None
) -> dict[str, Any]:
    """Return what `infer` of either client takes."""
    tensor = module.InferInput("x", list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary_in)
    outputs = None if binary_out is None else [module.InferRequestedOutput("y", binary_data=binary_out)]
    return {"model_name": f"identity-{datatype.lower()}", "inputs": [tensor], "outputs": outputs}


def check(answer: Any, datatype: Datatype, array: Any) -> None:
    got = answer.as_numpy("y")
    assert answer.get_output("y")["datatype"] == datatype
    if datatype == "BYTES":
        got = np.array([text.encode() if isinstance(text, str) else text for text in got.ravel()], object)
        assert got.tolist() == array.ravel().tolist()
    else:
        np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize(("binary_in", "binary_out"), WAYS)
@pytest.mark.parametrize("datatype", ELEMENT_TYPES)
def test_every_datatype_goes_through_every_way(
    triton: Any, datatype: Datatype, binary_in: bool, binary_out: bool | None, compression: str | None
) -> None:
    array = values(datatype)
    for version in VERSIONS:
        answer = triton.infer(
            **arguments(http, datatype, array, binary_in, binary_out),
            model_version=version,
            request_compression_algorithm=compression,
            response_compression_algorithm=compression,
        )

        check(answer, datatype, array)


@pytest.mark.parametrize("datatype", ELEMENT_TYPES)
def test_every_datatype_goes_through_every_way_of_the_asynchronous_client(server: Running, datatype: Datatype) -> None:
    array = values(datatype)

    async def ask(client: Any, binary_in: bool, binary_out: bool | None, compression: str | None, version: str) -> None:
        answer = await client.infer(
            **arguments(aio, datatype, array, binary_in, binary_out),
            model_version=version,
            request_compression_algorithm=compression,
            response_compression_algorithm=compression,
        )
        check(answer, datatype, array)

    async def ask_all() -> None:
        async with aio.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            for (binary_in, binary_out), compression, version in itertools.product(WAYS, COMPRESSIONS, VERSIONS):
                await ask(client, binary_in, binary_out, compression, version)

    asyncio.run(ask_all())


def test_one_input_may_be_binary_and_another_json(triton: Any) -> None:
    inputs = []
    for i, (name, datatype) in enumerate({"age": "INT64", "weight": "INT64", "note": "BYTES"}.items()):
        inputs.append(http.InferInput(name, [2], datatype))
        data = np.array([b"a", b"b"], object) if datatype == "BYTES" else np.array([i, 10])
        inputs[-1].set_data_from_numpy(data, binary_data=name != "weight")
    outputs = [http.InferRequestedOutput("said", False), http.InferRequestedOutput("total", True)]

    answer = triton.infer("person", inputs, outputs=outputs)

    assert answer.as_numpy("total").tolist() == [1, 20]
    assert answer.as_numpy("said").tolist() == ["a", "b"]


@pytest.mark.parametrize("binary_out", [True, False])
def test_classes_come_with_their_labels(triton: Any, binary_out: bool) -> None:
    tensor = http.InferInput("features", [2, 30], "FP32")
    tensor.set_data_from_numpy(np.ones((2, 30), np.float32))
    scores = triton.infer("tumour", [tensor]).as_numpy("probabilities")

    asked = http.InferRequestedOutput("probabilities", binary_data=binary_out, class_count=1)
    classes = triton.infer("tumour", [tensor], outputs=[asked]).as_numpy("probabilities")

    highest = int(scores[0].argmax())
    text = f"{scores[0][highest]:f}:{highest}:{('malignant', 'benign')[highest]}"
    assert [str(one.decode() if binary_out else one) for one in classes.ravel()] == [text, text]
    assert classes.shape == (2, 1)


def test_a_version_an_id_and_a_timeout_go_through(triton: Any) -> None:
    tensor = http.InferInput("features", [2, 30], "FP32")
    tensor.set_data_from_numpy(np.ones((2, 30), np.float32))

    answer = triton.infer("tumour", [tensor], model_version="1", request_id="mine", timeout=5_000_000, priority=1)

    response = answer.get_response()
    assert (response["model_version"], response["id"]) == ("1", "mine")
    assert answer.as_numpy("probabilities").shape == (2, 2)


@pytest.mark.parametrize("binary_out", [True, False])
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("array", LARGE)
def test_large_answers_go_through_compressed_and_plain(
    triton: Any, server: Running, array: Any, compression: str | None, binary_out: bool
) -> None:
    asked = {"response_compression_algorithm": compression, "request_compression_algorithm": compression}

    async def ask() -> Any:
        async with aio.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            return await client.infer(**arguments(aio, "FP64", array, True, binary_out), **asked)

    check(triton.infer(**arguments(http, "FP64", array, True, binary_out), **asked), "FP64", array)
    check(asyncio.run(ask()), "FP64", array)


def test_health_and_metadata(triton: Any) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("tumour")
    assert not triton.is_model_ready("none")
    assert triton.get_server_metadata()["name"] == "snooze"
    assert triton.get_model_metadata("tumour")["platform"] == "onnx_onnxv1"
    assert "classification" in triton.get_server_metadata()["extensions"]
    assert {"name": "tumour", "version": "2", "state": "READY", "reason": ""} in triton.get_model_repository_index()


def test_health_and_metadata_of_the_asynchronous_client(server: Running) -> None:
    async def ask() -> None:
        async with aio.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
            assert await client.is_server_live()
            assert await client.is_server_ready()
            assert await client.is_model_ready("tumour", "1")
            assert not await client.is_model_ready("tumour", "7")
            metadata = await client.get_model_metadata("tumour", "1")
            assert (metadata["name"], metadata["versions"]) == ("tumour", ["1", "2"])
            names = {one["name"] for one in await client.get_model_repository_index()}
            assert {"tumour", "person"} <= names

    asyncio.run(ask())


def test_a_grpc_client_is_answered_400(server: Running) -> None:
    """gRPC begins with the preface of HTTP/2; a client of gRPC reports the status of the answer as UNAVAILABLE."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 400 ")


def test_statistics_by_name_and_version(triton: Any) -> None:
    (before,) = triton.get_inference_statistics("tumour", "1")["model_stats"]
    tensor = http.InferInput("features", [2, 30], "FP32")
    tensor.set_data_from_numpy(np.ones((2, 30), np.float32))
    triton.infer("tumour", [tensor], model_version="1")

    (after,) = triton.get_inference_statistics("tumour", "1")["model_stats"]
    assert after["inference_count"] == before["inference_count"] + 2
    assert after["inference_stats"]["success"]["count"] == before["inference_stats"]["success"]["count"] + 1
    assert [one["version"] for one in triton.get_inference_statistics("tumour")["model_stats"]] == ["1", "2"]
    assert after in triton.get_inference_statistics()["model_stats"]


@pytest.mark.parametrize(
    ("model", "shape", "datatype", "message"),
    [
        ("none", [1, 30], "FP32", "no model 'none'; available: "),
        ("tumour", [1, 29], "FP32", "input 'features': expected shape [any, 30], got [1, 29]"),
        ("tumour", [1, 30], "FP64", "input 'features': expected datatype FP32, got 'FP64'"),
    ],
)
def test_errors_reach_the_client(triton: Any, model: str, shape: list[int], datatype: Datatype, message: str) -> None:
    tensor = http.InferInput("features", shape, datatype)
    tensor.set_data_from_numpy(np.ones(shape, DATATYPES[datatype]))

    with pytest.raises(utils.InferenceServerException) as caught:
        triton.infer(model, [tensor])

    assert caught.value.message().startswith(message)


def test_a_model_is_unloaded_and_loaded(start_server: StartServer, tmp_path: Path) -> None:
    publish(tmp_path, "sum", regressor())
    running = start_server(tmp_path, SNOOZE_ALLOW_LOAD="on")
    running.wait_for("serving")
    with http.InferenceServerClient(f"127.0.0.1:{running.port}") as triton:
        assert "model_repository" in triton.get_server_metadata()["extensions"]
        triton.unload_model("sum", unload_dependents=True)
        unloaded = {"name": "sum", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"}
        assert triton.get_model_repository_index() == [unloaded]
        assert not triton.is_model_ready("sum")
        triton.load_model("sum")
        assert triton.is_model_ready("sum", "1")
        assert triton.get_model_repository_index()[0]["state"] == "READY"
        with pytest.raises(utils.InferenceServerException, match="parameter 'config' is not supported"):
            triton.load_model("sum", config="{}")
        with pytest.raises(utils.InferenceServerException, match="model 'none' cannot be loaded"):
            triton.load_model("none")


def test_nobody_loads_where_it_is_not_allowed(triton: Any) -> None:
    with pytest.raises(utils.InferenceServerException, match="no path '/v2/repository/models/sum/unload'"):
        triton.unload_model("sum")
    assert "model_repository" not in triton.get_server_metadata()["extensions"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_pictures_are_bytes_of_the_adapter_s_input(triton: Any, compression: str | None) -> None:
    described = triton.get_model_metadata("colours")["adapter"]["inputs"][0]
    assert described == {"name": "image", "datatype": "BYTES", "shape": [-1]}
    pictures = np.array([picture(RED, "JPEG"), picture(GREEN, "PNG")], object)
    tensor = http.InferInput("image", [2], "BYTES")
    tensor.set_data_from_numpy(pictures)

    answer = triton.infer("colours", [tensor], request_compression_algorithm=compression)

    assert answer.as_numpy("label").tolist() == [0, 1]


@pytest.mark.parametrize("binary_in", [True, False])
def test_texts_are_bytes_of_the_adapter_s_input(triton: Any, binary_in: bool) -> None:
    tensor = http.InferInput("text", [1], "BYTES")
    tensor.set_data_from_numpy(np.array(["GRÖSSE".encode()], object), binary_data=binary_in)

    answer = triton.infer("clean", [tensor])

    assert answer.as_numpy("y").tolist() == ["grösse".encode()]


def test_what_is_no_picture_is_an_error_of_the_client(triton: Any) -> None:
    tensor = http.InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([b"no picture"], object))

    with pytest.raises(utils.InferenceServerException, match="picture 0: "):
        triton.infer("colours", [tensor])
