"""
Manifests from drawn options on a real Knative, in a namespace that enforces the Pod Security Standard `restricted`.

Sixty are accepted, errors are refused before the cluster sees them, and five become ready and answer.
"""

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests.cluster.callers import Question, ask
from tests.cluster.conftest import NAMESPACE
from tests.knative import kubectl_double
from tests.knative.kubectl_double import Kubectl

from snooze.benchmarks.load.outcomes import Outcome
from snooze.cli import main
from snooze.knative.manifest.names import MAX_SERVICE_NAME

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("manifests")]  # one namespace for all
COUNT: Final = 60
DIGEST: Final = "sha256:" + "12e4" * 16
LONGEST: Final = "a" * MAX_SERVICE_NAME
RESTRICTED: Final = "pod-security.kubernetes.io/enforce=restricted"
# With it, Knative's webhook also lets Kubernetes check the pod.
DRY_RUN: Final = {"features.knative.dev/podspec-dryrun": "strict"}
# Values for each option; a list of several arguments is one value.
DRAWS: Final[dict[str, list[list[str]]]] = {
    "--image": [["a/b/c_d.e:V_1.2-3"], [f"registry.example.com/tumour@{DIGEST}"], [f"localhost:5000/ab:1@{DIGEST}"]],
    "--name": [[LONGEST], ["a"], ["iris-v2-1"], [f"z{'-' * (MAX_SERVICE_NAME - 2)}9"]],
    "--rps": [["1"], ["50"], ["100000"]],
    "--p99": [["5ms"], ["20ms"], ["1s"]],
    "--rows": [["2"], ["64"]],
    "--max-body": [["1KiB"], ["16M"]],
    "--min-scale": [["0"], ["1"], ["5"]],
    "--max-scale": [["0"], ["100"], ["2147483647"]],
    "--window": [["6s"], ["1h"]],
    "--retention": [["1s"], ["1h"]],
    "--timeout": [["45s"], ["10m"]],
    "--start-timeout": [["1s"], ["1h"]],
    "--cpu-request": [["1m"], ["0.5"], ["125m"]],
    "--cpu-limit": [["500m"], ["64"]],
    "--memory-request": [["64Mi"], ["100000000"]],
    "--memory-limit": [["1G"], ["2Ti"]],
    "--concurrency": [["0"], ["3"], ["1000"]],
    "--target": [["1"], ["2"]],
    "--burst-capacity": [["-1"], ["0"], ["1000"]],
    "--private": [[]],
    "--env": [["SNOOZE_LOG=json"], ["A.b-c=it's = $HOME: 1e3", "--env", "B=ß"]],
    "--pull-secret": [["regcred"], ["regcred", "--pull-secret", "other.registry"]],
    "--service-account": [["models.of-us"]],
    "--user": [["none"], ["1"], ["2147483647"]],
    "--scratch": [[]],
}
# Options, and the option that the error names.
ERRORS: Final[list[tuple[list[str], str]]] = [
    (["--image", "registry.example.com/Tumour:3"], "--image"),
    (["--image", "tumour@sha256:12"], "--image"),
    (["--name", "a" * (MAX_SERVICE_NAME + 1)], "--name"),
    (["--name", "2tumour"], "--name"),
    (["--namespace", "my.models"], "--namespace"),
    (["--window", "5s"], "--window"),
    (["--retention", "61m"], "--retention"),
    (["--timeout", "601s"], "--timeout"),
    (["--concurrency", "1001"], "--concurrency"),
    (["--cpu-request", "2", "--cpu-limit", "1"], "--cpu-request"),
    (["--memory-limit", "1GB"], "--memory-limit"),
    (["--min-scale", "3", "--max-scale", "2"], "--max-scale"),
    (["--env", "K_SERVICE=a"], "--env"),
    (["--pull-secret", "My_Secret"], "--pull-secret"),
    (["--burst-capacity=-2"], "--burst-capacity"),
]
# What runs on one small node.
RUNNING: Final[list[list[str]]] = [
    ["--name", LONGEST],
    ["--user", "none", "--pull-secret", "regcred", "--service-account", "models.of-us"],
    ["--scratch", "--user", "1000", "--retention", "1m", "--burst-capacity", "-1"],
    ["--cpu-request", "20m", "--cpu-limit", "700m", "--memory-limit", "300Mi", "--concurrency", "2", "--p99", "20ms"],
    ["--window", "6s", "--timeout", "10m", "--start-timeout", "2m", "--env", "SNOOZE_LOG=json", "--max-scale", "1"],
]
Deploy = Callable[..., Path]


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    # Each process of the tests has one; scripts/cluster removes them, too.
    name = f"{NAMESPACE}-restricted-{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}"
    run("create", "namespace", name)
    run("label", "namespace", name, RESTRICTED)
    run("create", "serviceaccount", "models.of-us", "--namespace", name)
    run("create", "secret", "docker-registry", "regcred", "--docker-server=a", "--docker-username=b",
            "--docker-password=c", "--namespace", name)  # fmt: skip
    yield name
    run("delete", "namespace", name, "--wait=false")


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    """Put a cluster without anything in it behind the `kubectl` on the PATH."""
    found = kubectl_double.install(tmp_path / "kubectl-double")
    monkeypatch.setenv("PATH", kubectl_double.path(found))
    return found


