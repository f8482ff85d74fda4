"""
Our validator beside Knative's own, over one table of manifests.

Needs Go and the module of Knative Serving in Go's module cache (the test cluster's build leaves it there).
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.knative.cases import CASES, Case

SERVING = "knative.dev/serving@v0.50.0"
PROGRAM = Path(__file__).parent / "oracle" / "main.go"
# Offline, and with the flags that the test cluster builds Knative with: its compiled packages are found again.
ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-mod=mod -trimpath",
    "GOPROXY": "off",
    "GOSUMDB": "off",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("go") is None:
        pytest.skip("Go is not installed")
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


@pytest.fixture(scope="module")
def verdicts(oracle: Path) -> dict[str, dict[str, Any]]:
    manifests = json.dumps([case.manifest for case in CASES])
    answer = subprocess.run([oracle], input=manifests, capture_output=True, text=True, check=True).stdout
    return dict(zip([case.name for case in CASES], json.loads(answer), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_knative_says_what_the_table_says(case: Case, verdicts: dict[str, dict[str, Any]]) -> None:
    verdict = verdicts[case.name]

    said = "refuses" if verdict["errors"] else "warns" if verdict["warnings"] else "takes"
    assert said == case.knative, verdict
