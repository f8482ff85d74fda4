"""
Reads ONNX files from anywhere: nothing outside the file's folder is opened, and no memory is allocated for what a file
only claims to contain.
"""

from collections.abc import Iterator
from math import prod
from pathlib import Path
from stat import S_ISREG
from typing import Any, BinaryIO, Final

from snooze.bundle.units import format_size
from snooze.convert.checks.graph import subgraphs
from snooze.convert.errors import NotAModel
from snooze.convert.extras import import_extra

MAX_BYTES: Final = 2**31 - 1  # protobuf's limit, and so ONNX Runtime's for a model that is one message
VARINT, FIXED_64, TEXT, FIXED_32 = 0, 1, 2, 5  # wire types of protobuf
FIELDS: Final = dict.fromkeys((1, 5), VARINT) | dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), TEXT)
VERSION, GRAPH = 1, 7  # fields that every model has
MAX_FIELDS: Final = 100_000  # that are looked at
MAX_EXPANSION: Final = (
    8  # bytes of a number in memory for each in the file, where it is written with as many as it needs
)
ORT_MAGIC: Final = b"ORTM"  # of ONNX Runtime's own format, at byte 4


def looks_like_onnx(path: Path) -> bool:
    """Return whether a file consists of the fields of an ONNX model. Reads their heads only."""
    if is_ort(path):
        return True
    size, seen = path.stat().st_size, set()
    with path.open("rb") as file:
        for _ in range(MAX_FIELDS):
            if file.tell() == size:
                break
            tag = _read_varint(file)
            length = None if tag is None else _read_varint(file)
            if tag is None or length is None or FIELDS.get(tag >> 3) != tag & 7:
                return False
            seen.add(tag >> 3)
            if tag & 7 == TEXT:
                if length > size - file.tell():
                    return False
                file.seek(length, 1)
        else:
            return False
    return {VERSION, GRAPH} <= seen


def is_ort(path: Path) -> bool:
    """Return whether a file is in ONNX Runtime's own format."""
    with path.open("rb") as file:
        return file.read(8)[4:] == ORT_MAGIC


def _read_varint(file: BinaryIO) -> int | None:
    """Return the next variable-length integer, or None if there is none."""
    value = 0
    for place in range(10):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << (7 * place)
        if byte[0] < 0x80:
            return value
    return None


def read(path: Path) -> Any:
    """
    Return the `onnx.ModelProto` in a file, with the tensors that it keeps in other files of its folder.

    Raises:
        NotAModel: it is damaged, too large, or refers to data that is not there or not its own.
    """
    onnx = import_extra("onnx", "onnx")
    where = str(path)
    if is_ort(path):
        problem = "is in ONNX Runtime's own format, optimized for one kind of machine"
        raise NotAModel(where, f"{problem}; convert the .onnx file that it was made from")
    total = path.stat().st_size
    _check_size(where, total)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's errors depend on its implementation
        raise NotAModel(where, f"is damaged or not an ONNX file ({type(error).__name__}); export it again") from None
    if not model.ir_version or not model.graph.node:
        raise NotAModel(where, "is damaged or not an ONNX file: it contains no graph; export it again")
    for tensor in tensors(model):
        count = _count_bytes(tensor, where)
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            total += count
            _check_size(where, total)
            _load_external(tensor, count, path)
        elif (
            len(tensor.raw_data) != count if tensor.HasField("raw_data") else count > MAX_EXPANSION * tensor.ByteSize()
        ):
            problem = f"has {format_size(tensor.ByteSize())}, but its shape needs {format_size(count)}"
            raise NotAModel(where, f"tensor '{tensor.name}' {problem}; export the model again")
    return model


def _check_size(where: str, total: int) -> None:
    if total > MAX_BYTES:
        problem = f"has {format_size(total)}, and models of more than {format_size(MAX_BYTES)} are not served"
        raise NotAModel(where, f"{problem}; export it in half precision, or a smaller model")


def tensors(model: Any) -> Iterator[Any]:
    """Yield every tensor stored in a model: weights, constants, sparse ones, in subgraphs and functions."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in (*([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []),
                           *attribute.sparse_tensors):  # fmt: skip
                yield from (sparse.values, sparse.indices)
        for inner in subgraphs(node):
            yield from _graph_tensors(inner)


def _count_bytes(tensor: Any, where: str) -> int:
    """Return how many bytes a tensor of this shape and type has."""
    from onnx import TensorProto, helper

    if any(size < 0 for size in tensor.dims):
        raise NotAModel(where, f"tensor '{tensor.name}' has shape {list(tensor.dims)}; export the model again")
    count = prod(map(int, tensor.dims))
    name = TensorProto.DataType.Name(tensor.data_type) if tensor.data_type in TensorProto.DataType.values() else ""
    if name.endswith(("INT4", "E2M1")):
        return -(-count // 2)
    if name.endswith("INT2"):
        return -(-count // 4)
    if name in ("", "UNDEFINED"):
        raise NotAModel(
            where, f"tensor '{tensor.name}' has the unknown type {tensor.data_type}; export the model again"
        )
    return count * int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def _load_external(tensor: Any, count: int, path: Path) -> None:
    """Read the data of a tensor that lies in another file, which must be a plain file in the model's folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location, where = entries.get("location", ""), str(path)
    data = path.parent / location.replace("\0", "")
    if not location or Path(location).is_absolute() or not data.resolve().is_relative_to(path.parent.resolve()):
        problem = f"keeps tensor '{tensor.name}' in {location[:80]!r}, outside its folder"
        raise NotAModel(where, f"{problem}; copy both files into one folder, and export the model again")
    try:
        status = data.stat()
    except OSError:  # also for a name that is too long
        status = None
    if status is None or not S_ISREG(status.st_mode):
        raise NotAModel(where, f"keeps its weights in {location[:80]!r}, which is missing; copy it beside the model")
    if status.st_nlink > 1:
        raise NotAModel(
            where, f"keeps its weights in {location[:80]!r}, a hard link to another file; copy the file instead"
        )
    try:
        offset = int(entries.get("offset") or 0)
        length = int(entries.get("length") or count)
    except ValueError:
        offset = length = -1
    if offset < 0 or length != count or offset + length > status.st_size:
        problem = f"claims {format_size(count)} at byte {entries.get('offset', '0')} of {location[:80]!r}"
        size = format_size(status.st_size)
        raise NotAModel(where, f"tensor '{tensor.name}' {problem}, which has {size}; export the model again")
    with data.open("rb") as file:
        file.seek(offset)
        tensor.raw_data = file.read(length)
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
