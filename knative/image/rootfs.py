"""
The file system of the image: a Python interpreter, its standard library, installed packages and their shared libraries.

The Dockerfile's build stage runs this file as a script (`python rootfs.py SITE ROOT VERSION`), so it imports only the
standard library. It works in any base image with glibc, and keeps the paths of that image.
"""

import compileall
import py_compile
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

# Files of the installed packages that serving never reads: predictions were compared without each of them.
UNUSED_IN_SITE: Final = (
    "bin", "**/__pycache__", "**/tests", "**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.cpp", "**/*.[cha]",
    "*.dist-info/RECORD",
    "onnxruntime/capi/libonnxruntime.so*",  # the C library; the Python module links its own copy
    "onnxruntime/backend", "onnxruntime/datasets", "onnxruntime/quantization", "onnxruntime/tools",
    "onnxruntime/transformers",
    "numpy/_core/_simd*", "numpy/_core/_*_tests*", "numpy/_core/include", "numpy/_core/lib", "numpy/_pyinstaller",
    "numpy/conftest.py", "numpy/f2py", "numpy/fft", "numpy/ma", "numpy/polynomial", "numpy/random/lib",
    "numpy/random/_examples", "numpy/testing",
    "anyio/_backends/_trio.py", "anyio/pytest_plugin.py", "starlette/testclient.py",
    # Of Pillow: formats that the adapter does not take, fonts, colour profiles, windows.
    "PIL/_avif*", "PIL/_imagingcms*", "PIL/_imagingft*", "PIL/_imagingmath*", "PIL/_imagingmorph*", "PIL/_imagingtk*",
    "pillow.libs/libavif*", "pillow.libs/libbrotli*", "pillow.libs/libfreetype*", "pillow.libs/libharfbuzz*",
    "pillow.libs/liblcms2*", "pillow.libs/libpng*",
)  # fmt: skip

# Of the standard library: development, graphical interfaces, databases, terminals, mail, XML, other systems; modules
# that exist in C as well; encodings that no request may have (zipfile needs cp437).
UNUSED_IN_STDLIB: Final = (
    "**/__pycache__", "_pyrepl", "config-*", "curses", "dbm", "dist-packages", "ensurepip", "idlelib", "lib2to3",
    "pydoc_data", "site-packages", "sitecustomize.py", "sqlite3", "test", "tkinter", "turtledemo", "unittest", "venv",
    "wsgiref", "xml", "xmlrpc", "__hello__.py", "__phello__",
    "_aix_support.py", "_android_support.py", "_apple_support.py", "_ios_support.py", "_osx_support.py",
    "_pydatetime.py", "_pydecimal.py", "_pyio.py", "antigravity.py", "bdb.py", "cProfile.py", "cmd.py", "code.py",
    "codeop.py", "colorsys.py", "compileall.py", "doctest.py", "ftplib.py", "imaplib.py", "mailbox.py",
    "modulefinder.py", "netrc.py", "nturl2path.py", "optparse.py", "pdb.py", "pickletools.py", "plistlib.py",
    "poplib.py", "profile.py", "pstats.py", "py_compile.py", "pyclbr.py", "pydoc.py", "rlcompleter.py", "shelve.py",
    "smtplib.py", "symtable.py", "tabnanny.py", "tarfile.py", "this.py", "timeit.py", "trace.py", "turtle.py",
    "wave.py", "webbrowser.py", "zipapp.py",
    "encodings/big5*", "encodings/cp[02356789]*", "encodings/euc_*", "encodings/gb*", "encodings/hp_roman8*",
    "encodings/hz*", "encodings/iso2022_*", "encodings/iso8859_1[0-9]*", "encodings/iso8859_[2-9]*", "encodings/johab*",
    "encodings/koi8_*", "encodings/kz1048*", "encodings/mac_*", "encodings/palmos*", "encodings/ptcp154*",
    "encodings/shift_*", "encodings/tis_620*",
    "lib-dynload/_codecs_*", "lib-dynload/_ctypes_test*", "lib-dynload/_curses*", "lib-dynload/_dbm*",
    "lib-dynload/_gdbm*", "lib-dynload/_interp*", "lib-dynload/_lsprof*", "lib-dynload/_multibytecodec*",
    "lib-dynload/_sqlite3*", "lib-dynload/_test*", "lib-dynload/_tkinter*", "lib-dynload/_xx*", "lib-dynload/readline*",
    "lib-dynload/xx*",
)  # fmt: skip

# Modules that parse their own source when they are imported, to import their parts later.
READ_AS_SOURCE: Final = ("anyio/__init__.py", "anyio/abc/__init__.py")

