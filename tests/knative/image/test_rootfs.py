import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from snooze.knative.image import rootfs

ROOT = Path(__file__).parents[3]


def tree(folder: Path, *files: str) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x = 1\n")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_keeps_what_serving_imports_and_the_licences(tmp_path: Path) -> None:
    kept = [
        "numpy/_core/multiarray.py",
        "numpy-2.dist-info/licenses/LICENSE.txt",
        "numpy/random/__init__.py",
        "onnxruntime/ThirdPartyNotices.txt",
        "onnxruntime/capi/onnxruntime_pybind11_state.so",
        "snooze/bundle/store.py",
        "snooze/bundle/style.css",
        "snooze/service/__main__.py",
        "snooze/service/pages/static/page.js",
    ]
    dropped = [
        "bin/uvicorn",
        "numpy/_core/include/numpy/a.h",
        "numpy/core.pyi",
        "numpy/fft/__init__.py",
        "numpy/lib/tests/test_a.py",
        "onnxruntime/capi/libonnxruntime.so.1.31.1",
        "onnxruntime/quantization/q.py",
    ]
    site = tree(tmp_path, *kept, *dropped)

    rootfs.prune(site, rootfs.UNUSED_IN_SITE)

    assert names(site) == sorted(kept)


def test_links_are_removed_not_followed(tmp_path: Path) -> None:
    tree(tmp_path, "real/kept.py")
    (tmp_path / "bin").symlink_to(tmp_path / "real")

    rootfs.prune(tmp_path, ("bin",))

    assert names(tmp_path) == ["real/kept.py"]


def test_a_link_is_copied_with_its_target(tmp_path: Path) -> None:
    base = tree(tmp_path / "base", "lib/thing.so.1.2")
    (base / "lib/thing.so").symlink_to("thing.so.1.2")

    rootfs.copy(base / "lib/thing.so", tmp_path / "root")

    copied = rootfs.locate(base / "lib/thing.so", tmp_path / "root")
    assert copied.readlink() == Path("thing.so.1.2")
    assert copied.read_text() == "x = 1\n"


def test_finds_programs_by_their_content(tmp_path: Path) -> None:
    tree(tmp_path, "not.so")
    (tmp_path / "library").write_bytes(rootfs.ELF + b"\0" * 12)

    assert list(rootfs.elf_files(tmp_path)) == [tmp_path / "library"]


def test_reads_the_output_of_ldd() -> None:
    output = (
        "\tlinux-vdso.so.1 (0x00007ffc8d9c5000)\n"
        "\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f2a1c2d0000)\n"
        "\tlibmissing.so => not found\n"
        "\t/lib64/ld-linux-x86-64.so.2 (0x00007f2a1c5d4000)\n"
    )

    assert rootfs.LIBRARY.findall(output) == ["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2"]


@pytest.mark.process
def test_libraries_below_the_root_are_not_copied_again(tmp_path: Path) -> None:
    root = tmp_path / "root"
    program = root / "python"
    program.parent.mkdir()
    program.write_bytes(Path(sys.executable).resolve().read_bytes())

    rootfs.copy_libraries(root)

    assert any(path.name.startswith("libc.so") for path in root.rglob("*"))


@pytest.mark.process
@pytest.mark.skipif(shutil.which("dpkg-query") is None, reason="dpkg-query is not installed: not a Debian")
def test_finds_the_packages_of_the_files(tmp_path: Path) -> None:
    libc = next(path for path in Path("/usr/lib").glob("*/libc.so.6"))
    tree(tmp_path, str(libc).lstrip("/"), "opt/ours.py")

    assert {"libc6"} <= set(rootfs.find_packages(tmp_path)) <= {"libc6", "ca-certificates"}


@pytest.mark.skipif(not Path("/usr/share/doc/libc6/copyright").exists(), reason="a system without licences of packages")
def test_copies_the_licences_of_packages(tmp_path: Path) -> None:
    rootfs.copy_notices(tmp_path, ["libc6", "libgcc-s1"])

    for name in ("libc6", "libgcc-s1"):
        assert "License" in (tmp_path / "usr/share/doc" / name / "copyright").read_text()
    assert (tmp_path / "usr/share/common-licenses/GPL-3").exists()


