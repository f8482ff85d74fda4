from snooze.service.errors import RequestError, ServiceError
from snooze.service.responses import REASONS, STATUS


def test_every_request_error_has_a_status() -> None:
    assert set(STATUS) == set(RequestError.__subclasses__())


def test_every_status_is_one_of_an_error() -> None:
    assert all(400 <= status < 600 for status in STATUS.values())


def test_refusals_are_request_errors() -> None:
    assert set(REASONS) <= set(STATUS)


def test_every_error_has_an_exit_code() -> None:
    assert {error.exit_code for error in ServiceError.__subclasses__()} == {1, 2}


def test_the_tree_in_the_docstring_is_whole() -> None:
    from snooze.service import errors

    names = [
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, ServiceError)
    ]
    assert all(f" {name} " in f"{errors.__doc__} ".replace("\n", " ") for name in names)
