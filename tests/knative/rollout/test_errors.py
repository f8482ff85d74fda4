import pytest

from snooze.knative.errors import KnativeError
from snooze.knative.rollout import errors

OWN = [one for one in vars(errors).values() if isinstance(one, type) and one.__module__ == errors.__name__]


@pytest.mark.parametrize("error", OWN)
def test_every_error_is_listed_and_has_an_exit_code(error: type[KnativeError]) -> None:
    assert f"- {error.__name__} " in str(errors.__doc__)
    assert issubclass(error, KnativeError)
    assert error.exit_code in (1, 2)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            errors.RolloutUnderWay("tumour"),
            "a rollout of 'tumour' is under way, and decides where its requests go; wait for its end, or end it with: "
            "snooze rollback tumour",
        ),
    ],
)
def test_messages(error: KnativeError, message: str) -> None:
    assert str(error) == message