def test_bytecode_replaces_its_source_and_contains_the_path_in_the_image(tmp_path: Path) -> None:
    folder = tree(tmp_path / "root", "opt/snooze/thing.py") / "opt/snooze"
    (folder / "thing.py").write_text('"""A docstring."""\nassert True\n')

    rootfs.compile_sources(tmp_path / "root", folder)

    assert names(folder) == ["thing.pyc"]
    code = (folder / "thing.pyc").read_bytes()
    assert code[4:8] == b"\1\0\0\0"  # PEP 552: hash-based, not checked
    assert b"/opt/snooze/thing.py" in code
    assert str(tmp_path).encode() not in code
    assert b"A docstring." not in code
    assert b"AssertionError" not in code


def test_a_module_that_reads_its_source_keeps_it(tmp_path: Path) -> None:
    tree(tmp_path, *rootfs.READ_AS_SOURCE)

    rootfs.compile_sources(tmp_path, tmp_path)

    kept = [name for name in names(tmp_path) if "__pycache__" not in name]
    assert kept == sorted(rootfs.READ_AS_SOURCE)
    assert len(list(tmp_path.rglob("__pycache__/__init__.*.opt-2.pyc"))) == len(kept)


def test_an_invalid_source_stops_the_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree(tmp_path, "broken.py")
    (tmp_path / "broken.py").write_text("x = = 1\n")

    with pytest.raises(SystemExit, match="cannot compile"):
        rootfs.compile_sources(tmp_path, tmp_path)


def test_has_a_user_without_a_home_and_tmp(tmp_path: Path) -> None:
    rootfs.write_system_files(tmp_path)

    assert "snooze:x:65532:65532:snooze:/:" in (tmp_path / "etc/passwd").read_text()
    assert stat.S_IMODE((tmp_path / "tmp").stat().st_mode) == 0o1777


def test_links_to_folders_stay_links(tmp_path: Path) -> None:
    rootfs.link_folders(tmp_path)

    for name in ("bin", "lib", "lib64"):
        assert (tmp_path / name).is_symlink() == Path("/", name).is_symlink()
        assert not (tmp_path / name).is_symlink() or (tmp_path / name).is_dir()


@pytest.mark.process
@pytest.mark.skipif(
    not all(shutil.which(tool) for tool in ("strip", "ldd", "dpkg-query")), reason="needs the tools of a Debian"
)
def test_builds_a_file_system_with_interpreter_libraries_and_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdlib = tree(tmp_path / "lib/python3", "os.py", "test/test_os.py")
    site = tree(tmp_path / "site", "snooze/service/__main__.py", "numpy/f2py/f2py2e.py")
    extension = Path(next(iter(Path("/usr/lib").glob("*/libz.so*")))).resolve()
    shutil.copy(extension, site / "extension.so")
    monkeypatch.setattr("sysconfig.get_path", {"stdlib": str(stdlib)}.get)
    root = tmp_path / "root"

    monkeypatch.chdir(ROOT)

    rootfs.build(site, root, "1.2")

    python = rootfs.locate(Path(sys.executable), root)
    assert python.is_symlink() or python.exists()
    assert rootfs.locate(Path(sys.executable).resolve(), root).exists()
    assert names(rootfs.locate(stdlib, root)) == ["os.pyc"]
    assert names(rootfs.locate(site, root)) == [
        "extension.so",
        "snooze-1.2.dist-info/METADATA",
        "snooze-1.2.dist-info/licenses/LICENSE",
        "snooze/service/__main__.pyc",
    ]
    assert list(rootfs.elf_files(rootfs.locate(site, root)))
    assert list(root.rglob("libc.so*"))


@pytest.mark.process
def test_runs_as_a_script_with_the_standard_library_only() -> None:
    code = f"import runpy, sys; runpy.run_path({rootfs.__file__!r}); print('snooze' in sys.modules)"
    output = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True).stdout

    assert output == "False\n"
    assert os.access(rootfs.__file__, os.R_OK)
