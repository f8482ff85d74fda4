import mmap
import os
from pathlib import Path

import pytest

from snooze.bundle.limits import PAGES
from snooze.service.process.memory import LEAST, anonymous, find_budget, free

PAGE = os.sysconf("SC_PAGE_SIZE")
LIMIT = 112 * 2**20
BUDGET = LIMIT * 7 // 8 - PAGES - 800 * PAGE
V2_STAT = "anon 700\nfile 250\nfile_mapped 50\ninactive_file 150\nactive_file 100\n"
V1_STAT = "cache 1\ntotal_mapped_file 50\ntotal_inactive_file 150\ntotal_active_file 100\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A process with 1,000 resident pages, 200 of them of files, in the group `/a/b`."""
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "statm").write_text("5000 1000 200 1 0 900 0\n")
    (folder / "cgroup").write_text("0::/a/b\n")
    return folder


def write(tmp_path: Path, group: str, **files: str) -> Path:
    """Write the files of a control group; `memory_max` is `memory.max`."""
    folder = tmp_path / "cgroup" / group
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("memory_", "memory.", 1)).write_text(text)
    return tmp_path / "cgroup"


def test_the_least_limit_around_counts(tmp_path: Path, proc: Path) -> None:
    write(tmp_path, "a/b", memory_max="max\n")
    write(tmp_path, "a", memory_max=f"{LIMIT}\n")

    assert find_budget(write(tmp_path, "", memory_max="900000000\n"), proc) == BUDGET


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path, proc: Path) -> None:
    (proc / "cgroup").write_text("0::/\n")

    assert find_budget(write(tmp_path, "", memory_max=f"{LIMIT}\n"), proc) == BUDGET


def test_version_1_has_a_tree_of_its_own_for_memory(tmp_path: Path, proc: Path) -> None:
    (proc / "cgroup").write_text("5:cpu,cpuacct:/x\n4:memory:/a\n")

    assert find_budget(write(tmp_path, "memory/a", memory_limit_in_bytes=f"{LIMIT}\n"), proc) == BUDGET


def test_without_a_limit_a_quarter_of_the_machine_is_free(tmp_path: Path, proc: Path) -> None:
    assert find_budget(tmp_path, proc) == PAGE * os.sysconf("SC_PHYS_PAGES") // 4
    assert free(tmp_path, proc) is None
    assert free(tmp_path, tmp_path) is None


def test_a_process_that_fills_its_limit_has_a_little(tmp_path: Path, proc: Path) -> None:
    assert find_budget(write(tmp_path, "a/b", memory_max="4096\n"), proc) == LEAST


def test_anonymous_memory_of_this_process_is_counted() -> None:
    before = anonymous()
    with mmap.mmap(-1, 20_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:  # not what was freed before
        for at in range(0, len(held), PAGE):
            held[at] = 1

        assert anonymous() - before > 15_000_000


@pytest.mark.parametrize(("limit", "used", "expected"), [(2000, 1000, 1200), (900, 1200, 0)])
def test_page_cache_that_nothing_maps_is_free(tmp_path: Path, proc: Path, limit: int, used: int, expected: int) -> None:
    group = write(tmp_path, "a/b", memory_max=f"{limit}\n", memory_current=f"{used}\n", memory_stat=V2_STAT)

    assert free(group, proc) == expected


def test_page_cache_of_version_1(tmp_path: Path, proc: Path) -> None:
    (proc / "cgroup").write_text("4:memory:/\n")
    group = write(
        tmp_path, "memory", memory_limit_in_bytes="2000\n", memory_usage_in_bytes="1000\n", memory_stat=V1_STAT
    )

    assert free(group, proc) == 1200
