"""The messages are asserted here; other tests assert the type and the attributes of an error."""

from pathlib import Path

import pytest

from snooze.bundle.errors import (
    BundleError,
    InvalidContract,
    InvalidData,
    InvalidOption,
    InvalidSamples,
    MissingExtra,
    MissingFile,
    NoSuchModel,
    NotABundle,
    NotWritten,
    OutsideFolder,
    SnoozeError,
    UnknownSchema,
    WrongHash,
)

FOLDER = Path("models/tumour/1")
EXAMPLES: list[tuple[SnoozeError, str]] = [
    (MissingExtra("skl2onnx", "sklearn"), "'skl2onnx' is not installed; run: pip install 'snooze[sklearn]'"),
    (InvalidOption("--rps", "expected a rate above 0, got -1"), "--rps: expected a rate above 0, got -1"),
    (InvalidData("rows.csv", "contains no rows"), "rows.csv: contains no rows"),
    (
        NotABundle(FOLDER, "there is no bundle.json in it"),
        "models/tumour/1 is not a bundle: there is no bundle.json in it",
    ),
    (
        UnknownSchema(1, 2),
        "bundle.json: schema version 1 is not supported, this version of Snooze reads 2; "
        "convert the model again, or use the version of Snooze that wrote the bundle",
    ),
    (InvalidContract("version", "is missing"), "bundle.json: version: is missing"),
    (
        InvalidContract("version", "is missing", FOLDER / "bundle.json"),
        "models/tumour/1/bundle.json: version: is missing; convert the model again",
    ),
    (
        MissingFile(FOLDER / "model.onnx", "does not exist"),
        "models/tumour/1/model.onnx is listed in bundle.json but does not exist; convert the model again",
    ),
    (
        WrongHash(FOLDER / "model.onnx", "sha256:a", "sha256:b"),
        "models/tumour/1/model.onnx was changed after the bundle was written: expected sha256:a, found sha256:b; "
        "convert the model again",
    ),
    (
        OutsideFolder(FOLDER / "model.onnx", FOLDER),
        "models/tumour/1/model.onnx leads out of the bundle's folder models/tumour/1; a bundle contains its own files",
    ),
    (
        InvalidSamples(FOLDER / "samples.npz", "'0/in/x' is missing"),
        "models/tumour/1/samples.npz: '0/in/x' is missing; convert the model again",
    ),
    (NoSuchModel("version 4 of 'tumour'", ["1", "2"]), "no version 4 of 'tumour'; available: 1, 2"),
    (NoSuchModel("model 'tumour'", []), "no model 'tumour'; the repository is empty"),
    (
        NotWritten(FOLDER, "No space left on device"),
        "cannot write a bundle to models/tumour/1: No space left on device",
    ),
]


@pytest.mark.parametrize(("error", "message"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_states_the_problem_on_one_line(error: SnoozeError, message: str) -> None:
    assert str(error) == message
    assert "\n" not in message


def test_every_error_has_an_example() -> None:
    generic = {MissingExtra, InvalidOption, InvalidData}

    assert {type(error) for error, _ in EXAMPLES} == set(BundleError.__subclasses__()) | generic


def test_every_error_is_about_the_input() -> None:
    assert {error.exit_code for error, _ in EXAMPLES} == {2}
