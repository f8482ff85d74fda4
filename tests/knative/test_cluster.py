"""
The printed command and the written manifest on a real Knative: answers by URL, scales to zero, wakes again.

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

from snooze.bundle.contract import Bundle
from snooze.bundle.samples import Samples, read_samples
from snooze.bundle.store import latest, read
from snooze.cli import main

pytestmark = pytest.mark.cluster
Deploy = Callable[..., str]
GONE_SECONDS = 120  # idle window, grace period, 30 s of drain


@pytest.fixture(scope="module")
def cluster() -> None:
    command = os.environ.get("SNOOZE_CLUSTER")
    if not command:
        pytest.skip("no cluster: SNOOZE_CLUSTER does not name a command")
    ready = subprocess.run(["kubectl", "get", "--raw", "/readyz"], capture_output=True, check=False)
    if ready.returncode != 0:
        pytest.skip(f"no cluster: {command} is not up, or this is not run through '{command} exec'")


@pytest.fixture(scope="module")
def image(cluster: None) -> str:
    name = os.environ.get("SNOOZE_CLUSTER_IMAGE")
    if not name:
        pytest.skip("no image: SNOOZE_CLUSTER_IMAGE does not name one that was pushed")
    return name


@pytest.fixture(scope="module")
def folder(cluster: None) -> Path:
    path = os.environ.get("SNOOZE_CLUSTER_MODELS")
    if not path:
        pytest.skip("no model: SNOOZE_CLUSTER_MODELS does not name the one in the image")
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


def test_the_printed_command_makes_a_service_that_answers_sleeps_and_wakes(
    deploy: Deploy, service: str, folder: Path
) -> None:
    said = deploy()
    script = said[said.index("kn service create ") :]
    subprocess.run(["sh", "-e", "-c", script], check=True, capture_output=True, timeout=300)

    url = ready_url(service)
    assert_right(url, folder)
    assert_sleeps(service)
    assert_right(url, folder)
    assert pods(service)


def test_the_manifest_makes_a_service_that_answers_sleeps_and_wakes(deploy: Deploy, service: str, folder: Path) -> None:
    deploy()
    subprocess.run(["kubectl", "apply", "-f", f"{service}.yaml"], check=True, capture_output=True)

    url = ready_url(service)
    assert_right(url, folder)
    assert_sleeps(service)
    assert_right(url, folder)


def test_apply_waits_until_the_service_is_ready_and_changes_nothing_the_second_time(
    deploy: Deploy, service: str, folder: Path
) -> None:
    deploy("--apply")
    assert_right(ready_url(service), folder)
    deploy("--apply")

    revisions = kubectl("get", "revision", "-l", f"serving.knative.dev/service={service}", "-o", "json")["items"]
    assert [revision["metadata"]["name"] for revision in revisions] == [f"{service}-00001"]


def test_the_cluster_takes_the_manifest_without_a_warning(deploy: Deploy, service: str) -> None:
    deploy("--private")
    said = subprocess.run(
        ["kubectl", "apply", "--dry-run=server", "-f", f"{service}.yaml"], check=True, capture_output=True, text=True
    )

    assert "created (server dry run)" in said.stdout
    assert said.stderr == ""


def ready_url(service: str) -> str:
    subprocess.run(["kubectl", "wait", f"ksvc/{service}", "--for=condition=Ready", "--timeout=120s"], check=True)
    return str(kubectl("get", "ksvc", service, "-o", "json")["status"]["url"])


def assert_right(url: str, folder: Path) -> None:
    """Ask for the predictions of the bundle's own samples, and compare them with the outputs it promises."""
    bundle = read(folder)
    samples = read_samples(folder, bundle)
    request = urllib.request.Request(f"{url}/v2/models/{bundle.name}/infer", json.dumps(body(bundle, samples)).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        outputs = {output["name"]: output["data"] for output in json.load(answer)["outputs"]}
    for name, expected in samples.outputs.items():
        np.testing.assert_allclose(outputs[name], expected.ravel(), rtol=1e-4, atol=1e-5, err_msg=name)


def body(bundle: Bundle, samples: Samples) -> dict[str, Any]:
    return {
        "inputs": [
            {
                "name": tensor.name,
                "datatype": tensor.datatype,
                "shape": list(samples.inputs[tensor.name].shape),
                "data": samples.inputs[tensor.name].ravel().tolist(),
            }
            for tensor in bundle.inputs
        ]
    }


def assert_sleeps(service: str) -> None:
    end = time.monotonic() + GONE_SECONDS
    while pods(service):
        assert time.monotonic() < end, f"{service} still runs after {GONE_SECONDS} s without a request"
        time.sleep(1)


def pods(service: str) -> list[Any]:
    found: list[Any] = kubectl("get", "pods", "-l", f"serving.knative.dev/service={service}", "-o", "json")["items"]
    return found


def kubectl(*arguments: str) -> dict[str, Any]:
    said = subprocess.run(["kubectl", *arguments], check=True, capture_output=True, text=True).stdout
    answer: dict[str, Any] = json.loads(said)
    return answer
