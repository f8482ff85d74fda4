import inspect
import re
from pathlib import Path

import pytest

from snooze.bundle import errors
from snooze.bundle.errors import (
    BundleError,
    InvalidContract,
    InvalidSamples,
    MissingFile,
    NoSuchModel,
    NotABundle,
    NotWritten,
    OutsideFolder,
    UnknownSchema,
    WrongHash,
)

FOLDER = Path("models/tumour/1")
EXAMPLES: list[tuple[BundleError, str]] = [
    (
        NotABundle(FOLDER, "there is no bundle.json in it"),
        "models/tumour/1 is not a bundle: there is no bundle.json in it",
    ),
    (
        UnknownSchema(2, 1),
        "bundle.json: schema version 2 is not known, this Snooze reads version 1; "
        "upgrade Snooze or convert the model again",
    ),
    (InvalidContract("version", "is missing"), "bundle.json: version: is missing"),
    (
        InvalidContract("version", "is missing", FOLDER / "bundle.json"),
        "models/tumour/1/bundle.json: version: is missing; convert the model again",
    ),
    (
        MissingFile(FOLDER / "model.onnx"),
        "models/tumour/1/model.onnx is named in bundle.json but is not there; convert the model again",
    ),
    (
        MissingFile(FOLDER / "model.onnx", "cannot be read: Permission denied"),
        "models/tumour/1/model.onnx is named in bundle.json but cannot be read: Permission denied",
    ),
    (
        WrongHash(FOLDER / "model.onnx", "sha256:a", "sha256:b"),
        "models/tumour/1/model.onnx was changed after the bundle was written: expected sha256:a, found sha256:b; "
        "convert the model again",
    ),
    (
        OutsideFolder(FOLDER / "model.onnx", FOLDER),
        "models/tumour/1/model.onnx leads out of the bundle's folder models/tumour/1; a bundle holds its own files",
    ),
    (
        InvalidSamples(FOLDER / "samples.npz", "'in/x' is missing"),
        "models/tumour/1/samples.npz: 'in/x' is missing; convert the model again",
    ),
    (NoSuchModel("version 4 of 'tumour'", ["1", "2"]), "no version 4 of 'tumour'; there are: 1, 2"),
    (NoSuchModel("model 'tumour'", []), "no model 'tumour'; the repository is empty"),
    (
        NotWritten(FOLDER, "No space left on device"),
        "cannot write a bundle to models/tumour/1: No space left on device",
    ),
]


@pytest.mark.parametrize(("error", "message"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_says_in_one_line_what_is_wrong(error: BundleError, message: str) -> None:
    assert str(error) == message
    assert "\n" not in message


def test_every_error_is_shown_above() -> None:
    assert {type(error) for error, _ in EXAMPLES} == set(BundleError.__subclasses__())


def test_every_error_is_one_of_wrong_input() -> None:
    for error, _ in EXAMPLES:
        assert error.exit_code == 2


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    drawn = re.findall(r"^ *[*-] (\w+)", inspect.getdoc(errors) or "", re.MULTILINE)

    assert drawn == ["BundleError", *(error.__name__ for error in BundleError.__subclasses__())]
