import pytest

from snooze.bundle.errors import SnoozeError
from snooze.knative import errors


@pytest.mark.parametrize("error", errors.KnativeError.__subclasses__())
def test_every_error_is_listed_and_has_an_exit_code(error: type[errors.KnativeError]) -> None:
    assert f"  - {error.__name__} " in str(errors.__doc__)
    assert issubclass(error, SnoozeError)
    assert error.exit_code in (1, 2)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            errors.TooSlow(0.02, 0.05),
            "check failed: a p99 of 20 ms is not possible, because a single request takes 50 ms; "
            "ask for a longer --p99 or serve a faster model",
        ),
        (
            errors.MissingProgram("kn"),
            "'kn' is not on the PATH; install it, or apply the manifest with: kubectl apply -f FILE",
        ),
        (errors.KnFailed(1, "no such host"), "kn ended with exit code 1: no such host"),
    ],
)
def test_messages(error: errors.KnativeError, message: str) -> None:
    assert str(error) == message
