import tomllib
from importlib.metadata import version
from pathlib import Path

from tests.service.conftest import Client


def test_the_server_says_who_it_is(client: Client) -> None:
    for path in ("/v2", "/v2/"):
        document = client.ask("GET", path).json()
        assert (document["name"], document["version"]) == ("snooze", version("snooze"))
        # A version that is not the project's is one of an installation that was not renewed.
        pyproject = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
        assert document["version"] == pyproject["project"]["version"]
        # `model_repository` would promise load and unload, which this server does not allow.
        assert document["extensions"] == ["binary_tensor_data", "classification", "parameters", "statistics"]


def test_the_root_lives(client: Client) -> None:
    assert client.ask("GET", "/").json() == {"status": "alive"}


def test_a_model_describes_its_signature(client: Client) -> None:
    assert client.ask("GET", "/v2/models/tumour").json() == {
        "name": "tumour",
        "versions": ["1", "2"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "features", "datatype": "FP32", "shape": [-1, 30]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
        ],
    }


def test_a_model_is_ready_by_name_and_by_version(client: Client) -> None:
    for path in ("/v2/models/tumour/ready", "/v2/models/tumour/versions/1/ready"):
        assert client.ask("GET", path).json() == {"name": "tumour", "ready": True}


def test_the_index_lists_every_version(client: Client) -> None:
    listed = client.ask("POST", "/v2/repository/index").json()

    assert {"name": "tumour", "version": "2", "state": "READY", "reason": ""} in listed
    assert client.post("/v2/repository/index", {"ready": True}).json() == listed


def test_the_index_refuses_what_it_does_not_know(client: Client) -> None:
    answer = client.post("/v2/repository/index", {"ready": "yes"})

    assert (answer.status, answer.error) == (400, 'expected an empty body or {"ready": true}')


def test_predictions_are_counted_and_probes_are_not(client: Client) -> None:
    client.post("/models/sum/predict", [[1, 2, 3]])
    client.post("/models/sum/predict", [[1, 2]])
    client.ask("GET", "/readyz")

    answer = client.ask("GET", "/metrics")

    lines = dict(line.rsplit(" ", 1) for line in answer.body.decode().splitlines() if not line.startswith("#"))
    requests = 'snooze_requests_total{model="sum",version="1",protocol="plain",code='
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert int(lines[f'{requests}"200"}}']) >= 1
    assert int(lines[f'{requests}"400"}}']) >= 1
    assert lines['snooze_in_flight{model="sum",version="1"}'] == "0"
    assert int(lines['snooze_run_seconds_count{model="sum",version="1"}']) >= 1
    assert float(lines["process_resident_memory_bytes"]) > 1e6
    assert f'snooze_build_info{{version="{version("snooze")}",onnxruntime="{version("onnxruntime")}"' in str(lines)
    assert not any("readyz" in line for line in lines)


def test_a_path_that_is_not_there_names_models_that_are(client: Client) -> None:
    for method, path in (("GET", "/nothing"), ("POST", "/v2/models/tumour/versions/1/versions/1/infer")):
        answer = client.ask(method, path)

        assert (answer.status, answer.error) == (
            404,
            f"no path '{path}'; POST /v2/repository/index lists the models: "
            "identity-bool, identity-bytes, identity-fp16, identity-fp32, identity-fp64, ...",
        )
