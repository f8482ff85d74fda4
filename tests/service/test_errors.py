from snooze.service.errors import ServiceError


def test_every_error_has_an_exit_code() -> None:
    assert {error.exit_code for error in ServiceError.__subclasses__()} == {1, 2}


def test_the_tree_in_the_docstring_is_whole() -> None:
    from snooze.service import errors

    names = [
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, ServiceError)
    ]
    assert all(f" {name} " in f"{errors.__doc__} ".replace("\n", " ") for name in names)
