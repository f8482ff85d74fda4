import subprocess
import sys
from pathlib import Path

import pytest

from snooze.benchmarks.errors import NotMeasurable
from snooze.benchmarks.robustness.confinement import VERSION_1, VERSION_2, Confinement, Files, Sampler, confine

MIB = 2**20
CODE = """
import os
try:
    open(os.environ["HERE"] + "/written", "w")
except OSError as error:
    print(error.strerror)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(int(status["CapBnd"], 16), int(status["CapEff"], 16), status["NoNewPrivs"].strip())
"""
EATS = "data = bytearray(100 * 2**20); data[::4096] = b'x' * len(data[::4096])"


@pytest.mark.process
def test_a_process_has_neither_rights_nor_a_place_to_write_nor_more_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERE", str(tmp_path))
    try:
        with confine(48 * MIB) as group:
            run = subprocess.run(group.enter([sys.executable, "-c", CODE]), capture_output=True, text=True, check=True)
            assert run.stdout == "Read-only file system\n0 0 1\n"
            assert group.kills() == 0
            assert 0 < group.peak_bytes() <= 48 * MIB
            assert group.anonymous_bytes() == 0

            assert subprocess.run(group.enter([sys.executable, "-c", EATS])).returncode == -9
            assert group.kills() == 1
    except NotMeasurable as error:
        pytest.skip(str(error))
    assert not group.folder.exists()


@pytest.mark.parametrize(("files", "anonymous", "sockets"), [(VERSION_1, 11, 13), (VERSION_2, 12, 14)])
def test_reads_both_versions_of_control_groups(tmp_path: Path, files: Files, anonymous: int, sockets: int) -> None:
    (tmp_path / files.peak).write_text("123\n")
    (tmp_path / files.kills.partition(":")[0]).write_text("low 0\noom 2\noom_kill 1\n")
    (tmp_path / "memory.stat").write_text("rss 11\nanon 12\nsock 14\n")
    (tmp_path / "memory.kmem.tcp.usage_in_bytes").write_text("13\n")
    group = Confinement(tmp_path, tmp_path, files)

    assert (group.peak_bytes(), group.kills()) == (123, 1)
    assert (group.anonymous_bytes(), group.socket_bytes()) == (anonymous, sockets)
    with Sampler(group) as sampler:
        pass
    assert (sampler.anonymous, sampler.sockets) == (anonymous, sockets)


def test_a_kernel_without_control_groups_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(NotMeasurable) as caught, confine(MIB, tmp_path):
        pass

    assert caught.value.what == "a confined server"
    assert "No such file or directory" in caught.value.problem
    assert caught.value.exit_code == 2


def test_a_folder_that_is_no_control_group_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    with pytest.raises(NotMeasurable), confine(MIB, tmp_path):
        pass
