import pytest

from snooze import convert
from snooze.convert import errors


def test_every_error_is_exported() -> None:
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}

    assert defined <= set(convert.__all__)


def test_every_exported_name_is_there() -> None:
    for name in convert.__all__:
        assert getattr(convert, name).__name__ == name


def test_says_what_is_not_there() -> None:
    with pytest.raises(AttributeError, match=r"module 'snooze\.convert' has no attribute 'nothing'"):
        _ = convert.nothing


def test_only_gates_end_with_1() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]

    assert {one.__name__ for one in classes if one.exit_code == 1} == {"Refused", "GraphRefused", "ParityRefused"}  # type: ignore[attr-defined]
    assert {one.exit_code for one in classes} == {1, 2}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            errors.MissingExtra("skl2onnx", "sklearn"),
            "'skl2onnx' is not installed; run: pip install 'snooze[sklearn]'",
        ),
        (errors.InvalidOption("--rows", "expected 1"), "--rows: expected 1"),
        (errors.NotAModel("a.txt", "is empty"), "a.txt: is empty"),
        (
            errors.Untrusted("a.joblib"),
            "a.joblib is a pickle, and reading a pickle runs whatever code is in it; "
            "if you made the file or trust who did, add --trust",
        ),
        (errors.Unfitted("Ridge", "fit"), "the Ridge is not fitted; call fit on it and save it again"),
        (errors.Unsupported("Ridge", "no way"), "Ridge cannot be converted: no way"),
        (errors.InvalidData("a.npz", "is damaged"), "a.npz: is damaged"),
        (
            errors.NoWorkspace("/tmp", "No space left on device"),
            "cannot work in the temporary folder /tmp: No space left on device; make room, or set TMPDIR to another",
        ),
        (errors.Interrupted("measuring", "killed"), "measuring did not finish: killed"),
        (errors.GraphRefused("odd operator", "leave it out"), "graph gate: odd operator; leave it out"),
        (errors.ParityRefused("3 rows differ", "leave it out"), "parity gate: 3 rows differ; leave it out"),
    ],
)
def test_says_it_in_one_line(error: errors.ConversionError, message: str) -> None:
    assert str(error) == message
