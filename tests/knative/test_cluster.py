"""
The printed commands and the written manifest on a real Knative: answers by URL, scales to zero, starts again.

Run inside the cluster's network, with `kn` and `kubectl` on the PATH and SNOOZE_CLUSTER naming its command:

    cluster up --fast-scale-down && cluster push localhost/tumour:1 tumour:1
    SNOOZE_CLUSTER=cluster SNOOZE_CLUSTER_IMAGE=registry.local:5000/tumour:1 SNOOZE_CLUSTER_MODELS=models/tumour \\
        cluster exec -- .venv/bin/python -m pytest tests/knative/test_cluster.py
"""

import json
import os
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from snooze.bundle.samples import read_samples
from snooze.bundle.store import latest, read
from snooze.cli import main

pytestmark = pytest.mark.cluster
Deploy = Callable[..., str]
MAX_DRAIN_SECONDS = 120  # idle window, grace period, 30 s of drain


@pytest.fixture(scope="module")
def cluster() -> None:
    command = os.environ.get("SNOOZE_CLUSTER")
    if not command:
        pytest.skip("no cluster: SNOOZE_CLUSTER is not set")
    ready = subprocess.run(["kubectl", "get", "--raw", "/readyz"], capture_output=True, check=False)
    if ready.returncode != 0:
        pytest.skip(f"no cluster: it is not up, or this does not run through '{command} exec'")


@pytest.fixture(scope="module")
def image(cluster: None) -> str:
    name = os.environ.get("SNOOZE_CLUSTER_IMAGE")
    if not name:
        pytest.skip("no image: SNOOZE_CLUSTER_IMAGE is not set to one that was pushed")
    return name


@pytest.fixture(scope="module")
def folder(cluster: None) -> Path:
    path = os.environ.get("SNOOZE_CLUSTER_MODELS")
    if not path:
        pytest.skip("no model: SNOOZE_CLUSTER_MODELS is not set to the one in the image")
    return latest(Path(path)).folder


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield name
    subprocess.run(["kubectl", "delete", "ksvc", name, "--ignore-not-found"], capture_output=True, check=True)


@pytest.fixture
def deploy(folder: Path, image: str, service: str, capsys: pytest.CaptureFixture[str]) -> Deploy:
    def run(*options: str) -> str:
        arguments = ["deploy", str(folder), "--image", image, "--name", service, "--window", "6s", *options]
        assert main(arguments) == 0
        return capsys.readouterr().out

    return run


def test_the_printed_command_makes_a_service_that_answers_and_scales_to_zero_and_back(
    deploy: Deploy, service: str, folder: Path
) -> None:
    output = deploy()
    script = output[output.index("kn service create ") :]
    subprocess.run(["sh", "-e", "-c", script], check=True, capture_output=True, timeout=300)

    url = ready_url(service)
    assert_correct(url, folder)
    assert_scales_to_zero(service)
    assert_correct(url, folder)
    assert pods(service)


@pytest.mark.parametrize("options", [[], ["--user", "none"], ["--scratch"]], ids=" ".join)
def test_the_manifest_makes_a_service_that_answers_and_scales_to_zero_and_back(
    options: list[str], deploy: Deploy, service: str, folder: Path
) -> None:
    deploy(*options)
    subprocess.run(["kubectl", "apply", "-f", f"{service}.yaml"], check=True, capture_output=True)

    url = ready_url(service)
    assert_correct(url, folder)
    assert_scales_to_zero(service)
    assert_correct(url, folder)


def test_apply_waits_until_the_service_is_ready_and_can_be_repeated(deploy: Deploy, service: str, folder: Path) -> None:
    deploy("--apply")
    assert_correct(ready_url(service), folder)
    deploy("--apply")

    revisions = kubectl("get", "revision", "-l", f"serving.knative.dev/service={service}", "-o", "json")["items"]
    manifest = yaml.safe_load(Path(f"{service}.yaml").read_text())
    assert [one["metadata"]["name"] for one in revisions] == [manifest["spec"]["template"]["metadata"]["name"]]


def test_the_cluster_accepts_the_manifest_without_a_warning(deploy: Deploy, service: str) -> None:
    deploy("--private")
    done = subprocess.run(
        ["kubectl", "apply", "--dry-run=server", "-f", f"{service}.yaml"], check=True, capture_output=True, text=True
    )

    assert "created (server dry run)" in done.stdout
    assert done.stderr == ""


def ready_url(service: str) -> str:
    subprocess.run(["kubectl", "wait", f"ksvc/{service}", "--for=condition=Ready", "--timeout=120s"], check=True)
    return str(kubectl("get", "ksvc", service, "-o", "json")["status"]["url"])


def assert_correct(url: str, folder: Path) -> None:
    """Ask for predictions of the bundle's golden samples, and compare them with the golden outputs."""
    bundle = read(folder)
    for sample in read_samples(folder, bundle):
        tensors = [
            {
                "name": tensor.name,
                "datatype": tensor.datatype,
                "shape": list(sample.inputs[tensor.name].shape),
                "data": sample.inputs[tensor.name].ravel().tolist(),
            }
            for tensor in bundle.inputs
        ]
        body = json.dumps({"inputs": tensors}).encode()
        request = urllib.request.Request(f"{url}/v2/models/{bundle.name}/infer", body)
        with urllib.request.urlopen(request, timeout=60) as answer:
            outputs = {output["name"]: output["data"] for output in json.load(answer)["outputs"]}
        for name, expected in sample.outputs.items():
            np.testing.assert_allclose(outputs[name], expected.ravel(), rtol=1e-4, atol=1e-5, err_msg=name)


def assert_scales_to_zero(service: str) -> None:
    end = time.monotonic() + MAX_DRAIN_SECONDS
    while pods(service):
        assert time.monotonic() < end, f"{service} still runs after {MAX_DRAIN_SECONDS} s without a request"
        time.sleep(1)


def pods(service: str) -> list[Any]:
    found: list[Any] = kubectl("get", "pods", "-l", f"serving.knative.dev/service={service}", "-o", "json")["items"]
    return found


def kubectl(*arguments: str) -> dict[str, Any]:
    output = subprocess.run(["kubectl", *arguments], check=True, capture_output=True, text=True).stdout
    document: dict[str, Any] = json.loads(output)
    return document
