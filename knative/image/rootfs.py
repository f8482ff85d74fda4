"""
The file system of the image: a Python interpreter, its standard library, installed packages and their shared libraries.

The Dockerfile's build stage runs this file as a script (`python rootfs.py SITE ROOT`), so it imports only the standard
library. It works in any base image with glibc, and keeps the paths of that image.
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

# Files of the installed packages that serving never reads: predictions were compared without each of them.
UNUSED_IN_SITE: Final = (
    "bin",
    "onnxruntime/capi/libonnxruntime.so*",  # the C library; the Python module links its own copy
    "onnxruntime/backend", "onnxruntime/datasets", "onnxruntime/quantization", "onnxruntime/tools",
    "onnxruntime/transformers", "numpy/_core/include", "numpy/_core/lib", "numpy/_pyinstaller", "numpy/f2py",
    "numpy/random/lib", "numpy/random/_examples", "**/tests", "**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.cpp",
    "**/*.[cha]", "snooze/convert", "snooze/knative", "snooze/benchmarks", "snooze/client",
    # Of Pillow: formats that the adapter does not take, fonts, colour profiles, windows.
    "PIL/_avif*", "PIL/_imagingcms*", "PIL/_imagingft*", "PIL/_imagingmath*", "PIL/_imagingmorph*", "PIL/_imagingtk*",
    "pillow.libs/libavif*", "pillow.libs/libbrotli*", "pillow.libs/libfreetype*", "pillow.libs/libharfbuzz*",
    "pillow.libs/liblcms2*", "pillow.libs/libpng*",
)  # fmt: skip

# Parts of the standard library for development, graphical interfaces, databases and terminals.
UNUSED_IN_STDLIB: Final = (
    "__pycache__", "_pyrepl", "config-*", "curses", "dbm", "dist-packages", "ensurepip", "idlelib", "lib2to3",
    "pydoc_data", "site-packages", "sitecustomize.py", "sqlite3", "test", "tkinter", "turtle.py",
    "turtledemo", "venv", "lib-dynload/_curses*", "lib-dynload/_dbm*", "lib-dynload/_gdbm*",
    "lib-dynload/_sqlite3*", "lib-dynload/_test*", "lib-dynload/_tkinter*", "lib-dynload/_xx*",
    "lib-dynload/readline*", "lib-dynload/xx*", "**/__pycache__",
)  # fmt: skip

PASSWD: Final = "root:x:0:0:root:/root:/sbin/nologin\nsnooze:x:65532:65532:snooze:/:/sbin/nologin\n"  # noqa: S105
GROUP: Final = "root:x:0:\nsnooze:x:65532:\n"
ELF: Final = b"\x7fELF"
LIBRARY: Final = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x[0-9a-f]+\)$", re.MULTILINE)


def prune(folder: Path, unused: Iterable[str]) -> None:
    """Delete the files and folders that match the patterns; base images differ, so a pattern may match nothing."""
    for pattern in unused:
        for path in sorted(folder.glob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def strip(folder: Path) -> None:
    """Remove debugging symbols: 17 MB, nearly all of them uvloop's."""
    for path in elf_files(folder):
        subprocess.run(["strip", "--strip-unneeded", path], check=True)


def elf_files(folder: Path) -> Iterator[Path]:
    """Yield the shared libraries and programs below `folder`."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == ELF:
                    yield path


def locate(path: Path, root: Path) -> Path:
    """
    Return the place of `path` below `root`, with links to folders resolved.

    Distributions have `/lib` as a link to `/usr/lib`; `link_folders` makes the same links in the image.
    """
    return root / path.parent.resolve().relative_to("/") / path.name


def copy(path: Path, root: Path) -> None:
    """Copy a file to its place below `root`; copy a link together with its target."""
    target = locate(path, root)
    if target.is_symlink() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        target.symlink_to(path.readlink())
        copy(path.parent / path.readlink(), root)
    else:
        shutil.copy2(path, target)


def copy_interpreter(root: Path) -> None:
    """Copy the running interpreter, the links to it, and its pruned standard library."""
    program = Path(shutil.which("python") or sys.executable)
    copy(program, root)
    copy(Path(sys.executable), root)
    stdlib = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(stdlib, locate(stdlib, root), symlinks=True)
    prune(locate(stdlib, root), UNUSED_IN_STDLIB)


def copy_libraries(root: Path) -> list[Path]:
    """Copy the shared libraries that files in the image are linked with, and return their paths."""
    needed: set[Path] = set()
    for path in elf_files(root):
        found = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
        needed.update(Path(name) for name in LIBRARY.findall(found.stdout))
    # Wheels contain some of their libraries, which are in place already.
    libraries = sorted(path for path in needed if not path.is_relative_to(root))
    for library in libraries:
        copy(library, root)
    return libraries


def copy_notices(root: Path, libraries: Iterable[Path]) -> None:
    """Copy the licences of the Debian packages that the libraries and the interpreter come from."""
    paths = {str(path) for library in libraries for path in (library, library.resolve())}
    paths.add(str(Path(sys.executable).resolve()))
    # Debian releases differ in whether packages list files below /usr or below the links to it.
    paths |= {path.removeprefix("/usr") for path in paths}
    found = subprocess.run(["dpkg-query", "-S", *sorted(paths)], capture_output=True, text=True, check=False)
    packages = {line.split(":")[0] for line in found.stdout.splitlines()}
    for package in packages:
        notice = Path("/usr/share/doc") / package / "copyright"
        if notice.exists():
            copy(notice, root)
    texts = Path("/usr/share/common-licenses")
    if texts.is_dir():
        shutil.copytree(texts, locate(texts, root), symlinks=True)


def link_folders(root: Path) -> None:
    """Make the links that the base image has instead of the folders `/bin`, `/lib` and `/lib64`."""
    for name in ("bin", "lib", "lib64"):
        original = Path("/") / name
        if original.is_symlink():
            (root / original.readlink()).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(original.readlink())


def write_system_files(root: Path) -> None:
    """Write the files that programs expect on Linux: users, groups, the library cache, and `/tmp`."""
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
    Write the bytecode of every source file in `folder`, as Python reads it where `PYTHONOPTIMIZE` is 2.

    Without docstrings and assertions a server takes 2 MiB less memory, and 5 % less CPU time to start. Bytecode is not
    checked against the source, because file times differ between layers and machines. Without bytecode a read-only
    image would compile everything at each start, which takes longer than the start itself.
    """
    if not compileall.compile_dir(
        folder,
        quiet=1,
        stripdir=str(root),
        prependdir="/",
        optimize=2,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    ):
        sys.exit(f"cannot compile {folder}")


def build(site: Path, root: Path) -> None:
    """Build the image's file system in `root`, with the packages of `site` at the same path."""
    link_folders(root)
    copy_interpreter(root)
    shutil.copytree(site, locate(site, root))
    prune(locate(site, root), UNUSED_IN_SITE)
    copy_notices(root, copy_libraries(root))
    strip(locate(site, root))
    write_system_files(root)
    compile_sources(root, locate(Path(sysconfig.get_path("stdlib")), root))
    compile_sources(root, locate(site, root))


if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
