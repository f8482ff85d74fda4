import pytest

import snooze.knative
from snooze.knative.errors import KnativeError


@pytest.mark.parametrize("name", snooze.knative.__all__)
def test_exports_what_it_lists(name: str) -> None:
    assert getattr(snooze.knative, name) is not None


def test_knows_nothing_else() -> None:
    with pytest.raises(AttributeError, match=r"module 'snooze.knative' has no attribute 'nothing'"):
        snooze.knative.nothing  # noqa: B018


def test_every_error_is_drawn_in_the_tree_and_has_an_exit_code() -> None:
    import snooze.knative.errors as errors

    for error in KnativeError.__subclasses__():
        assert f"  - {error.__name__} " in str(errors.__doc__)
        assert error.exit_code in (1, 2)
