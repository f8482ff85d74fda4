"""Reads estimators from joblib, pickle and skops files, also those that older versions of scikit-learn saved."""

import bz2
import inspect
import lzma
import re
import sys
import warnings
import zipfile
import zlib
from collections import UserList
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from snooze.convert.errors import NotAModel, Untrusted
from snooze.convert.extras import import_extra
from snooze.convert.frameworks.interface import Loaded, first_line
from snooze.convert.frameworks.sklearn.parts import fitted_parts
from snooze.convert.quiet import quiet

SUFFIXES: Final = (".joblib", ".pkl", ".pickle", ".skops")
PICKLE_PROTOCOLS: Final = b"\x02\x03\x04\x05"
BEGIN: Final = 4096  # bytes from which a file is recognized
ZIP: Final = b"PK\x03\x04"
LZ4: Final = b"\x04\x22\x4d\x18"
DECOMPRESSORS: Final[tuple[tuple[bytes, Callable[[], Any]], ...]] = (
    (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),  # gzip
    (b"x", zlib.decompressobj),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ", lzma.LZMADecompressor),
    (b"\x5d\x00\x00", lzma.LZMADecompressor),
)
SKOPS_SCHEMA: Final = "schema.json"
VERSION: Final = re.compile(rb"_sklearn_version.{1,12}?(\d+\.\d+(?:\.\d+)?(?:rc\d+|\.dev\d+|\.post\d+)?)", re.DOTALL)
LOSSES: Final = "sklearn._loss._loss"
MAX_TYPES: Final = 8  # in an error


def is_pickle(path: Path) -> bool:
    """Return whether a file is a pickle, compressed or not. Reads only its begin, and runs nothing in it."""
    begin = _read_begin(path)
    if begin.startswith(LZ4):  # Python cannot decompress it
        return True
    head = _decompress(begin, 2)
    return head[:1] == b"\x80" and head[1:2] in (bytes([one]) for one in PICKLE_PROTOCOLS)


def is_skops(path: Path) -> bool:
    """Return whether a file is a model that skops saved."""
    if not _read_begin(path).startswith(ZIP):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return SKOPS_SCHEMA in archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def load_pickle(path: Path) -> Loaded:
    """Return the estimator in a joblib or pickle file; a warning says if another version saved it."""
    import joblib

    return _load(path, lambda: joblib.load(path), _read_version)


def load_skops(path: Path, trust: bool) -> Loaded:
    """Return the estimator in a skops file. Raises Untrusted if it has types that skops does not trust."""
    import_extra("sklearn", "skops", "skops.io")
    from skops.io import get_untrusted_types, load

    try:
        with quiet():
            types = sorted(get_untrusted_types(file=path))
    except Exception as error:  # skops raises whatever a damaged file leads it to
        raise NotAModel(str(path), f"cannot be read: {type(error).__name__}: {first_line(error)}") from None
    if types and not trust:
        more = [f"and {len(types) - MAX_TYPES} more"] if len(types) > MAX_TYPES else []
        raise Untrusted(str(path), [*types[:MAX_TYPES], *more])
    return _load(path, lambda: load(path, trusted=types), lambda _: None)


def repair(model: Any) -> Any:
    """Give the parts of an older model what newer versions expect of them, where that follows from the rest."""
    for part in fitted_parts(model):
        if not type(part).__module__.startswith("sklearn."):
            continue
        for name, parameter in inspect.signature(type(part)).parameters.items():
            if parameter.default is not inspect.Parameter.empty and name not in vars(part):
                setattr(part, name, parameter.default)  # it did not exist yet, and its default keeps the behaviour
        kind = type(part).__name__
        _rename(part, kind)
        if kind == "SimpleImputer" and hasattr(part, "statistics_") and not hasattr(part, "_fill_dtype"):
            part._fill_dtype = np.asarray(part.statistics_).dtype
        if kind.startswith("HistGradientBoosting") and not hasattr(part, "_preprocessor"):
            part._preprocessor = None
        if hasattr(part, "_label_binarizer") and not hasattr(part, "classes_"):  # RidgeClassifier
            part.classes_ = part._label_binarizer.classes_
        if hasattr(part, "transformers_"):
            part.transformers_ = [
                (name, inner, list(columns) if isinstance(columns, UserList) else columns)
                for name, inner, columns in part.transformers_
            ]
    return model


