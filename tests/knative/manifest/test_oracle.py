"""
Manifests built from drawn options, checked by Knative's own validation.

Needs Go, and the module of Knative Serving in Go's module cache (building the test cluster leaves it there).
"""

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.knative.bundles import a_bundle, size_of

from snooze.bundle.errors import InvalidOption
from snooze.knative.manifest.figures import override
from snooze.knative.manifest.options import Options
from snooze.knative.manifest.service import build

pytestmark = pytest.mark.process
SERVING = "knative.dev/serving@v0.50.0"
PROGRAM = Path(__file__).parent / "oracle" / "main.go"
# Offline, and with the flags that the test cluster builds Knative with, so that its compiled packages are used.
ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-mod=mod -trimpath",
    "GOPROXY": "off",
    "GOSUMDB": "off",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}
DIGEST = "sha256:" + "12e4" * 16
BUNDLES = [
    a_bundle(),
    a_bundle((1, 0.05)),
    a_bundle((1, 0.05), threads=4),
    a_bundle(name="Ab_1." + "x" * 95, columns=150_528),
]
# Legal and illegal values alike: what `Options` accepts, Knative must accept.
DRAWS: dict[str, list[Any]] = {
    "image": [
        *("tumour", "a", "tumour:3", "tumour:latest", "Tumour:3", "localhost/tumour:1", "localhost:5000/a/b:1"),
        *("registry.example.com/tumour:3", f"registry.example.com/tumour@{DIGEST}", f"tumour:3@{DIGEST}", "a//b"),
        *("registry.local:5000/tumour:1", "REGISTRY:5000/tumour", "a/b/c/d_e.f-g:V_1.2-3", "-a/b", "a..b:1", "tumour:"),
    ],
    "name": ["tumour", "a", "a" * 50, "a" * 51, "iris-v2-1", "Iris", "2iris", "a-", "a.b"],
    "namespace": ["default", "models", "2models", "Models", "a" * 63, "a.b"],
    "min_scale": [0, 0, 1, 5, -1, 2**31 - 1, 2**31],
    "max_scale": [None, None, 0, 1, 5, 100, 2**31 - 1, 2**31],
    "window": [60.0, 6.0, 5.0, 3600.0, 3601.0, 6.5],
    "timeout": [60.0, 45.0, 44.0, 600.0, 601.0, 45.5],
    "private": [False, True],
    "environment": [{}, {"SNOOZE_LOG": "json", "a.b-c": "1e3"}, {"PORT": "80"}, {"K_SERVICE": "a"}],
    "user": [65532, None, 1, 1000, 0, 2**31 - 1, 2**31],
    "scratch": [False, True],
    "retention": [0.0, 0.0, 60.0, 3600.0, 3601.0, 0.5],
    "start_timeout": [None, 1.0, 3600.0, 0.0],
    "pull_secret": [(), ("regcred",), ("a", "b.c"), ("A",)],
    "service_account": [None, "default", "my.models", "My"],
    "cpu_request": [None, "50m", "125m", "0.5", "2", "0"],
    "cpu_limit": [None, "1", "4", "100m", "1k"],
    "memory_request": [None, "96Mi", "100M", "1Gi", "1GB"],
    "memory_limit": [None, "1Gi", "2G", "50Mi", "1"],
    "concurrency": [None, 0, 1, 100, 1000, 1001],
    "target": [None, 1, 70, 1000, 0],
    "burst_capacity": [None, -1, 0, 500, -2],
}


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("go") is None:
        pytest.skip("Go is not installed: Knative's own validation does not check our manifests")
    cache = subprocess.run(["go", "env", "GOMODCACHE"], capture_output=True, text=True, check=True).stdout.strip()
    serving = Path(cache) / SERVING
    if not serving.is_dir():
        pytest.skip(f"{SERVING} is not in Go's module cache; build the test cluster, or: go mod download {SERVING}")
    folder = tmp_path_factory.mktemp("oracle")
    shutil.copy(PROGRAM, folder)
    _, requirements = (serving / "go.mod").read_text().split("\n", 1)
    name, version = SERVING.split("@")
    (folder / "go.mod").write_text(f"module snooze/oracle\n{requirements}\nrequire {name} {version}\n")
    shutil.copyfile(serving / "go.sum", folder / "go.sum")
    built = subprocess.run(
        ["go", "build", "-o", "oracle", "."],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder / "oracle"


def test_knative_accepts_what_the_options_accept(oracle: Path) -> None:
    manifests = draw_manifests(random.Random(2026), 1000)

    for manifest, verdict in zip(manifests, ask(oracle, manifests), strict=True):
        assert verdict == {"errors": [], "warnings": []}, manifest


def test_the_oracle_refuses_other_manifests(oracle: Path) -> None:
    manifest = draw_manifests(random.Random(2026), 1)[0]
    manifest["spec"]["template"]["spec"]["timeoutSeconds"] = 601

    assert "expected 0 <= 601 <= 600" in ask(oracle, [manifest])[0]["errors"][0]


def draw_manifests(random: random.Random, count: int) -> list[dict[str, Any]]:
    """Return manifests with options that deviate from the default in a few places."""
    manifests: list[dict[str, Any]] = []
    while len(manifests) < count:
        changes = {name: random.choice(DRAWS[name]) for name in random.sample(sorted(DRAWS), random.randint(0, 5))}
        try:
            options = Options(**{"image": "registry.example.com/tumour:3", "name": "tumour", **changes})
        except InvalidOption:
            continue
        bundle = random.choice(BUNDLES)
        needed = size_of(bundle, random.choice([1, 50, 10_000]), random.choice([None, 0.16, 0.5]))
        try:
            manifests.append(build(bundle, DIGEST, override(needed, options), options))
        except InvalidOption:
            continue
    return manifests


def ask(oracle: Path, manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return Knative's errors and warnings for each manifest."""
    output = subprocess.run([oracle], input=json.dumps(manifests), capture_output=True, text=True, check=True).stdout
    verdicts: list[dict[str, Any]] = json.loads(output)
    return verdicts
