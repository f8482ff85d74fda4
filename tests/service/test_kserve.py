"""KServe's unmodified client, which cannot be installed beside Snooze: it needs older versions of pandas and psutil."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.service.conftest import DEADLINE, StartServer

pytestmark = pytest.mark.process


def test_kserves_client_understands_v1_and_v2(
    start_server: StartServer, repository: Path, find_client: Callable[[str], Path]
) -> None:
    python = find_client("kserve")
    server = start_server(repository)
    server.wait_for("serving")
    script = Path(__file__).parent / "ask_with_kserve.py"

    process = subprocess.run([python, "-I", script, server.url], capture_output=True, text=True, timeout=DEADLINE)

    assert process.returncode == 0, process.stderr
    came = json.loads(process.stdout.splitlines()[-1])
    v1, v2 = came["v1"], came["v2"]
    assert (v1.pop("live"), v1.pop("ready")) == (True, True)
    assert v1.pop("instances") == {"predictions": [[6.0]]}
    assert v1.pop("inputs") == {"outputs": [[6.0]]}
    assert v1.pop("unknown").startswith("no model 'none'; available: ")
    assert v1.pop("explain").startswith("':explain' is not supported; use ':predict', '501 Not Implemented'")
    assert v1 == {}
    assert (v2.pop("ready"), v2.pop("models")) == ([True, True], [True, False])
    assert v2.pop("error").startswith("no model 'none'; available: ")
    assert len(v2) == 75 + 2  # 13 datatypes, 2 ways in, 3 out, but FP16 is not sent as JSON; 2 large answers
    assert [case for case, same in v2.items() if not same] == []
