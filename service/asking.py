"""One prediction for the command line: by a running server, or by a bundle in this process."""

import csv
import json
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException, InvalidURL
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import quote
from zipfile import BadZipFile

import numpy as np

from snooze.bundle.datatypes import NAMES
from snooze.service.errors import InvalidInput, MissingServiceExtra, NoAnswer
from snooze.service.protocols.tensors import Array

# What reading a damaged file raises, beside OSError.
BROKEN = (ValueError, EOFError, BadZipFile, zlib.error, csv.Error, RecursionError, MemoryError, NotImplementedError)

Rows = list[Any]
Tensors = dict[str, Array]
Asked = Rows | Tensors


def rows(given: Sequence[str], data: str | None) -> Asked:
    """
    Return the rows of the command line or of a file, or its arrays by input name.

    Raises:
        InvalidInput: neither or both were given, or the file cannot be read.
    """
    if bool(given) == (data is not None):
        raise InvalidInput("predict", "give rows, either with --row 1,2,3 or with --data FILE")
    if data is None:
        return [[_value(text) for text in row.split(",")] for row in given]
    path = Path(data)
    try:
        return _read(path)
    except OSError as error:
        raise InvalidInput(str(path), error.strerror or str(error)) from None
    except BROKEN as error:
        problem = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInput(str(path), f"cannot be read: {problem or type(error).__name__}") from None


def of_bundle(target: str, model: str | None, version: str | None, asked: Asked) -> Any:
    """
    Return the answer of the bundle at `target`, verified, loaded and proved here.

    Raises:
        BundleError, ServiceError: the bundle cannot be served, or does not take these rows.
    """
    from snooze.bundle.store import latest
    from snooze.service.process.cpu import allowed
    from snooze.service.runtime.model import load

    try:
        import onnxruntime  # noqa: F401

        from snooze.service.protocols import plain
        from snooze.service.protocols.tensors import Signature
    except ModuleNotFoundError as error:
        if error.name not in ("onnxruntime", "orjson"):  # installed but broken: show the real cause
            raise
        raise MissingServiceExtra(error.name) from None

    path = Path(target) / model if model else Path(target)
    if version is not None and not (version.isascii() and version.isdigit() and len(version) < 10):
        raise InvalidInput("--version", f"expected a whole number, got {version!r}")
    found = latest(path, None if version is None else int(version))
    loaded = load(found.folder, found.bundle, allowed())
    loaded.prove(loaded.samples())  # as a server does: only then it is known whether scores are probabilities
    body = json.dumps({"rows": _as_rows(asked)}).encode()
    signature = Signature(loaded.bundle, loaded.probabilities)
    call = plain.decode(signature, {}, body)
    return json.loads(plain.encode(signature, call, loaded.run(call.outputs, call.feeds), b"")[0])


def of_server(url: str, model: str | None, version: str | None, asked: Asked, seconds: float) -> Any:
    """
    Return the answer of a server: the plain one of a Snooze, else that of the Open Inference Protocol.

    Raises:
        NoAnswer: says what the server said, or why it did not.
    """
    base = url.rstrip("/").removesuffix("/infer")
    if base.endswith("/predict"):
        return _ask(base, {"rows": _as_rows(asked)}, seconds)
    base, _, named = base.partition("/v2/models/")
    if named:
        model, _, version = named.partition("/versions/")
    at = f"/versions/{quote(version)}" if version else ""
    if _ask(f"{base}/v2", None, seconds).get("name") == "snooze":
        where = f"{base}/models/{quote(model)}{at}/predict" if model else f"{base}/predict"
        if version and not model:
            raise InvalidInput("--version", "needs --model as well")
        return _ask(where, {"rows": _as_rows(asked)}, seconds)
    if model is None:
        raise InvalidInput(url, "is not a Snooze; say which model with --model NAME")
    return _infer(f"{base}/v2/models/{quote(model)}{at}", asked, seconds)


def table(answer: Any) -> Iterator[str]:
    """Yield the lines that show an answer to people; one of no known form is shown as it is."""
    if _objects(answer.get("predictions")):
        yield f"{answer.get('model', '')} version {answer.get('version', '?')}"
        for i, prediction in enumerate(answer["predictions"]):
            parts = [f"{key} {_shown(value)}" for key, value in prediction.items() if key != "probabilities"]
            yield f"  row {i}: {', '.join(parts)}"
    elif _objects(answer.get("outputs")):
        yield f"{answer.get('model_name', '')} version {answer.get('model_version', '?')}"
        for output in answer["outputs"]:
            said = " ".join(str(output.get(key)) for key in ("name", "datatype", "shape"))
            yield f"  {said}: {_shown(output.get('data'))}"
    else:
        yield json.dumps(answer, ensure_ascii=False)


