import os
from pathlib import Path

import pytest

from snooze.service.process.memory import LEAST, PAGES, anonymous, find_budget, find_limit

PAGE = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A process with 1,000 resident pages, 200 of them of files, in the group `/a/b`."""
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "statm").write_text("5000 1000 200 1 0 900 0\n")
    (folder / "cgroup").write_text("0::/a/b\n")
    return folder


def limit(tmp_path: Path, group: str, text: str, name: str = "memory.max") -> Path:
    (tmp_path / "cgroup" / group).mkdir(parents=True, exist_ok=True)
    (tmp_path / "cgroup" / group / name).write_text(text)
    return tmp_path / "cgroup"


def test_the_least_limit_around_counts(tmp_path: Path, proc: Path) -> None:
    limit(tmp_path, "a/b", "max\n")
    limit(tmp_path, "a", "200000000\n")

    assert find_limit(limit(tmp_path, "", "900000000\n"), proc) == 200_000_000


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path, proc: Path) -> None:
    (proc / "cgroup").write_text("0::/\n")

    assert find_limit(limit(tmp_path, "", "117440512\n"), proc) == 112 * 2**20


def test_version_1_has_a_tree_of_its_own_for_memory(tmp_path: Path, proc: Path) -> None:
    (proc / "cgroup").write_text("5:cpu,cpuacct:/x\n4:memory:/a\n")

    assert find_limit(limit(tmp_path, "memory/a", "117440512\n", "memory.limit_in_bytes"), proc) == 112 * 2**20


def test_without_a_limit_a_quarter_of_the_machine_is_free(tmp_path: Path, proc: Path) -> None:
    assert find_limit(tmp_path, proc) is None
    assert find_limit(tmp_path, tmp_path) is None
    assert find_budget(tmp_path, proc) == PAGE * os.sysconf("SC_PHYS_PAGES") // 4


def test_the_budget_is_what_the_process_and_a_reserve_leave(tmp_path: Path, proc: Path) -> None:
    cgroup = limit(tmp_path, "a/b", "117440512\n")

    assert find_budget(cgroup, proc) == 112 * 2**20 * 7 // 8 - PAGES - 800 * PAGE


def test_a_process_that_fills_its_limit_has_a_little(tmp_path: Path, proc: Path) -> None:
    assert find_budget(limit(tmp_path, "a/b", "4096\n"), proc) == LEAST


def test_anonymous_memory_of_this_process_is_counted() -> None:
    before = anonymous()
    held = b"x" * 20_000_000

    assert anonymous() - before > 15_000_000
    assert len(held) == 20_000_000
