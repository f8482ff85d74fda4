"""The worked example of the README runs as written, line by line."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def worked_example() -> list[str]:
    """Return the commands of the worked example, without the build of the image."""
    section = README.split("## One worked example", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [block for block in blocks if not block.startswith("docker ")]


@pytest.mark.process
@pytest.mark.framework
def test_the_worked_example_runs_as_written(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    script = "trap 'kill %1' EXIT\n" + "".join(worked_example()).replace("8080", port).replace(
        "--duration 5s", "--duration 1s"
    )
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ran = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0 labels changed" in ran.stdout
    assert '"ready":true' in ran.stdout
    assert (tmp_path / "tumour.yaml").exists()


@pytest.mark.parametrize("page", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_every_linked_page_exists(page: str) -> None:
    assert (ROOT / page).is_file()


def test_is_short_enough_to_read() -> None:
    assert 90 <= len(README.splitlines()) <= 150
