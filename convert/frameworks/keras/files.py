"""
Reads `.keras`, `.h5` and `.hdf5` files: by Keras 3, and by tf_keras, if it is installed, where Keras 3 cannot.

Nothing in a file is run: Lambda layers are refused before anything is read, and so are archives that would leave their
folder or fill the memory, and HDF5 files that point to other files.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from snooze.convert.errors import NotAModel
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.interface import first_line
from snooze.convert.frameworks.tensorflow.graph import cause
from snooze.convert.quiet import quiet

HDF5: Final = b"\x89HDF\r\n\x1a\n"
MAX_RATIO: Final = 200  # of the size in memory to that in the file, above which an archive or array is refused
FREE_SIZE: Final = 2**28  # bytes below which the ratio does not matter
REMOVED: Final[dict[str, dict[str, object]]] = {
    "DepthwiseConv2D": {"groups": 1},
    "LSTM": {"time_major": False},
    "GRU": {"time_major": False},
    "SimpleRNN": {"time_major": False},
    "RNN": {"time_major": False},
    "Bidirectional": {"time_major": False},
}  # arguments of Keras 2 layers that Keras 3 does not know, with the value that changes nothing


def is_archive(path: Path) -> bool:
    """Return whether a file is a `.keras` archive."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "config.json" in archive.namelist()


def is_hdf5(path: Path) -> bool:
    """Return whether a file is in HDF5."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(HDF5)) == HDF5


def load(path: Path, keras: ModuleType) -> Any:
    """Return the model in a file. Raises NotAModel."""
    if is_hdf5(path):
        config = _check_hdf5(path)
    elif zipfile.is_zipfile(path):
        config = _check_archive(path)
    else:
        raise NotAModel(str(path), "is not a .keras or .h5 file, or is damaged; save the model again")
    _check_layers(path, config)
    problem = ""
    for load_model, options in _readers(keras):
        try:
            with quiet():
                return load_model(path, compile=False, **options)
        except Exception as error:  # zip, JSON, HDF5 and the layers' own code each raise their own
            problem = problem or _explain(error)  # the first one counts: it is that of Keras 3
    raise NotAModel(str(path), f"cannot be read: {problem}{_advice(config)}")


def _readers(keras: ModuleType) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield the functions that load a file, with their options, in the order in which they are tried."""
    yield keras.saving.load_model, {"safe_mode": True}
    yield keras.saving.load_model, {"safe_mode": True, "custom_objects": _old_layers(keras)}
    if legacy := import_legacy():
        yield legacy.models.load_model, {}


def import_legacy() -> ModuleType | None:
    """Return the module tf_keras, which is Keras 2, if it is installed."""
    try:
        return import_extra("tensorflow", "tf_keras")
    except Exception:  # it is optional, and fails in its own ways beside another TensorFlow
        return None


def _old_layers(keras: ModuleType) -> dict[str, type]:
    """Return layers of Keras 3 that ignore removed arguments of Keras 2, if these have their usual value."""

    def make(name: str, usual: dict[str, object]) -> type:
        base = getattr(keras.layers, name)

        def from_config(cls: Any, config: dict[str, Any]) -> Any:
            kept = {key: one for key, one in config.items() if key not in usual or one != usual[key]}
            return base.from_config.__func__(cls, kept)

        return type(name, (base,), {"from_config": classmethod(from_config)})

    return {name: make(name, usual) for name, usual in REMOVED.items()}


def _check_archive(path: Path) -> dict[str, Any]:
    """Return the configuration in a `.keras` archive. Raises NotAModel if the archive would do harm, or has none."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = Path(entry.filename)
            if name.is_absolute() or ".." in name.parts:
                raise NotAModel(str(path), f"contains the path {entry.filename!r}, which leaves its folder")
            _check_size(path, entry.filename, entry.file_size, entry.compress_size)
        for entry in archive.infolist():
            if entry.filename.endswith(".h5"):
                with archive.open(entry) as file:
                    _visit(path, file, entry.file_size)
        try:
            config = json.loads(archive.read("config.json"))
        except (KeyError, ValueError, OSError, RecursionError, zipfile.BadZipFile) as error:
            raise NotAModel(str(path), f"cannot be read: {first_line(error)}; save the model again") from None
    return config if isinstance(config, dict) else {}


def _check_hdf5(path: Path) -> dict[str, Any]:
    """Return the configuration in an HDF5 file. Raises NotAModel if there is none, or if the file would do harm."""
    with path.open("rb") as file:
        text = _visit(path, file, path.stat().st_size)
    if text is None:
        problem = 'contains weights only, not the layers; save the whole model: model.save("model.keras")'
        raise NotAModel(str(path), problem)
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAModel(str(path), f"cannot be read: {first_line(error)}; save the model again") from None
    return config if isinstance(config, dict) else {}


def _visit(path: Path, file: Any, size: int) -> str | bytes | None:
    """Return `model_config` of an HDF5 file, after a look at what each of its members claims. Raises NotAModel."""
    h5py = import_extra("tensorflow", "h5py")

    def check(group: Any) -> None:
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise NotAModel(str(path), f"points to another file ({link.filename}); save the model again")
            if isinstance(link, h5py.SoftLink):
                continue
            member = group[name]
            if isinstance(member, h5py.Group):
                check(member)
                continue
            if member.external or member.is_virtual:
                raise NotAModel(str(path), f"keeps '{member.name}' in another file; save the model again")
            _check_size(path, member.name, member.size * member.dtype.itemsize, min(size, member.id.get_storage_size()))

    try:
        with h5py.File(file, "r") as opened:
            check(opened)
            found: str | bytes | None = opened.attrs.get("model_config")
            return found
    except NotAModel:
        raise
    except Exception as error:  # h5py raises whatever its damaged structures lead to
        raise NotAModel(str(path), f"is damaged ({first_line(error)}); save the model again") from None


def _check_size(path: Path, name: str, claimed: int, stored: int) -> None:
    if claimed > FREE_SIZE and claimed > MAX_RATIO * stored:
        raise NotAModel(str(path), f"'{name}' claims {claimed} bytes, of which the file holds {stored}; it is damaged")


def _check_layers(path: Path, config: object) -> None:
    """Raise NotAModel if a configuration contains code."""
    pending = [config]
    while pending:
        one = pending.pop()
        if isinstance(one, dict):
            if one.get("class_name") in ("Lambda", "__lambda__"):
                problem = "contains a Lambda layer, which is code; replace it by a layer of Keras, or by a class of"
                raise NotAModel(str(path), f"{problem} your own, and convert the model object from Python")
            pending += one.values()
        elif isinstance(one, list):
            pending += one


def _explain(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "register_keras_serializable" in text or "custom_object_scope" in text or "Could not locate class" in text:
        found = text.partition("Unknown layer: ")[2] or text.partition("Could not locate class ")[2]
        name = found.partition("'")[2].partition("'")[0].removeprefix("Custom>") if found.startswith("'") else ""
        own = f"it contains the class {name}" if name else "it contains a class of your own"
        return (
            f"{own}, which Keras does not have; decorate it with @keras.saving.register_keras_serializable(), "
            "load the model in Python, and give the object to snooze.convert.convert"
        )
    return f"{type(error).__name__}: {_shorten(cause(error))}"


def _shorten(text: str, most: int = 200) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _advice(config: dict[str, Any]) -> str:
    """Return what to do about a file that Keras 2 wrote."""
    old = "batch_input_shape" in json.dumps(config)
    return "; Keras 2 wrote the file: pip install tf_keras" if old and import_legacy() is None else ""
