import pytest

from snooze.knative.errors import KnativeError
from snooze.knative.image import errors

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
            errors.NoEngine(("podman", "docker")),
            "podman or docker is not on the PATH; install it, or give --server-image to add the models to an existing "
            "server image, which needs no engine",
        ),
        (errors.ProgramFailed("skopeo", "no such host"), "skopeo: no such host"),
        (errors.InvalidImage("oci:a:1", "it is damaged"), "oci:a:1: it is damaged"),
        (
            errors.UnfitImage("oci:a:1", "it holds models already"),
            "oci:a:1 cannot be used: it holds models already; 'snooze image --tag IMAGE --extras NAMES' builds one",
        ),
        (errors.NotServable("output 'p' differs"), "check failed: output 'p' differs"),
        (
            errors.NotVerified("no answer"),
            "the golden samples cannot be checked: no answer; --no-verify leaves them unchecked",
        ),
        (errors.NotStored("oci:a:1", "no space"), "cannot write oci:a:1: no space"),
    ],
)
def test_messages(error: KnativeError, message: str) -> None:
    assert str(error) == message
