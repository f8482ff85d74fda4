"""`mlserver infer`, unmodified, which cannot be installed beside Snooze: it needs an older version of FastAPI."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.service.conftest import DEADLINE, StartServer

pytestmark = pytest.mark.process


def test_mlserver_infer_sends_a_batch(
    start_server: StartServer, repository: Path, find_client: Callable[[str], Path], tmp_path: Path
) -> None:
    python = find_client("mlserver")
    server = start_server(repository)
    server.wait_for("serving")
    requests, answers = tmp_path / "requests.jsonl", tmp_path / "answers.jsonl"
    tensors = [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [i, 0.5]} for i in range(8)]
    requests.write_text("\n".join(json.dumps({"id": f"{i}", "inputs": [one]}) for i, one in enumerate(tensors)))
    command: list[str | Path] = [python.parent / "mlserver", "infer", "-m", "identity-fp32"]
    command += ["-u", f"127.0.0.1:{server.port}", "-i", requests, "-o", answers]

    for options in ("-s1", "-s4", "-b"):
        process = subprocess.run([*command, options], capture_output=True, text=True, timeout=DEADLINE)

        assert process.returncode == 0, process.stderr
        came = {one["id"]: one["outputs"][0]["data"] for one in map(json.loads, answers.read_text().splitlines())}
        assert came == {str(i): [i, 0.5] for i in range(8)}
