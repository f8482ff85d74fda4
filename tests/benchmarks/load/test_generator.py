import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.benchmarks.conftest import Server

from snooze.benchmarks.errors import LoadFailed
from snooze.benchmarks.load import generator
from snooze.benchmarks.load.arrivals import Pace
from snooze.benchmarks.load.runner import run
from snooze.benchmarks.load.target import RequestOptions, prepare
from snooze.benchmarks.meters import Tree, Watch
from snooze.bundle.errors import MissingExtra


def test_says_how_to_install_locust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "find_spec", lambda name: None)

    with pytest.raises(MissingExtra) as caught:
        run("http://127.0.0.1:9")

    assert (caught.value.module, caught.value.extra) == ("locust", "bench")


@pytest.mark.process
def test_repeats_the_last_line_of_a_generator_that_failed(double: Server, tmp_path: Path) -> None:
    target = prepare(double.url, RequestOptions("tumour"))
    gone = RequestOptions("tumour", str(tmp_path / "gone.csv"))

    with pytest.raises(LoadFailed) as caught:
        generator.drive(target, gone, Pace(seconds=1), Watch(None), None)

    assert "gone.csv" in caught.value.problem


@pytest.mark.process
def test_an_interrupted_load_leaves_no_process_behind(double: Server) -> None:
    def interrupt(event: Mapping[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(double.url, RequestOptions("tumour"), Pace(20, 60), progress=interrupt)

    assert not [pid for pid in Tree(os.getpid()).members() if "locust" in _command(pid)]


@pytest.mark.process
def test_a_load_whose_owner_was_killed_ends_by_itself(double: Server, tmp_path: Path) -> None:
    code = f"""
from snooze.benchmarks.load.runner import run
from snooze.benchmarks.load.target import RequestOptions
run({double.url!r}, RequestOptions('tumour'), progress=lambda event: print(event, flush=True))
"""
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # the killed process cannot remove its folder
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
    assert owner.stdout is not None
    owner.stdout.readline()
    generators = Tree(owner.pid).members()[1:]
    owner.kill()
    owner.communicate()
    until = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in generators) and time.monotonic() < until:
        time.sleep(0.05)

    assert generators
    assert not any(Path(f"/proc/{pid}").exists() for pid in generators)


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""
