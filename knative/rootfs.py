"""
The file system of the image: an interpreter, its standard library, the serving set and the shared libraries they need.

The Dockerfile's build stage runs this file by itself (`python rootfs.py SITE ROOT`), so it imports the standard
library only. It follows whichever glibc base image it runs in: paths stay as they are there.
"""

import compileall
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

# Of the serving set: never read while serving. Each was deleted and predictions compared.
UNUSED_IN_SITE: Final = (
    "bin",
    "onnxruntime/capi/libonnxruntime.so*",  # the C library; the Python module links its own copy
    "onnxruntime/backend",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
    "numpy/_core/include",
    "numpy/_core/lib",
    "numpy/_pyinstaller",
    "numpy/f2py",
    "numpy/random/lib",
    "numpy/random/_examples",
    "**/tests",
    "**/*.pyi",
    "**/*.pyx",
    "**/*.pxd",
    "**/*.[cha]",
    "snooze/convert",
    "snooze/knative",
    "snooze/benchmarks",
)

# Of the standard library: development, windows on a screen, databases, terminals.
UNUSED_IN_STDLIB: Final = (
    "__pycache__",
    "_pyrepl",
    "config-*",
    "curses",
    "dbm",
    "dist-packages",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "sitecustomize.py",
    "sqlite3",
    "test",
    "tkinter",
    "turtle.py",
    "turtledemo",
    "venv",
    "lib-dynload/_curses*",
    "lib-dynload/_dbm*",
    "lib-dynload/_gdbm*",
    "lib-dynload/_sqlite3*",
    "lib-dynload/_test*",
    "lib-dynload/_tkinter*",
    "lib-dynload/_xx*",
    "lib-dynload/readline*",
    "lib-dynload/xx*",
    "**/__pycache__",
)

PASSWD: Final = "root:x:0:0:root:/root:/sbin/nologin\nsnooze:x:65532:65532:snooze:/tmp:/sbin/nologin\n"  # noqa: S105
GROUP: Final = "root:x:0:\nsnooze:x:65532:\n"
ELF: Final = b"\x7fELF"
LIBRARY: Final = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)


def pare(folder: Path, unused: Iterable[str]) -> None:
    """Delete from `folder` what the patterns match; a pattern that matches nothing is fine, base images differ."""
    for pattern in unused:
        for path in sorted(folder.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def strip(folder: Path) -> None:
    """Remove symbols that only debuggers read: 17 MB, nearly all of it uvloop's."""
    for path in elf_files(folder):
        subprocess.run(["strip", "--strip-unneeded", path], check=True)


def elf_files(folder: Path) -> Iterator[Path]:
    """Yield the shared objects and programs below `folder`."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == ELF:
                    yield path


def place(path: Path, root: Path) -> Path:
    """
    Return where `path` lies below `root`, through the links of folders.

    `/lib` is a link to `/usr/lib` in today's distributions; the image has the same links, made by `link_folders`.
    """
    return root / path.parent.resolve().relative_to("/") / path.name


def copy(path: Path, root: Path) -> None:
    """Copy a file to its place below `root`, and a link together with what it leads to."""
    target = place(path, root)
    if target.is_symlink() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        target.symlink_to(path.readlink())
        copy(path.parent / path.readlink(), root)
    else:
        shutil.copy2(path, target)


def copy_interpreter(root: Path) -> None:
    """Copy the running interpreter with the links that lead to it, and its pared standard library."""
    program = Path(shutil.which("python") or sys.executable)
    copy(program, root)
    copy(Path(sys.executable), root)
    stdlib = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(stdlib, place(stdlib, root), symlinks=True)
    pare(place(stdlib, root), UNUSED_IN_STDLIB)


def copy_libraries(root: Path) -> list[Path]:
    """Copy the shared libraries that anything in the image is linked with, and return them."""
    needed: set[Path] = set()
    for path in elf_files(root):
        found = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
        needed.update(Path(name) for name in LIBRARY.findall(found.stdout))
    # Wheels bring some of their libraries along, and find them relative to themselves: those are in place already.
    libraries = sorted(path for path in needed if not path.is_relative_to(root))
    for library in libraries:
        copy(library, root)
    return libraries


def copy_notices(root: Path, libraries: Iterable[Path]) -> None:
    """Copy the licence of each Debian package that a library or the interpreter comes from, and the texts it names."""
    paths = {str(path) for library in libraries for path in (library, library.resolve())}
    paths.add(str(Path(sys.executable).resolve()))
    # Releases differ in whether their packages name the files below /usr or below the links to it.
    paths |= {path.removeprefix("/usr") for path in paths}
    found = subprocess.run(["dpkg-query", "-S", *sorted(paths)], capture_output=True, text=True, check=False)
    packages = {line.split(":")[0] for line in found.stdout.splitlines()}
    for package in packages:
        notice = Path("/usr/share/doc") / package / "copyright"
        if notice.exists():
            copy(notice, root)
    texts = Path("/usr/share/common-licenses")
    if texts.is_dir():
        shutil.copytree(texts, place(texts, root), symlinks=True)


def link_folders(root: Path) -> None:
    """Make the links that the base has in place of `/lib` and the like."""
    for name in ("bin", "lib", "lib64"):
        original = Path("/") / name
        if original.is_symlink():
            (root / original.readlink()).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(original.readlink())


def write_system_files(root: Path) -> None:
    """Write what programs look for in any Linux: a user's name, where libraries are, and `/tmp`."""
    (root / "etc").mkdir(parents=True, exist_ok=True)
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)
    for name in ("/etc/ld.so.cache", "/etc/os-release", "/etc/debian_version"):
        if Path(name).exists():
            shutil.copy2(name, root / name.lstrip("/"))
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)


def compile_sources(root: Path, folder: Path) -> None:
    """
    Write the byte code beside every source of `folder`.

    Unchecked: file times differ between layers and machines, and nobody edits an image. Without byte code a read-only
    image compiles everything again at each start, which takes longer than the start itself.
    """
    if not compileall.compile_dir(
        folder,
        quiet=1,
        stripdir=str(root),
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    ):
        sys.exit(f"cannot compile {folder}")


def make(site: Path, root: Path) -> None:
    """Make the image's file system in `root`, with the packages of `site` at the same path."""
    link_folders(root)
    copy_interpreter(root)
    shutil.copytree(site, place(site, root))
    pare(place(site, root), UNUSED_IN_SITE)
    copy_notices(root, copy_libraries(root))
    strip(place(site, root))
    write_system_files(root)
    compile_sources(root, place(Path(sysconfig.get_path("stdlib")), root))
    compile_sources(root, place(site, root))


if __name__ == "__main__":
    make(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