def _infer(model_url: str, asked: Asked, seconds: float) -> Any:
    """Ask by the Open Inference Protocol, with the signature that the server itself tells."""
    described = _ask(model_url, None, seconds)
    inputs = described.get("inputs")
    if not _objects(inputs) or not all({"name", "datatype"} <= one.keys() for one in inputs):
        raise NoAnswer(model_url, "does not say which inputs the model takes")
    if isinstance(asked, list):
        if len(inputs) != 1:
            names = ", ".join(str(one["name"]) for one in inputs)
            raise InvalidInput("the rows", f"the model takes several inputs ({names}); give them as .npz")
        try:
            arrays = {inputs[0]["name"]: np.array(asked)}
        except ValueError:
            raise InvalidInput("the rows", "are of different lengths") from None
    else:
        arrays = asked
    datatypes = {one["name"]: one["datatype"] for one in inputs}
    tensors = [
        {
            "name": name,
            "shape": list(array.shape),
            "datatype": datatypes.get(name, NAMES.get(array.dtype, "BYTES")),
            "data": array.ravel().tolist(),
        }
        for name, array in arrays.items()
    ]
    return _ask(f"{model_url}/infer", {"inputs": tensors}, seconds)


def _ask(url: str, document: Mapping[str, Any] | None, seconds: float) -> dict[str, Any]:
    body = None if document is None else json.dumps(document).encode()
    text = _fetch(url, body, seconds)
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NoAnswer(url, f"the answer is not JSON: {error}") from None
    if not isinstance(answer, dict):
        raise NoAnswer(url, f"the answer is no JSON object but {_shown(answer)}; is this a model server?")
    return answer


def _fetch(url: str, body: bytes | None, seconds: float) -> bytes:
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310  (http and https only: cli.py)
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            raise NoAnswer(url, f"{error.code} {_said(error)}") from None
    except (InvalidURL, ValueError) as error:
        raise NoAnswer(url, f"is no address of a server: {error}") from None
    except HTTPException as error:
        raise NoAnswer(url, f"the answer is not HTTP, or not whole: {error!r}") from None
    except OSError as error:  # URLError is one
        reason = getattr(error, "reason", error)
        raise NoAnswer(url, f"{getattr(reason, 'strerror', None) or reason}; is the server running?") from None


def _read(path: Path) -> Asked:
    kind = path.suffix.lower()
    if kind in (".npy", ".npz"):
        arrays = _arrays(path)
        return arrays if kind == ".npz" else _as_rows(arrays)
    if kind == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [[_value(text) for text in line] for line in csv.reader(file) if line]
        header = bool(lines) and all(isinstance(value, str) for value in lines[0])
        return lines[1:] if header and len(lines) > 1 else lines
    if kind == ".json":
        document = json.loads(path.read_text("utf-8"))
        found = document.get("rows", document.get("instances")) if isinstance(document, dict) else document
        if not isinstance(found, list):
            raise ValueError('expected a list of rows or {"rows": [...]}')
        return found
    raise ValueError(f"{kind or 'no ending'} is not one of .csv, .json, .npy, .npz")


def _arrays(path: Path) -> Tensors:
    """Return the arrays of a numpy file without the labels, by name; the only one of a `.npy` is called `rows`."""
    with path.open("rb") as file:  # numpy would leave it open where it finds it damaged
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            arrays = {"rows": loaded}
        else:
            arrays = {name: loaded[name] for name in loaded.files if name != "y"}
    if not arrays:
        raise ValueError("it holds no arrays but labels")
    for name, array in arrays.items():
        if array.dtype.kind not in "biufU":
            raise ValueError(f"array '{name}' holds {array.dtype}; expected numbers, texts, true or false")
    return arrays


def _as_rows(asked: Asked) -> Rows:
    """Return arrays as the rows that the plain protocol takes."""
    if isinstance(asked, list):
        return asked
    columns = [array.tolist() for array in asked.values()]
    if len(columns) == 1:
        return columns[0] if isinstance(columns[0], list) else columns
    if len({array.shape[:1] for array in asked.values()}) > 1 or not all(array.ndim for array in asked.values()):
        shapes = ", ".join(f"'{name}' {list(array.shape)}" for name, array in asked.items())
        raise InvalidInput("the arrays", f"are not one row each for every row: {shapes}")
    return [dict(zip(asked, values, strict=True)) for values in zip(*columns, strict=True)]


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip()


def _said(error: urllib.error.HTTPError) -> str:
    try:
        body = error.read()
    except (OSError, HTTPException):
        return str(error.reason)
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return body[:200].decode("utf-8", "replace")


def _objects(value: Any) -> TypeGuard[list[dict[str, Any]]]:
    """Return whether this is a list of JSON objects, and not an empty one."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