def _rename(part: Any, kind: str) -> None:
    """Give a part of an older model the names that newer versions have for what it knows. Changes the part."""
    known = vars(part)
    if kind == "TfidfTransformer" and "_idf_diag" in known:
        part.idf_ = part._idf_diag.diagonal()
    if kind == "SelfTrainingClassifier" and known.get("base_estimator_") is not None:
        part.estimator, part.estimator_ = part.base_estimator, part.base_estimator_
    if known.get("n_components") == "warn":  # of NMF, which was asked for as many as there are columns
        part.n_components = part.n_components_
    if kind == "LogisticRegression" and known["l1_ratio"] is None:  # which SelectFromModel compares with 1
        part.l1_ratio = 0.0
    settings = getattr(known.get("func"), "keywords", {})
    if "force_all_finite" in settings:  # in the preprocessing of HistGradientBoosting with categories
        others = {name: value for name, value in settings.items() if name != "force_all_finite"}
        part.func = partial(part.func.func, **others, ensure_all_finite=settings["force_all_finite"])


def _load(path: Path, read: Callable[[], Any], find_version: Callable[[Path], str | None]) -> Loaded:
    from sklearn import __version__ as current
    from sklearn.exceptions import InconsistentVersionWarning

    try:
        with quiet(), _older_names(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", InconsistentVersionWarning)
            model = read()
    except (Exception, SystemExit) as error:  # a pickle can raise anything
        version = find_version(path)
        reason = f"{type(error).__name__}: {first_line(error)}"
        if version is not None and version != current:
            problem = f"saved by scikit-learn {version}, which {current} cannot read ({reason})"
            raise NotAModel(str(path), f"{problem}; train it again with {current}") from None
        if isinstance(error, ModuleNotFoundError):
            problem = f"needs the module '{error.name}' to be read; install it, or make it importable from here"
            raise NotAModel(str(path), problem) from None
        raise NotAModel(str(path), f"cannot be read: {reason}") from None
    others = [one.message for one in caught if isinstance(one.message, InconsistentVersionWarning)]
    if not others:
        return Loaded(model)
    version = str(others[0].original_sklearn_version)
    _check_meaning(path, model, version, current)
    warning = f"saved by scikit-learn {version} and read by {current}, where it may answer differently"
    return Loaded(repair(model), (warning,))


def _check_meaning(path: Path, model: Any, version: str, current: str) -> None:
    """Raise NotAModel if a model is read without an error, but answers differently than when it was saved."""
    for part in fitted_parts(model):
        if vars(part).get("algorithm") == "SAMME.R":
            problem = f"saved by scikit-learn {version}, whose {type(part).__name__} with algorithm='SAMME.R'"
            raise NotAModel(str(path), f"{problem} answers differently in {current}; train it again with {current}")
        if type(part).__name__ == "NearestCentroid" and not hasattr(part, "class_prior_"):
            problem = f"saved by scikit-learn {version}, whose NearestCentroid does not know what {current} needs of it"
            raise NotAModel(str(path), f"{problem}, how its classes spread; train it again with {current}")


@contextmanager
def _older_names() -> Iterator[None]:
    """Offer the names that older versions had for the classes and functions in a pickle."""
    import sklearn.compose._column_transformer as columns

    losses = import_extra("sklearn", LOSSES)
    added: list[tuple[Any, str]] = []

    def add(module: Any, name: str, value: object) -> None:
        if not hasattr(module, name):
            setattr(module, name, value)
            added.append((module, name))

    add(columns, "_RemainderColsList", UserList)
    for name in [one for one in vars(losses) if one.startswith("Cy")]:
        add(losses, f"__pyx_unpickle_{name}", lambda kind, _, state: kind(*(state or ())))
    alias = sys.modules.setdefault("_loss", losses)  # as scikit-learn 1.4 to 1.6 called it
    try:
        yield
    finally:
        for module, name in added:
            delattr(module, name)
        if alias is losses:
            del sys.modules["_loss"]


def _read_version(path: Path) -> str | None:
    """Return the version of scikit-learn that a pickle names, without running it."""
    found = VERSION.search(_decompress(path.read_bytes()))
    return found[1].decode() if found else None


def _read_begin(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(BEGIN)


def _decompress(data: bytes, size: int = 0) -> bytes:
    """Return data, decompressed if it is compressed; at most `size` bytes of it if that is given."""
    for magic, make in DECOMPRESSORS:
        if data.startswith(magic):
            try:
                return bytes(make().decompress(data, size) if size else make().decompress(data))
            except (zlib.error, OSError, EOFError, lzma.LZMAError):
                return b""
    return data[:size] if size else data