@pytest.fixture(scope="module")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 as version 9999: with the longest name, revisions and URLs have the longest labels."""
    copy = shutil.copytree(models / "tumour/1", tmp_path_factory.mktemp("bundle") / "9999")
    document = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps({**document, "version": 9999}))
    return copy


@pytest.fixture
def deploy(namespace: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Deploy:
    """Return a function that writes a manifest, and maybe applies it."""

    def run(*options: str) -> Path:
        path = tmp_path / "service.yaml"
        arguments = ["--namespace", namespace, "--output", str(path), *options]
        assert main(["deploy", str(folder), *arguments]) == 0, capsys.readouterr().err
        return path

    return run


def test_the_cluster_accepts_manifests_from_drawn_options(deploy: Deploy) -> None:
    drawn = draw(random.Random(2026), COUNT)

    for option in DRAWS:
        used = sum(option in options for options in drawn)
        assert 0 < used < COUNT or option in ("--image", "--name"), option
    for options in drawn:
        done = dry_run(yaml.safe_load(deploy(*options).read_text()))
        assert (done.returncode, done.stderr) == (0, ""), (options, done.stderr)


def test_the_cluster_refuses_a_pod_that_is_not_restricted(deploy: Deploy) -> None:
    manifest = yaml.safe_load(deploy("--image", "tumour:1").read_text())
    del manifest["spec"]["template"]["spec"]["containers"][0]["securityContext"]["capabilities"]

    assert 'violates PodSecurity "restricted:latest"' in dry_run(manifest).stderr


@pytest.mark.parametrize(
    ("options", "named"), ERRORS, ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else ""
)
def test_errors_are_refused_before_the_cluster_sees_them(
    options: list[str], named: str, folder: Path, namespace: str, kubectl: Kubectl, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["deploy", str(folder), "--image", "tumour:1", "--output", "-", "--namespace", namespace]

    assert main([*arguments, *options, "--apply"]) == 2
    assert capsys.readouterr().err.startswith(f"snooze: {named}: ")
    assert kubectl.calls == []


@pytest.mark.parametrize("options", RUNNING, ids=" ".join)
def test_the_service_gets_ready_and_answers(options: list[str], deploy: Deploy, folder: Path, namespace: str) -> None:
    image = ["--image", f"{os.environ['SNOOZE_CLUSTER_IMAGES']}/tumour:1", "--rps", "1"]
    manifest = yaml.safe_load(deploy(*image, *options, "--apply").read_text())
    name = manifest["metadata"]["name"]
    try:
        service = json.loads(run("get", "ksvc", name, "--namespace", namespace, "--output", "json"))
        (target,) = service["status"]["traffic"]
        assert len(target["revisionName"]) == 63 or name != LONGEST
        assert target["percent"] == 100
        assert_correct(service["status"]["url"], folder)
        assert_correct(target["url"], folder)
    finally:
        run("delete", "ksvc", name, "--namespace", namespace)


def draw(random: random.Random, count: int) -> list[list[str]]:
    """Return the options of so many manifests: the first has none, the second all, the others about half of them."""
    shares = [0.0, 1.0] + [0.5] * (count - 2)
    return [draw_options(random, share) for share in shares]


def draw_options(random: random.Random, share: float) -> list[str]:
    chosen = {name: random.choice(values) for name, values in DRAWS.items() if random.random() < share}
    chosen.setdefault("--image", ["tumour:3"])
    return [part for name, values in chosen.items() for part in (name, *values)]


def dry_run(manifest: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Let the cluster check a manifest, and the pod that it leads to."""
    metadata = manifest["metadata"]
    metadata["annotations"] |= DRY_RUN
    command = ["kubectl", "apply", "--dry-run=server", "--filename", "-"]
    return subprocess.run(command, input=yaml.safe_dump(manifest), capture_output=True, text=True, check=False)


def assert_correct(url: str, folder: Path) -> None:
    """Ask for a prediction of a golden sample, and compare it with the golden outputs."""
    seen = ask(url, Question.of(folder))
    assert seen.outcome == Outcome.ANSWERED, seen.problem


def run(*arguments: str) -> str:
    return subprocess.run(["kubectl", *arguments], check=True, capture_output=True, text=True).stdout
