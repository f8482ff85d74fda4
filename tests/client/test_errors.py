from snooze.bundle.errors import SnoozeError
from snooze.client import errors


def test_every_error_of_the_client_has_one_base() -> None:
    found = [value for value in vars(errors).values() if isinstance(value, type) and value is not SnoozeError]

    assert all(issubclass(error, errors.ClientError) for error in found if issubclass(error, Exception))
    assert errors.ClientError.exit_code == 2
