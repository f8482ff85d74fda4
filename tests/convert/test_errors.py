import pytest

from snooze import convert
from snooze.bundle.errors import SnoozeError
from snooze.convert import errors


def test_every_public_name_is_there() -> None:
    for name in convert.__all__:
        assert getattr(convert, name).__name__ == name


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match=r"module 'snooze\.convert' has no attribute 'nothing'"):
        _ = convert.nothing


def test_only_failed_checks_end_with_1() -> None:
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, SnoozeError)]

    assert {one.__name__ for one in classes if one.exit_code == 1} == {"Refused", "GraphRefused", "ParityRefused"}
    assert {one.exit_code for one in classes} == {1, 2}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.NotAModel("a.txt", "is empty"), "a.txt: is empty"),
        (
            errors.Untrusted("a.joblib"),
            "a.joblib: reading it runs the code in it; if you made it or trust its author, add --trust",
        ),
        (errors.Unfitted("Ridge", "fit"), "the Ridge is not fitted; call fit on it and save it again"),
        (errors.Unsupported("Ridge", "no way"), "Ridge cannot be converted: no way"),
        (
            errors.NoWorkspace("/tmp", "No space left on device"),
            "cannot use the temporary folder /tmp: No space left on device; free space, or set TMPDIR to another",
        ),
        (errors.Interrupted("measuring", "killed"), "measuring did not finish: killed"),
        (errors.GraphRefused("odd operator", "remove it"), "graph check failed: odd operator; remove it"),
        (errors.ParityRefused("3 rows differ", "remove it"), "parity check failed: 3 rows differ; remove it"),
    ],
)
def test_messages(error: errors.ConversionError, message: str) -> None:
    assert str(error) == message