PASSWD: Final = "root:x:0:0:root:/root:/sbin/nologin\nsnooze:x:65532:65532:snooze:/:/sbin/nologin\n"  # noqa: S105
GROUP: Final = "root:x:0:\nsnooze:x:65532:\n"
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
CERTIFICATES_OF: Final = Path("/usr/sbin/update-ca-certificates")  # of the package whose script writes that file
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


def copy_libraries(root: Path) -> None:
    """Copy the shared libraries that files in the image are linked with."""
    needed: set[Path] = set()
    for path in elf_files(root):
        found = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
        needed.update(Path(name) for name in LIBRARY.findall(found.stdout))
    # Wheels contain some of their libraries, which are in place already.
    for library in sorted(path for path in needed if not path.is_relative_to(root)):
        copy(library, root)


def find_packages(root: Path) -> list[str]:
    """Return the Debian packages that the files in the image come from."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    paths = {f"/{path.relative_to(root)}" for path in files} | {str(CERTIFICATES_OF)}
    # Debian releases differ in whether packages list files below /usr or below the links to it.
    paths |= {path.removeprefix("/usr") for path in paths}
    found = subprocess.run(["dpkg-query", "-S", *sorted(paths)], capture_output=True, text=True, check=False)
    owners = [line.partition(": ")[0] for line in found.stdout.splitlines() if not line.startswith("diversion ")]
    return sorted({one.partition(":")[0] for line in owners for one in line.split(", ")})


def copy_notices(root: Path, packages: Iterable[str]) -> None:
    """
    Copy the licences of Debian packages, each to `/usr/share/doc/PACKAGE/copyright`, and the texts they refer to.

    A base image may have been made without them; then they are taken from the packages, which are downloaded again.
    """
    documents = Path("usr/share/doc")
    with tempfile.TemporaryDirectory() as folder:
        missing = [name for name in packages if not ("/" / documents / name / "copyright").exists()]
        if missing:
            subprocess.run(["apt-get", "update"], check=True, stdout=subprocess.DEVNULL)
            download_notices(missing, Path(folder))
        for name in packages:
            target = root / documents / name / "copyright"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(folder if name in missing else "/") / documents / name / "copyright", target)
    texts = Path("/usr/share/common-licenses")
    if texts.is_dir():
        shutil.copytree(texts, locate(texts, root), symlinks=True)


def download_notices(packages: Iterable[str], folder: Path) -> None:
    """Unpack Debian packages in `folder`, and those whose licence they share."""
    subprocess.run(["apt-get", "download", *packages], cwd=folder, check=True, capture_output=True)
    for archive in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", archive, folder], check=True)
        archive.unlink()
    documents = [folder / "usr/share/doc" / name for name in packages]
    shared = {link.readlink().name for link in documents if link.is_symlink() and not link.exists()}
    if shared:
        download_notices(shared, folder)


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


def copy_certificates(root: Path) -> None:
    """Copy the base image's certificate authorities, to where its OpenSSL looks for one file of them."""
    paths = ssl.get_default_verify_paths()
    for name in {str(CERTIFICATES), paths.openssl_cafile}:
        target = root / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if name == str(CERTIFICATES):
            shutil.copyfile(CERTIFICATES, target)
        else:
            target.symlink_to(CERTIFICATES)


def write_version(site: Path, version: str) -> None:
    """Write the metadata from which Snooze reads its own version."""
    folder = site / f"snooze-{version}.dist-info"
    (folder / "licenses").mkdir(parents=True)
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: snooze\nVersion: {version}\nLicense-Expression: Apache-2.0\n"
    )
    shutil.copyfile("LICENSE", folder / "licenses/LICENSE")


def compile_sources(root: Path, folder: Path) -> None:
    """
    Replace every source file in `folder` by its bytecode: `module.py` by `module.pyc`, which Python imports as well.

    Without docstrings and assertions (level 2) a server takes 2 MiB less memory, and 5 % less CPU time to start.
    Without sources tracebacks have line numbers, but do not show the lines.
    """
    kept = {folder / name for name in READ_AS_SOURCE}
    for source in sorted(folder.rglob("*.py")):
        if not compileall.compile_file(
            source,
            quiet=1,
            stripdir=str(root),
            prependdir="/",
            legacy=source not in kept,
            optimize=2,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        ):
            sys.exit(f"cannot compile {source}")
        if source not in kept:
            source.unlink()


def build(site: Path, root: Path, version: str) -> None:
    """Build the image's file system in `root`, with the packages of `site` at the same path."""
    write_version(site, version)
    link_folders(root)
    copy_interpreter(root)
    shutil.copytree(site, locate(site, root))
    prune(locate(site, root), UNUSED_IN_SITE)
    copy_libraries(root)
    strip(locate(site, root))
    write_system_files(root)
    copy_certificates(root)
    copy_notices(root, find_packages(root))
    compile_sources(root, locate(Path(sysconfig.get_path("stdlib")), root))
    compile_sources(root, locate(site, root))


if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3])
