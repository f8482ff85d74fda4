"""
What a file of PyTorch holds, found without running anything in it.

TorchScript is a language of its own, which PyTorch interprets; a few of its operators reach files. An exported program
(`.pt2`) contains Python expressions and pickles that `torch.export.load` evaluates. A pickle is Python code as well.
"""

import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, Literal

from snooze.convert.errors import NotAModel

Kind = Literal["script", "program", "module", "weights"]

LEGACY: Final = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the first pickle of files before PyTorch 1.6: a number
LEGACY_PICKLES: Final = 4  # that number, the protocol, the machine, and the object
WEIGHTS: Final = re.compile(  # what pickles of tensors and plain values import
    r"(_codecs|argparse|__builtin__|builtins|collections|torch(\._\w+|\.\w+)?) \w+"
    r"|numpy[\w.]* (dtype|ndarray|scalar|_reconstruct|_frombuffer)"
)
UNREADABLE: Final = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, struct.error)
MAX_INFLATED: Final = 256 * 1024 * 1024  # bytes of compressed members; weights are stored as they are
MAX_CODE: Final = 64 * 1024 * 1024  # bytes of a TorchScript source, or of constants in it
# Operators and classes of TorchScript that are not arithmetic: they open files, load libraries or talk to networks.
REACHES_OUT: Final = re.compile(
    rb"\b(?:torch|ops\.aten)\.(?:save|from_file)\b"
    rb"|\bops\.(?!aten\b|prim\b|quantized\b|torchvision\b)\w+\.\w+"
    rb"|\btorch\.classes\.(?!quantized\b)\w+"
)


def find_kind(path: Path) -> Kind | None:
    """Return what a file holds, or None if it is not of PyTorch."""
    if not path.is_file():
        return None
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            return _kind_of_pickles(file, LEGACY_PICKLES) if file.read(len(LEGACY)) == LEGACY else None
    try:
        with zipfile.ZipFile(path) as archive:
            return _kind_of_archive(archive)
    except UNREADABLE:
        return None


def check_archive(path: Path) -> None:
    """
    Raise NotAModel if a zip file is made to do harm.

    That is, if it unpacks to far more than it is, or if two readers of zip files may find different members in it, so
    that PyTorch reads another file than was checked.
    """
    if not zipfile.is_zipfile(path):
        return
    with _open(path) as archive:
        members = archive.infolist()
    names = [member.filename.lower() for member in members]  # PyTorch ignores the case
    inflated = sum(member.file_size for member in members if member.compress_type != zipfile.ZIP_STORED)
    stored = [member for member in members if member.compress_type == zipfile.ZIP_STORED]
    claimed = sum(member.compress_size for member in members)
    if not _has_one_directory(path):
        problem = "the zip file has data around it, or more than one directory"
    elif len(set(names)) < len(names):
        problem = f"the zip file contains '{next(name for name in names if names.count(name) > 1)}' twice"
    elif outside := next((name for name in names if name.startswith("/") or ".." in PurePosixPath(name).parts), None):
        problem = f"the zip file contains '{outside}', which is outside of it"
    elif inflated > MAX_INFLATED:
        problem = f"the zip file unpacks to {inflated} bytes of code; at most {MAX_INFLATED} are read"
    elif claimed > path.stat().st_size or any(member.file_size != member.compress_size for member in stored):
        problem = "the zip file claims more bytes than it has"
    else:
        return
    raise NotAModel(str(path), f"{problem}; save the model again")


def reaches_out(path: Path) -> bool:
    """Return whether a TorchScript file uses operators or classes that reach files, libraries or networks."""
    with _open(path) as archive:
        for member in archive.infolist():
            name = member.filename.lower()
            if name.endswith((".py", ".pkl")):
                try:
                    with archive.open(member) as code:
                        text = code.read(MAX_CODE + 1)
                except UNREADABLE as error:
                    raise NotAModel(str(path), f"is a damaged zip file: {error}") from None
                if len(text) > MAX_CODE or REACHES_OUT.search(text):
                    return True
    return False


def is_from_gpu(path: Path) -> bool:
    """Return whether an exported program states that its weights are on a GPU."""
    with _open(path) as archive:
        weights = [name for name in archive.namelist() if name.endswith("_weights_config.json")]
        return any(b'"type": "cuda"' in archive.read(name) for name in weights)


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except UNREADABLE as error:
        raise NotAModel(str(path), f"is a damaged zip file: {error}") from None


def _has_one_directory(path: Path) -> bool:
    """Return whether a zip file ends in its only directory, which begins where its end record says."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 98))
        tail = file.read()
    signature, length, offset, comment = struct.unpack("<4s8xLLH", tail[-22:])
    end = size - 22
    if tail[-42:-38] == b"PK\x06\x07":  # a locator of the larger record, which PyTorch always writes
        (located,) = struct.unpack("<8xQ4x", tail[-42:-22])
        end = size - 98
        if located != end or struct.unpack("<4s36xQQ", tail[:56]) != (b"PK\x06\x06", length, offset):
            return False
    return signature == b"PK\x05\x06" and not comment and offset + length == end


def _kind_of_archive(archive: zipfile.ZipFile) -> Kind | None:
    names = archive.namelist()
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner and any(name.startswith("code/") for name in inner):
        return "script"
    if "serialized_exported_program.json" in names or ("archive_format" in inner and "byteorder" in inner):
        return "program"
    pickle = next((name for name in names if name.partition("/")[2] == "data.pkl"), None)
    if pickle is None:
        return None
    with archive.open(pickle) as file:
        return _kind_of_pickles(file, 1)


def _kind_of_pickles(file: IO[bytes], count: int) -> Kind:
    """Return "weights" if pickles consist of tensors and plain values, otherwise "module"."""
    file.seek(0)
    try:
        for _ in range(count):
            if not all(WEIGHTS.fullmatch(name) for name in _globals(file)):
                return "module"
    except UNREADABLE:
        return "module"  # which is not read without trust either
    return "weights"


def _globals(file: IO[bytes]) -> Iterator[str]:
    """Yield the names that a pickle imports, "?" for one that it computes."""
    operations: Iterator[Any] = pickletools.genops(file)
    for operation, argument, _ in operations:
        if operation.name in ("GLOBAL", "INST"):
            yield argument
        elif operation.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
            yield "?"
