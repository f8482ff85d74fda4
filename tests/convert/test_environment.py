import subprocess
import sys
from pathlib import Path

import pytest

from snooze.convert.environment import child_environment

pytestmark = pytest.mark.process


def test_a_child_imports_the_same_snooze_and_keeps_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snooze.convert import environment

    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    program = (
        "import snooze.convert.environment as e, os; print(e.__file__); print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )

    done = subprocess.run(
        [sys.executable, "-P", "-c", program], env=child_environment(), capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines() == [environment.__file__, "1"]
    assert child_environment()["PYTHONPATH"].endswith(str(tmp_path))
