"""
Our validator beside Knative's own, over one table of manifests.

Needs Go and the module of Knative Serving in Go's module cache (the test cluster's build leaves it there).
"""

import copy
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.knative.cases import CASES, Case

from snooze.knative.validation import validate

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
    return dict(zip([case.name for case in CASES], ask(oracle, [case.manifest for case in CASES]), strict=True))


def ask(oracle: Path, manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    said = subprocess.run([oracle], input=json.dumps(manifests), capture_output=True, text=True, check=True).stdout
    answer: list[dict[str, Any]] = json.loads(said)
    return answer


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_knative_says_what_the_table_says(case: Case, verdicts: dict[str, dict[str, Any]]) -> None:
    verdict = verdicts[case.name]

    said = "refuses" if verdict["errors"] else "warns" if verdict["warnings"] else "takes"
    assert said == case.knative, verdict


STRANGE: list[Any] = [None, "", 0, -1, 1, 3.5, 100_000, True, False, [], {}, ["a"], {"a": "b"}, {"name": "x"}]
STRANGE += [[{"name": "x"}], "x", "1", "A b", "a" * 70, "/", "/tmp", ".5", "1Gi", "5s"]


def test_what_we_take_knative_takes_too_however_a_manifest_is_bent(oracle: Path) -> None:
    drawn = random.Random(2026)
    manifests = [bent(drawn) for _ in range(2000)]

    for manifest, verdict in zip(manifests, ask(oracle, manifests), strict=True):
        if not [problem for problem in validate(manifest) if not problem.warning]:
            assert verdict["errors"] == [], manifest


def bent(drawn: random.Random) -> dict[str, Any]:
    """Return a manifest that was right until one or two of its fields were removed or made something strange."""
    manifest = drawn.choice([case.manifest for case in CASES if case.path is None])
    for _ in range(drawn.randint(1, 2)):
        holder, key = drawn.choice(list(fields(manifest)))
        if drawn.random() < 0.3:
            del holder[key]
        else:
            holder[key] = copy.deepcopy(drawn.choice(STRANGE))
    return manifest


def fields(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the places in a value: what holds them, and under which name or number."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield value, key
        yield from fields(entry)
