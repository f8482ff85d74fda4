"""
Schemathesis draws requests from the document, valid and invalid ones, and holds a real server to what it says.

`SNOOZE_SCHEMATHESIS` is the number of seconds. Without it, each operation gets a few requests, and the paths of a
version none: their endpoints are those of the paths of the model.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import (
    DEADLINE,
    Running,
    StartServer,
    classifier,
    identity,
    publish,
    publish_each_adapter,
    two_inputs,
)

from snooze.service.app import CODECS

pytestmark = pytest.mark.process

pytest.importorskip("schemathesis")

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "unsupported_method",
)
# A verb that is not supported and a time that is over are answers, not faults.
CONFIGURATION = f"""
hooks = "{Path(__file__).with_name("schemathesis_hooks.py")}"
generation.allow-extra-parameters = false
generation.database = "none"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 501, 504]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of a matrix, of several inputs, of strings, and of each adapter."""
    from tests.service.conftest import start_server as fixture

    root = tmp_path_factory.mktemp("models")
    publish(root, "tumour", classifier(4), labels=("malignant", "benign"))
    publish(root, "person", two_inputs())
    publish(root, "pairs", identity("BYTES"))
    publish_each_adapter(root)
    steps = fixture.__wrapped__(tmp_path_factory.mktemp("server"))  # type: ignore[attr-defined]
    start: StartServer = next(steps)
    running = start(root)
    try:
        running.wait_for("serving")
        yield running
    finally:
        next(steps, None)


def read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
        return bytes(answer.read())


def adapt(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without what Schemathesis 4.32 stumbles over."""
    components = document["components"]
    # It converts `prefixItems` of responses to an older draft, and validates by the newer one.
    responses = {name: schema for name, schema in components["schemas"].items() if name.endswith("-response")}
    components["schemas"] |= json.loads(json.dumps(responses).replace('"prefixItems"', '"x-prefix-items"'))
    return document


def test_the_server_keeps_to_its_document(server: Running, tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(adapt(json.loads(read(server.url + "/openapi.json")))))
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    seconds = os.environ.get("SNOOZE_SCHEMATHESIS")
    few = ["-n", "3", "--seed", "1", "--exclude-path-regex", "/versions/1"]
    amount = ["--max-time", seconds, "-n", "100000"] if seconds else few

    command = [sys.executable, "-m", "schemathesis.cli", "run", str(document), "--url", server.url, "--no-color"]
    done = subprocess.run(
        [*command, "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", *amount],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout
    answered = read(server.url + "/metrics").decode().splitlines()
    for codec in CODECS:
        counts = [line.rsplit(" ", 1)[1] for line in answered if f'protocol="{codec.PROTOCOL}",code="200"' in line]
        assert sum(map(int, counts)) >= 25  # valid requests were among them
