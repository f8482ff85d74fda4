"""The unmodified client of the Triton server, against a real process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.service.conftest import ELEMENT_TYPES, Running, StartServer

from snooze.bundle.contract import Datatype
from snooze.bundle.datatypes import DATATYPES

pytestmark = pytest.mark.process

http = pytest.importorskip("tritonclient.http")
utils = pytest.importorskip("tritonclient.utils")

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for all tests of this module."""
    from tests.service.conftest import start_server as fixture

    steps = fixture.__wrapped__(tmp_path_factory.mktemp("triton"))  # type: ignore[attr-defined]
    start: StartServer = next(steps)
    running = start(repository)
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


def ask(
    triton: Any, datatype: Datatype, array: Any, binary_in: bool = True, binary_out: bool | None = None, **options: Any
) -> Any:
    tensor = http.InferInput("x", list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=binary_in)
    outputs = None if binary_out is None else [http.InferRequestedOutput("y", binary_data=binary_out)]
    return triton.infer(f"identity-{datatype.lower()}", [tensor], outputs=outputs, **options)


@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
@pytest.mark.parametrize(("binary_in", "binary_out"), [(True, None), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("datatype", ELEMENT_TYPES)
def test_every_datatype_goes_through_every_way(
    triton: Any, datatype: Datatype, binary_in: bool, binary_out: bool | None, compression: str | None
) -> None:
    array = values(datatype)
    answer = ask(
        triton,
        datatype,
        array,
        binary_in,
        binary_out,
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
    )

    got = answer.as_numpy("y")
    if datatype == "BYTES":
        got = np.array([text.encode() if isinstance(text, str) else text for text in got.ravel()], object)
        assert got.tolist() == array.ravel().tolist()
    else:
        np.testing.assert_array_equal(got, array)


def test_a_version_an_id_and_a_timeout_go_through(triton: Any) -> None:
    tensor = http.InferInput("features", [2, 30], "FP32")
    tensor.set_data_from_numpy(np.ones((2, 30), np.float32))

    answer = triton.infer("tumour", [tensor], model_version="1", request_id="mine", timeout=5_000_000, priority=1)

    response = answer.get_response()
    assert (response["model_version"], response["id"]) == ("1", "mine")
    assert answer.as_numpy("probabilities").shape == (2, 2)


def test_a_large_answer_is_compressed_if_asked_for(triton: Any) -> None:
    array = np.full((10_000, 2), 1.25, np.float64)

    answer = ask(triton, "FP64", array, binary_out=False, response_compression_algorithm="gzip")

    np.testing.assert_array_equal(answer.as_numpy("y"), array)


def test_many_values_go_through_as_binary(triton: Any) -> None:
    array = np.random.default_rng(0).normal(size=(75_000, 2)).astype(np.float32)

    np.testing.assert_array_equal(ask(triton, "FP32", array).as_numpy("y"), array)


def test_health_and_metadata(triton: Any) -> None:
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.is_model_ready("tumour")
    assert not triton.is_model_ready("none")
    assert triton.get_server_metadata()["name"] == "snooze"
    assert triton.get_model_metadata("tumour")["platform"] == "onnx_onnxv1"
    assert {"name": "tumour", "version": "2", "state": "READY", "reason": ""} in triton.get_model_repository_index()


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
